//! The Admin service: what operators ask.

use std::sync::Arc;
use std::time::Duration;

use portcullis_proto::ids::{ClientId, GrantId};
use portcullis_proto::revocation::Scope;
use portcullis_proto::time::Timestamp;
use portcullis_proto::v1;
use portcullis_proto::v1::admin_server::Admin;
use tonic::{Request, Response, Status};

use super::{keys, unavailable};
use crate::app::App;
use crate::oauth::client::Client;

const DEFAULT_PAGE: u32 = 100;
const MAX_PAGE: u32 = 1000;
const DEFAULT_WAIT: Duration = Duration::from_secs(2);
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The service.
pub struct AdminService {
    app: Arc<App>,
}

// === impl AdminService ===

impl AdminService {
    /// Over this app.
    pub const fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// A mistyped id would otherwise be reported as revoked everywhere. A client that has a grant is never
    /// forgotten.
    async fn check_exists(&self, scope: &Scope) -> Result<(), Status> {
        let store = &self.app.store;
        let (found, what) = match scope {
            Scope::Grant(id) => (store.live_grant(id).await.map(|grant| grant.is_some()), "live grant"),
            Scope::Client(id) => {
                (store.client(id, self.app.now()).await.map(|client| client.is_some()), "client")
            }
            Scope::Token(_) | Scope::Subject(..) | Scope::Server(_) | Scope::Everything => return Ok(()),
        };
        if found.map_err(|error| unavailable(&error))? {
            Ok(())
        } else {
            Err(Status::not_found(format!("there is no such {what}")))
        }
    }
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn list_grants(
        &self,
        request: Request<v1::ListGrantsRequest>,
    ) -> Result<Response<v1::ListGrantsResponse>, Status> {
        let (after, size) = page(request.into_inner().page);
        let grants = self.app.store.grants(after.map(GrantId::new).as_ref(), size).await;
        let grants = grants.map_err(|error| unavailable(&error))?;
        let next = next(&grants, size, |grant| grant.id.to_string());
        let mut summaries = Vec::with_capacity(grants.len());
        for grant in grants {
            let client = self.app.store.client(&grant.client, self.app.now()).await;
            let client = client.map_err(|error| unavailable(&error))?;
            summaries.push(v1::GrantSummary {
                client_name: client.and_then(|client| client.name).unwrap_or_default(),
                grant_id: grant.id.into(),
                client_id: grant.client.into(),
                server: grant.server.into(),
                provider: grant.provider.into(),
                subject: grant.subject.into(),
                email: grant.email.unwrap_or_default(),
                scopes: grant.scopes.into_vec(),
                created_at_ms: grant.created_at.as_millis(),
                expires_at_ms: grant.expires_at.as_millis(),
            });
        }
        Ok(Response::new(v1::ListGrantsResponse { grants: summaries, next }))
    }

    async fn list_clients(
        &self,
        request: Request<v1::ListClientsRequest>,
    ) -> Result<Response<v1::ListClientsResponse>, Status> {
        let (after, size) = page(request.into_inner().page);
        let clients = self.app.store.clients(after.map(ClientId::new).as_ref(), size).await;
        let clients = clients.map_err(|error| unavailable(&error))?;
        let next = next(&clients, size, |client| client.id.to_string());
        // The record of a configured client does not say how it authenticates.
        let configured = &self.app.config.clients.preregistered;
        let method = |client: &Client| configured.get(&client.id).unwrap_or(client).auth.method();
        let summaries = clients.into_iter().map(|client| v1::ClientSummary {
            token_endpoint_auth_method: method(&client).into(),
            client_id: client.id.into(),
            client_name: client.name.unwrap_or_default(),
            redirect_uris: client.redirect_uris.iter().map(|uri| uri.as_str().to_owned()).collect(),
            created_at_ms: client.created_at.as_millis(),
            unused_expires_at_ms: client.unused_until.map_or(0, Timestamp::as_millis),
        });
        Ok(Response::new(v1::ListClientsResponse { clients: summaries.collect(), next }))
    }

    async fn list_instances(
        &self,
        _: Request<v1::ListInstancesRequest>,
    ) -> Result<Response<v1::ListInstancesResponse>, Status> {
        let instances = self.app.instances.list().into_iter().map(|instance| v1::Instance {
            name: instance.name.into(),
            applied: instance.applied.0,
            connected_at_ms: instance.connected_at.as_millis(),
        });
        let head = self.app.store.head().borrow().sequence.0;
        Ok(Response::new(v1::ListInstancesResponse { head, instances: instances.collect() }))
    }

    async fn revoke(
        &self,
        request: Request<v1::RevokeRequest>,
    ) -> Result<Response<v1::RevokeResponse>, Status> {
        let request = request.into_inner();
        let scope = request.scope.ok_or_else(|| Status::invalid_argument("scope is missing"))?;
        let scope = Scope::try_from(scope).map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.check_exists(&scope).await?;
        let patience = match request.wait_ms {
            0 => DEFAULT_WAIT,
            wait => Duration::from_millis(wait.into()).min(MAX_WAIT),
        };
        let audience = self.app.instances.audience();
        let entry = self.app.revoke(scope, "operator").await.map_err(|error| unavailable(&error))?;
        let reached = self.app.instances.reached(entry.sequence, audience, patience).await;
        Ok(Response::new(v1::RevokeResponse {
            sequence: entry.sequence.0,
            instances: count(reached.applied + reached.lagging.len()),
            applied: count(reached.applied),
            lagging: reached.lagging.into_iter().map(Into::into).collect(),
            elapsed_us: u64::try_from(reached.elapsed.as_micros()).unwrap_or(u64::MAX),
        }))
    }

    async fn list_keys(
        &self,
        _: Request<v1::ListKeysRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        keys::list(&self.app).await.map(Response::new)
    }

    async fn rotate_keys(
        &self,
        request: Request<v1::RotateKeysRequest>,
    ) -> Result<Response<v1::RotateKeysResponse>, Status> {
        let signing = request.into_inner().signing;
        let id = if signing { keys::replace_signing(&self.app).await } else { keys::rotate(&self.app).await };
        Ok(Response::new(v1::RotateKeysResponse { id: id? }))
    }

    async fn forget_key(
        &self,
        request: Request<v1::ForgetKeyRequest>,
    ) -> Result<Response<v1::ForgetKeyResponse>, Status> {
        keys::forget(&self.app, request.into_inner().id).await?;
        Ok(Response::new(v1::ForgetKeyResponse {}))
    }
}

fn page(page: Option<v1::Page>) -> (Option<String>, usize) {
    let page = page.unwrap_or_default();
    let size = if page.size == 0 { DEFAULT_PAGE } else { page.size.min(MAX_PAGE) };
    (Some(page.after).filter(|after| !after.is_empty()), size as usize)
}

/// The id to go on after, where the page is full.
fn next<T>(items: &[T], size: usize, id: impl Fn(&T) -> String) -> String {
    items.last().filter(|_| items.len() == size).map(id).unwrap_or_default()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

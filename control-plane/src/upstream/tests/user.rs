//! A user whose provider token is to be kept fresh.

use std::sync::Arc;
use std::time::Duration;

use portcullis_proto::ids::GrantId;
use portcullis_proto::seal::{Field, SealingKey};
use portcullis_proto::v1;
use prost::Message;

use super::super::{Freshness, freshen_within, seal};
use crate::app::App;
use crate::config::{Config, CredentialMode};
use crate::http::tests::harness::World;
use crate::http::tests::login::public;
use crate::http::tests::provider::Script;
use crate::oauth::grant::{AccessToken, Grant};
use crate::provider::ProviderTokens;
use crate::store::contract::fixtures::{code, parallel, token_id};

/// Long enough for any refresh on a busy machine.
const PATIENT: Duration = Duration::from_secs(30);

/// A user who has logged in; the provider's token lives an hour.
pub(super) struct User {
    pub(super) world: World,
    access: String,
}

impl User {
    pub(super) async fn new() -> Self {
        Self::given(|_| {}).await
    }

    /// With another answer to the login.
    pub(super) async fn given(change: impl FnOnce(&mut Script)) -> Self {
        Self::of(|_| {}, change).await
    }

    /// At a server that gets no credential of the provider's, with another answer to the login.
    pub(super) async fn without_credential(change: impl FnOnce(&mut Script)) -> Self {
        let none = |config: &mut Config| {
            config.servers.values_mut().for_each(|server| server.credential = CredentialMode::None);
        };
        Self::of(none, change).await
    }

    /// With another configuration too.
    pub(super) async fn of(adjust: fn(&mut Config), change: impl FnOnce(&mut Script)) -> Self {
        let world = World::with_long_tokens(adjust);
        world.provider.answers(change);
        let client = world.register(public()).await;
        let access = world.tokens(&client).await.access;
        Self { world, access }
    }

    /// The same after the control plane has been restarted.
    pub(super) fn restart(self) -> Self {
        Self { world: self.world.restart(), ..self }
    }

    /// The access token that the client has, and its grant.
    pub(super) async fn token(&self) -> (AccessToken, Grant) {
        self.world.access_token(&self.access).await.unwrap()
    }

    pub(super) async fn grant(&self) -> Option<Grant> {
        self.world.access_token(&self.access).await.map(|(_, grant)| grant)
    }

    /// More grants like the user's own.
    pub(super) async fn grants(&self, count: usize) -> Vec<Grant> {
        let own = self.grant().await.unwrap();
        let (app, random) = (&self.world.app, self.world.random.as_ref());
        let tokens = ProviderTokens {
            access_token: "s3cr3t-access-1".into(),
            expires_at: own.upstream.credential_expires_at,
            refresh_token: Some("s3cr3t-refresh-1".into()),
            id_token: None,
        };
        parallel(count, async |number| {
            let id = GrantId::new(format!("grant-{number}"));
            let data_key = SealingKey::generate(random);
            let (master_key, wrapped) = app.keys.wrap(random, &id, &data_key);
            let upstream = seal(random, &data_key, &id, &tokens, 0);
            let grant = Grant { id, master_key, data_key: wrapped, upstream, ..own.clone() };
            let code_id = token_id(&format!("code-{number}"));
            app.store.grant(grant.clone(), code_id, code(&grant)).await.unwrap();
            grant
        })
        .await
    }

    pub(super) async fn freshen(&self) -> Freshness {
        let grant = self.grant().await.unwrap();
        freshen_within(PATIENT, &self.world.app, grant, self.world.now()).await.unwrap()
    }

    /// Asks another process.
    pub(super) async fn freshen_at(&self, replica: &Arc<App>) -> Freshness {
        let grant = self.grant().await.unwrap();
        freshen_within(PATIENT, replica, grant, self.world.now()).await.unwrap()
    }

    /// Asks many times at once.
    pub(super) async fn freshen_often(&self, times: usize, grant: &Grant) -> Vec<Freshness> {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..times {
            let (app, grant, now) = (self.world.app.clone(), grant.clone(), self.world.now());
            tasks.spawn(async move { freshen_within(PATIENT, &app, grant, now).await.unwrap() });
        }
        tasks.join_all().await
    }

    /// Asks, and gives the header that the MCP server would get.
    pub(super) async fn header(&self) -> String {
        match self.freshen().await {
            Freshness::Good(grant) => self.header_of(&grant),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn header_of(&self, grant: &Grant) -> String {
        let keys = &self.world.app.keys;
        let data_key = keys.unwrap_key(&grant.master_key, &grant.id, &grant.data_key).unwrap();
        let credential = data_key.open(&grant.id, Field::Credential, &grant.upstream.credential).unwrap();
        v1::Credential::decode(credential.as_slice()).unwrap().headers.remove(0).value
    }

    pub(super) fn pass(&self, time: Duration) {
        self.world.clock.advance(time);
    }

    pub(super) fn refreshes(&self) -> Vec<String> {
        self.world.provider.refreshes()
    }
}

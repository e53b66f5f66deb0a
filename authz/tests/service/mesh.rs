//! With certificates: whom the instance answers, and whom it asks.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use portcullis_authz::RunError;
use portcullis_authz::config::Config;
use portcullis_authz::replica::Figures;
use portcullis_proto::mesh::issue::{Authority, files};
use portcullis_proto::mesh::{Files, Identity, Names, Role, Settings, channel};
use portcullis_proto::time::{Clock, SystemClock, Timestamp};
use tempfile::TempDir;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::control_plane::{ControlPlane, Log, SOON, eventually};
use crate::harness::{Service, config, issue, request};

const DAY: Duration = Duration::from_hours(24);

/// An authority's certificates, good from yesterday on.
struct Mesh {
    directory: TempDir,
    authority: Authority,
    made: Timestamp,
}

impl Mesh {
    fn new() -> Self {
        let (directory, made) = (tempfile::tempdir().unwrap(), SystemClock.now().before(DAY));
        let mesh = Self { authority: Authority::new(made).unwrap(), directory, made };
        for role in Role::ALL {
            mesh.authority.issue(role, &Names::default(), made, 2 * DAY, mesh.path()).unwrap();
        }
        mesh
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn settings(&self) -> Settings {
        Settings::Tls { files: files(Role::Authz, self.path()), names: Names::default() }
    }

    fn open(&self, role: Role) -> Arc<Identity> {
        identity(role, files(role, self.path()), SystemClock.now())
    }

    /// Of a role, but over since noon.
    fn expired(&self, role: Role) -> Arc<Identity> {
        let directory = self.path().join("expired");
        let files = self.authority.issue(role, &Names::default(), self.made, DAY / 2, &directory).unwrap();
        identity(role, files, self.made)
    }

    /// An instance that finds nobody at its control plane's address.
    async fn service(&self, control: &ControlPlane) -> Service {
        Service::start(self.config(control)).await
    }

    fn config(&self, control: &ControlPlane) -> Config {
        let config = config(control, &self.path().join("store"), Duration::from_mins(1));
        let control_plane = format!("https://{}", control.address).parse().unwrap();
        Config { control_plane, mesh: self.settings(), ..config }
    }
}

fn identity(role: Role, files: Files, now: Timestamp) -> Arc<Identity> {
    Arc::new(Identity::open(role, files, Names::default(), now).unwrap())
}

fn connect(service: &Service, identity: Option<Arc<Identity>>) -> Channel {
    let scheme = if identity.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{}", service.grpc)).unwrap();
    channel(&endpoint, identity, Role::Authz)
}

/// What a check comes to.
async fn check(channel: Channel) -> Result<i32, Status> {
    let answer = AuthorizationClient::new(channel).check(request("demo", None)).await?;
    Ok(answer.into_inner().status.unwrap().code)
}

async fn health(channel: Channel) -> Result<i32, Status> {
    let request = HealthCheckRequest { service: String::new() };
    Ok(HealthClient::new(channel).check(request).await?.into_inner().status)
}

#[tokio::test]
async fn t26_only_the_edge_may_ask_for_decisions() {
    let mesh = Mesh::new();
    let service = mesh.service(&ControlPlane::start()).await;
    assert!(check(connect(&service, Some(mesh.open(Role::Edge)))).await.is_ok());
    for role in [Role::Admin, Role::Authz] {
        let error = check(connect(&service, Some(mesh.open(role)))).await.unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied, "{role}: {error}");
        assert_eq!(error.message(), "this takes a certificate of the role edge");
    }
    let metrics = service.get("/metrics").await;
    assert!(metrics.contains("portcullis_authz_mesh_refusals_total{reason=\"role\"} 2"), "{metrics}");
}

#[tokio::test]
async fn every_member_of_the_mesh_may_ask_for_health() {
    let mesh = Mesh::new();
    let service = mesh.service(&ControlPlane::start()).await;
    for role in [Role::Edge, Role::Admin, Role::Authz] {
        assert!(health(connect(&service, Some(mesh.open(role)))).await.is_ok(), "{role}");
    }
    assert!(health(connect(&service, None)).await.is_err(), "without TLS");
}

#[tokio::test]
async fn t26_whoever_has_no_certificate_of_this_mesh_gets_no_decision() {
    let (mesh, other) = (Mesh::new(), Mesh::new());
    let service = mesh.service(&ControlPlane::start()).await;
    assert!(check(connect(&service, None)).await.is_err(), "without TLS");
    assert!(check(connect(&service, Some(other.open(Role::Edge)))).await.is_err(), "another authority");
    // One that trusts us, so that it is the other end that refuses.
    let stranger = Files { ca: files(Role::Edge, mesh.path()).ca, ..files(Role::Edge, other.path()) };
    let both = other.path().join("both.pem");
    let authorities =
        [&stranger.ca, &files(Role::Edge, other.path()).ca].map(|ca| std::fs::read(ca).unwrap());
    std::fs::write(&both, authorities.concat()).unwrap();
    let stranger = identity(Role::Edge, Files { ca: both, ..stranger }, SystemClock.now());
    assert!(check(connect(&service, Some(stranger))).await.is_err(), "another authority's edge");
    assert!(check(connect(&service, Some(mesh.expired(Role::Edge)))).await.is_err(), "expired");
    eventually("every refusal is counted", async || {
        service.get("/metrics").await.lines().any(|line| {
            let count = line.strip_prefix("portcullis_authz_mesh_refusals_total{reason=\"handshake\"} ");
            count.is_some_and(|count| count.parse::<u32>().unwrap() >= 4)
        })
    })
    .await;
}

#[tokio::test]
async fn the_control_plane_is_asked_where_it_is_the_control_plane() {
    let mesh = Mesh::new();
    let mut control = ControlPlane::with(Some(mesh.open(Role::ControlPlane)));
    let (token, record) = issue();
    control.knows(&record);
    let service = mesh.service(&control).await;
    let _stream = control.catch_up(Log::new(1)).await;
    let edge = connect(&service, Some(mesh.open(Role::Edge)));
    let ready = async || matches!(health(edge.clone()).await, Ok(1));
    eventually("the instance is ready", ready).await;
    let header = format!("Bearer {}", token.expose());
    let answer = AuthorizationClient::new(edge.clone()).check(request("demo", Some(&header))).await.unwrap();
    assert_eq!(answer.into_inner().status.unwrap().code, 0, "allowed");
    let metrics = service.get("/metrics").await;
    let expiry = format!(
        "portcullis_authz_mesh_certificate_expiry_timestamp_seconds {}",
        mesh.open(Role::Authz).expires().as_secs()
    );
    assert!(metrics.contains(&expiry), "{metrics}");
}

#[tokio::test]
async fn whoever_is_no_control_plane_is_told_nothing() {
    let (mesh, other) = (Mesh::new(), Mesh::new());
    for impostor in [mesh.open(Role::Authz), other.open(Role::ControlPlane)] {
        let control = ControlPlane::with(Some(impostor));
        let service = mesh.service(&control).await;
        eventually("the instance turns away from it, twice", async || {
            let metrics = control.metrics.render(Figures::default()).unwrap();
            metrics.lines().any(|line| line == "portcullis_authz_mesh_refusals_total{reason=\"handshake\"} 2")
        })
        .await;
        assert!(!control.has_stream(), "the instance has said hello");
        service.stop().await.unwrap();
    }
}

#[tokio::test]
async fn certificates_of_no_use_keep_it_from_starting() {
    let mesh = Mesh::new();
    let control = ControlPlane::start();
    let settings = Settings::Tls { files: files(Role::Edge, mesh.path()), names: Names::default() };
    let error =
        Service::start(Config { mesh: settings, ..mesh.config(&control) }).await.ended().await.unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, RunError::Mesh(_)), "{said}");
    assert!(
        said.starts_with("mesh.certificate: /") && said.contains("/edge/certificate.pem: is not for authz."),
        "{said}"
    );
}

#[tokio::test]
async fn a_service_that_is_told_to_stop_does_not_wait_for_silent_connections() {
    let mesh = Mesh::new();
    let service = mesh.service(&ControlPlane::start()).await;
    let silent = tokio::net::TcpStream::connect(service.grpc).await.unwrap();
    service.get("/healthz").await;
    assert!(timeout(SOON, service.stop()).await.unwrap().is_ok());
    drop(silent);
}

//! With certificates: who may ask what.

use std::sync::Arc;
use std::time::Duration;

use portcullis_proto::mesh::issue::{Authority, files};
use portcullis_proto::mesh::{Identity, Names, Role, Settings, channel};
use portcullis_proto::time::{Clock, SystemClock, Timestamp};
use portcullis_proto::v1::admin_client::AdminClient;
use portcullis_proto::v1::replica_client::ReplicaClient;
use portcullis_proto::v1::{ListGrantsRequest, ResolveRequest};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::plane::Plane;

const DAY: Duration = Duration::from_hours(24);

/// An authority, its certificates from yesterday on, and a control plane that has one.
struct World {
    directory: TempDir,
    authority: Authority,
    made: Timestamp,
}

impl World {
    fn new() -> Self {
        let (directory, made) = (tempfile::tempdir().unwrap(), SystemClock.now().before(DAY));
        let world = Self { authority: Authority::new(made).unwrap(), directory, made };
        for role in Role::ALL {
            world.authority.issue(role, &Names::default(), made, 2 * DAY, world.directory.path()).unwrap();
        }
        world
    }

    async fn plane(&self) -> Plane {
        let files = files(Role::ControlPlane, self.directory.path());
        Plane::configured(|config| config.mesh = Settings::Tls { files, names: Names::default() }).await
    }

    fn open(&self, role: Role) -> Arc<Identity> {
        let files = files(role, self.directory.path());
        Arc::new(Identity::open(role, files, Names::default(), SystemClock.now()).unwrap())
    }

    /// Over since noon.
    fn expired(&self, role: Role) -> Arc<Identity> {
        let directory = self.directory.path().join("expired");
        let files = self.authority.issue(role, &Names::default(), self.made, DAY / 2, &directory).unwrap();
        Arc::new(Identity::open(role, files, Names::default(), self.made).unwrap())
    }
}

fn connect(plane: &Plane, identity: Option<Arc<Identity>>) -> Channel {
    let scheme = if identity.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{}", plane.grpc)).unwrap();
    channel(&endpoint, identity, Role::ControlPlane)
}

async fn resolve(channel: Channel) -> Result<(), Status> {
    ReplicaClient::new(channel).resolve(ResolveRequest { token_id: vec![0; 32] }).await.map(drop)
}

async fn watch(channel: Channel) -> Result<(), Status> {
    ReplicaClient::new(channel).watch(tokio_stream::empty()).await.map(drop)
}

async fn list(channel: Channel) -> Result<(), Status> {
    AdminClient::new(channel).list_grants(ListGrantsRequest::default()).await.map(drop)
}

async fn health(channel: Channel) -> Result<(), Status> {
    HealthClient::new(channel).check(HealthCheckRequest { service: String::new() }).await.map(drop)
}

#[tokio::test]
async fn only_authz_may_follow_and_resolve_and_only_operators_may_list_and_revoke() {
    let world = World::new();
    let plane = world.plane().await;
    for role in [Role::Edge, Role::Authz, Role::Admin] {
        let channel = connect(&plane, Some(world.open(role)));
        let code = |answer: Result<(), Status>| answer.map_or_else(|status| status.code(), |()| Code::Ok);
        let may = |is_allowed| if is_allowed { Code::Ok } else { Code::PermissionDenied };
        let replica = may(role == Role::Authz);
        assert_eq!(code(resolve(channel.clone()).await), replica, "{role}");
        assert_eq!(code(watch(channel.clone()).await), replica, "{role}");
        assert_eq!(code(list(channel.clone()).await), may(role == Role::Admin), "{role}");
        assert_eq!(code(health(channel).await), Code::Ok, "{role}");
    }
    let metrics = Plane::get(plane.ops, "/metrics").await;
    assert!(metrics.contains("portcullis_mesh_refusals_total{reason=\"role\"} 6"), "{metrics}");
}

#[tokio::test]
async fn whoever_has_no_good_certificate_asks_nothing() {
    let (world, other) = (World::new(), World::new());
    let plane = world.plane().await;
    for (who, identity) in [
        ("nobody", None),
        ("another authority's", Some(other.open(Role::Admin))),
        ("expired", Some(world.expired(Role::Admin))),
    ] {
        let channel = connect(&plane, identity);
        for answer in [list(channel.clone()).await, resolve(channel.clone()).await, health(channel).await] {
            assert_ne!(answer.unwrap_err().code(), Code::PermissionDenied, "{who}: it has come so far");
        }
    }
    assert!(list(connect(&plane, Some(world.open(Role::Admin)))).await.is_ok());
}

/// What the OAuth surface answers over a connection with this certificate.
async fn metadata(plane: &Plane, identity: Option<&Identity>) -> String {
    let mut stream = TcpStream::connect(plane.http).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut answer = Vec::new();
    if let Some(identity) = identity {
        let Ok(mut stream) = identity.dial(stream, Role::ControlPlane).await else {
            return String::new();
        };
        let _ = stream.write_all(request).await;
        let _ = stream.read_to_end(&mut answer).await;
    } else {
        let _ = stream.write_all(request).await;
        let _ = stream.read_to_end(&mut answer).await;
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_oauth_surface_is_for_the_edge() {
    let world = World::new();
    let plane = world.plane().await;
    let edge = world.open(Role::Edge);
    assert!(metadata(&plane, Some(&edge)).await.starts_with("HTTP/1.1 "));
    for role in [Role::Authz, Role::Admin] {
        assert_eq!(metadata(&plane, Some(&world.open(role))).await, "", "{role}");
    }
    assert!(!metadata(&plane, None).await.starts_with("HTTP/1.1 "), "without TLS");
    let metrics = Plane::get(plane.ops, "/metrics").await;
    assert!(metrics.contains("portcullis_mesh_refusals_total{reason=\"role\"} 2"), "{metrics}");
}

//! Whom Envoy asks for decisions, where there are certificates: an authz of its own mesh, and nobody else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_envoy::Mesh;
use portcullis_proto::mesh::issue::{Authority, files};
use portcullis_proto::mesh::{Identity, Names, Role};
use portcullis_proto::time::{Clock, SystemClock};
use portcullis_tests::edge::{Answer, Fixture, Request, ScriptedAuthz};
use tempfile::TempDir;

/// A mesh's certificates.
fn world() -> TempDir {
    let (directory, now) = (tempfile::tempdir().unwrap(), SystemClock.now());
    let authority = Authority::new(now).unwrap();
    for role in Role::ALL {
        let day = Duration::from_hours(24);
        authority.issue(role, &Names::default(), now, day, directory.path()).unwrap();
    }
    directory
}

fn identity(world: &Path, role: Role) -> Arc<Identity> {
    Arc::new(Identity::open(role, files(role, world), Names::default(), SystemClock.now()).unwrap())
}

/// What a client gets whose token this authz would let in, and how often Envoy has asked it.
async fn call(world: &Path, authz: Option<Arc<Identity>>) -> (u16, usize) {
    let authz = ScriptedAuthz::start_as("127.0.0.1:0".parse().unwrap(), authz).await;
    let own = files(Role::Edge, world);
    let names = Names::default();
    let mesh = Mesh {
        ca: own.ca,
        certificate: own.certificate,
        private_key: own.private_key,
        authz: names.of(Role::Authz).to_owned(),
        control_plane: names.of(Role::ControlPlane).to_owned(),
    };
    let edge = Fixture::with(|edge| {
        edge.authz = vec![authz.address().into()];
        edge.mesh = Some(mesh);
    })
    .await;
    let status = edge.send(&Request::new("POST", "/demo/mcp").token(Answer::Allow)).await.status;
    assert_eq!(edge.forwarded().len(), usize::from(status == 200));
    (status, authz.take().len())
}

#[tokio::test]
async fn t26_an_authz_of_this_mesh_is_asked() {
    let world = world();
    assert_eq!(call(world.path(), Some(identity(world.path(), Role::Authz))).await, (200, 1));
}

#[tokio::test]
async fn t26_an_impostor_at_authzs_address_is_never_asked() {
    let (here, elsewhere) = (world(), world());
    for (who, impostor) in [
        ("without TLS", None),
        ("another role's", Some(identity(here.path(), Role::ControlPlane))),
        ("another authority's", Some(identity(elsewhere.path(), Role::Authz))),
    ] {
        assert_eq!(call(here.path(), impostor).await, (503, 0), "{who}");
    }
}

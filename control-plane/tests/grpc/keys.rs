//! Keys, as operators see them.

use std::time::Duration;

use portcullis_control_plane::config::CredentialMode;
use portcullis_control_plane::keys::MasterKeys;
use portcullis_proto::ids::{GrantId, ServerName, TokenId};
use portcullis_proto::v1;
use portcullis_proto::v1::admin_client::AdminClient;
use tokio::time::{sleep, timeout};
use tonic::Code;
use tonic::transport::Channel;

use crate::plane::{NOW, PATIENCE, Plane};
use crate::support::{Login, code_of};

type Admin = AdminClient<Channel>;

async fn list(admin: &mut Admin) -> Vec<v1::MasterKey> {
    admin.list_keys(v1::ListKeysRequest {}).await.unwrap().into_inner().keys
}

async fn rotate(admin: &mut Admin) -> String {
    let request = v1::RotateKeysRequest { signing: false };
    admin.rotate_keys(request).await.unwrap().into_inner().id
}

async fn forget(admin: &mut Admin, id: &str) -> Result<(), tonic::Status> {
    admin.forget_key(v1::ForgetKeyRequest { id: id.into() }).await.map(drop)
}

#[tokio::test]
async fn a_rotated_key_is_forgotten_when_nothing_hangs_on_it() {
    let plane = Plane::start().await;
    for _ in 0..3 {
        plane.log_in(Login::default()).await;
    }
    let mut admin = plane.admin().await;
    let [first] = &list(&mut admin).await[..] else { panic!("one key") };
    assert_eq!((first.current, first.made_at_ms, first.rows), (true, NOW.as_millis(), 3));
    let old = first.id.clone();
    assert_eq!(forget(&mut admin, &old).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(forget(&mut admin, "nope").await.unwrap_err().code(), Code::NotFound);

    let new = rotate(&mut admin).await;
    let error = forget(&mut admin, &old).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(error.message().contains("wait for 1h"), "{}", error.message());
    // Nobody asks for it: what hangs on the old key comes under the new one.
    let moved = async {
        while list(&mut admin).await.iter().any(|key| key.id == old && key.rows > 0) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, moved).await.unwrap();
    let keys = list(&mut admin).await;
    assert_eq!(keys.iter().map(|key| (&key.id, key.rows)).collect::<Vec<_>>(), [(&old, 0), (&new, 3)]);
    assert_eq!(keys[0].retired_at_ms, NOW.as_millis());

    plane.clock.advance(MasterKeys::STAYS);
    forget(&mut admin, &old).await.unwrap();
    assert_eq!(list(&mut admin).await.len(), 1);
    let login = plane.log_in(Login::default()).await;
    let grant = plane.app.store.live_grant(&login.grant).await.unwrap().unwrap();
    assert_eq!(grant.master_key, new);
}

#[tokio::test]
async fn a_key_is_not_forgotten_while_a_row_hangs_on_it() {
    let plane = Plane::start().await;
    let login = plane.log_in(Login::default()).await;
    let mut grant = plane.app.store.live_grant(&login.grant).await.unwrap().unwrap();
    let mut admin = plane.admin().await;
    let old = grant.master_key.clone();
    rotate(&mut admin).await;
    // It cannot be brought under the new key: it is another grant's.
    grant.id = GrantId::new("damaged");
    let code = code_of(&grant);
    plane.app.store.grant(grant, TokenId::from_slice(&[7; 32]).unwrap(), code).await.unwrap();
    plane.clock.advance(MasterKeys::STAYS);
    let refused = async {
        loop {
            let error = forget(&mut admin, &old).await.unwrap_err();
            assert_eq!(error.code(), Code::FailedPrecondition);
            if error.message().starts_with(&format!("1 rows still hang on {old}")) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, refused).await.unwrap();
    assert!(plane.app.keys.has(&old));
}

#[tokio::test]
async fn signing_keys_are_replaced_where_there_are_any() {
    let plane = Plane::start().await;
    let request = v1::RotateKeysRequest { signing: true };
    let error = plane.admin().await.rotate_keys(request).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::FailedPrecondition, "no server gets assertions"));

    let plane = Plane::configured(|config| {
        config.servers.get_mut(&ServerName::new("docs")).unwrap().credential = CredentialMode::Assertion;
    })
    .await;
    let id = plane.admin().await.rotate_keys(request).await.unwrap().into_inner().id;
    let set = plane.app.signer.as_ref().unwrap().key_set();
    assert_eq!(set["keys"].as_array().unwrap().len(), 1);
    assert_eq!(set["keys"][0]["kid"], id.as_str());
}

#[tokio::test]
async fn metrics_tell_of_keys() {
    let plane = Plane::start().await;
    rotate(&mut plane.admin().await).await;
    plane.clock.advance(Duration::from_mins(2));
    let text = Plane::get(plane.ops, "/metrics").await;
    for line in ["portcullis_master_keys 2", "portcullis_master_key_age_seconds 120"] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

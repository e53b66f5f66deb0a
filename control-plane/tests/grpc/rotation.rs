//! A static credential whose file changes.

use std::fs;
use std::path::PathBuf;

use portcullis_control_plane::config::{CredentialHeader, CredentialMode, StaticCredential};
use portcullis_proto::ids::ServerName;
use portcullis_proto::record::TokenRecord;
use portcullis_proto::seal::{Field, SealingKey};
use portcullis_proto::v1;
use portcullis_proto::v1::resolve_response::Outcome;
use prost::Message;

use crate::instance::Instance;
use crate::plane::{Plane, presented};
use crate::support::{LoggedIn, Login};

/// A control plane whose server `docs` has a credential in a file, and that file.
async fn plane() -> (Plane, PathBuf) {
    let mut file = PathBuf::new();
    let plane = Plane::configured(|config| {
        file = config.keys.with_file_name("static-secret");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "one").unwrap();
        let docs = config.servers.get_mut(&ServerName::new("docs")).unwrap();
        docs.credential = CredentialMode::Static(StaticCredential {
            secret: "one".into(),
            file: Some(file.clone()),
            header: CredentialHeader { name: "x-api-key".into(), scheme: None },
        });
    })
    .await;
    (plane, file)
}

async fn resolve(plane: &Plane, login: &LoggedIn) -> (String, u64) {
    let request = v1::ResolveRequest { token_id: presented(login).id().as_bytes().to_vec() };
    let outcome = plane.replica().await.resolve(request).await.unwrap().into_inner().outcome;
    let Some(Outcome::Record(record)) = outcome else { panic!("{outcome:?}") };
    let record = TokenRecord::try_from(record).unwrap();
    let key = SealingKey::of_token(presented(login));
    let data_key = key.unwrap_key(&record.grant, Field::DataKeyForToken, &record.wrapped_key).unwrap();
    let credential = data_key.open(&record.grant, Field::Credential, &record.credential).unwrap();
    let [header] = &v1::Credential::decode(credential.as_slice()).unwrap().headers[..] else { panic!("one") };
    assert_eq!(header.name, "x-api-key");
    (header.value.clone(), record.credential_revision)
}

#[tokio::test]
async fn every_instance_hears_of_a_new_way_and_gets_the_new_credential() {
    let (plane, file) = plane().await;
    let login = plane.log_in(Login::default()).await;
    let (mut one, mut two) = (
        Instance::connect(plane.replica().await, "authz-1", None).await,
        Instance::connect(plane.replica().await, "authz-2", Some(plane.head())).await,
    );
    one.start_over().await;
    let before = one.catalog().await;
    assert_eq!(two.catalog().await, before);
    assert_eq!(before.servers[0].credential_headers, ["x-api-key"]);
    assert_eq!(resolve(&plane, &login).await, ("one".to_owned(), before.servers[0].credential_revision));

    fs::write(&file, "two\n").unwrap();
    let after = one.catalog().await;
    assert_eq!(two.catalog().await, after);
    let (docs, tickets) = (&after.servers[0], &after.servers[1]);
    assert_ne!(docs.credential_revision, before.servers[0].credential_revision);
    assert_eq!(tickets, &before.servers[1]);
    assert_eq!(resolve(&plane, &login).await, ("two".to_owned(), docs.credential_revision));
    // Revocations follow as ever.
    let entry = plane.append("one").await;
    assert_eq!(one.entries().await, [entry]);
    assert_eq!(one.heartbeat().await, plane.head());
}

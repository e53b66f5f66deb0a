use std::time::Duration;

use portcullis_proto::ids::{ServerName, TokenId};
use portcullis_proto::record::TokenRecord;
use portcullis_proto::revocation::Scope;
use portcullis_proto::seal::{Field, SealingKey};
use portcullis_proto::v1;
use portcullis_proto::v1::resolve_response::Outcome;
use prost::Message;
use tonic::Code;

use crate::plane::{NOW, Plane, presented};
use crate::support::{Login, PROVIDER_TOKEN};

async fn resolve(plane: &Plane, id: TokenId) -> Outcome {
    let request = v1::ResolveRequest { token_id: id.as_bytes().to_vec() };
    plane.replica().await.resolve(request).await.unwrap().into_inner().outcome.unwrap()
}

fn record(outcome: Outcome) -> TokenRecord {
    match outcome {
        Outcome::Record(record) => record.try_into().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn a_good_token_gives_what_only_its_holder_can_open() {
    let plane = Plane::start().await;
    plane.append("before").await;
    let login = plane.log_in(Login::default()).await;
    let id = presented(&login).id();
    let outcome = resolve(&plane, id).await;
    let message = v1::ResolveResponse { outcome: Some(outcome.clone()) }.encode_to_vec();
    for secret in [PROVIDER_TOKEN, login.token.as_str(), "s3cr3t"] {
        assert!(!contains(&message, secret), "{secret} is in the message");
    }

    let record = record(outcome);
    assert_eq!((record.token, &record.grant), (id, &login.grant));
    assert_eq!(record.server, ServerName::new("docs"));
    assert_eq!((record.client.as_str(), record.subject.as_str()), ("editor", "alice"));
    assert_eq!((record.provider.as_str(), record.email.as_deref()), ("corp", Some("alice@example.com")));
    assert_eq!(record.scopes, ["openid", "email"]);
    assert_eq!((record.issued_at, record.expires_at), (NOW, NOW.after(Duration::from_hours(1))));
    assert_eq!(record.born.0, 1);
    assert_eq!(record.credential_expires_at, None);

    let key = SealingKey::of_token(presented(&login));
    let data_key = key.unwrap_key(&record.grant, Field::DataKeyForToken, &record.wrapped_key).unwrap();
    let credential = data_key.open(&record.grant, Field::Credential, &record.credential).unwrap();
    let credential = v1::Credential::decode(credential.as_slice()).unwrap();
    let header = v1::Header { name: "authorization".into(), value: format!("Bearer {PROVIDER_TOKEN}") };
    assert_eq!(credential.headers, [header]);
}

#[tokio::test]
async fn a_token_that_is_not_good_is_unknown() {
    let plane = Plane::start().await;
    let unknown = Outcome::Unknown(v1::Unknown {});
    assert_eq!(resolve(&plane, TokenId::from_slice(&[7; 32]).unwrap()).await, unknown);

    let revoked = plane.log_in(Login::default()).await;
    plane.app.revoke(Scope::Grant(revoked.grant.clone()), "test").await.unwrap();
    assert_eq!(resolve(&plane, presented(&revoked).id()).await, unknown);

    let expiring = plane.log_in(Login::default()).await;
    plane.clock.advance(Duration::from_secs(3599));
    record(resolve(&plane, presented(&expiring).id()).await);
    plane.clock.advance(Duration::from_secs(1));
    assert_eq!(resolve(&plane, presented(&expiring).id()).await, unknown);
}

#[tokio::test]
async fn an_expired_credential_that_cannot_be_renewed_is_unavailable() {
    let plane = Plane::start().await;
    // The provider is not configured any more: whether the user may come back, it cannot say.
    let login = Login { credential_expires_at: Some(NOW), ..Login::default() };
    let login = plane.log_in(login).await;
    let outcome = resolve(&plane, presented(&login).id()).await;
    assert_eq!(outcome, Outcome::Unavailable(v1::Unavailable {}));
    assert_eq!(plane.head().sequence.0, 0, "an outage revokes nothing");
}

#[tokio::test]
async fn what_is_no_token_hash_is_refused() {
    let plane = Plane::start().await;
    for token_id in [vec![], vec![7; 31], vec![7; 33]] {
        let status = plane.replica().await.resolve(v1::ResolveRequest { token_id }).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    let huge = v1::ResolveRequest { token_id: vec![7; 100_000] };
    assert_eq!(plane.replica().await.resolve(huge).await.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test]
async fn resolves_are_counted_by_answer() {
    let plane = Plane::start().await;
    let login = plane.log_in(Login::default()).await;
    resolve(&plane, presented(&login).id()).await;
    for _ in 0..2 {
        resolve(&plane, TokenId::from_slice(&[7; 32]).unwrap()).await;
    }
    let metrics = Plane::get(plane.ops, "/metrics").await;
    for line in [
        r#"portcullis_resolves_total{outcome="record"} 1"#,
        r#"portcullis_resolves_total{outcome="unknown"} 2"#,
        "portcullis_resolve_seconds_count 3",
    ] {
        assert!(metrics.lines().any(|shown| shown == line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.contains("application/openmetrics-text") && metrics.ends_with("# EOF\n"));
}

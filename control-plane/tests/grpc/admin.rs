use portcullis_proto::ids::{ClientId, GrantId, ProviderName, ServerName, Subject};
use portcullis_proto::revocation::Scope;
use portcullis_proto::v1;
use portcullis_proto::v1::admin_client::AdminClient;
use tonic::Code;
use tonic::transport::Channel;

use crate::plane::{NOW, Plane, presented};
use crate::support::Login;

type Admin = AdminClient<Channel>;

/// The ids of all pages of this size.
async fn grants(admin: &mut Admin, size: u32) -> Vec<Vec<String>> {
    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let page = Some(v1::Page { size, after });
        let answer = admin.list_grants(v1::ListGrantsRequest { page }).await.unwrap().into_inner();
        pages.push(answer.grants.into_iter().map(|grant| grant.grant_id).collect());
        if answer.next.is_empty() {
            return pages;
        }
        after = answer.next;
    }
}

async fn all_grants(admin: &mut Admin) -> Vec<String> {
    grants(admin, 0).await.concat()
}

async fn revoke(admin: &mut Admin, scope: Scope) -> v1::RevokeResponse {
    let request = v1::RevokeRequest { scope: Some(scope.into()), wait_ms: 0 };
    admin.revoke(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn grants_come_in_pages() {
    let plane = Plane::start().await;
    let mut admin = plane.admin().await;
    assert_eq!(grants(&mut admin, 2).await, [Vec::<String>::new()]);
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(String::from(plane.log_in(Login::default()).await.grant));
    }
    all.sort();
    let pages = grants(&mut admin, 2).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(pages.concat(), all);
    assert_eq!(grants(&mut admin, 0).await, [all.clone()]);
    assert_eq!(grants(&mut admin, u32::MAX).await, [all]);
}

#[tokio::test]
async fn a_grant_is_described() {
    let plane = Plane::start().await;
    let login = plane.log_in(Login::default()).await;
    let mut admin = plane.admin().await;
    let answer = admin.list_grants(v1::ListGrantsRequest::default()).await.unwrap().into_inner();
    let described = v1::GrantSummary {
        grant_id: login.grant.into(),
        client_id: "editor".into(),
        client_name: "An editor".into(),
        server: "docs".into(),
        provider: "corp".into(),
        subject: "alice".into(),
        email: "alice@example.com".into(),
        scopes: vec!["openid".into(), "email".into()],
        created_at_ms: NOW.as_millis(),
        expires_at_ms: NOW.as_millis() + 30 * 24 * 3_600_000,
    };
    assert_eq!(answer.grants, [described]);
}

#[tokio::test]
async fn clients_come_in_pages() {
    let plane = Plane::start().await;
    for client in ["a", "b", "c"] {
        plane.log_in(Login { client, ..Login::default() }).await;
    }
    let mut admin = plane.admin().await;
    let mut list = async |after: &str| {
        let page = Some(v1::Page { size: 2, after: after.into() });
        admin.list_clients(v1::ListClientsRequest { page }).await.unwrap().into_inner()
    };
    let first = list("").await;
    let second = list(&first.next).await;
    assert_eq!((first.clients.len(), first.next.as_str(), second.next.as_str()), (2, "b", ""));
    let described = v1::ClientSummary {
        client_id: "c".into(),
        client_name: "An editor".into(),
        redirect_uris: vec!["http://127.0.0.1/callback".into()],
        token_endpoint_auth_method: "none".into(),
        created_at_ms: NOW.as_millis(),
        unused_expires_at_ms: 0,
    };
    assert_eq!(second.clients, [described]);
}

#[tokio::test]
async fn what_does_not_exist_is_not_revoked() {
    let plane = Plane::start().await;
    let mut admin = plane.admin().await;
    for (scope, code) in [
        (Some(Scope::Grant(GrantId::new("nope")).into()), Code::NotFound),
        (Some(Scope::Client(ClientId::new("nope")).into()), Code::NotFound),
        (Some(v1::Scope::default()), Code::InvalidArgument),
        (Some(v1::Scope { kind: Some(v1::scope::Kind::TokenId(vec![1])) }), Code::InvalidArgument),
        (None, Code::InvalidArgument),
    ] {
        let request = v1::RevokeRequest { scope, wait_ms: 0 };
        assert_eq!(admin.revoke(request.clone()).await.unwrap_err().code(), code, "{request:?}");
    }
    assert_eq!(plane.head().sequence.0, 0, "nothing is appended");
}

#[tokio::test]
async fn t20_each_scope_ends_what_it_names() {
    let plane = Plane::start().await;
    let mut admin = plane.admin().await;
    let log_in = async |client, subject, server| {
        plane.log_in(Login { client, subject, server, credential_expires_at: None }).await
    };
    let kept = log_in("kept", "kept", "tickets").await;
    let other = log_in("other", "kept", "tickets").await;

    let token = log_in("editor", "alice", "docs").await;
    let scope = Scope::Token(presented(&token).id());
    let answer = revoke(&mut admin, scope).await;
    assert_eq!((answer.sequence, answer.instances, answer.applied), (1, 0, 0));
    let gone = plane.app.store.access_token(&presented(&token).id(), plane.app.now()).await.unwrap();
    assert!(gone.is_none());
    assert!(all_grants(&mut admin).await.contains(&token.grant.to_string()), "its grant lives on");

    revoke(&mut admin, Scope::Grant(token.grant)).await;
    let (kept, other) = (kept.grant.to_string(), other.grant.to_string());
    let mut both = vec![kept.clone(), other.clone()];
    both.sort();
    assert_eq!(all_grants(&mut admin).await, both);

    log_in("editor", "alice", "tickets").await;
    revoke(&mut admin, Scope::Client(ClientId::new("editor"))).await;
    assert_eq!(all_grants(&mut admin).await, both);

    log_in("kept", "alice", "tickets").await;
    revoke(&mut admin, Scope::Subject(ProviderName::new("corp"), Subject::new("alice"))).await;
    assert_eq!(all_grants(&mut admin).await, both);

    log_in("kept", "kept", "docs").await;
    revoke(&mut admin, Scope::Server(ServerName::new("docs"))).await;
    assert_eq!(all_grants(&mut admin).await, both);

    revoke(&mut admin, Scope::Client(ClientId::new("other"))).await;
    assert_eq!(all_grants(&mut admin).await, [kept]);

    let answer = revoke(&mut admin, Scope::Everything).await;
    assert_eq!(answer.sequence, plane.head().sequence.0);
    assert!(all_grants(&mut admin).await.is_empty());

    let metrics = Plane::get(plane.ops, "/metrics").await;
    assert!(metrics.contains(r#"portcullis_revocations_total{scope="client"} 2"#), "{metrics}");
}

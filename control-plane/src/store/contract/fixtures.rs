//! Values for the cases. Times are seconds of an age of their own; everything begins at 0.

use std::task::Poll;
use std::time::Duration;

use portcullis_proto::ids::{ClientId, GrantId, ProviderName, Sequence, ServerName, Subject, TokenId};
use portcullis_proto::seal::Sealed;
use portcullis_proto::time::Timestamp;

use crate::oauth::client::{Client, ClientAuth, ClientSource};
use crate::oauth::code::Code;
use crate::oauth::grant::{AccessToken, Grant, Upstream};
use crate::oauth::pending::{AuthorizationRequest, BrowserId, Pending, StateId};
use crate::oauth::pkce::CodeChallenge;
use crate::oauth::redirect_uri::{RedirectTarget, RedirectUri};
use crate::oauth::refresh::{RefreshToken, Stage};
use crate::oauth::renewal::Renewal;
use crate::oauth::scope::Scopes;
use crate::store::{Begun, Granted, Issue, Redeemed, Registered, Store};

pub(crate) const GRACE: Duration = Duration::from_secs(30);

/// How long things live here, in seconds.
pub(crate) const CODE: u64 = 60;
pub(crate) const ACCESS: u64 = 3_600;
pub(crate) const REFRESH: u64 = 10_000;
pub(crate) const UNUSED: u64 = 1_000;
pub(crate) const LOGIN: u64 = 600;

/// Large enough for everything.
pub(crate) const MANY: usize = 10_000;

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

pub(crate) fn token_id(name: &str) -> TokenId {
    TokenId::from_slice(&StateId::of(name).0).unwrap()
}

pub(crate) fn client(name: &str) -> Client {
    Client {
        id: ClientId::new(name),
        name: Some(format!("Client {name}")),
        uri: None,
        source: ClientSource::Registered,
        auth: ClientAuth::SecretBasic(token_id("secret")),
        redirect_uris: vec![redirect_uri()],
        created_at: at(0),
        unused_until: Some(at(UNUSED)),
    }
}

fn redirect_uri() -> RedirectUri {
    RedirectUri::parse("https://client.example.com/callback", &[]).unwrap()
}

fn redirect() -> RedirectTarget {
    RedirectTarget::only(&[redirect_uri()], &[]).unwrap()
}

pub(crate) fn pending(browser: &str) -> Pending {
    Pending {
        request: AuthorizationRequest {
            client: ClientId::new("c"),
            state: Some("the client's own".into()),
            redirect: redirect(),
            server: ServerName::new("server"),
            scopes: Scopes::parse("read write").unwrap(),
            challenge: CodeChallenge::of("verifier"),
        },
        provider: ProviderName::new("provider"),
        browser: BrowserId::of(browser),
        verifier: "our verifier".into(),
        nonce: "our nonce".into(),
        expires_at: at(LOGIN),
    }
}

/// A grant to `client`, by the user of the same name at the server `server-<client>`.
pub(crate) fn grant(name: &str, client: &str, now: Timestamp) -> Grant {
    Grant {
        id: GrantId::new(name),
        client: ClientId::new(client),
        server: ServerName::new(format!("server-{client}")),
        provider: ProviderName::new("provider"),
        subject: Subject::new(client),
        email: Some("user@example.com".into()),
        scopes: Scopes::parse("read write").unwrap(),
        created_at: now,
        expires_at: now.after(Duration::from_secs(CODE)),
        born: Sequence(0),
        master_key: "key-1".into(),
        data_key: Sealed::from_bytes([1; 60]),
        upstream: upstream(0),
    }
}

pub(crate) fn upstream(version: u64) -> Upstream {
    Upstream {
        credential: Sealed::from_bytes(format!("credential {version}")),
        credential_expires_at: Some(at(3_600)),
        refresh_token: Some(Sealed::from_bytes(format!("refresh token {version}"))),
        version,
        renewal: Renewal::default(),
    }
}

pub(crate) fn code(grant: &Grant) -> Code {
    Code {
        grant: grant.id.clone(),
        client: grant.client.clone(),
        redirect: redirect(),
        server: grant.server.clone(),
        challenge: CodeChallenge::of("verifier"),
        expires_at: grant.expires_at,
        used: false,
    }
}

/// The tokens `access-<name>` and `refresh-<name>`; the latter in the place of `refresh-<predecessor>`.
pub(crate) fn issue(grant: &str, name: &str, predecessor: Option<&str>, now: Timestamp) -> Issue {
    let scopes = Scopes::parse("read").unwrap();
    let access = AccessToken {
        grant: GrantId::new(grant),
        scopes: scopes.clone(),
        issued_at: now,
        expires_at: now.after(Duration::from_secs(ACCESS)),
        born: Sequence(0),
        wrapped_key: Sealed::from_bytes([2; 60]),
    };
    let refresh = RefreshToken {
        grant: GrantId::new(grant),
        scopes,
        expires_at: now.after(Duration::from_secs(REFRESH)),
        predecessor: predecessor.map(refresh_id),
        stage: Stage::Current,
    };
    Issue { access: (access_id(name), access), refresh: (refresh_id(name), refresh) }
}

pub(crate) fn access_id(name: &str) -> TokenId {
    token_id(&format!("access-{name}"))
}

pub(crate) fn refresh_id(name: &str) -> TokenId {
    token_id(&format!("refresh-{name}"))
}

pub(crate) fn answer(name: &str) -> Sealed {
    Sealed::from_bytes(format!("answer {name}"))
}

// --- whole stages, each with the one before ---

pub(crate) async fn register(store: &dyn Store, name: &str) {
    assert_eq!(store.register(client(name), MANY).await.unwrap(), Registered::Done);
}

pub(crate) async fn begin(store: &dyn Store, state: &str, browser: &str) {
    assert_eq!(store.begin(StateId::of(state), pending(browser), MANY).await.unwrap(), Begun::Done);
}

/// A registered client `<name>` with the grant `<name>` and its code `<name>`, at `now`.
pub(crate) async fn granted(store: &dyn Store, name: &str, now: Timestamp) {
    let mut client = client(name);
    client.unused_until = Some(now.after(Duration::from_secs(UNUSED)));
    assert_eq!(store.register(client, MANY).await.unwrap(), Registered::Done);
    let grant = grant(name, name, now);
    let code = code(&grant);
    assert_eq!(store.grant(grant, token_id(name), code).await.unwrap(), Granted::Done);
}

/// The same, redeemed for the tokens `<name>`.
pub(crate) async fn redeemed(store: &dyn Store, name: &str, now: Timestamp) {
    granted(store, name, now).await;
    let issue = issue(name, name, None, now);
    assert_eq!(store.redeem(&token_id(name), issue, now).await.unwrap(), Redeemed::Issued);
}

pub(crate) async fn is_live(store: &dyn Store, grant: &str) -> bool {
    store.live_grant(&GrantId::new(grant)).await.unwrap().is_some()
}

pub(crate) async fn is_accepted(store: &dyn Store, access: &str, now: Timestamp) -> bool {
    store.access_token(&access_id(access), now).await.unwrap().is_some()
}

/// The log's head sequence.
pub(crate) fn head(store: &dyn Store) -> u64 {
    store.head().borrow().sequence.0
}

/// Runs `times` calls side by side.
pub(crate) async fn parallel<T>(times: usize, call: impl AsyncFn(usize) -> T) -> Vec<T> {
    let mut calls: Vec<_> = (0..times).map(|time| Box::pin(call(time))).collect();
    let mut results: Vec<Option<T>> = (0..times).map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (call, result) in calls.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(value) = call.as_mut().poll(context)
            {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}

//! Values for the cases. Times are seconds of an age of their own; everything begins at 0.

use std::task::Poll;
use std::time::Duration;

use portcullis_proto::ids::{ClientId, GrantId, ProviderName, Sequence, ServerName, Subject, TokenId};
use portcullis_proto::seal::Sealed;
use portcullis_proto::time::Timestamp;

use crate::keys::Wrapped;
use crate::oauth::client::{Client, ClientAuth, ClientSource};
use crate::oauth::code::Code;
use crate::oauth::enrolment::{Enrolment, EnrolmentId};
use crate::oauth::grant::{AccessToken, Grant, Upstream};
use crate::oauth::pace::{Limit, Pace};
use crate::oauth::pending::{AuthorizationRequest, BrowserId, Pending, Purpose, StateId};
use crate::oauth::pkce::CodeChallenge;
use crate::oauth::provider_client::{ActingClient, KeptAuth, ProviderClient, ProviderClientId, Slot};
use crate::oauth::redirect_uri::{RedirectTarget, RedirectUri};
use crate::oauth::refresh::{Given, RefreshToken, Rotation, Stage};
use crate::oauth::renewal::Renewal;
use crate::oauth::scope::Scopes;
use crate::oauth::session::Session;
use crate::oauth::user_token::{Holder, UserToken};
use crate::store::{Begun, Enrolled, Finish, Granted, Issue, Redeemed, Registered, Rotated, Store};

pub(crate) const GRACE: Duration = Duration::from_secs(30);
pub(crate) const ROTATION: Rotation =
    Rotation { grace: GRACE, limit: Limit { every: Duration::from_secs(1_000), burst: BURST } };
/// How many rotations may come at once.
pub(crate) const BURST: u32 = 4;

/// Of what is to be born when it is stored.
pub(crate) const NOT_YET: Sequence = Sequence(u64::MAX);

/// How long things live here, in seconds.
pub(crate) const CODE: u64 = 60;
pub(crate) const ACCESS: u64 = 3_600;
pub(crate) const REFRESH: u64 = 10_000;
pub(crate) const UNUSED: u64 = 1_000;
pub(crate) const LOGIN: u64 = 600;
pub(crate) const SESSION: u64 = 900;

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

fn request(client: &str) -> AuthorizationRequest {
    AuthorizationRequest {
        client: ClientId::new(client),
        state: Some("the client's own".into()),
        redirect: redirect(),
        server: ServerName::new(format!("server-{client}")),
        scopes: Scopes::parse("read write").unwrap(),
        challenge: CodeChallenge::of("verifier"),
    }
}

/// The slot of a client at one provider.
pub(crate) fn slot(client: &str) -> Slot {
    Slot {
        client: ClientId::new(client),
        provider: ProviderName::new("provider"),
        authority: "https://idp.example.com".into(),
        issuer: "https://mcp.example.com".into(),
        scopes: Scopes::parse("openid email").unwrap(),
    }
}

/// A provider client that serves the slot for good.
pub(crate) fn provider_client(name: &str, slot: &Slot) -> ProviderClient {
    ProviderClient {
        id: ProviderClientId::new(name),
        slot: slot.clone(),
        client_id: format!("{name} at the provider"),
        auth: KeptAuth::SecretBasic(Wrapped {
            master_key: "key-1".into(),
            sealed: Sealed::from_bytes(vec![3; 60]),
        }),
        registered_at: at(0),
        secret_expires_at: None,
    }
}

pub(crate) fn pending(browser: &str) -> Pending {
    Pending {
        purpose: Purpose::Authorization(request("c")),
        provider: ProviderName::new("provider"),
        acting: ActingClient::Registered(ProviderClientId::new("p")),
        browser: BrowserId::of(browser),
        verifier: "our verifier".into(),
        nonce: "our nonce".into(),
        born: Some(Sequence(0)),
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
        acting: ActingClient::App,
        subject: Subject::new(client),
        email: Some("user@example.com".into()),
        email_verified: true,
        scopes: Scopes::parse("read write").unwrap(),
        created_at: now,
        expires_at: now.after(Duration::from_secs(CODE)),
        born: NOT_YET,
        master_key: "key-1".into(),
        data_key: Sealed::from_bytes(vec![1; 60]),
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
        wrapped_key: Sealed::from_bytes(vec![2; 60]),
    };
    let refresh = RefreshToken {
        grant: GrantId::new(grant),
        scopes,
        expires_at: now.after(Duration::from_secs(REFRESH)),
        predecessor: predecessor.map(refresh_id),
        stage: Stage::Current,
        given: Some(Given { access: access_id(name), answer: answer(name) }),
        pace: Pace::default(),
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

/// What waits to become the grant `<name>`.
pub(crate) fn enrolment(name: &str, client: &str, now: Timestamp) -> Enrolment {
    Enrolment {
        request: request(client),
        grant: grant(name, client, now),
        browser: BrowserId::of("browser"),
        attempts: 0,
        expires_at: now.after(Duration::from_secs(LOGIN)),
    }
}

/// What an accepted token makes of it: the grant and the code `<name>`, and the token `<name>`.
pub(crate) fn finish(name: &str, client: &str, now: Timestamp) -> Finish {
    let grant = grant(name, client, now);
    Finish { code: (token_id(name), code(&grant)), grant, token: user_token(name) }
}

pub(crate) fn user_token(name: &str) -> UserToken {
    UserToken {
        kept_at: at(0),
        master_key: "key-1".into(),
        data_key: Sealed::from_bytes(vec![3; 60]),
        token: Sealed::from_bytes(format!("token {name}")),
    }
}

/// Of the user of all grants to `client`, at their server.
pub(crate) fn holder(client: &str) -> Holder {
    Holder::of(&grant("any", client, at(0)))
}

/// Of the user `<subject>`.
pub(crate) fn session(subject: &str, now: Timestamp) -> Session {
    Session {
        issuer: "https://mcp.example.com".into(),
        provider: ProviderName::new("provider"),
        subject: Subject::new(subject),
        email: None,
        attempts: 0,
        born: NOT_YET,
        expires_at: now.after(Duration::from_secs(SESSION)),
    }
}

// --- whole stages, each with the one before ---

/// A registered client, and the enrolment `<name>` of its user.
pub(crate) async fn enrol(store: &dyn Store, name: &str, client: &str) {
    if store.client(&ClientId::new(client), at(0)).await.unwrap().is_none() {
        register(store, client).await;
    }
    let enrolment = enrolment(name, client, at(0));
    assert_eq!(store.enrol(EnrolmentId::of(name), enrolment, MANY).await.unwrap(), Some(Begun::Done));
}

/// The same, finished and redeemed for the tokens `<name>`.
pub(crate) async fn enrolled(store: &dyn Store, name: &str, now: Timestamp) {
    enrol(store, name, name).await;
    let (id, browser) = (EnrolmentId::of(name), BrowserId::of("browser"));
    let finished = store.finish_enrolment(&id, &browser, finish(name, name, now), now).await.unwrap();
    assert_eq!(finished, Enrolled::Done(vec![]));
    let issue = issue(name, name, None, now);
    assert_eq!(store.redeem(&token_id(name), issue, now).await.unwrap(), Redeemed::Issued);
}

/// The tokens `<new>` in the place of the refresh token `<old>`.
pub(crate) async fn rotated(store: &dyn Store, grant: &str, new: &str, old: &str, now: Timestamp) {
    let issue = issue(grant, new, Some(old), now);
    let rotated = store.rotate(&refresh_id(old), issue, answer(new), ROTATION, now).await.unwrap();
    assert_eq!(rotated, Rotated::Issued);
}

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

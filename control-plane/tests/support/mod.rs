//! A configuration, and grants as logins leave them.

use std::path::Path;

use portcullis_control_plane::config::{Config, Lifetimes, parse};
use portcullis_control_plane::issue::Issuance;
use portcullis_control_plane::keys::MasterKeys;
use portcullis_control_plane::oauth::client::{Client, ClientAuth, ClientSource};
use portcullis_control_plane::oauth::code::Code;
use portcullis_control_plane::oauth::grant::Grant;
use portcullis_control_plane::oauth::pkce::CodeChallenge;
use portcullis_control_plane::oauth::provider_client::ActingClient;
use portcullis_control_plane::oauth::redirect_uri::{RedirectTarget, RedirectUri};
use portcullis_control_plane::oauth::scope::Scopes;
use portcullis_control_plane::provider::ProviderTokens;
use portcullis_control_plane::store::{Granted, Redeemed, Registered, Store};
use portcullis_control_plane::upstream;
use portcullis_proto::ids::{ClientId, GrantId, ProviderName, Sequence, ServerName, Subject};
use portcullis_proto::random::SystemRandom;
use portcullis_proto::seal::SealingKey;
use portcullis_proto::time::Timestamp;
use portcullis_proto::token::{self, Token};

/// Two servers. Every port is any that is free.
pub(crate) const CONFIG: &str = "\
listen: { http: '127.0.0.1:0', grpc: '127.0.0.1:0', ops: '127.0.0.1:0' }
edge: { control_plane: '127.0.0.1:8080' }
providers:
  corp:
    kind: oidc
    issuer: https://idp.example.com
    client_id: portcullis
    client_secret: { value: s3cr3t-client }
    scopes: [openid, email]
servers:
  docs:
    url: http://localhost:10000/docs/mcp
    upstream: http://127.0.0.1:9000/mcp
    provider: corp
    required_scopes: [email]
  tickets:
    url: http://localhost:10000/tickets/mcp
    upstream: http://127.0.0.1:9001/mcp
    provider: corp
";

/// What the provider gave, in every grant here.
pub(crate) const PROVIDER_TOKEN: &str = "s3cr3t-provider-access-token";

/// One login.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) client: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) server: &'a str,
    /// When the provider's token expires, if it does.
    pub(crate) credential_expires_at: Option<Timestamp>,
}

/// What it brought.
pub(crate) struct LoggedIn {
    pub(crate) grant: GrantId,
    /// The text of the access token.
    pub(crate) token: String,
}

impl Default for Login<'_> {
    fn default() -> Self {
        Self { client: "editor", subject: "alice", server: "docs", credential_expires_at: None }
    }
}

/// [`CONFIG`], with its store and keys below `home`.
pub(crate) fn config(home: &Path) -> Config {
    parse(CONFIG, &home.join("portcullis.yaml"), &|_| None).unwrap()
}

/// Leaves in the store what a login leaves there.
pub(crate) async fn log_in(
    store: &dyn Store,
    keys: &MasterKeys,
    login: Login<'_>,
    now: Timestamp,
) -> LoggedIn {
    let random = &SystemRandom;
    let client = Client {
        id: ClientId::new(login.client),
        name: Some("An editor".into()),
        uri: None,
        source: ClientSource::Registered,
        auth: ClientAuth::None,
        redirect_uris: vec![redirect()],
        created_at: now,
        unused_until: None,
    };
    if store.client(&client.id, now).await.unwrap().is_none() {
        assert_eq!(store.register(client.clone(), 10_000).await.unwrap(), Registered::Done);
    }

    let id = GrantId::generate(random);
    let data_key = SealingKey::generate(random);
    let (master_key, wrapped) = keys.wrap(random, &id, &data_key);
    let tokens = ProviderTokens {
        access_token: PROVIDER_TOKEN.into(),
        expires_at: login.credential_expires_at,
        refresh_token: Some("s3cr3t-provider-refresh-token".into()),
        id_token: None,
    };
    let scopes = Scopes::parse("openid email").unwrap();
    let grant = Grant {
        id: id.clone(),
        client: client.id.clone(),
        server: ServerName::new(login.server),
        provider: ProviderName::new("corp"),
        acting: ActingClient::App,
        subject: Subject::new(login.subject),
        email: Some(format!("{}@example.com", login.subject)),
        email_verified: true,
        scopes: scopes.clone(),
        created_at: now,
        expires_at: now.after(Lifetimes::default().code),
        born: Sequence(u64::MAX), // the head of the log: the provider was asked at this moment
        master_key,
        data_key: wrapped,
        upstream: upstream::seal(random, &data_key, &id, &tokens, 1),
    };
    let code_id = Token::<token::Code>::generate(random).id();
    let code = code_of(&grant);
    assert_eq!(store.grant(grant, code_id, code).await.unwrap(), Granted::Done);

    let grant = store.live_grant(&id).await.unwrap().unwrap();
    let issuance =
        Issuance { grant: &grant, scopes: scopes.clone(), refresh_scopes: scopes, predecessor: None };
    let (issue, answer) = issuance.make(keys, random, &Lifetimes::default(), now).unwrap();
    assert_eq!(store.redeem(&code_id, issue, now).await.unwrap(), Redeemed::Issued);
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    LoggedIn { grant: id, token: answer["access_token"].as_str().unwrap().to_owned() }
}

/// The code that stands for a grant.
pub(crate) fn code_of(grant: &Grant) -> Code {
    Code {
        grant: grant.id.clone(),
        client: grant.client.clone(),
        redirect: RedirectTarget::only(&[redirect()], &[]).unwrap(),
        server: grant.server.clone(),
        challenge: CodeChallenge::of("verifier"),
        expires_at: grant.expires_at,
        used: false,
    }
}

fn redirect() -> RedirectUri {
    RedirectUri::parse("http://127.0.0.1/callback", &[]).unwrap()
}

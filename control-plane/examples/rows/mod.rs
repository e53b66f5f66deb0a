//! Rows as logins and refreshes leave them in a store, of about the size that they have there.

#![allow(clippy::expect_used, dead_code, reason = "measurements, each of which uses some of it")]

use std::time::Duration;

use portcullis_control_plane::oauth::client::{Client, ClientAuth, ClientSource};
use portcullis_control_plane::oauth::code::Code;
use portcullis_control_plane::oauth::grant::{AccessToken, Grant, Upstream};
use portcullis_control_plane::oauth::pace::Pace;
use portcullis_control_plane::oauth::pkce::CodeChallenge;
use portcullis_control_plane::oauth::provider_client::ActingClient;
use portcullis_control_plane::oauth::redirect_uri::{RedirectTarget, RedirectUri};
use portcullis_control_plane::oauth::refresh::{Given, RefreshToken, Stage};
use portcullis_control_plane::oauth::renewal::Renewal;
use portcullis_control_plane::oauth::scope::Scopes;
use portcullis_control_plane::store::Issue;
use portcullis_proto::ids::{ClientId, GrantId, ProviderName, Sequence, ServerName, Subject, TokenId};
use portcullis_proto::seal::Sealed;
use portcullis_proto::time::Timestamp;

fn redirect() -> RedirectUri {
    RedirectUri::parse("http://127.0.0.1:33418/callback", &[]).expect("a redirect URI")
}

fn scopes() -> Scopes {
    Scopes::parse("openid email offline_access").expect("scopes")
}

pub(crate) fn client(now: Timestamp) -> Client {
    Client {
        id: ClientId::new("client"),
        name: Some("A client".into()),
        uri: None,
        source: ClientSource::Registered,
        auth: ClientAuth::None,
        redirect_uris: vec![redirect()],
        created_at: now,
        unused_until: Some(now.after(Duration::from_hours(1))),
    }
}

pub(crate) fn grant(id: &str, now: Timestamp) -> Grant {
    Grant {
        id: GrantId::new(id),
        client: ClientId::new("client"),
        server: ServerName::new("server"),
        provider: ProviderName::new("provider"),
        acting: ActingClient::App,
        subject: Subject::new("248289761001"),
        email: Some("user@example.com".into()),
        email_verified: true,
        scopes: scopes(),
        created_at: now,
        expires_at: now.after(Duration::from_mins(1)),
        born: Sequence(0),
        master_key: "2026-01".into(),
        data_key: Sealed::from_bytes(vec![1; 60]),
        upstream: Upstream {
            credential: Sealed::from_bytes(vec![200; 1_000]),
            credential_expires_at: Some(now.after(Duration::from_hours(1))),
            refresh_token: Some(Sealed::from_bytes(vec![201; 200])),
            version: 0,
            renewal: Renewal::default(),
        },
    }
}

pub(crate) fn code(grant: &Grant) -> Code {
    Code {
        grant: grant.id.clone(),
        client: grant.client.clone(),
        redirect: RedirectTarget::only(&[redirect()], &[]).expect("one redirect URI"),
        server: grant.server.clone(),
        challenge: CodeChallenge::of("verifier"),
        expires_at: grant.expires_at,
        used: false,
    }
}

/// The grant's token of some kind.
pub(crate) fn token(grant: &str, kind: u8) -> TokenId {
    let mut id = [kind; 32];
    let digits = grant.as_bytes();
    id[..digits.len().min(31)].copy_from_slice(&digits[..digits.len().min(31)]);
    id.reverse();
    TokenId::from_slice(&id).expect("32 bytes")
}

/// An access token of the kind `kind`, for an hour, and a refresh token of the next, for 30 days.
pub(crate) fn issue(grant: &str, kind: u8, predecessor: Option<TokenId>, now: Timestamp) -> Issue {
    let access = AccessToken {
        grant: GrantId::new(grant),
        scopes: scopes(),
        issued_at: now,
        expires_at: now.after(Duration::from_hours(1)),
        born: Sequence(0),
        wrapped_key: Sealed::from_bytes(vec![2; 60]),
    };
    let refresh = RefreshToken {
        grant: GrantId::new(grant),
        scopes: scopes(),
        expires_at: now.after(Duration::from_hours(30 * 24)),
        predecessor,
        stage: Stage::Current,
        given: Some(Given { access: token(grant, kind), answer: Sealed::from_bytes(vec![9; 250]) }),
        pace: Pace::default(),
    };
    Issue { access: (token(grant, kind), access), refresh: (token(grant, kind + 1), refresh) }
}

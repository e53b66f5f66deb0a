//! From somebody whom a provider vouches for to a grant, and to the code that a client gets for it.

use portcullis_proto::ids::{GrantId, Sequence};
use portcullis_proto::seal::SealingKey;
use portcullis_proto::time::Timestamp;
use portcullis_proto::token::{self, Token};

use crate::app::App;
use crate::issuer::Issuer;
use crate::oauth::admission::Admitted;
use crate::oauth::code::Code;
use crate::oauth::grant::Grant;
use crate::oauth::pending::{AuthorizationRequest, Pending};
use crate::provider::ProviderTokens;
use crate::upstream;

/// A grant and its code, ready to be stored together.
pub struct Ready {
    /// The grant.
    pub grant: Grant,
    /// The code as the client gets it.
    pub text: Token<token::Code>,
    /// The code as it is stored.
    pub code: Code,
}

/// A grant with what the provider gave sealed in it, for a user whom it was asked about after `since`. It is worth nothing
/// before it is stored.
pub fn make(
    app: &App,
    request: &AuthorizationRequest,
    pending: &Pending,
    since: Sequence,
    user: Admitted,
    tokens: &ProviderTokens,
) -> Grant {
    let (random, now, identity) = (app.random.as_ref(), app.now(), user.into_identity());
    let id = GrantId::generate(random);
    let data_key = SealingKey::generate(random);
    let (master_key, wrapped) = app.keys.wrap(random, &id, &data_key);
    Grant {
        client: request.client.clone(),
        server: request.server.clone(),
        provider: pending.provider.clone(),
        acting: pending.acting.clone(),
        subject: identity.subject,
        email: identity.email,
        email_verified: identity.facts.email_verified,
        scopes: request.scopes.clone(),
        created_at: now,
        expires_at: now.after(app.config.lifetimes.code),
        born: since,
        master_key,
        data_key: wrapped,
        upstream: upstream::seal(random, &data_key, &id, tokens, 0),
        id,
    }
}

// === impl Ready ===

impl Ready {
    /// Draws the code. Both begin to live now.
    pub fn new(app: &App, grant: Grant, request: &AuthorizationRequest, now: Timestamp) -> Self {
        let expires_at = now.after(app.config.lifetimes.code);
        let code = Code {
            grant: grant.id.clone(),
            client: request.client.clone(),
            redirect: request.redirect.clone(),
            server: request.server.clone(),
            challenge: request.challenge.clone(),
            expires_at,
            used: false,
        };
        let grant = Grant { created_at: now, expires_at, ..grant };
        Self { grant, text: Token::generate(app.random.as_ref()), code }
    }
}

/// The authorization response that carries the code (RFC 6749 section 4.1.2), with `iss` (RFC 9207).
pub fn success_url(issuer: &Issuer, request: &AuthorizationRequest, code: &Token<token::Code>) -> String {
    let answer = [
        Some(("code", code.expose())),
        request.state.as_deref().map(|state| ("state", state)),
        Some(("iss", issuer.identifier.as_str())),
    ];
    request.redirect.with_params(answer.into_iter().flatten())
}

/// Says in the log who has logged in for what.
pub fn log(grant: &Grant) {
    let Grant { id, client, server, provider, subject, .. } = grant;
    tracing::info!(grant = %id, %client, %server, %provider, %subject, "logged in");
}

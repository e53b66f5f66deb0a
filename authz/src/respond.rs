//! What Envoy is told: built from a [`Permit`], a [`PassThrough`] or a denial, and from nothing else.

mod challenge;
mod identity;

use portcullis_proto::identity::IdentityHeader;
use portcullis_proto::ids::TokenId;
use portcullis_proto::record::TokenRecord;
use serde_json::json;
use tonic::Code;

use crate::catalog::Server;
use crate::credential::Credential;
use crate::decide::{Outage, Permit, Refusal, Way};
use crate::ext_authz::{CheckResponse, Pairs};
use crate::passthrough::PassThrough;

/// How soon a client should try again when nothing can be decided, in seconds (RFC 9110 section 10.2.3).
const RETRY_AFTER: &str = "2";

/// What the access log is told about a request, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audit<'a> {
    /// The MCP server, as the route names it.
    pub server: &'a str,
    /// Which token.
    pub token: Option<TokenId>,
    /// Whose token.
    pub record: Option<&'a TokenRecord>,
}

/// Lets a request through: with the credential in the token's place, and with every identity header set or removed, so
/// that none can be the client's own. Nor can a header that carries a credential at this server.
pub fn allowed(
    permit: &Permit<'_>,
    server: &Server,
    credential: &Credential,
    audit: &Audit<'_>,
) -> CheckResponse {
    let ours = server.credential_headers.iter().map(String::as_str).chain(["authorization"]);
    // Never both set and removed: Envoy would remove it.
    let remove = ours.filter(|name| !credential.names(name)).chain(withheld(server));
    let values = identity::values(permit.record(), server);
    let identity = IdentityHeader::ALL.into_iter().zip(&values);
    let identity = identity.filter_map(|(header, value)| Some((header.header(), value.as_deref()?)));
    through(Way::Allowed, credential.headers().chain(identity), remove, audit)
}

/// Lets a request through as it came, but for the headers that only we may set.
pub fn passed_through(right: &PassThrough, server: &Server) -> CheckResponse {
    let ours = server.credential_headers.iter().map(String::as_str).filter(|name| *name != "authorization");
    let identity = IdentityHeader::ALL.into_iter().filter(|header| server.gets(*header));
    let headers = identity.map(|header| (header.header(), ""));
    let audit = Audit { server: server.name.as_str(), token: Some(right.token()), record: None };
    through(Way::PassedThrough, headers, ours.chain(withheld(server)), &audit)
}

/// Identity headers that this server does not get, from anybody.
fn withheld(server: &Server) -> impl DoubleEndedIterator<Item = &str> {
    server.withheld.iter().map(|identity| identity.header())
}

fn through<'a, 'b>(
    way: Way,
    set: impl Pairs<'a>,
    remove: impl DoubleEndedIterator<Item = &'b str>,
    audit: &Audit<'_>,
) -> CheckResponse {
    let token = audit.token();
    CheckResponse::ok(set, remove, metadata("allow", way.reason(), audit, &token).into_iter())
}

/// Refuses a token: 401, or 403 where another token would do.
pub fn refused(refusal: Refusal, server: &Server, audit: &Audit<'_>) -> CheckResponse {
    let (code, status) = match refusal {
        Refusal::MissingToken
        | Refusal::Malformed
        | Refusal::Unknown
        | Refusal::Expired
        | Refusal::WrongServer
        | Refusal::Revoked => (Code::Unauthenticated, 401),
        Refusal::InsufficientScope => (Code::PermissionDenied, 403),
    };
    let (error, description) = challenge::error(refusal);
    let body = json!({ "error": error, "error_description": description });
    let granted = audit.record.map_or(&[][..], |record| &record.scopes);
    let challenge = challenge::www_authenticate(refusal, server, granted);
    denied(code, status, ("www-authenticate", &challenge), &body, refusal.reason(), audit)
}

/// Answers that nothing can be decided: 503. Never a 401, which would log the user out.
pub fn undecided(outage: Outage, audit: &Audit<'_>) -> CheckResponse {
    let body = json!({ "error": "temporarily_unavailable" });
    denied(Code::Unavailable, 503, ("retry-after", RETRY_AFTER), &body, outage.reason(), audit)
}

fn denied(
    code: Code,
    status: u16,
    special: (&str, &str),
    body: &serde_json::Value,
    reason: &str,
    audit: &Audit<'_>,
) -> CheckResponse {
    let headers = [special, ("content-type", "application/json"), ("cache-control", "no-store")];
    let token = audit.token();
    let metadata = metadata("deny", reason, audit, &token);
    CheckResponse::denied(code, status, headers.into_iter(), &body.to_string(), metadata.into_iter())
}

/// For the access log, and for the gate behind this filter, which asks for `decision: allow`.
fn metadata<'a>(
    decision: &'a str,
    reason: &'a str,
    audit: &Audit<'a>,
    token: &'a str,
) -> [(&'static str, &'a str); 8] {
    let of = |part: fn(&TokenRecord) -> &str| audit.record.map_or("", part);
    [
        ("decision", decision),
        ("reason", reason),
        ("server", audit.server),
        ("token_id", token),
        ("subject", of(|record| record.subject.as_str())),
        ("client_id", of(|record| record.client.as_str())),
        ("grant_id", of(|record| record.grant.as_str())),
        ("provider", of(|record| record.provider.as_str())),
    ]
}

// === impl Audit ===

impl Audit<'_> {
    fn token(&self) -> String {
        self.token.map(|id| id.short()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;

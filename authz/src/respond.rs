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

/// What the gate behind this filter asks for.
const ALLOW: (&str, &str) = ("decision", "allow");

/// What the access log is told about a request that is denied, as far as it is known.
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
pub fn allowed(permit: &Permit<'_>, server: &Server, credential: &Credential) -> CheckResponse {
    let ours = server.credential_headers.iter().map(String::as_str).chain(["authorization"]);
    // Never both set and removed: Envoy would remove it.
    let remove = ours.filter(|name| !credential.names(name)).chain(withheld(server));
    let record = permit.record();
    let values = identity::values(record, server);
    let identity = IdentityHeader::ALL.into_iter().zip(&values);
    let identity = identity.filter_map(|(header, value)| Some((header.header(), value.as_deref()?)));
    let token = record.token.short();
    let facts = [ALLOW, ("token_id", &token)].into_iter().chain(who(record));
    let facts = facts.chain(not_in_headers(record, |header| !server.gets(header)));
    CheckResponse::ok(credential.headers().chain(identity), remove, facts)
}

/// Lets a request through as it came, but for the headers that only we may set.
pub fn passed_through(right: &PassThrough, server: &Server) -> CheckResponse {
    let ours = server.credential_headers.iter().map(String::as_str).filter(|name| *name != "authorization");
    let identity = IdentityHeader::ALL.into_iter().filter(|header| server.gets(*header));
    let headers = identity.map(|header| (header.header(), ""));
    let (token, reason) = (right.token().short(), Way::PassedThrough.reason());
    let facts = [ALLOW, ("reason", reason), ("token_id", &token), ("server", server.name.as_str())];
    CheckResponse::ok(headers, ours.chain(withheld(server)), facts.into_iter())
}

/// Identity headers that this server does not get, from anybody.
fn withheld(server: &Server) -> impl DoubleEndedIterator<Item = &str> {
    server.withheld.iter().map(|identity| identity.header())
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
    let token = audit.token.map(|id| id.short());
    let facts = [("decision", "deny"), ("reason", reason), ("server", audit.server)].into_iter();
    let facts = facts.chain(token.as_deref().map(|token| ("token_id", token)));
    let facts = facts.chain(audit.record.into_iter().flat_map(|record| {
        who(record).into_iter().chain(not_in_headers(record, |header| header != IdentityHeader::Server))
    }));
    CheckResponse::denied(code, status, headers.into_iter(), &body.to_string(), facts)
}

/// Who asks, for the access log and Envoy's other filters. Not as in the identity headers, which may have it encoded.
fn who(record: &TokenRecord) -> [(&'static str, &str); 2] {
    [("subject", record.subject.as_str()), ("client_id", record.client.as_str())]
}

/// What the access log reads from identity headers, of those headers that are not set. What is in one need not be in the
/// metadata too: these cost Envoy again as much.
fn not_in_headers(record: &TokenRecord, of: impl Fn(IdentityHeader) -> bool) -> impl Pairs<'_> {
    let facts = [
        (IdentityHeader::Server, ("server", record.server.as_str())),
        (IdentityHeader::Provider, ("provider", record.provider.as_str())),
        (IdentityHeader::Grant, ("grant_id", record.grant.as_str())),
    ];
    facts.into_iter().filter(move |(header, _)| of(*header)).map(|(_, fact)| fact)
}

#[cfg(test)]
mod tests;

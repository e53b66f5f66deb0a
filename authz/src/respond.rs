//! Envoy's `CheckResponse`.
//!
//! To Envoy, an empty `CheckResponse` means "allow": its absent status counts as code 0. So responses are
//! built here only, from a [`Permit`], a [`PassThrough`] or a denial, and always say their status.

mod challenge;
mod identity;

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::{Struct, Value, value::Kind};
use envoy_types::pb::google::rpc::Status;
use portcullis_proto::ids::TokenId;
use portcullis_proto::record::TokenRecord;
use serde_json::json;
use tonic::Code;

use crate::catalog::Server;
use crate::credential::Credential;
use crate::decide::{Outage, Permit, Refusal, Way};
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

/// Lets a request through: with the credential in the token's place, and with every identity header set, so that
/// none can be the client's own. Nor can a header that carries a credential at this server.
pub fn allowed(
    permit: &Permit<'_>,
    server: &Server,
    credential: Credential,
    audit: &Audit<'_>,
) -> CheckResponse {
    let ours = server.credential_headers.iter().map(String::as_str).chain(["authorization"]);
    // Never both set and removed: Envoy would remove it.
    let remove = ours.filter(|name| !credential.names(name)).map(str::to_owned).collect();
    let mut headers: Vec<_> = credential.into_headers().map(|(name, value)| header(&name, value)).collect();
    headers.extend(identity::headers(permit.record()).map(|(name, value)| header(name, value)));
    through(Way::Allowed, headers, remove, audit)
}

/// Lets a request through as it came, but for the headers that only we may set.
pub fn passed_through(right: &PassThrough, server: &Server) -> CheckResponse {
    let ours = server.credential_headers.iter().filter(|name| *name != "authorization");
    let headers = identity::NAMES.map(|name| header(name, String::new())).to_vec();
    let audit = Audit { server: server.name.as_str(), token: Some(right.token()), record: None };
    through(Way::PassedThrough, headers, ours.cloned().collect(), &audit)
}

fn through(
    way: Way,
    headers: Vec<HeaderValueOption>,
    remove: Vec<String>,
    audit: &Audit<'_>,
) -> CheckResponse {
    let ok = OkHttpResponse { headers, headers_to_remove: remove, ..OkHttpResponse::default() };
    response(Code::Ok, HttpResponse::OkResponse(ok), metadata("allow", way.reason(), audit))
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
    let challenge = header("www-authenticate", challenge::www_authenticate(refusal, server, granted));
    denied(code, status, challenge, &body, metadata("deny", refusal.reason(), audit))
}

/// Answers that nothing can be decided: 503. Never a 401, which would log the user out.
pub fn undecided(outage: Outage, audit: &Audit<'_>) -> CheckResponse {
    let body = json!({ "error": "temporarily_unavailable" });
    let retry = header("retry-after", RETRY_AFTER.to_owned());
    denied(Code::Unavailable, 503, retry, &body, metadata("deny", outage.reason(), audit))
}

fn denied(
    code: Code,
    status: i32,
    special: HeaderValueOption,
    body: &serde_json::Value,
    metadata: Struct,
) -> CheckResponse {
    let headers = vec![
        special,
        header("content-type", "application/json".to_owned()),
        header("cache-control", "no-store".to_owned()),
    ];
    let denied =
        DeniedHttpResponse { status: Some(HttpStatus { code: status }), headers, body: body.to_string() };
    response(code, HttpResponse::DeniedResponse(denied), metadata)
}

fn response(code: Code, http: HttpResponse, metadata: Struct) -> CheckResponse {
    CheckResponse {
        status: Some(Status { code: code as i32, ..Status::default() }),
        dynamic_metadata: Some(metadata),
        http_response: Some(http),
    }
}

fn header(name: &str, value: String) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: name.to_owned(), value, ..HeaderValue::default() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd as i32,
        keep_empty_value: true,
        ..HeaderValueOption::default()
    }
}

/// For the access log, and for the gate behind this filter, which asks for `decision: allow`.
fn metadata(decision: &str, reason: &str, audit: &Audit<'_>) -> Struct {
    let record = audit.record;
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let of = |part: fn(&TokenRecord) -> &str| text(record.map_or("", part));
    let fields = [
        ("decision", text(decision)),
        ("reason", text(reason)),
        ("server", text(audit.server)),
        ("token_id", text(&audit.token.map(|id| id.short()).unwrap_or_default())),
        ("subject", of(|record| record.subject.as_str())),
        ("client_id", of(|record| record.client.as_str())),
        ("grant_id", of(|record| record.grant.as_str())),
        ("provider", of(|record| record.provider.as_str())),
    ];
    let fields: HashMap<_, _> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Struct { fields }
}

#[cfg(test)]
mod tests;

//! The pieces of the request path, each with what it needs, for those who time them and those who count their
//! instructions.

use portcullis_authz::catalog::Server;
use portcullis_authz::credential::Credential;
use portcullis_authz::decide::decide;
use portcullis_authz::ext_authz::{CheckRequest, CheckResponse};
use portcullis_authz::replica::tombstones::Tombstones;
use portcullis_authz::request::Incoming;
use portcullis_authz::respond::allowed;
use portcullis_proto::ids::{GrantId, Sequence, ServerName, TokenId};
use portcullis_proto::random::SystemRandom;
use portcullis_proto::record::TokenRecord;
use portcullis_proto::revocation::{Entry, Scope};
use portcullis_proto::time::Timestamp;
use portcullis_proto::token::{Access, Presented, Token};
use prost::Message;

use crate::portcullis::record;

/// One token, and all that an answer to it needs.
pub struct Pieces {
    token: Token<Access>,
    record: TokenRecord,
    server: Server,
    tombstones: Tombstones,
    request: Vec<u8>,
    now: Timestamp,
}

// === impl Pieces ===

impl Pieces {
    /// With so many revocations in force, none of which hits the token.
    pub fn new(revocations: u64) -> Self {
        let token = Token::generate(&SystemRandom);
        let record = record(7, &token, Sequence(0), 0);
        let mut tombstones = Tombstones::default();
        for sequence in 1..=revocations {
            tombstones.add(&Entry {
                sequence: Sequence(sequence),
                at: record.issued_at,
                forget_at: record.expires_at,
                scope: Scope::Grant(GrantId::generate(&SystemRandom)),
            });
        }
        let (request, now) = (request(&token), record.issued_at);
        Self { token, record, server: server(), tombstones, request, now }
    }

    /// Reads Envoy's question, and says which token it is about.
    pub fn read(&self) -> TokenId {
        let request = CheckRequest::decode(self.request.as_slice()).unwrap();
        Incoming::read(&request).token().unwrap().id()
    }

    /// Decides, opens the credential, and writes the answer.
    pub fn answer(&self) -> CheckResponse {
        let permit = decide(&self.server, &self.record, &self.tombstones, self.now).unwrap();
        let credential = Credential::open(&permit, self.token()).unwrap();
        allowed(&permit, &self.server, &credential)
    }

    /// Decides.
    pub fn decide(&self) -> bool {
        decide(&self.server, &self.record, &self.tombstones, self.now).is_ok()
    }

    /// Opens the credential.
    pub fn open(&self) -> Credential {
        let permit = decide(&self.server, &self.record, &self.tombstones, self.now).unwrap();
        Credential::open(&permit, self.token()).unwrap()
    }

    fn token(&self) -> Presented<'_, Access> {
        self.token.as_presented()
    }
}

/// As Envoy sends it, with everything that it says about a request beside what is read.
fn request(token: &Token<Access>) -> Vec<u8> {
    use std::collections::HashMap;

    use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
    use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};

    let headers = HashMap::from([("authorization".to_owned(), format!("Bearer {}", token.expose()))]);
    let http = HttpRequest {
        id: "1234567890".to_owned(),
        method: "POST".to_owned(),
        headers,
        path: "/demo/mcp".to_owned(),
        host: "localhost:10000".to_owned(),
        scheme: "http".to_owned(),
        size: -1,
        protocol: "HTTP/1.1".to_owned(),
        ..HttpRequest::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer::default()),
            destination: Some(Peer::default()),
            request: Some(Request { http: Some(http), ..Request::default() }),
            context_extensions: HashMap::from([("server".to_owned(), "demo".to_owned())]),
            ..AttributeContext::default()
        }),
    }
    .encode_to_vec()
}

fn server() -> Server {
    Server {
        name: ServerName::new("demo"),
        resource_metadata: "http://localhost:10000/.well-known/oauth-protected-resource/demo/mcp".to_owned(),
        scopes: vec!["openid".to_owned(), "email".to_owned()],
        required_scopes: vec!["openid".to_owned()],
        credential_revision: 0,
        passthrough: Vec::new(),
        credential_headers: Vec::new(),
        withheld: Vec::new(),
    }
}

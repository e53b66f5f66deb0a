//! Values for unit tests.

use portcullis_proto::ids::{ClientId, GrantId, ProviderName, Sequence, ServerName, Subject, TokenId};
use portcullis_proto::random::SystemRandom;
use portcullis_proto::record::TokenRecord;
use portcullis_proto::seal::{Field, Sealed, SealingKey};
use portcullis_proto::time::Timestamp;
use portcullis_proto::token::{Access, Token};
use portcullis_proto::v1;
use prost::Message;

use crate::catalog::Server;

/// A token for [`server`], born at 3, issued at 1 s, expiring at 3601 s.
pub(crate) fn record() -> TokenRecord {
    TokenRecord {
        token: TokenId::from_slice(&[7; 32]).unwrap(),
        grant: GrantId::new("grant"),
        client: ClientId::new("client"),
        provider: ProviderName::new("corp"),
        subject: Subject::new("subject"),
        email: Some("user@example.com".into()),
        server: ServerName::new("demo"),
        scopes: vec!["openid".into(), "tools".into()],
        issued_at: Timestamp::from_millis(1_000),
        expires_at: Timestamp::from_millis(3_601_000),
        born: Sequence(3),
        wrapped_key: Sealed::from_bytes(&b"wrapped"[..]),
        credential: Sealed::from_bytes(&b"credential"[..]),
        credential_expires_at: None,
        credential_revision: 0,
    }
}

/// The record of `token`, with these headers as its credential.
pub(crate) fn seal(record: TokenRecord, token: &Token<Access>, headers: &[(&str, &str)]) -> TokenRecord {
    let header = |&(name, value): &(&str, &str)| v1::Header { name: name.into(), value: value.into() };
    let credential = v1::Credential { headers: headers.iter().map(header).collect() }.encode_to_vec();
    let (random, grant) = (&SystemRandom, record.grant.clone());
    let (token_key, data_key) = (SealingKey::of_token(token.as_presented()), SealingKey::generate(random));
    TokenRecord {
        token: token.id(),
        wrapped_key: token_key.wrap(random, &grant, Field::DataKeyForToken, &data_key),
        credential: data_key.seal(random, &grant, Field::Credential, &credential),
        ..record
    }
}

/// The server that [`record`] is for.
pub(crate) fn server() -> Server {
    Server {
        name: ServerName::new("demo"),
        resource_metadata: "https://mcp.example.com/.well-known/oauth-protected-resource/demo".to_owned(),
        scopes: vec!["openid".to_owned(), "tools".to_owned()],
        required_scopes: vec!["tools".to_owned()],
        credential_revision: 0,
        passthrough: Vec::new(),
        credential_headers: Vec::new(),
        withheld: Vec::new(),
    }
}

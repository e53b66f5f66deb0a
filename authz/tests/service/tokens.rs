//! Tokens, and what a control plane knows of them.

use std::time::Duration;

use portcullis_proto::ids::{ClientId, GrantId, ProviderName, Sequence, ServerName, Subject, TokenId};
use portcullis_proto::random::SystemRandom;
use portcullis_proto::record::TokenRecord;
use portcullis_proto::seal::{Field, SealingKey};
use portcullis_proto::time::{Clock, SystemClock};
use portcullis_proto::token::{Access, Token};
use portcullis_proto::v1;
use prost::Message;

/// A token for `demo` that lives for an hour, with a credential that does not expire.
pub(crate) fn issue() -> (Token<Access>, TokenRecord) {
    let token = Token::generate(&SystemRandom);
    let record = record_with(&token, "Bearer provider", 0);
    (token, record)
}

/// A record of the token with this credential, made in this way.
pub(crate) fn record_with(token: &Token<Access>, credential: &str, revision: u64) -> TokenRecord {
    let (random, grant) = (&SystemRandom, GrantId::new("grant"));
    let header = v1::Header { name: "authorization".to_owned(), value: credential.to_owned() };
    let credential = v1::Credential { headers: vec![header] }.encode_to_vec();
    let (token_key, data_key) = (SealingKey::of_token(token.as_presented()), SealingKey::generate(random));
    let now = SystemClock.now();
    TokenRecord {
        token: token.id(),
        client: ClientId::new("client"),
        provider: ProviderName::new("corp"),
        subject: Subject::new("subject"),
        email: Some("user@example.com".into()),
        server: ServerName::new("demo"),
        scopes: vec!["openid".into(), "tools".into()],
        issued_at: now,
        expires_at: now.after(Duration::from_hours(1)),
        born: Sequence(0),
        wrapped_key: token_key.wrap(random, &grant, Field::DataKeyForToken, &data_key),
        credential: data_key.seal(random, &grant, Field::Credential, &credential),
        credential_expires_at: None,
        credential_revision: revision,
        grant,
    }
}

/// Another token's id.
pub(crate) fn another() -> TokenId {
    Token::<Access>::generate(&SystemRandom).id()
}

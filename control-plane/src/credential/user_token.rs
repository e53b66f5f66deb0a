//! Tokens that users have given us: asked about, sealed, and put into the header that the MCP server wants.

use http::{HeaderValue, StatusCode};
use portcullis_proto::ids::ServerName;
use portcullis_proto::random::Random;
use portcullis_proto::seal::{Field, OpenError, SealingKey};
use portcullis_proto::time::Timestamp;
use portcullis_proto::v1;
use secrecy::SecretString;
use thiserror::Error;

use super::ComposeError;
use crate::app::App;
use crate::config::{self, CredentialMode, Server};
use crate::keys::MasterKeys;
use crate::oauth::grant::Grant;
use crate::oauth::user_token::{Holder, Pasted, UserToken};
use crate::provider::ProviderError;
use crate::store::StoreError;

/// Why a token is not kept. No text of it carries the token, or anything that the other side wrote.
#[derive(Debug, Error)]
pub enum CheckError {
    /// 401 or 403: whoever knows the token says that it is no good.
    #[error("the token was not accepted")]
    NotAccepted,
    /// Any other answer: it says nothing about the token.
    #[error("the answer says nothing about the token: HTTP {0}")]
    Unclear(u16),
    /// No answer, or none that can be used.
    #[error(transparent)]
    Unreachable(#[from] ProviderError),
}

/// A server to which users give a token of their own, with what is configured about that.
pub fn wanted_by<'a>(app: &'a App, server: &ServerName) -> Option<(&'a Server, &'a config::UserToken)> {
    let server = app.config.servers.get(server)?;
    match &server.credential {
        CredentialMode::UserToken(settings) => Some((server, settings)),
        _ => None,
    }
}

/// Whether a grant is worth nothing because its user has taken the token away: only a new login, which asks for
/// one, helps.
pub async fn is_missing(app: &App, grant: &Grant) -> Result<bool, StoreError> {
    if wanted_by(app, &grant.server).is_none() {
        return Ok(false);
    }
    Ok(app.store.user_token(&Holder::of(grant)).await?.is_none())
}

/// Asks whether a token is good: in the same header in which the MCP server will get it.
pub async fn check(app: &App, settings: &config::UserToken, token: &Pasted) -> Result<(), CheckError> {
    let header = settings.header.with(token.secret());
    let value = HeaderValue::try_from(header.value)
        .map_err(|_| ProviderError::Malformed("the token fits in no header".into()))?;
    match app.http.probe(&settings.check_url, &header.name, value).await? {
        status if status.is_success() => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(CheckError::NotAccepted),
        status => Err(CheckError::Unclear(status.as_u16())),
    }
}

/// Seals a token that has been found good, under a data key of its own.
pub fn seal(
    keys: &MasterKeys,
    random: &dyn Random,
    holder: &Holder,
    token: &Pasted,
    now: Timestamp,
) -> UserToken {
    let data_key = SealingKey::generate(random);
    let (master_key, wrapped) = keys.wrap(random, holder, &data_key);
    let token = data_key.seal(random, holder, Field::UserToken, token.expose());
    UserToken { kept_at: now, master_key, data_key: wrapped, token }
}

/// Opens it again.
fn open(keys: &MasterKeys, holder: &Holder, kept: &UserToken) -> Result<SecretString, OpenError> {
    let data_key = keys.unwrap_key(&kept.master_key, holder, &kept.data_key)?;
    let token = data_key.open(holder, Field::UserToken, &kept.token)?;
    Ok(SecretString::from(std::str::from_utf8(&token).map_err(|_| OpenError)?))
}

/// The header with the user's token, for the MCP server.
pub(super) async fn headers(
    app: &App,
    grant: &Grant,
    settings: &config::UserToken,
) -> Result<Vec<v1::Header>, ComposeError> {
    let holder = Holder::of(grant);
    let kept = app.store.user_token(&holder).await?.ok_or(ComposeError::AuthorizeAgain)?;
    Ok(vec![settings.header.with(&open(&app.keys, &holder, &kept)?)])
}

#[cfg(test)]
mod tests {
    use portcullis_proto::ids::{ProviderName, Subject};
    use portcullis_proto::random::SystemRandom;
    use secrecy::ExposeSecret;

    use super::*;

    fn holder(subject: &str) -> Holder {
        Holder {
            provider: ProviderName::new("corp"),
            subject: Subject::new(subject),
            server: ServerName::new("demo"),
        }
    }

    #[test]
    fn t18_a_kept_token_opens_for_its_holder_and_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let keys =
            MasterKeys::open(&directory.path().join("keys"), &SystemRandom, Timestamp::default()).unwrap();
        let token = Pasted::parse("ghp_s3cr3t").unwrap();
        let kept = seal(&keys, &SystemRandom, &holder("jane"), &token, Timestamp::default());
        assert_eq!(open(&keys, &holder("jane"), &kept).unwrap().expose_secret(), "ghp_s3cr3t");
        assert!(open(&keys, &holder("eve"), &kept).is_err());
        let other = seal(&keys, &SystemRandom, &holder("jane"), &token, Timestamp::default());
        assert!(open(&keys, &holder("jane"), &UserToken { token: other.token, ..kept.clone() }).is_err());
        let shown = format!("{kept:?}") + &serde_json::to_string(&kept).unwrap();
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}

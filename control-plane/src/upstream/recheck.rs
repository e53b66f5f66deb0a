//! Whether a user may still in, asked after each refresh where the server has rules.
//!
//! What the refresh brought is durable before, so that nothing is lost whatever the answer. Until the answer is there
//! it is good only for as long as what it replaces would have been: nobody gains time by an identity that cannot be
//! asked about.

use std::time::Duration;

use portcullis_proto::time::Timestamp;
use tokio::time::timeout;

use crate::app::App;
use crate::oauth::admission::{self, Rules};
use crate::oauth::grant::{Grant, Upstream};
use crate::provider::{self, AppCredentials, Provider, ProviderError, ProviderTokens};

/// How long the provider may take for all that it is asked.
pub(super) const CALL: Duration = provider::DEADLINE;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The rules let the user in, or the provider says nothing of users after their login.
    MayStay,
    /// Only a new login can change that.
    MayNot,
}

/// What the grant's user must fulfil, where that is to be asked about.
pub(super) fn due<'a>(app: &'a App, grant: &Grant) -> Option<&'a Rules> {
    app.config.servers.get(&grant.server)?.allow.as_ref()
}

/// What a refresh brought, good for no longer than what it replaces.
pub(super) fn unchecked(grant: &Grant, upstream: Upstream) -> Upstream {
    let before = grant.upstream.credential_expires_at;
    let expires_at = [before, upstream.credential_expires_at].into_iter().flatten().min();
    Upstream { credential_expires_at: expires_at, ..upstream }
}

/// Asks.
pub(super) async fn verdict(
    grant: &Grant,
    rules: &Rules,
    provider: &dyn Provider,
    acting: &AppCredentials,
    tokens: &ProviderTokens,
    now: Timestamp,
) -> Result<Verdict, ProviderError> {
    let late = |_| ProviderError::Unreachable("no answer in time about the user".into());
    let answer =
        timeout(CALL, provider.identify(tokens, acting, rules.questions(), now)).await.map_err(late)?;
    let may_stay = match answer {
        Ok(Some(identity)) => {
            // Tokens of another user are nobody's who logged in (OpenID Connect Core section 12.2).
            identity.subject == grant.subject && admission::admit(Some(rules), identity).is_ok()
        }
        Ok(None) => true,
        Err(ProviderError::NotAllowed(_)) => false,
        Err(error) => return Err(error),
    };
    Ok(if may_stay { Verdict::MayStay } else { Verdict::MayNot })
}

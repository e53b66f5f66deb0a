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

/// What is to be asked, and what must be so.
pub(super) enum Recheck<'a> {
    /// Whether the rules still let the user in.
    Rules(&'a Rules),
    /// Nothing: by now users of the server log in elsewhere. What its rules say, they say of others.
    Elsewhere,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The rules let the user in, or the provider says nothing of users after their login.
    MayStay,
    /// Only a new login can change that.
    MayNot,
}

/// Whether there is something to ask about the grant's user.
pub(super) fn due<'a>(app: &'a App, grant: &Grant) -> Option<Recheck<'a>> {
    let server = app.config.servers.get(&grant.server)?;
    let rules = server.allow.as_ref()?;
    Some(if server.provider == grant.provider { Recheck::Rules(rules) } else { Recheck::Elsewhere })
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
    recheck: &Recheck<'_>,
    provider: &dyn Provider,
    acting: &AppCredentials,
    tokens: &ProviderTokens,
    now: Timestamp,
) -> Result<Verdict, ProviderError> {
    let Recheck::Rules(rules) = recheck else {
        return Ok(Verdict::MayNot);
    };
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

//! Refresh tokens: rotation, the grace for repeated requests, and reuse (RFC 9700 section 4.14).

use std::time::Duration;

use portcullis_proto::ids::{GrantId, TokenId};
use portcullis_proto::seal::Sealed;
use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::pace::{Limit, Pace};
use super::scope::Scopes;

/// Stored under the SHA-256 of the token's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshToken {
    /// What it was issued under.
    pub grant: GrantId,
    /// What it can get at most.
    pub scopes: Scopes,
    /// From when on it is refused; each rotation starts the time anew.
    pub expires_at: Timestamp,
    /// The token that this one succeeded.
    pub predecessor: Option<TokenId>,
    /// Where it is in its life.
    pub stage: Stage,
    /// What it came with, while it is current.
    #[serde(default)]
    pub given: Option<Given>,
    /// How fast the grant's tokens have followed each other; set by the store.
    #[serde(default)]
    pub pace: Pace,
}

/// The answer that brought a refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The access token in it.
    pub access: TokenId,
    /// The answer, sealed under a key that only this refresh token's holder has.
    pub answer: Sealed,
}

/// By what rules refresh tokens are rotated.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// How long a rotation may be repeated.
    pub grace: Duration,
    /// How fast they may follow each other.
    pub limit: Limit,
}

/// Where a refresh token is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Not used yet.
    Current,
    /// Used; its successor is not. The answer is kept for a client that has lost it.
    Rotated {
        /// When it was used.
        at: Timestamp,
        /// The answer, sealed under a key that only this token's holder has.
        answer: Sealed,
    },
    /// Used, and so is its successor: whoever has this token is not up to date, or not the client.
    Superseded,
}

/// What presenting a refresh token means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presentation {
    /// Its first use.
    First,
    /// The same again, by a client that lost the answer or asked twice: it gets the very same answer.
    Repeat(Sealed),
    /// It must not be there any more: the grant dies (RFC 9700 section 4.14.2).
    Reuse,
    /// Its time is up.
    Expired,
}

// === impl RefreshToken ===

impl RefreshToken {
    /// What presenting it at `now` means.
    pub fn present(&self, now: Timestamp, grace: Duration) -> Presentation {
        match &self.stage {
            _ if self.expires_at <= now => Presentation::Expired,
            Stage::Current => Presentation::First,
            // Both ways: by a clock that has been set back the grace must not last for as long as it was set back.
            Stage::Rotated { at, answer } if now.since(*at) < grace && at.since(now) < grace => {
                Presentation::Repeat(answer.clone())
            }
            Stage::Rotated { .. } | Stage::Superseded => Presentation::Reuse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    fn token(stage: Stage) -> RefreshToken {
        RefreshToken {
            grant: GrantId::new("g"),
            scopes: Scopes::default(),
            expires_at: Timestamp::from_millis(100_000),
            predecessor: None,
            stage,
            given: None,
            pace: Pace::default(),
        }
    }

    #[test]
    fn within_the_grace_a_repetition_gets_the_answer_and_later_it_is_reuse() {
        let answer = Sealed::from_bytes(vec![1]);
        let token = token(Stage::Rotated { at: Timestamp::from_millis(1_000), answer: answer.clone() });
        assert_eq!(token.present(Timestamp::from_millis(30_999), GRACE), Presentation::Repeat(answer));
        assert_eq!(token.present(Timestamp::from_millis(31_000), GRACE), Presentation::Reuse);
    }

    #[test]
    fn a_clock_that_is_set_back_prolongs_no_grace() {
        let answer = Sealed::from_bytes(vec![1]);
        let token = token(Stage::Rotated { at: Timestamp::from_millis(90_000), answer: answer.clone() });
        assert_eq!(token.present(Timestamp::from_millis(60_001), GRACE), Presentation::Repeat(answer));
        assert_eq!(token.present(Timestamp::from_millis(60_000), GRACE), Presentation::Reuse);
    }

    #[test]
    fn once_the_successor_is_used_there_is_no_grace() {
        assert_eq!(token(Stage::Superseded).present(Timestamp::from_millis(0), GRACE), Presentation::Reuse);
    }

    #[test]
    fn an_expired_token_is_no_sign_of_theft() {
        for stage in [Stage::Current, Stage::Superseded] {
            assert_eq!(token(stage).present(Timestamp::from_millis(100_000), GRACE), Presentation::Expired);
        }
    }
}

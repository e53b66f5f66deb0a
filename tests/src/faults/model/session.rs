//! One login, and all that has come of it.

use std::sync::Arc;
use std::time::Duration;

use portcullis_proto::ids::TokenId;
use portcullis_proto::token::{Access, Presented};
use tokio::time::Instant;

use super::fate::Fate;
use crate::client::{Client, Tokens};

/// Access tokens of a session that are remembered; the oldest make room.
const TOKENS: usize = 4;
/// Lines of its history.
const HISTORY: usize = 40;
/// Clocks of one machine agree; `expires_in` is in whole seconds.
const ROUNDING: Duration = Duration::from_secs(2);

/// Its name in the model.
pub(crate) type SessionId = u64;

/// One login.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Arc<Client>,
    pub(super) user: &'static str,
    /// The control plane's name for it, once an instance has told.
    pub(super) grant: Option<String>,
    pub(super) refresh: Refresh,
    pub(super) tokens: Vec<AccessToken>,
    pub(super) fate: Fate,
    pub(super) history: Vec<String>,
}

/// The refresh token that the client holds.
#[derive(Debug)]
pub(super) struct Refresh {
    pub(super) token: String,
    /// When it was first used without an answer.
    pub(super) unanswered: Option<Instant>,
    /// Whether it is being used.
    pub(super) busy: bool,
}

/// An access token that the client holds.
#[derive(Debug)]
pub(super) struct AccessToken {
    pub(super) text: String,
    /// Until then at least it has not expired.
    pub(super) good_until: Instant,
    pub(super) fate: Fate,
}

// === impl Session ===

impl Session {
    /// A login whose answer has arrived; it was asked for at `began`.
    pub(super) fn new(client: Arc<Client>, user: &'static str, tokens: Tokens, began: Instant) -> Self {
        let refresh = Refresh { token: String::new(), unanswered: None, busy: false };
        let (tokens_so_far, history) = (Vec::new(), Vec::new());
        let fate = Fate::default();
        let mut session = Self { client, user, grant: None, refresh, tokens: tokens_so_far, fate, history };
        session.take(tokens, began);
        session
    }

    /// Holds what the token endpoint has given for a request that began at `began`.
    pub(super) fn take(&mut self, tokens: Tokens, began: Instant) {
        self.refresh = Refresh { token: tokens.refresh_token, unanswered: None, busy: false };
        let lifetime = Duration::from_secs(tokens.expires_in).saturating_sub(ROUNDING);
        let good_until = began + lifetime;
        if self.tokens.len() == TOKENS {
            self.tokens.remove(0);
        }
        self.tokens.push(AccessToken { text: tokens.access_token, good_until, fate: Fate::default() });
    }

    pub(super) fn note(&mut self, line: String) {
        if self.history.len() == HISTORY {
            self.history.remove(0);
        }
        self.history.push(line);
    }

    pub(super) fn token(&mut self, text: &str) -> Option<&mut AccessToken> {
        self.tokens.iter_mut().find(|token| token.text == text)
    }
}

/// As a token is called in the logs.
pub(super) fn short(access_token: &str) -> String {
    Presented::<Access>::parse(access_token).map_or_else(|_| "?".to_owned(), |token| token.id().short())
}

/// As the revocation log knows a token.
pub(crate) fn token_id(access_token: &str) -> Option<TokenId> {
    Presented::<Access>::parse(access_token).ok().map(|token| token.id())
}

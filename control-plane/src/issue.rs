//! Making the tokens that a grant brings, and the answer that carries them.

use portcullis_proto::ids::TokenId;
use portcullis_proto::random::Random;
use portcullis_proto::seal::{Field, OpenError, SealingKey};
use portcullis_proto::time::Timestamp;
use portcullis_proto::token::{Access, Refresh, Token};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::Lifetimes;
use crate::keys::MasterKeys;
use crate::oauth::grant::{AccessToken, Grant};
use crate::oauth::pace::Pace;
use crate::oauth::refresh::{Given, RefreshToken, Stage};
use crate::oauth::scope::Scopes;
use crate::store::Issue;

/// Room for an answer, in bytes.
const ROOM: usize = 4096;

/// What is needed to make tokens.
pub struct Issuance<'a> {
    /// What they are issued under.
    pub grant: &'a Grant,
    /// What the access token allows.
    pub scopes: Scopes,
    /// What the refresh token can get at most.
    pub refresh_scopes: Scopes,
    /// The refresh token that is being replaced.
    pub predecessor: Option<TokenId>,
}

/// A successful answer of the token endpoint (RFC 6749 section 5.1), as it is sent.
pub type Answer = Zeroizing<Vec<u8>>;

#[derive(Serialize, Deserialize)]
struct AnswerBody<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_in: u64,
    refresh_token: &'a str,
    scope: String,
}

/// An answer that is given again, with the time that its access token has left.
pub fn with_time_left(answer: Answer, expires_at: Timestamp, now: Timestamp) -> Answer {
    let mut again = Zeroizing::new(Vec::with_capacity(ROOM));
    let written = serde_json::from_slice(&answer).and_then(|body| {
        let expires_in = expires_at.since(now).as_secs();
        serde_json::to_writer(&mut *again, &AnswerBody { expires_in, ..body })
    });
    if written.is_ok() { again } else { answer }
}

// === impl Issuance ===

impl Issuance<'_> {
    /// Draws the tokens. They are good once the store has taken them.
    pub fn make(
        self,
        keys: &MasterKeys,
        random: &dyn Random,
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Result<(Issue, Answer), OpenError> {
        let grant = self.grant;
        let access = Token::<Access>::generate(random);
        let refresh = Token::<Refresh>::generate(random);
        let data_key = keys.unwrap_key(&grant.master_key, &grant.id, &grant.data_key)?;
        let token_key = SealingKey::of_token(access.as_presented());
        let answer = AnswerBody {
            access_token: access.expose(),
            token_type: "Bearer",
            expires_in: lifetimes.access_token.as_secs(),
            refresh_token: refresh.expose(),
            scope: self.scopes.to_string(),
        };
        // All the room at once, but for scopes without measure: a buffer that grows leaves copies behind.
        let mut body = Zeroizing::new(Vec::with_capacity(ROOM));
        #[expect(clippy::expect_used, reason = "strings and a number always serialize")]
        serde_json::to_writer(&mut *body, &answer).expect("an answer is JSON");
        // Whoever has the refresh token may get the answer that brought it again, and nobody else.
        let own_key = SealingKey::of_token(refresh.as_presented());
        let sealed = own_key.seal(random, &grant.id, Field::RefreshAnswer, &body);
        let issue = Issue {
            access: (
                access.id(),
                AccessToken {
                    grant: grant.id.clone(),
                    scopes: self.scopes,
                    issued_at: now,
                    expires_at: now.after(lifetimes.access_token),
                    born: grant.born,
                    wrapped_key: token_key.wrap(random, &grant.id, Field::DataKeyForToken, &data_key),
                },
            ),
            refresh: (
                refresh.id(),
                RefreshToken {
                    grant: grant.id.clone(),
                    scopes: self.refresh_scopes,
                    expires_at: now.after(lifetimes.refresh_token),
                    predecessor: self.predecessor,
                    stage: Stage::Current,
                    given: Some(Given { access: access.id(), answer: sealed }),
                    pace: Pace::default(),
                },
            ),
        };
        Ok((issue, body))
    }
}

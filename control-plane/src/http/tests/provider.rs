//! A provider that answers what a test tells it to, and remembers what it was asked.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use portcullis_proto::ids::Subject;
use portcullis_proto::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use url::Url;

use crate::oauth::pkce::CodeChallenge;
use crate::provider::{Identity, Login, Provider, ProviderError, ProviderTokens};

/// In every secret that a provider gives or is given, so that none is overlooked where it should not be.
pub(crate) const MARK: &str = "s3cr3t";
/// What the provider calls itself.
pub(crate) const IDP: &str = "https://idp.example.com";

/// See the module.
pub(crate) struct Scripted {
    script: Mutex<Script>,
    open: watch::Sender<bool>,
    exchanges: watch::Sender<Vec<Exchange>>,
    refreshes: watch::Sender<Vec<String>>,
}

/// What it answers.
#[derive(Clone)]
pub(crate) struct Script {
    /// Whether its metadata can be had, for the URL that the browser is sent to.
    pub(crate) discovery: Result<(), ProviderError>,
    /// Who logs in.
    pub(crate) subject: &'static str,
    /// To codes.
    pub(crate) exchange: Result<Given, ProviderError>,
    /// To refresh tokens.
    pub(crate) refresh: Result<Given, ProviderError>,
}

/// Tokens that it gives.
#[derive(Clone, Copy)]
pub(crate) struct Given {
    pub(crate) access: &'static str,
    pub(crate) refresh: Option<&'static str>,
    pub(crate) expires_in: Option<Duration>,
}

/// What came with a code.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) code: String,
    pub(crate) redirect_uri: String,
    pub(crate) nonce: String,
    pub(crate) verifier: String,
}

pub(crate) fn unreachable() -> ProviderError {
    ProviderError::Unreachable("no answer in time".into())
}

// === impl Scripted ===

impl Default for Scripted {
    fn default() -> Self {
        let given = |access, refresh| Given {
            access,
            refresh: Some(refresh),
            expires_in: Some(Duration::from_hours(1)),
        };
        let script = Script {
            discovery: Ok(()),
            subject: "jane",
            exchange: Ok(given("s3cr3t-access-1", "s3cr3t-refresh-1")),
            refresh: Ok(given("s3cr3t-access-2", "s3cr3t-refresh-2")),
        };
        Self {
            script: Mutex::new(script),
            open: watch::Sender::new(true),
            exchanges: watch::Sender::default(),
            refreshes: watch::Sender::default(),
        }
    }
}

impl Scripted {
    /// Changes what it answers.
    pub(crate) fn answers(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    /// Takes questions from now on, but answers none before [`go_on`](Self::go_on).
    pub(crate) fn hold(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn go_on(&self) {
        self.open.send_replace(true);
    }

    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.borrow().clone()
    }

    /// To wait for one.
    pub(crate) fn watch_exchanges(&self) -> watch::Receiver<Vec<Exchange>> {
        self.exchanges.subscribe()
    }

    /// The refresh tokens that it has been shown.
    pub(crate) fn refreshes(&self) -> Vec<String> {
        self.refreshes.borrow().clone()
    }

    /// Returns once it has been asked for so many refreshes.
    pub(crate) async fn asked_for_refreshes(&self, count: usize) {
        let mut refreshes = self.refreshes.subscribe();
        let asked = refreshes.wait_for(|refreshes| refreshes.len() >= count);
        tokio::time::timeout(Duration::from_secs(10), asked).await.unwrap().unwrap();
    }

    async fn given(
        &self,
        answer: Result<Given, ProviderError>,
        now: Timestamp,
    ) -> Result<ProviderTokens, ProviderError> {
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        let given = answer?;
        Ok(ProviderTokens {
            access_token: given.access.into(),
            expires_at: given.expires_in.map(|life| now.after(life)),
            refresh_token: given.refresh.map(Into::into),
        })
    }

    fn script(&self) -> Script {
        self.script.lock().unwrap().clone()
    }
}

#[async_trait]
impl Provider for Scripted {
    async fn authorization_url(&self, login: &Login<'_>) -> Result<Url, ProviderError> {
        self.script().discovery?;
        let challenge = CodeChallenge::of(login.verifier);
        let params = [
            ("redirect_uri", login.redirect_uri.as_str()),
            ("state", login.state),
            ("nonce", login.nonce),
            ("code_challenge", challenge.as_str()),
            ("scope", &login.scopes.join(" ")),
        ];
        Ok(Url::parse_with_params(&format!("{IDP}/authorize"), params).unwrap())
    }

    async fn check_issuer(&self, iss: Option<&str>) -> Result<(), ProviderError> {
        if iss.is_none_or(|iss| iss == IDP) { Ok(()) } else { Err(ProviderError::Issuer) }
    }

    async fn exchange(
        &self,
        code: &SecretString,
        login: &Login<'_>,
        now: Timestamp,
    ) -> Result<(Identity, ProviderTokens), ProviderError> {
        let exchange = Exchange {
            code: code.expose_secret().into(),
            redirect_uri: login.redirect_uri.to_string(),
            nonce: login.nonce.into(),
            verifier: login.verifier.into(),
        };
        self.exchanges.send_modify(|exchanges| exchanges.push(exchange));
        let tokens = self.given(self.script().exchange, now).await?;
        let subject = self.script().subject;
        Ok((
            Identity { subject: Subject::new(subject), email: Some(format!("{subject}@example.com")) },
            tokens,
        ))
    }

    async fn refresh(
        &self,
        refresh_token: &SecretString,
        now: Timestamp,
    ) -> Result<ProviderTokens, ProviderError> {
        let token = refresh_token.expose_secret().to_owned();
        self.refreshes.send_modify(|refreshes| refreshes.push(token));
        self.given(self.script().refresh, now).await
    }
}

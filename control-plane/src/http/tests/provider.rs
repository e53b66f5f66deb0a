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
use crate::provider::{
    AppCredentials, ClientAuth, Enrolment, Identity, Login, Management, NewClient, Provider, ProviderError,
    ProviderTokens, RegisteredClient,
};

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
    registrations: watch::Sender<Vec<String>>,
    taken_back: Mutex<usize>,
    acted: Mutex<Vec<String>>,
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
    /// To registrations: when the secret expires.
    pub(crate) registration: Result<Option<Timestamp>, ProviderError>,
    /// Whether it registers nobody, but fetches metadata documents.
    pub(crate) documents: bool,
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
            registration: Ok(None),
            documents: false,
        };
        Self {
            script: Mutex::new(script),
            open: watch::Sender::new(true),
            exchanges: watch::Sender::default(),
            refreshes: watch::Sender::default(),
            registrations: watch::Sender::default(),
            taken_back: Mutex::default(),
            acted: Mutex::default(),
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

    /// The names of the clients that were to be registered.
    pub(crate) fn registrations(&self) -> Vec<String> {
        self.registrations.borrow().clone()
    }

    /// Returns once so many were to be registered.
    pub(crate) async fn asked_to_register(&self, count: usize) {
        let mut registrations = self.registrations.subscribe();
        let asked = registrations.wait_for(|registrations| registrations.len() >= count);
        tokio::time::timeout(Duration::from_secs(10), asked).await.unwrap().unwrap();
    }

    /// How many of them were taken back.
    pub(crate) fn taken_back(&self) -> usize {
        *self.taken_back.lock().unwrap()
    }

    /// As which client it was shown each code and refresh token: identifier and secret.
    pub(crate) fn acted(&self) -> Vec<String> {
        self.acted.lock().unwrap().clone()
    }

    fn act(&self, acting: &AppCredentials) {
        let secret = match &acting.auth {
            ClientAuth::Basic(secret) | ClientAuth::Post(secret) => secret.expose_secret(),
            ClientAuth::None | ClientAuth::PrivateKeyJwt(_) => "none",
        };
        self.acted.lock().unwrap().push(format!("{} {secret}", acting.client_id));
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

    pub(crate) fn script(&self) -> Script {
        self.script.lock().unwrap().clone()
    }
}

#[async_trait]
impl Provider for Scripted {
    async fn authorization_url(&self, login: &Login<'_>) -> Result<Url, ProviderError> {
        self.script().discovery?;
        let challenge = CodeChallenge::of(login.verifier);
        let params = [
            ("client_id", login.acting.client_id.as_str()),
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
        self.act(login.acting);
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
        acting: &AppCredentials,
        now: Timestamp,
    ) -> Result<ProviderTokens, ProviderError> {
        self.act(acting);
        let token = refresh_token.expose_secret().to_owned();
        self.refreshes.send_modify(|refreshes| refreshes.push(token));
        self.given(self.script().refresh, now).await
    }
    async fn register(&self, client: &NewClient<'_>) -> Result<Enrolment, ProviderError> {
        if self.script().documents {
            return Ok(Enrolment::ByDocument);
        }
        self.registrations.send_modify(|registrations| registrations.push(client.name.to_owned()));
        let number = self.registrations().len();
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        let secret_expires_at = self.script().registration?;
        Ok(Enrolment::Registered(RegisteredClient {
            credentials: AppCredentials {
                client_id: format!("dyn-{number}"),
                auth: ClientAuth::Basic(format!("s3cr3t-{number}").into()),
            },
            secret_expires_at,
            management: Some(Management::for_tests()),
        }))
    }

    async fn deregister(&self, _: &Management) -> Result<(), ProviderError> {
        *self.taken_back.lock().unwrap() += 1;
        Ok(())
    }
}

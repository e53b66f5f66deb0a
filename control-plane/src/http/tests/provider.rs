//! A provider that answers what a test tells it to, and remembers what it was asked.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use portcullis_proto::ids::Subject;
use portcullis_proto::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use url::Url;

use crate::oauth::admission::{Facts, Questions};
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
    open_about_users: watch::Sender<bool>,
    open_metadata: watch::Sender<bool>,
    exchanges: watch::Sender<Vec<Exchange>>,
    refreshes: watch::Sender<Vec<String>>,
    registrations: watch::Sender<Vec<String>>,
    taken_back: Mutex<usize>,
    acted: Mutex<Vec<String>>,
    identifications: watch::Sender<Vec<String>>,
}

/// What it answers.
#[derive(Clone)]
pub(crate) struct Script {
    /// Whether its metadata can be had, for the URL that the browser is sent to.
    pub(crate) discovery: Result<(), ProviderError>,
    /// To codes.
    pub(crate) exchange: Result<Given, ProviderError>,
    /// To refresh tokens.
    pub(crate) refresh: Result<Given, ProviderError>,
    /// To registrations: when the secret expires.
    pub(crate) registration: Result<Option<Timestamp>, ProviderError>,
    /// Whether nobody knows what it calls itself.
    pub(crate) anonymous: bool,
    /// Whether it registers nobody, but fetches metadata documents.
    pub(crate) documents: bool,
    /// Who the user is, at the login.
    pub(crate) user: Identity,
    /// Who it is after a refresh.
    pub(crate) identify: Result<Option<Identity>, ProviderError>,
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
    pub(crate) questions: Questions,
}

/// The user, of whom this is known beside the e-mail address.
pub(crate) fn jane(facts: Facts) -> Identity {
    Identity { facts, ..user("jane") }
}

/// Another user, of whom nothing else is known.
pub(crate) fn user(name: &str) -> Identity {
    let email = Some(format!("{name}@example.com"));
    Identity { subject: Subject::new(name), email, facts: Facts::default() }
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
            exchange: Ok(given("s3cr3t-access-1", "s3cr3t-refresh-1")),
            refresh: Ok(given("s3cr3t-access-2", "s3cr3t-refresh-2")),
            registration: Ok(None),
            anonymous: false,
            documents: false,
            user: jane(Facts::default()),
            identify: Ok(Some(jane(Facts::default()))),
        };
        Self {
            script: Mutex::new(script),
            open: watch::Sender::new(true),
            open_about_users: watch::Sender::new(true),
            open_metadata: watch::Sender::new(true),
            exchanges: watch::Sender::default(),
            refreshes: watch::Sender::default(),
            registrations: watch::Sender::default(),
            taken_back: Mutex::default(),
            acted: Mutex::default(),
            identifications: watch::Sender::default(),
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

    /// Has its metadata asked for from now on, but does not give it before [`go_on`](Self::go_on).
    pub(crate) fn hold_metadata(&self) {
        self.open_metadata.send_replace(false);
    }

    /// Takes questions who the user is from now on, but answers none before [`go_on`](Self::go_on).
    pub(crate) fn hold_identities(&self) {
        self.open_about_users.send_replace(false);
    }

    pub(crate) fn go_on(&self) {
        self.open.send_replace(true);
        self.open_about_users.send_replace(true);
        self.open_metadata.send_replace(true);
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

    /// The access tokens with which it has been asked who the user is.
    pub(crate) fn identifications(&self) -> Vec<String> {
        self.identifications.borrow().clone()
    }

    /// Returns once it has been asked so often who the user is.
    pub(crate) async fn asked_who(&self, count: usize) {
        let mut identifications = self.identifications.subscribe();
        let asked = identifications.wait_for(|identifications| identifications.len() >= count);
        tokio::time::timeout(Duration::from_secs(10), asked).await.unwrap().unwrap();
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
            id_token: None,
        })
    }

    pub(crate) fn script(&self) -> Script {
        self.script.lock().unwrap().clone()
    }
}

#[async_trait]
impl Provider for Scripted {
    async fn authorization_url(&self, login: &Login<'_>) -> Result<Url, ProviderError> {
        self.open_metadata.subscribe().wait_for(|open| *open).await.unwrap();
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
        let anonymous = self.script().anonymous;
        if anonymous || iss.is_none_or(|iss| iss == IDP) { Ok(()) } else { Err(ProviderError::Issuer) }
    }

    fn is_issuer(&self, iss: &str) -> bool {
        !self.script().anonymous && iss == IDP
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
            questions: login.questions.clone(),
        };
        self.exchanges.send_modify(|exchanges| exchanges.push(exchange));
        let tokens = self.given(self.script().exchange, now).await?;
        Ok((self.script().user, tokens))
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

    async fn identify(
        &self,
        tokens: &ProviderTokens,
        _: &AppCredentials,
        _: &Questions,
        _: Timestamp,
    ) -> Result<Option<Identity>, ProviderError> {
        let token = tokens.access_token.expose_secret().to_owned();
        self.identifications.send_modify(|identifications| identifications.push(token));
        self.open_about_users.subscribe().wait_for(|open| *open).await.unwrap();
        self.script().identify
    }
}

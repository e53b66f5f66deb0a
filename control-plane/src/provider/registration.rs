//! Clients that Portcullis makes at a provider, one for each MCP client (`registration: dynamic`): by dynamic
//! registration (RFC 7591), or by client ID metadata documents (draft-ietf-oauth-client-id-metadata-document).

use ::http::StatusCode;
use portcullis_proto::time::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{AppCredentials, ClientAuth, Http, ProviderError, http, token_endpoint};

/// Longest `client_id`, in bytes: it goes into URLs.
const MAX_CLIENT_ID: usize = 512;
/// Longest `client_secret`, in bytes: it goes into a header.
const MAX_SECRET: usize = 1024;

/// `registration: dynamic`.
#[derive(Clone, Debug, Default)]
pub struct DynamicRegistration {
    /// `initial_access_token`: shown to the provider where it does not let everybody register (RFC 7591 section 3).
    pub initial_access_token: Option<SecretString>,
}

/// A client to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewClient<'a> {
    /// `client_name`: short, and fit to be shown.
    pub name: &'a str,
    /// Our callback.
    pub redirect_uri: &'a Url,
    /// Everything that it may ask for.
    pub scopes: &'a [String],
    /// Where its metadata document is, should the provider want one.
    pub document: &'a Url,
}

/// How a client has been made.
#[derive(Debug)]
pub enum Enrolment {
    /// The provider has registered it.
    Registered(RegisteredClient),
    /// The URL of its metadata document is its identifier, and it has no secret.
    ByDocument,
}

/// What the provider says of a client that it has registered (RFC 7591 section 3.2.1).
#[derive(Debug)]
pub struct RegisteredClient {
    /// Its identifier and secret.
    pub credentials: AppCredentials,
    /// `client_secret_expires_at`; `None` where it does not expire.
    pub secret_expires_at: Option<Timestamp>,
    /// How it could be taken back, where the provider says so.
    pub management: Option<Management>,
}

/// Where a registered client is managed, and with what (RFC 7592 section 3).
#[derive(Debug)]
pub struct Management {
    uri: Url,
    token: SecretString,
}

/// How a provider lets clients register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// There.
    Endpoint {
        url: Url,
        /// How clients are to authenticate; `None` where the provider has no way that we know.
        method: Option<Method>,
    },
    /// It fetches metadata documents; `local`: it is on this very machine.
    Documents { local: bool },
    /// Not at all.
    Nothing,
}

/// `token_endpoint_auth_method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    SecretBasic,
    SecretPost,
    None,
}

/// The answer as it came.
#[derive(Deserialize)]
struct Answer {
    client_id: String,
    client_secret: Option<String>,
    client_secret_expires_at: Option<u64>,
    token_endpoint_auth_method: Option<String>,
    registration_access_token: Option<String>,
    registration_client_uri: Option<String>,
}

/// Makes a client in the way that the provider offers.
pub(super) async fn register(
    http: &Http,
    settings: &DynamicRegistration,
    offer: &Offer,
    client: &NewClient<'_>,
) -> Result<Enrolment, ProviderError> {
    match offer {
        Offer::Endpoint { url, method: Some(method) } => {
            let token = settings.initial_access_token.as_ref();
            let answer = http.post_json(url, token, &client.metadata(*method)).await?;
            let answer = token_endpoint::screen_for(&[StatusCode::CREATED, StatusCode::OK], answer);
            let answer = answer.map_err(|error| match error {
                ProviderError::Refused(code) => ProviderError::Refused(format!("registration: {code}")),
                other => other,
            })?;
            // What serde says would quote the body.
            let answer: Answer = serde_json::from_slice(answer.body())
                .map_err(|_| malformed("is not the JSON that it must be"))?;
            answer.check(url, *method).map(Enrolment::Registered)
        }
        Offer::Documents { local }
            if client.document.scheme() == "https" || (*local && http::is_loopback_http(client.document)) =>
        {
            Ok(Enrolment::ByDocument)
        }
        Offer::Endpoint { method: None, .. } | Offer::Documents { .. } | Offer::Nothing => {
            Err(ProviderError::NoRegistration)
        }
    }
}

/// Takes a client back.
pub(super) async fn deregister(http: &Http, client: &Management) -> Result<(), ProviderError> {
    let answer = http.delete(&client.uri, &client.token).await?;
    token_endpoint::screen_for(&[StatusCode::NO_CONTENT, StatusCode::OK], answer).map(drop)
}

fn malformed(why: &str) -> ProviderError {
    ProviderError::Malformed(format!("the registration endpoint's answer {why}"))
}

// === impl NewClient ===

impl NewClient<'_> {
    /// The client's metadata document (draft-ietf-oauth-client-id-metadata-document section 4).
    pub fn document(&self) -> Value {
        let mut document = self.metadata(Method::None);
        document["client_id"] = self.document.as_str().into();
        document
    }

    /// RFC 7591 section 2.
    fn metadata(&self, method: Method) -> Value {
        let mut metadata = json!({
            "client_name": self.name,
            "redirect_uris": [self.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": method.name(),
        });
        if !self.scopes.is_empty() {
            metadata["scope"] = self.scopes.join(" ").into();
        }
        metadata
    }
}

// === impl Method ===

impl Method {
    /// The best of `token_endpoint_auth_methods_supported`; absent, that is `client_secret_basic` alone (OpenID
    /// Connect Discovery section 3).
    pub(super) fn preferred(supported: Option<Vec<String>>) -> Option<Self> {
        let Some(supported) = supported else { return Some(Self::SecretBasic) };
        let known = [Self::SecretBasic, Self::SecretPost, Self::None];
        known.into_iter().find(|method| supported.iter().any(|name| name == method.name()))
    }

    fn named(name: &str) -> Option<Self> {
        [Self::SecretBasic, Self::SecretPost, Self::None].into_iter().find(|method| method.name() == name)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::SecretBasic => "client_secret_basic",
            Self::SecretPost => "client_secret_post",
            Self::None => "none",
        }
    }
}

// === impl Answer ===

impl Answer {
    /// The client, where it can be used. The provider may have given it another method than the one asked for.
    fn check(self, endpoint: &Url, asked: Method) -> Result<RegisteredClient, ProviderError> {
        let printable = |text: &str, most| {
            (1..=most).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
        };
        if !printable(&self.client_id, MAX_CLIENT_ID) {
            return Err(malformed("has no client_id that could be used"));
        }
        let method = match self.token_endpoint_auth_method.as_deref() {
            Some(name) => {
                Method::named(name).ok_or_else(|| malformed("has a method that was not asked for"))?
            }
            None => asked,
        };
        let secret =
            self.client_secret.filter(|secret| printable(secret, MAX_SECRET)).map(SecretString::from);
        let auth = match (method, secret) {
            (Method::None, _) => ClientAuth::None,
            (Method::SecretBasic, Some(secret)) => ClientAuth::Basic(secret),
            (Method::SecretPost, Some(secret)) => ClientAuth::Post(secret),
            (_, None) => return Err(malformed("has no client_secret that could be used")),
        };
        let expires_at = self.client_secret_expires_at.filter(|at| *at != 0);
        let secret_expires_at = match auth {
            ClientAuth::None => None,
            _ => expires_at.map(|at| Timestamp::from_millis(at.saturating_mul(1000))),
        };
        // Elsewhere the token would be somebody else's to read.
        let uri = self.registration_client_uri.and_then(|text| Url::parse(&text).ok());
        let management =
            uri.filter(|uri| uri.origin() == endpoint.origin()).zip(self.registration_access_token);
        Ok(RegisteredClient {
            credentials: AppCredentials { client_id: self.client_id, auth },
            secret_expires_at,
            management: management.map(|(uri, token)| Management { uri, token: token.into() }),
        })
    }
}

#[cfg(test)]
impl Management {
    /// Of a client of a provider that is made up.
    pub(crate) fn for_tests() -> Self {
        Self {
            uri: super::testing::login().redirect_uri.clone(),
            token: super::testing::secret("management"),
        }
    }
}

#[cfg(test)]
mod tests;

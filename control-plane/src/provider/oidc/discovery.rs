//! The provider's metadata (OpenID Connect Discovery 1.0 section 4).

use serde::Deserialize;
use url::Url;

use super::Rules;
use crate::provider::registration::{Method, Offer};
use crate::provider::{Http, ProviderError, http};

/// What is used of a document that has been checked.
#[derive(Debug)]
pub(super) struct Discovery {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) jwks_uri: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    /// `authorization_response_iss_parameter_supported` (RFC 9207 section 3).
    pub(super) sends_issuer: bool,
    /// How clients register (OpenID Connect Dynamic Client Registration 1.0).
    pub(super) registration: Offer,
}

/// A document as it came.
#[derive(Deserialize)]
struct Unchecked {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    userinfo_endpoint: Option<Url>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    registration_endpoint: Option<Url>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    client_id_metadata_document_supported: bool,
}

/// Asks the issuer about itself.
pub(super) async fn fetch(http: &Http, issuer: &str, rules: &dyn Rules) -> Result<Discovery, ProviderError> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let url = Url::parse(&url).map_err(|_| ProviderError::Malformed("the issuer is no URL".into()))?;
    let document: Unchecked = http.get_json("the discovery document", &url, None).await?;
    document.check(issuer, &url, rules)
}

// === impl Unchecked ===

impl Unchecked {
    /// The document is the issuer's own (section 4.3), and no endpoint of it is worse protected than the issuer.
    fn check(self, issuer: &str, found_at: &Url, rules: &dyn Rules) -> Result<Discovery, ProviderError> {
        if !rules.is_issuer(issuer, &self.issuer) {
            let text = format!("`issuer` of the discovery document is not {issuer} to the letter");
            return Err(ProviderError::Malformed(text));
        }
        let local = http::is_loopback_http(found_at);
        let safe = |url: &Url| url.scheme() == "https" || (local && http::is_loopback_http(url));
        let endpoints = [&self.authorization_endpoint, &self.token_endpoint, &self.jwks_uri];
        let optional = self.userinfo_endpoint.iter().chain(&self.registration_endpoint);
        if !endpoints.into_iter().chain(optional).all(safe) {
            return Err(ProviderError::Malformed(
                "the discovery document has an endpoint without https".into(),
            ));
        }
        Ok(Discovery {
            issuer: self.issuer,
            authorization_endpoint: self.authorization_endpoint,
            token_endpoint: self.token_endpoint,
            jwks_uri: self.jwks_uri,
            userinfo_endpoint: self.userinfo_endpoint,
            sends_issuer: self.authorization_response_iss_parameter_supported,
            registration: match (self.registration_endpoint, self.client_id_metadata_document_supported) {
                (Some(url), _) => Offer::Endpoint {
                    url,
                    method: Method::preferred(self.token_endpoint_auth_methods_supported),
                },
                (None, true) => Offer::Documents { local },
                (None, false) => Offer::Nothing,
            },
        })
    }
}

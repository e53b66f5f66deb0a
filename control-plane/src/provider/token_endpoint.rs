//! The provider's token endpoint (RFC 6749 section 3.2), as every kind uses it.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;

use http::{Response, StatusCode};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, Client, ClientId, ClientSecret, EndpointNotSet,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
};
use portcullis_proto::random::SystemRandom;
use portcullis_proto::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::{AppCredentials, ClientAuth, Http, Login, ProviderError, ProviderTokens, client_key};

/// Longest error code that is passed on, in characters.
const MAX_CODE: usize = 64;

/// One token endpoint, as one client sees it.
pub(super) struct TokenEndpoint<'a> {
    client: TokenClient,
    url: &'a Url,
    acting: &'a AppCredentials,
    http: &'a Http,
}

type Answer = StandardTokenResponse<IdTokenMember, BasicTokenType>;

type TokenClient = Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

#[derive(Deserialize, Serialize)]
struct IdTokenMember {
    id_token: Option<String>,
}

// === impl TokenEndpoint ===

impl<'a> TokenEndpoint<'a> {
    pub(super) fn new(url: &'a Url, acting: &'a AppCredentials, http: &'a Http) -> Self {
        let client = Client::new(ClientId::new(acting.client_id.clone()));
        let secret = |secret: &SecretString| ClientSecret::new(secret.expose_secret().to_owned());
        let client = match &acting.auth {
            ClientAuth::Basic(basic) => {
                client.set_client_secret(secret(basic)).set_auth_type(AuthType::BasicAuth)
            }
            ClientAuth::Post(post) => {
                client.set_client_secret(secret(post)).set_auth_type(AuthType::RequestBody)
            }
            ClientAuth::None | ClientAuth::PrivateKeyJwt(_) => client.set_auth_type(AuthType::RequestBody),
        };
        Self { client: client.set_token_uri(TokenUrl::from_url(url.clone())), url, acting, http }
    }

    /// Exchanges a code (RFC 6749 section 4.1.3).
    pub(super) async fn exchange(
        &self,
        code: &SecretString,
        login: &Login<'_>,
        now: Timestamp,
    ) -> Result<ProviderTokens, ProviderError> {
        let mut request = self
            .client
            .exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(login.verifier.to_owned()))
            .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(login.redirect_uri.clone())));
        for (name, value) in self.assertion(now)? {
            request = request.add_extra_param(name, value);
        }
        let answer = request.request_async(self.http).await.map_err(failure)?;
        tokens(&answer, now)
    }

    /// Gets a new access token (RFC 6749 section 6).
    pub(super) async fn refresh(
        &self,
        refresh_token: &SecretString,
        now: Timestamp,
    ) -> Result<ProviderTokens, ProviderError> {
        let refresh_token = RefreshToken::new(refresh_token.expose_secret().to_owned());
        let mut request = self.client.exchange_refresh_token(&refresh_token);
        for (name, value) in self.assertion(now)? {
            request = request.add_extra_param(name, value);
        }
        let answer = request.request_async(self.http).await.map_err(failure)?;
        tokens(&answer, now)
    }

    /// What goes into the body in a secret's place (RFC 7523 section 2.2).
    fn assertion(&self, now: Timestamp) -> Result<Vec<(&'static str, String)>, ProviderError> {
        let ClientAuth::PrivateKeyJwt(key) = &self.acting.auth else { return Ok(Vec::new()) };
        let assertion = key.assertion(&self.acting.client_id, self.url, now, &SystemRandom)?;
        Ok(vec![
            ("client_assertion_type", client_key::ASSERTION_TYPE.into()),
            ("client_assertion", assertion),
        ])
    }
}

// === impl Http ===

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = ProviderError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, ProviderError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move { screen(self.send(request).await?) })
    }
}

// === impl IdTokenMember ===

impl ExtraTokenFields for IdTokenMember {}

impl fmt::Debug for IdTokenMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdTokenMember([REDACTED])")
    }
}

/// Lets successes through. An error is one whatever the status: some providers send it with 200.
pub(super) fn screen(answer: Response<Vec<u8>>) -> Result<Response<Vec<u8>>, ProviderError> {
    screen_for(&[StatusCode::OK], answer)
}

/// The same, where these are successes.
pub(super) fn screen_for(
    success: &[StatusCode],
    answer: Response<Vec<u8>>,
) -> Result<Response<Vec<u8>>, ProviderError> {
    // As a map: of a member that is there twice, one counts.
    let members: Map<String, Value> = serde_json::from_slice(answer.body()).unwrap_or_default();
    match members.get("error").and_then(Value::as_str) {
        Some("invalid_grant") => Err(ProviderError::InvalidGrant),
        Some(error) if !error.is_empty() => Err(ProviderError::Refused(error_code(error))),
        _ if success.contains(&answer.status()) => Ok(answer),
        _ => Err(ProviderError::Refused(format!("HTTP {}", answer.status().as_u16()))),
    }
}

/// What may be shown of an error code: its characters are the ones of RFC 6749 appendix A.7.
fn error_code(code: &str) -> String {
    let allowed = |byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if code.bytes().all(allowed) {
        code.chars().take(MAX_CODE).collect()
    } else {
        "an error code with characters that none has".into()
    }
}

/// Why there are no tokens. What the parser says is left out: it would quote the answer.
fn failure(error: RequestTokenError<ProviderError, BasicErrorResponse>) -> ProviderError {
    match error {
        RequestTokenError::Request(error) => error,
        RequestTokenError::ServerResponse(_) | RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            ProviderError::Malformed("the token endpoint's answer is not the JSON that it must be".into())
        }
    }
}

/// The tokens in an answer that has passed [`screen`].
#[cfg(feature = "fuzzing")]
pub(super) fn read(answer: &Response<Vec<u8>>, now: Timestamp) -> Result<ProviderTokens, ProviderError> {
    let malformed = |_| ProviderError::Malformed("not the JSON that it must be".into());
    tokens(&serde_json::from_slice(answer.body()).map_err(malformed)?, now)
}

/// The tokens, where they can be used.
fn tokens(answer: &Answer, now: Timestamp) -> Result<ProviderTokens, ProviderError> {
    if !answer.token_type().as_ref().eq_ignore_ascii_case("bearer") {
        return Err(ProviderError::Malformed("token_type is not Bearer".into()));
    }
    let expires_at = answer.expires_in().map(|life| now.after(life));
    let refresh_token = answer.refresh_token().map(RefreshToken::secret);
    let tokens = usable(answer.access_token().secret(), expires_at, refresh_token.map(String::as_str))?;
    Ok(ProviderTokens { id_token: answer.extra_fields().id_token.clone().map(SecretString::from), ..tokens })
}

/// The tokens, where the access token can be the value of a header, which it will be.
pub(super) fn usable(
    access_token: &str,
    expires_at: Option<Timestamp>,
    refresh_token: Option<&str>,
) -> Result<ProviderTokens, ProviderError> {
    if access_token.is_empty() || !access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ProviderError::Malformed("access_token is empty or fits in no header".into()));
    }
    let refresh_token = refresh_token.filter(|token| !token.is_empty()).map(SecretString::from);
    Ok(ProviderTokens { access_token: access_token.into(), expires_at, refresh_token, id_token: None })
}

#[cfg(test)]
mod tests;

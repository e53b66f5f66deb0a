//! Client metadata (RFC 7591 section 2), read from a registration request.

use portcullis_proto::ids::ClientId;
use portcullis_proto::random::Random;
use portcullis_proto::time::Timestamp;
use portcullis_proto::token::{ClientSecret, Token};
use serde_json::{Map, Value};
use thiserror::Error;
use url::{Origin, Url};

use super::application_type::ApplicationType;
use super::client::{Client, ClientAuth, ClientSource};
use super::client_keys::{KeyError, KeySource};
use super::redirect_uri::{RedirectUri, RedirectUriError};

/// Most redirect URIs of one client.
const MAX_REDIRECT_URIS: usize = 20;
/// Longest that they may be together, in bytes. Anybody may register: a quota of registrations bounds the store
/// only where each of them is small.
const MAX_REDIRECT_BYTES: usize = 4096;
/// Longest display text that is kept, in characters.
const MAX_NAME: usize = 80;
/// Longest URI for display, in bytes.
const MAX_URI: usize = 2048;

/// Metadata that has passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    name: Option<String>,
    uri: Option<String>,
    method: Method,
    application_type: ApplicationType,
    redirect_uris: Vec<RedirectUri>,
}

/// `token_endpoint_auth_method`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Method {
    None,
    SecretBasic,
    SecretPost,
    PrivateKeyJwt(KeySource),
}

/// Why a registration is refused. The texts name the member.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MetadataError {
    /// Not a JSON object.
    #[error("the body is not a JSON object")]
    Syntax,
    /// Not of the type that RFC 7591 gives the member.
    #[error("{0} has the wrong type")]
    Type(&'static str),
    /// Missing or empty.
    #[error("redirect_uris is missing or empty")]
    NoRedirectUri,
    /// More than any client needs.
    #[error("redirect_uris has more than {MAX_REDIRECT_URIS} members")]
    TooManyRedirectUris,
    /// Longer than [`MAX_REDIRECT_BYTES`] together.
    #[error("redirect_uris has more than {MAX_REDIRECT_BYTES} bytes in all")]
    LongRedirectUris,
    /// One of them.
    #[error(transparent)]
    RedirectUri(#[from] RedirectUriError),
    /// A method that we have not got.
    #[error(
        "token_endpoint_auth_method must be none, client_secret_basic, client_secret_post or private_key_jwt"
    )]
    Method,
    /// The keys of a client that authenticates with them.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Neither of OpenID Connect's two.
    #[error("application_type must be native or web")]
    ApplicationType,
    /// A client that cannot use any grant of ours.
    #[error("grant_types must include authorization_code")]
    GrantTypes,
    /// A client that cannot use our response type.
    #[error("response_types must include code")]
    ResponseTypes,
    /// A URI for display that is not https.
    #[error("{0} is not an https URI")]
    DisplayUri(&'static str),
    /// A metadata document that is about another client, or about none.
    #[error("client_id is not the URL of this document")]
    ClientId,
    /// A metadata document that everybody can read.
    #[error("{0} must not be in a client metadata document")]
    Secret(&'static str),
    /// The same.
    #[error("token_endpoint_auth_method must be none or private_key_jwt in a client metadata document")]
    DocumentMethod,
    /// A metadata document without what a user is to be shown.
    #[error("client_name is missing or empty")]
    Name,
}

// === impl Registration ===

impl Registration {
    /// Reads and checks a registration request's body. Members that we do not know are ignored, as RFC 7591
    /// section 2 asks.
    pub fn parse(body: &[u8], own: &[Origin]) -> Result<Self, MetadataError> {
        let metadata = object(body)?;
        let method = match text(&metadata, "token_endpoint_auth_method")? {
            Some("none") => Method::None,
            // RFC 7591 section 2: what a client means that names none.
            Some("client_secret_basic") | None => Method::SecretBasic,
            Some("client_secret_post") => Method::SecretPost,
            // Anybody may register: no URL of theirs is fetched.
            Some("private_key_jwt") => Method::PrivateKeyJwt(KeySource::read(&metadata, false)?),
            Some(_) => return Err(MetadataError::Method),
        };
        Self::of_metadata(&metadata, method, own)
    }

    /// What registrations and metadata documents have in common.
    pub(super) fn of_metadata(
        metadata: &Map<String, Value>,
        method: Method,
        own: &[Origin],
    ) -> Result<Self, MetadataError> {
        let redirect_uris = texts(metadata, "redirect_uris")?.unwrap_or_default();
        if redirect_uris.is_empty() {
            return Err(MetadataError::NoRedirectUri);
        }
        if redirect_uris.len() > MAX_REDIRECT_URIS {
            return Err(MetadataError::TooManyRedirectUris);
        }
        if redirect_uris.iter().map(|text| text.len()).sum::<usize>() > MAX_REDIRECT_BYTES {
            return Err(MetadataError::LongRedirectUris);
        }
        let redirect_uris =
            redirect_uris.iter().map(|text| RedirectUri::parse(text, own)).collect::<Result<Vec<_>, _>>()?;
        let application_type = ApplicationType::of(text(metadata, "application_type")?, &redirect_uris)?;
        let lacks = |member, wanted: &str| {
            texts(metadata, member).map(|texts| texts.is_some_and(|texts| !texts.contains(&wanted)))
        };
        if lacks("grant_types", "authorization_code")? {
            return Err(MetadataError::GrantTypes);
        }
        if lacks("response_types", "code")? {
            return Err(MetadataError::ResponseTypes);
        }
        for member in ["logo_uri", "tos_uri", "policy_uri"] {
            display_uri(metadata, member)?;
        }
        Ok(Self {
            name: text(metadata, "client_name")?.and_then(display_name),
            uri: display_uri(metadata, "client_uri")?,
            method,
            application_type,
            redirect_uris,
        })
    }

    /// Where the client runs.
    pub const fn application_type(&self) -> ApplicationType {
        self.application_type
    }

    pub(super) const fn has_name(&self) -> bool {
        self.name.is_some()
    }

    /// The client, and its secret where it is to have one: shown once, in the registration's answer.
    pub fn into_client(
        self,
        random: &dyn Random,
        now: Timestamp,
        unused_until: Timestamp,
    ) -> (Client, Option<Token<ClientSecret>>) {
        let secret = match self.method {
            Method::None | Method::PrivateKeyJwt(_) => None,
            Method::SecretBasic | Method::SecretPost => Some(Token::generate(random)),
        };
        let id = ClientId::generate(random);
        let client = self.describe(id, ClientSource::Registered, now, secret.as_ref());
        (Client { unused_until: Some(unused_until), ..client }, secret)
    }

    /// The client with this identifier.
    pub(super) fn describe(
        self,
        id: ClientId,
        source: ClientSource,
        now: Timestamp,
        secret: Option<&Token<ClientSecret>>,
    ) -> Client {
        let auth = match (secret, self.method) {
            (_, Method::PrivateKeyJwt(keys)) => ClientAuth::PrivateKeyJwt(keys),
            (None, _) | (_, Method::None) => ClientAuth::None,
            (Some(secret), Method::SecretBasic) => ClientAuth::SecretBasic(secret.id()),
            (Some(secret), Method::SecretPost) => ClientAuth::SecretPost(secret.id()),
        };
        Client {
            id,
            name: self.name,
            uri: self.uri,
            source,
            auth,
            redirect_uris: self.redirect_uris,
            created_at: now,
            unused_until: None,
        }
    }
}

/// The JSON object in a body.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, MetadataError> {
    serde_json::from_slice(body).map_err(|_| MetadataError::Syntax)
}

pub(super) fn text<'a>(
    metadata: &'a Map<String, Value>,
    member: &'static str,
) -> Result<Option<&'a str>, MetadataError> {
    match metadata.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(MetadataError::Type(member)),
    }
}

fn texts<'a>(
    metadata: &'a Map<String, Value>,
    member: &'static str,
) -> Result<Option<Vec<&'a str>>, MetadataError> {
    match metadata.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(values)) => values
            .iter()
            .map(Value::as_str)
            .collect::<Option<_>>()
            .map(Some)
            .ok_or(MetadataError::Type(member)),
        Some(_) => Err(MetadataError::Type(member)),
    }
}

fn display_uri(metadata: &Map<String, Value>, member: &'static str) -> Result<Option<String>, MetadataError> {
    let Some(text) = text(metadata, member)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    match Url::parse(text) {
        Ok(url) if url.scheme() == "https" && text.len() <= MAX_URI => Ok(Some(url.into())),
        _ => Err(MetadataError::DisplayUri(member)),
    }
}

/// The name without what could make a page lie: control characters and those that turn the direction of
/// writing or are not seen at all. `None` where nothing is left.
fn display_name(text: &str) -> Option<String> {
    let visible = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            && !matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    let name: String = text.chars().filter(|&c| visible(c) || c.is_whitespace()).collect();
    let words: Vec<_> = name.split_whitespace().collect();
    let name = words.join(" ");
    let short: String = name.chars().take(MAX_NAME).collect();
    match short.len() {
        0 => None,
        length if length < name.len() => Some(format!("{short}…")),
        _ => Some(short),
    }
}

#[cfg(test)]
mod tests;

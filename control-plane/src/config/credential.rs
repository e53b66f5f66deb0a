//! `credential` of a server: what the MCP server gets in the proxy token's place.

use std::path::PathBuf;

use portcullis_proto::v1;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::item::Item;
use super::node::Value;
use super::problems::Reported;
use super::section::Section;
use super::{secret, values};

/// The ways to hold a credential that are a word, beside [`SECTIONS`].
const WORDS: [(&str, CredentialMode); 3] = [
    ("provider_token", CredentialMode::ProviderToken),
    ("assertion", CredentialMode::Assertion),
    ("none", CredentialMode::None),
];

/// How one way's own keys are read.
type Read = fn(&mut Section<'_>) -> Result<CredentialMode, Reported>;

/// The ways that have keys of their own.
const SECTIONS: [(&str, Read); 2] = [("user_token", user_token), ("static", fixed)];

/// What the MCP server gets in the proxy token's place.
#[derive(Clone, Debug)]
pub enum CredentialMode {
    /// The user's access token from the provider, as `Authorization: Bearer`.
    ProviderToken,
    /// A token of the user's own, which the user has given us once.
    UserToken(UserToken),
    /// The same for all users.
    Static(StaticCredential),
    /// A short-lived statement of ours about the caller, as `Authorization: Bearer`.
    Assertion,
    /// Nothing: identity headers alone.
    None,
}

/// `credential.user_token`.
#[derive(Clone, Debug)]
pub struct UserToken {
    /// `label`: what the page calls it, such as `GitHub personal access token`.
    pub label: String,
    /// `help_url`: where users make one.
    pub help_url: Option<Url>,
    /// `check_url`: asked with the token, in the same header, before the token is kept; a 2xx says that it is good.
    pub check_url: Url,
    /// How it is sent.
    pub header: CredentialHeader,
}

/// `credential.static`.
#[derive(Clone, Debug)]
pub struct StaticCredential {
    /// As it was when the configuration was read.
    pub secret: SecretString,
    /// Where it is read again from, if it is in a file.
    pub file: Option<PathBuf>,
    /// How it is sent.
    pub header: CredentialHeader,
}

/// The header field in which a credential is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialHeader {
    /// `header`: the field's name, in lower case; `authorization` by default.
    pub name: String,
    /// `scheme`: what stands before the secret, with a space between; `Bearer` by default in Authorization, and
    /// nothing elsewhere.
    pub scheme: Option<String>,
}

// === impl CredentialMode ===

impl CredentialMode {
    /// Whether the MCP server gets the token that the provider gave.
    pub fn is_provider_token(&self) -> bool {
        matches!(self, Self::ProviderToken)
    }

    /// The header field that is set to it; `None` where there is none.
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::ProviderToken | Self::Assertion => Some("authorization"),
            Self::UserToken(UserToken { header, .. }) | Self::Static(StaticCredential { header, .. }) => {
                Some(&header.name)
            }
            Self::None => None,
        }
    }
}

// === impl CredentialHeader ===

impl CredentialHeader {
    /// `Authorization: Bearer`.
    pub fn bearer() -> Self {
        Self { name: "authorization".into(), scheme: Some("Bearer".into()) }
    }

    /// The field with this secret.
    pub fn with(&self, secret: &SecretString) -> v1::Header {
        let secret = secret.expose_secret();
        let value = match &self.scheme {
            Some(scheme) => format!("{scheme} {secret}"),
            None => secret.to_owned(),
        };
        v1::Header { name: self.name.clone(), value }
    }
}

/// Reads the key.
pub(super) fn read(item: Item<'_>) -> Result<CredentialMode, Reported> {
    if let Value::Text(word) = &item.value {
        let known = WORDS.into_iter().find(|(name, _)| name == word);
        return known.map(|(_, mode)| mode).ok_or_else(|| item.wrong(unknown(word)));
    }
    let (context, place) = (item.context, item.place.clone());
    let mut entries = item.section()?.entries();
    match (entries.pop(), entries.is_empty()) {
        (Some((name, item)), true) => match SECTIONS.into_iter().find(|(known, _)| *known == name) {
            Some((_, read)) => read(&mut item.section()?),
            None => Err(context.notes.add(&place, unknown(&name))),
        },
        _ => Err(context.notes.add(&place, "must be a word, or a section with one key")),
    }
}

fn unknown(name: &str) -> String {
    let words = WORDS.iter().map(|(known, _)| *known);
    let known: Vec<_> = words.chain(SECTIONS.iter().map(|(known, _)| *known)).collect();
    if SECTIONS.iter().any(|(known, _)| *known == name) {
        return format!("`{name}` has keys of its own: write it as a section");
    }
    format!("there is no credential {name:?}; known: {}", known.join(", "))
}

fn user_token(section: &mut Section<'_>) -> Result<CredentialMode, Reported> {
    let label = section.or("label", "access token".to_owned(), |item| item.parse(values::label));
    let help_url = section.optional("help_url", |item| item.parse(values::provider_url));
    let check_url = section.required("check_url", |item| item.parse(values::provider_url));
    let header = header(section);
    Ok(CredentialMode::UserToken(UserToken {
        label: label?,
        help_url: help_url?,
        check_url: check_url?,
        header: header?,
    }))
}

fn fixed(section: &mut Section<'_>) -> Result<CredentialMode, Reported> {
    let secret = section.required("secret", secret::with_file);
    let header = header(section);
    let (secret, file) = secret?;
    if !values::is_header_value(secret.expose_secret()) {
        return Err(section.wrong("`secret` has characters that no header field can have"));
    }
    Ok(CredentialMode::Static(StaticCredential { secret, file, header: header? }))
}

/// `header` and `scheme`.
fn header(section: &mut Section<'_>) -> Result<CredentialHeader, Reported> {
    let name = section.or("header", "authorization".to_owned(), |item| item.parse(values::credential_header));
    let scheme = section.optional("scheme", |item| item.parse(values::scheme));
    let (name, scheme) = (name?, scheme?);
    let usual = (name == "authorization").then(|| "Bearer".to_owned());
    Ok(CredentialHeader { scheme: scheme.or(usual), name })
}

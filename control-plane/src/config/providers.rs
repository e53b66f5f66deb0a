//! `providers`: what is common to all kinds. `kinds` has the rest.

mod kinds;
mod registration;

use std::collections::BTreeMap;

use portcullis_proto::ids::ProviderName;
use secrecy::SecretString;

use self::kinds::KINDS;
pub(super) use self::kinds::tenant_id;
use super::item::Item;
use super::problems::Reported;
use super::section::Section;
use super::{secret, values};
use crate::provider::{App, AppCredentials, AppIdentity, ClientAuth, OWN_PARAMETERS, Settings};

/// Every provider that the file names, with its settings where they could be read. Keeping the others spares
/// the servers that use them a second report.
pub(super) type Providers = BTreeMap<ProviderName, Result<Settings, Reported>>;

/// Reads the section.
pub(super) fn read(item: Item<'_>) -> Result<Providers, Reported> {
    let entries = item.section()?.entries();
    Ok(entries
        .into_iter()
        .map(|(name, item)| {
            let named = item.named(&name);
            let settings = item.section().and_then(provider);
            (ProviderName::new(name), named.and(settings))
        })
        .collect())
}

/// All settings, if all could be read.
pub(super) fn complete(providers: Providers) -> Result<BTreeMap<ProviderName, Settings>, Reported> {
    providers.into_iter().map(|(name, settings)| Ok((name, settings?))).collect()
}

/// What a server's `scopes` are when it names none.
pub(super) fn default_scopes(settings: &Settings) -> &[String] {
    &settings.app().scopes
}

fn provider(mut section: Section<'_>) -> Result<Settings, Reported> {
    let kind = section.required("kind", |item| {
        item.parse(|kind| {
            let known = KINDS.into_iter().find(|(name, _)| *name == kind);
            known.map(|(_, read)| read).ok_or_else(|| {
                format!("there is no kind {kind:?}; known: {}", KINDS.map(|(name, _)| name).join(", "))
            })
        })
    });
    match kind {
        Ok(read) => read(&mut section),
        Err(reported) => {
            // Which keys are known depends on the kind.
            section.entries();
            Err(reported)
        }
    }
}

// === what the kinds share ===

/// What a kind has of its own in the keys of its app.
struct AppKeys<'a> {
    /// The default of `scopes`.
    scopes: &'a [&'a str],
    /// Parameters that are not for `authorize_parameters`, beside those of every kind.
    parameters: &'a [&'a str],
    identity: fn(&mut Section<'_>) -> Result<AppIdentity, Reported>,
}

fn app(section: &mut Section<'_>, keys: &AppKeys<'_>) -> Result<App, Reported> {
    let identity = (keys.identity)(section);
    let default_scopes = keys.scopes.iter().map(ToString::to_string).collect();
    let scopes = section.or("scopes", default_scopes, Item::scopes);
    let authorize_parameters =
        section.or("authorize_parameters", Vec::new(), |item| authorize_parameters(item, keys.parameters));
    Ok(App { identity: identity?, scopes: scopes?, authorize_parameters: authorize_parameters? })
}

/// `client_id`, and what proves that the app is itself.
fn fixed(
    section: &mut Section<'_>,
    client_auth: fn(&mut Section<'_>) -> Result<ClientAuth, Reported>,
) -> Result<AppIdentity, Reported> {
    let client_id = section.required("client_id", |item| item.parse(values::client_id));
    let auth = client_auth(section);
    Ok(AppIdentity::Fixed(AppCredentials { client_id: client_id?, auth: auth? }))
}

/// `client_secret` and `client_auth`.
fn secret_and_method(section: &mut Section<'_>) -> Result<ClientAuth, Reported> {
    let secret = section.required("client_secret", secret::read);
    let method = section.or("client_auth", ClientAuth::Basic as Method, |item| item.parse(method));
    Ok(method?(secret?))
}

/// `client_secret`, for kinds whose documentation wants it in the body.
fn secret_in_body(section: &mut Section<'_>) -> Result<AppIdentity, Reported> {
    fixed(section, |section| section.required("client_secret", secret::read).map(ClientAuth::Post))
}

/// What makes a secret a way to authenticate.
type Method = fn(SecretString) -> ClientAuth;

fn method(text: &str) -> Result<Method, String> {
    match text {
        "client_secret_basic" => Ok(ClientAuth::Basic),
        "client_secret_post" => Ok(ClientAuth::Post),
        _ => Err(format!("there is no client_auth {text:?}; known: client_secret_basic, client_secret_post")),
    }
}

fn authorize_parameters(item: Item<'_>, own: &[&str]) -> Result<Vec<(String, String)>, Reported> {
    let parameters: Vec<_> = item
        .section()?
        .entries()
        .into_iter()
        .map(|(name, item)| {
            if OWN_PARAMETERS.contains(&name.as_str()) || own.contains(&name.as_str()) {
                return Err(item.wrong("Portcullis sets this parameter itself"));
            }
            item.text().map(|value| (name, value))
        })
        .collect();
    parameters.into_iter().collect()
}

//! `providers`: one function for each kind. A new kind is a function and a line in [`KINDS`].

use std::collections::BTreeMap;

use portcullis_proto::ids::ProviderName;

use super::item::Item;
use super::problems::Reported;
use super::section::Section;
use super::{secret, values};
use crate::provider::{App, ClientAuth, OAuth2Settings, OWN_PARAMETERS, OidcSettings, Settings};

/// Every provider that the file names, with its settings where they could be read. Keeping the others spares
/// the servers that use them a second report.
pub(super) type Providers = BTreeMap<ProviderName, Result<Settings, Reported>>;

/// How one kind's keys are read; `kind` has been read already.
type Read = fn(&mut Section<'_>) -> Result<Settings, Reported>;

const KINDS: [(&str, Read); 2] = [("oidc", oidc), ("oauth2", oauth2)];

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
    match settings {
        Settings::Oidc(oidc) => &oidc.app.scopes,
        Settings::OAuth2(oauth2) => &oauth2.app.scopes,
    }
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

// === the kinds ===

fn oidc(section: &mut Section<'_>) -> Result<Settings, Reported> {
    let issuer = section.required("issuer", issuer);
    let app = app(section, &["openid"]);
    let settings = OidcSettings { issuer: issuer?, app: app? };
    if settings.app.scopes.iter().any(|scope| scope == "openid") {
        Ok(Settings::Oidc(settings))
    } else {
        Err(section.wrong("`scopes` must have `openid`: without it there is no ID token"))
    }
}

fn oauth2(section: &mut Section<'_>) -> Result<Settings, Reported> {
    let endpoint = |item: Item<'_>| item.parse(values::provider_url);
    let authorization_endpoint = section.required("authorization_endpoint", endpoint);
    let token_endpoint = section.required("token_endpoint", endpoint);
    let userinfo = section.required("userinfo", |item| {
        let mut section = item.section()?;
        let url = section.required("url", endpoint);
        let subject = section.or("subject", "sub".to_owned(), Item::text);
        let email = section.or("email", "email".to_owned(), Item::text);
        Ok((url?, subject?, email?))
    });
    let issuer = section.optional("issuer", issuer);
    let app = app(section, &[]);
    let (userinfo_endpoint, subject_member, email_member) = userinfo?;
    Ok(Settings::OAuth2(OAuth2Settings {
        authorization_endpoint: authorization_endpoint?,
        token_endpoint: token_endpoint?,
        userinfo_endpoint,
        subject_member,
        email_member,
        issuer: issuer?,
        app: app?,
    }))
}

// === what the kinds share ===

fn app(section: &mut Section<'_>, default_scopes: &[&str]) -> Result<App, Reported> {
    let client_id = section.required("client_id", |item| item.parse(values::client_id));
    let client_secret = section.required("client_secret", secret::read);
    let client_auth = section.or("client_auth", ClientAuth::default(), |item| item.parse(client_auth));
    let default_scopes = default_scopes.iter().map(ToString::to_string).collect();
    let scopes = section.or("scopes", default_scopes, Item::scopes);
    let authorize_parameters = section.or("authorize_parameters", Vec::new(), authorize_parameters);
    Ok(App {
        client_id: client_id?,
        client_secret: client_secret?,
        client_auth: client_auth?,
        scopes: scopes?,
        authorize_parameters: authorize_parameters?,
    })
}

/// The issuer to the letter: identifiers are compared as text (RFC 8414 section 3.3, RFC 9207 section 2.4).
fn issuer(item: Item<'_>) -> Result<String, Reported> {
    item.parse(|text| values::provider_url(text).map(|_| text.to_owned()))
}

fn client_auth(text: &str) -> Result<ClientAuth, String> {
    match text {
        "client_secret_basic" => Ok(ClientAuth::Basic),
        "client_secret_post" => Ok(ClientAuth::Post),
        _ => Err(format!("there is no client_auth {text:?}; known: client_secret_basic, client_secret_post")),
    }
}

fn authorize_parameters(item: Item<'_>) -> Result<Vec<(String, String)>, Reported> {
    let parameters: Vec<_> = item
        .section()?
        .entries()
        .into_iter()
        .map(|(name, item)| {
            if OWN_PARAMETERS.contains(&name.as_str()) {
                return Err(item.wrong("Portcullis sets this parameter itself"));
            }
            item.text().map(|value| (name, value))
        })
        .collect();
    parameters.into_iter().collect()
}

//! `clients.preregistered`: clients that an operator describes.

use std::collections::BTreeMap;

use portcullis_proto::ids::ClientId;
use portcullis_proto::time::Timestamp;
use secrecy::ExposeSecret;
use url::Origin;

use crate::config::item::Item;
use crate::config::problems::Reported;
use crate::config::section::Section;
use crate::config::{secret, values};
use crate::oauth::client::{Client, ClientAuth, ClientSource, secret_id};
use crate::oauth::client_keys::KeySource;
use crate::oauth::document_url::DocumentUrl;
use crate::oauth::redirect_uri::RedirectUri;

/// Shortest secret, in bytes. There is no limit to how often one may be guessed but the edge's.
const MIN_SECRET: usize = 16;

/// Reads the section.
pub(super) fn read(section: Section<'_>, own: &[Origin]) -> Result<BTreeMap<ClientId, Client>, Reported> {
    let mut taken: BTreeMap<ClientId, String> = BTreeMap::new();
    let clients: Vec<_> = section
        .entries()
        .into_iter()
        .map(|(name, item)| {
            let named = item.named(&name);
            let client = item.section().and_then(|mut section| client(&mut section, &name, &mut taken, own));
            named.and(client).map(|client| (client.id.clone(), client))
        })
        .collect();
    clients.into_iter().collect()
}

fn client(
    section: &mut Section<'_>,
    name: &str,
    taken: &mut BTreeMap<ClientId, String>,
    own: &[Origin],
) -> Result<Client, Reported> {
    let id = section.or("client_id", name.to_owned(), |item| item.parse(client_id));
    let display_name = section.or("name", name.to_owned(), |item| item.parse(values::label));
    let redirect_uris = section.required("redirect_uris", |item| redirect_uris(item, own));
    let auth = auth(section);
    let id = ClientId::new(id?);
    if let Some(other) = taken.insert(id.clone(), name.to_owned()) {
        return Err(section.wrong(format!("has the same `client_id` as the client `{other}`")));
    }
    Ok(Client {
        id,
        name: Some(display_name?),
        uri: None,
        source: ClientSource::Configured,
        auth: auth?,
        redirect_uris: redirect_uris?,
        created_at: Timestamp::default(),
        unused_until: None,
    })
}

fn client_id(text: &str) -> Result<String, String> {
    if DocumentUrl::is_meant_by(text) {
        return Err("must not be a URL: that is a client which describes itself there".to_owned());
    }
    if text.len() > 255 {
        return Err("must have 255 characters at most".to_owned());
    }
    values::client_id(text)
}

fn redirect_uris(item: Item<'_>, own: &[Origin]) -> Result<Vec<RedirectUri>, Reported> {
    let (context, place) = (item.context, item.place.clone());
    let uris =
        item.list(|uri| uri.parse(|text| RedirectUri::parse(text, own).map_err(|error| error.to_string())))?;
    if uris.is_empty() {
        return Err(context.notes.add(&place, "must have at least one redirect URI"));
    }
    Ok(uris)
}

/// One of `secret`, `jwks` and `public_key`, or nothing for a public client.
fn auth(section: &mut Section<'_>) -> Result<ClientAuth, Reported> {
    let secret = section.optional("secret", |item| {
        let (context, place) = (item.context, item.place.clone());
        let secret = secret::read(item)?;
        let id = secret_id(&secret).filter(|_| secret.expose_secret().len() >= MIN_SECRET);
        id.ok_or_else(|| context.notes.add(&place, format!("must have {MIN_SECRET} bytes at least")))
    });
    let jwks = section.optional("jwks", |item| {
        keys(item, |text| {
            let jwks = serde_json::from_str(text).map_err(|_| "is not JSON".to_owned())?;
            KeySource::of_jwks(&jwks).map_err(|error| error.to_string())
        })
    });
    let public_key = section.optional("public_key", |item| {
        keys(item, |text| {
            KeySource::of_pem(text).map_err(|_| {
                "must be an RSA, P-256 or Ed25519 key in PEM, as in `-----BEGIN PUBLIC KEY-----`".to_owned()
            })
        })
    });
    match (secret?, jwks?, public_key?) {
        (None, None, None) => Ok(ClientAuth::None),
        (Some(secret), None, None) => Ok(ClientAuth::Secret(secret)),
        (None, Some(keys), None) | (None, None, Some(keys)) => Ok(ClientAuth::PrivateKeyJwt(keys)),
        _ => {
            Err(section
                .wrong("must have one of `secret`, `jwks` and `public_key`, or none for a public client"))
        }
    }
}

/// What a rule makes of a file's text.
fn keys(item: Item<'_>, rule: impl FnOnce(&str) -> Result<KeySource, String>) -> Result<KeySource, Reported> {
    let (context, place) = (item.context, item.place.clone());
    rule(&secret::file(item)?).map_err(|wrong| context.notes.add(&place, wrong))
}

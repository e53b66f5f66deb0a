//! `servers`: the MCP servers behind the edge.

use std::collections::BTreeMap;

use portcullis_proto::identity::IdentityHeader;
use portcullis_proto::ids::{ProviderName, ServerName};
use url::Url;

use super::item::Item;
use super::problems::Reported;
use super::providers::{self, Providers};
use super::{CredentialMode, Server, allow, credential, values};

/// Between us and the provider, which is asked for it at every login. It is nothing that a server offers: MCP
/// 2026-07-28 wants it neither in a challenge nor in a server's metadata.
const OFFLINE_ACCESS: &str = "offline_access";

/// What is known of the rest of the file; `None` where that could not be read and has been reported.
#[derive(Clone, Copy)]
struct Rest<'a> {
    providers: Option<&'a Providers>,
    /// Whether the edge speaks TLS.
    tls: Option<bool>,
}

/// Reads the section.
pub(super) fn read(
    item: Item<'_>,
    providers: Option<&Providers>,
    tls: Option<bool>,
) -> Result<BTreeMap<ServerName, Server>, Reported> {
    let (context, place) = (item.context, item.place.clone());
    let entries = item.section()?.entries();
    if entries.is_empty() {
        return Err(context.notes.add(&place, "must have at least one server"));
    }
    let rest = Rest { providers, tls };
    let mut urls = BTreeMap::new();
    let servers: Vec<_> = entries
        .into_iter()
        .map(|(name, item)| {
            let named = item.named(&name);
            let server = server(item, &name, rest, &mut urls);
            named.and(server).map(|server| (ServerName::new(name), server))
        })
        .collect();
    servers.into_iter().collect()
}

fn server(
    item: Item<'_>,
    name: &str,
    rest: Rest<'_>,
    urls: &mut BTreeMap<Url, String>,
) -> Result<Server, Reported> {
    let mut section = item.section()?;
    let url = section.required("url", |item| {
        item.parse(|text| {
            let url = resource(text, rest.tls)?;
            match urls.insert(url.clone(), name.to_owned()) {
                Some(other) => Err(format!("the same as that of the server `{other}`")),
                None => Ok(url),
            }
        })
    });
    let upstream = section.required("upstream", |item| item.parse(values::upstream));
    let provider = section.required("provider", |item| item.parse(|name| provider(name, rest.providers)));
    let credential = section.or("credential", CredentialMode::ProviderToken, credential::read);
    let assertion = section.optional("assertion", assertion);
    let identity =
        section.or("identity", IdentityHeader::ALL.to_vec(), |item| item.distinct(values::identity));
    let passthrough = section.or("passthrough", Vec::new(), passthrough);
    let scopes = section.optional("scopes", Item::scopes);
    let required_scopes = section.or("required_scopes", Vec::new(), Item::scopes);
    let settings = provider.as_ref().ok().and_then(|name| rest.providers?.get(name));
    let allow = section.optional("allow", |item| allow::read(item, settings.and_then(|it| it.as_ref().ok())));

    let provider = provider?;
    let scopes = match scopes? {
        Some(scopes) => scopes,
        None => match settings {
            Some(Ok(settings)) => {
                let scopes = providers::default_scopes(settings).iter();
                scopes.filter(|scope| *scope != OFFLINE_ACCESS).cloned().collect()
            }
            Some(Err(reported)) => return Err(*reported),
            None => Vec::new(),
        },
    };
    let required_scopes = required_scopes?;
    if let Some(scope) = required_scopes.iter().find(|scope| !scopes.contains(scope)) {
        return Err(section.wrong(format!("`required_scopes` has `{scope}`, which is not one of its scopes")));
    }
    let (credential, assertion) = (credential?, assertion?);
    let registers = matches!(settings, Some(Ok(settings)) if settings.registers());
    if registers && matches!(credential, CredentialMode::UserToken(_)) {
        let text = "`credential: { user_token: … }` needs a provider with a `client_id`: users log in at it to replace and \
                    remove their tokens, and that is no MCP client's login";
        return Err(section.wrong(text));
    }
    if let Some(name) = assertion.as_deref().filter(|name| credential.header() == Some(name)) {
        return Err(section.wrong(format!("`credential` and `assertion` are both sent in `{name}`")));
    }
    let (url, upstream, identity, passthrough) = (url?, upstream?, identity?, passthrough?);
    Ok(Server {
        url,
        upstream,
        provider,
        credential,
        assertion,
        identity,
        passthrough,
        scopes,
        required_scopes,
        allow: allow?,
    })
}

/// `assertion`: the header field that it is sent in.
fn assertion(item: Item<'_>) -> Result<String, Reported> {
    let mut section = item.section()?;
    section.or("header", values::ASSERTION_HEADER.to_owned(), |item| item.parse(values::assertion_header))
}

/// `passthrough`: prefixes, each once.
fn passthrough(item: Item<'_>) -> Result<Vec<String>, Reported> {
    let (context, place) = (item.context, item.place.clone());
    let prefixes = item.distinct(values::token_prefix)?;
    if prefixes.is_empty() {
        return Err(context.notes.add(&place, "must have at least one prefix, or be left out"));
    }
    Ok(prefixes)
}

fn resource(text: &str, tls: Option<bool>) -> Result<Url, String> {
    let url = values::resource(text)?;
    match (url.scheme(), tls) {
        ("https", Some(false)) => Err("https, but the edge has no `edge.tls`".to_owned()),
        ("http", Some(true)) => Err("http, but the edge has `edge.tls`".to_owned()),
        _ => Ok(url),
    }
}

fn provider(name: &str, providers: Option<&Providers>) -> Result<ProviderName, String> {
    let wanted = ProviderName::new(name);
    match providers {
        Some(providers) if !providers.contains_key(&wanted) => {
            let known: Vec<_> = providers.keys().map(ProviderName::as_str).collect();
            Err(format!("there is no provider {name:?}; known: {}", known.join(", ")))
        }
        _ => Ok(wanted),
    }
}

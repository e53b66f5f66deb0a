//! `clients.metadata_documents`.

use std::net::SocketAddr;

use crate::client_document::{Development, DomainPattern, Policy};
use crate::config::item::Item;
use crate::config::problems::Reported;
use crate::config::section::Section;
use crate::config::{Edge, secret, values};

/// Reads the section. `None` where documents are turned off.
pub(super) fn read(mut section: Section<'_>, edge: Option<&Edge>) -> Result<Option<Policy>, Reported> {
    let enabled = section.or("enabled", true, Item::boolean);
    let allowed_domains =
        section.optional("allowed_domains", |item| item.list(|domain| domain.parse(domain_pattern)));
    let development = section.or("development", Development::default(), |item| development(item, edge));
    let policy = Policy { allowed_domains: allowed_domains?, development: development? };
    Ok(enabled?.then_some(policy))
}

fn domain_pattern(text: &str) -> Result<DomainPattern, String> {
    let domain = |name| {
        values::domain(name)
            .map_err(|_| "must be a domain such as `example.com` or `*.example.com`".to_owned())
    };
    match text.strip_prefix("*.") {
        Some(rest) => domain(rest).map(DomainPattern::Below),
        // For a document on this machine.
        None if text == "localhost" => Ok(DomainPattern::Host(text.to_owned())),
        None => domain(text).map(DomainPattern::Host),
    }
}

fn development(item: Item<'_>, edge: Option<&Edge>) -> Result<Development, Reported> {
    let mut section = item.section()?;
    let addresses = section.required("addresses", |item| item.list(|address| address.parse(loopback)));
    let ca = section.optional("ca", secret::file);
    // An edge that others can reach is no development: whoever reaches it could have us ask this machine's ports.
    if edge.is_some_and(|edge| !edge.listen.ip().is_loopback()) {
        return Err(section.wrong("is for development only: `edge.listen` must be a loopback address"));
    }
    let (addresses, ca) = (addresses?, ca?);
    if let Some(ca) = &ca
        && !reqwest::Certificate::from_pem_bundle(ca.as_bytes())
            .is_ok_and(|certificates| !certificates.is_empty())
    {
        return Err(section.wrong("`ca` must be PEM, as in `-----BEGIN CERTIFICATE-----`"));
    }
    Ok(Development { addresses, ca })
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    match values::address(text) {
        Ok(address) if address.ip().is_loopback() && address.port() != 0 => Ok(address),
        _ => Err("must be a loopback address and a port, such as `127.0.0.1:8443`".to_owned()),
    }
}

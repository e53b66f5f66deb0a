//! `clients`: who may be one, and who says so.

mod documents;
mod preregistered;

use std::collections::BTreeMap;

use portcullis_proto::ids::ServerName;

use super::item::Item;
use super::problems::Reported;
use super::section::Section;
use super::{Clients, Edge, Server};

/// Reads the section. `edge` and `servers` are `None` where they could not be read and that has been reported.
pub(super) fn read(
    mut section: Section<'_>,
    edge: Option<&Edge>,
    servers: Option<&BTreeMap<ServerName, Server>>,
) -> Result<Clients, Reported> {
    let registration =
        section.section("registration").and_then(|mut section| section.or("enabled", true, Item::boolean));
    let metadata_documents =
        section.section("metadata_documents").and_then(|section| documents::read(section, edge));
    // No client is sent back to where the providers' answers come in.
    let own: Vec<_> = servers.into_iter().flat_map(BTreeMap::values).map(Server::origin).collect();
    let preregistered =
        section.section("preregistered").and_then(|section| preregistered::read(section, &own));
    Ok(Clients {
        registration: registration?,
        metadata_documents: metadata_documents?,
        preregistered: preregistered?,
    })
}

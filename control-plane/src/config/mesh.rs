//! `mesh`: how Envoy, authz, the control plane and operators reach each other.

use portcullis_proto::mesh::{Files, Names, Role, SECURED_BY_PLATFORM, Settings};

use super::item::Item;
use super::node::Value;
use super::problems::Reported;
use super::section::Section;

/// Reads the word, or the section.
pub(super) fn read(item: Item<'_>) -> Result<Settings, Reported> {
    if let Value::Text(_) = item.value {
        return item.parse(|word| match word {
            SECURED_BY_PLATFORM => Ok(Settings::SecuredByPlatform),
            _ => Err(format!("must be a section, or the word `{SECURED_BY_PLATFORM}`")),
        });
    }
    let mut section = item.section()?;
    let names = section.section("names").and_then(names);
    Ok(Settings::Tls { files: files(section)?, names: names? })
}

/// Three paths.
pub(super) fn files(mut section: Section<'_>) -> Result<Files, Reported> {
    let ca = section.required("ca", Item::path);
    let certificate = section.required("certificate", Item::path);
    let private_key = section.required("private_key", Item::path);
    Ok(Files { ca: ca?, certificate: certificate?, private_key: private_key? })
}

fn names(mut section: Section<'_>) -> Result<Names, Reported> {
    let mut read = |key| {
        section.optional(key, |item| {
            item.parse(|name| match Names::parse(name) {
                Ok(_) => Ok(name.to_owned()),
                Err(wrong) => Err(wrong.to_string()),
            })
        })
    };
    let edge = read("edge");
    let authz = read("authz");
    let control_plane = read("control_plane");
    let admin = read("admin");
    let given = [
        (Role::Edge, edge?),
        (Role::Authz, authz?),
        (Role::ControlPlane, control_plane?),
        (Role::Admin, admin?),
    ];
    let given: Vec<_> = given.iter().filter_map(|(role, name)| Some((*role, name.as_deref()?))).collect();
    Names::with(&given).map_err(|wrong| section.wrong(wrong.to_string()))
}

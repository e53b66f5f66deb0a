//! `mesh`, as it is written: a word, or a section.

use std::fmt;
use std::path::PathBuf;

use portcullis_proto::mesh::{Files, NameError, Names, Role, SECURED_BY_PLATFORM, Settings};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// What stands under the key.
#[derive(Debug)]
pub(super) enum Raw {
    SecuredByPlatform,
    Tls(Tls),
}

/// The section. Paths are taken from the working directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    ca: PathBuf,
    certificate: PathBuf,
    private_key: PathBuf,
    #[serde(default)]
    names: RawNames,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNames {
    edge: Option<String>,
    authz: Option<String>,
    control_plane: Option<String>,
}

// === impl Raw ===

impl Raw {
    /// What it means, or what is wrong, with its key.
    pub(super) fn settings(self) -> Result<Settings, String> {
        let Tls { ca, certificate, private_key, names } = match self {
            Self::SecuredByPlatform => return Ok(Settings::SecuredByPlatform),
            Self::Tls(tls) => tls,
        };
        Ok(Settings::Tls { files: Files { ca, certificate, private_key }, names: names.names()? })
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mesh: a section with `ca`, `certificate` and `private_key`, or the word {SECURED_BY_PLATFORM}"
        )
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Raw, E> {
        if word == SECURED_BY_PLATFORM {
            Ok(Raw::SecuredByPlatform)
        } else {
            Err(E::invalid_value(serde::de::Unexpected::Str(word), &self))
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Raw, A::Error> {
        Tls::deserialize(MapAccessDeserializer::new(map)).map(Raw::Tls)
    }
}

// === impl RawNames ===

impl RawNames {
    fn names(&self) -> Result<Names, String> {
        let all = [
            ("edge", Role::Edge, &self.edge),
            ("authz", Role::Authz, &self.authz),
            ("control_plane", Role::ControlPlane, &self.control_plane),
        ];
        let given = || all.iter().filter_map(|(key, role, name)| Some((*key, *role, name.as_deref()?)));
        for (key, _, name) in given() {
            Names::parse(name).map_err(|error| format!("mesh.names.{key}: {error}"))?;
        }
        let given: Vec<_> = given().map(|(_, role, name)| (role, name)).collect();
        Names::with(&given).map_err(|error: NameError| format!("mesh.names: {error}"))
    }
}

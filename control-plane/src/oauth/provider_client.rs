//! Clients of a provider, each registered there for one MCP client (`registration: dynamic`).

use std::borrow::Cow;
use std::time::Duration;

use portcullis_proto::ids::{ClientId, ProviderName};
use portcullis_proto::random::{self, Random};
use portcullis_proto::seal::Owner;
use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::scope::Scopes;
use crate::keys::Wrapped;

/// Another client is registered this long before the secret expires, or a quarter of its life, where that is less:
/// so that a login that begins with it can end with it.
const AHEAD: Duration = Duration::from_hours(24);

/// Our own name for a provider client: 131 random bits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderClientId(String);

/// Which client of the provider a login is made as. A code or refresh token that comes of it is good for that
/// client only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActingClient {
    /// The app that is configured. Rows from before there were others say nothing.
    #[default]
    App,
    /// One that was registered for the MCP client.
    Registered(ProviderClientId),
    /// One whose identifier is the URL of its metadata document.
    Document(String),
}

/// What a provider client is for. There is one at a time for each.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// The MCP client that it acts for.
    pub client: ClientId,
    /// The provider's name in the configuration.
    pub provider: ProviderName,
    /// Who that is: the provider's issuer or token endpoint. Were another one configured under the same name, it
    /// must not be shown the secret.
    pub authority: String,
    /// The issuer whose callback it has.
    pub issuer: String,
    /// What it may ask for.
    pub scopes: Scopes,
}

/// A provider client, stored under its MCP client and its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderClient {
    /// Its identifier here.
    pub id: ProviderClientId,
    /// What it is for.
    pub slot: Slot,
    /// Its identifier at the provider.
    pub client_id: String,
    /// How it authenticates there.
    pub auth: KeptAuth,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// From when on its secret is refused; `None` for never. The row is of no use after that.
    pub secret_expires_at: Option<Timestamp>,
}

/// How a provider client authenticates. Its secret is sealed under a master key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeptAuth {
    /// Not at all.
    None,
    /// `client_secret_basic`.
    SecretBasic(Wrapped),
    /// `client_secret_post`.
    SecretPost(Wrapped),
}

// === impl ProviderClientId ===

impl ProviderClientId {
    /// Takes the text as it is: whoever calls knows that it names one.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A new identifier.
    pub fn generate(random: &dyn Random) -> Self {
        Self(random::base62(random, 22))
    }
}

impl AsRef<str> for ProviderClientId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Owner for ProviderClientId {
    fn name(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.0.as_bytes())
    }
}

// === impl ProviderClient ===

impl ProviderClient {
    /// Whether new logins of this slot are made as this client.
    pub fn serves(&self, slot: &Slot, now: Timestamp) -> bool {
        let lasts = self.secret_expires_at.is_none_or(|expires_at| {
            let ahead = AHEAD.min(expires_at.since(self.registered_at) / 4);
            now.after(ahead) < expires_at
        });
        lasts && self.slot == *slot
    }
}

/// What the provider shows of a client that calls itself `name`, which is display data as we keep it: short, and
/// without what could make a page lie.
pub fn display_name(name: Option<&str>) -> String {
    format!("{} via Portcullis", name.unwrap_or("MCP client"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::fixtures::{at, provider_client, slot};

    #[test]
    fn another_is_wanted_ahead_of_the_secrets_end() {
        let day = 24 * 60 * 60;
        let expiring = |registered, expires| ProviderClient {
            registered_at: at(registered),
            secret_expires_at: Some(at(expires)),
            ..provider_client("a", &slot("c"))
        };
        let serves = |client: &ProviderClient, now| client.serves(&slot("c"), at(now));
        let long = expiring(0, 90 * day);
        assert!(serves(&long, 0) && serves(&long, 89 * day - 1) && !serves(&long, 89 * day));
        let short = expiring(1000, 1000 + 3600);
        assert!(serves(&short, 1000) && serves(&short, 1000 + 2699) && !serves(&short, 1000 + 2700));
        let over = expiring(1000, 900);
        assert!(!serves(&over, 1000));
        assert!(serves(&provider_client("a", &slot("c")), u64::MAX / 2000), "for good");
    }

    #[test]
    fn it_serves_its_own_slot_only() {
        let own = provider_client("a", &slot("c"));
        let mut others = vec![slot("d")];
        others.push(Slot { provider: ProviderName::new("other"), ..slot("c") });
        others.push(Slot { authority: "https://other.example".into(), ..slot("c") });
        others.push(Slot { issuer: "https://other.example".into(), ..slot("c") });
        others.push(Slot { scopes: Scopes::parse("openid more").unwrap(), ..slot("c") });
        assert!(own.serves(&slot("c"), at(0)));
        for other in others {
            assert!(!own.serves(&other, at(0)), "{other:?}");
        }
    }

    #[test]
    fn rows_from_before_there_were_provider_clients_are_the_apps() {
        assert_eq!(ActingClient::default(), ActingClient::App);
        let kept = serde_json::to_string(&ActingClient::Registered(ProviderClientId::new("x"))).unwrap();
        assert_eq!(kept, r#"{"Registered":"x"}"#);
    }
}

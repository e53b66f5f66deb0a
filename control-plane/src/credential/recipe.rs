//! By what each server's credentials are made at the moment, and the number that stands for it.

use std::collections::BTreeMap;

use portcullis_proto::ids::ServerName;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use crate::config::{Config, CredentialHeader, CredentialMode, Server, StaticCredential, UserToken};
use crate::keys::RevisionKey;

/// What of a server's credentials may change while the process runs, and the number that stands for all of it.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The static credential's secret.
    pub(super) secret: Option<SecretString>,
    /// Another one for every other way of making them. Tells nothing about the secret.
    pub revision: u64,
}

/// All servers' recipes.
pub struct Recipes {
    key: RevisionKey,
    all: watch::Sender<BTreeMap<ServerName, Recipe>>,
}

// === impl Recipes ===

impl Recipes {
    /// As the configuration has them.
    pub fn new(config: &Config, key: RevisionKey) -> Self {
        let recipe = |server: &Server| {
            let secret = match &server.credential {
                CredentialMode::Static(fixed) => Some(fixed.secret.clone()),
                _ => None,
            };
            Recipe { revision: revision(&key, server, secret.as_ref()), secret }
        };
        let all = config.servers.iter().map(|(name, server)| (name.clone(), recipe(server))).collect();
        Self { all: watch::Sender::new(all), key }
    }

    /// A server's recipe, as it is now.
    pub fn of(&self, server: &ServerName) -> Option<Recipe> {
        self.all.borrow().get(server).cloned()
    }

    /// Tells of every change after this.
    pub fn subscribe(&self) -> watch::Receiver<BTreeMap<ServerName, Recipe>> {
        self.all.subscribe()
    }

    /// From now on the static credential of this server has another secret. Returns whether that is a change.
    pub(super) fn replace(&self, name: &ServerName, server: &Server, secret: SecretString) -> bool {
        let revision = revision(&self.key, server, Some(&secret));
        self.all.send_if_modified(|all| match all.get_mut(name) {
            Some(recipe) if recipe.revision != revision => {
                *recipe = Recipe { secret: Some(secret), revision };
                true
            }
            Some(_) | None => false,
        })
    }
}

/// The number of all that decides how credentials of this server are made, and for whom: after a move to another provider
/// authz must ask about every token. An MCP server hears its own URL in an assertion, so that is part of it there.
fn revision(key: &RevisionKey, server: &Server, secret: Option<&SecretString>) -> u64 {
    let (mode, header) = match &server.credential {
        CredentialMode::ProviderToken => ("provider_token", None),
        CredentialMode::UserToken(UserToken { header, .. }) => ("user_token", Some(header)),
        CredentialMode::Static(StaticCredential { header, .. }) => ("static", Some(header)),
        CredentialMode::Assertion => ("assertion", None),
        CredentialMode::None => ("none", None),
    };
    let (name, scheme) = match header {
        Some(CredentialHeader { name, scheme }) => (name.as_str(), scheme.as_deref().unwrap_or_default()),
        None => ("", ""),
    };
    let audience = if server.is_told_by_assertion() { server.url.as_str() } else { "" };
    let secret = secret.map_or("", |secret| secret.expose_secret());
    let assertion = server.assertion.as_deref().unwrap_or_default();
    let provider = server.provider.as_str();
    key.number(&[provider, mode, name, scheme, secret, assertion, audience].map(str::as_bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use portcullis_proto::random::SystemRandom;
    use portcullis_proto::time::Timestamp;

    use super::*;
    use crate::config::parse;
    use crate::keys::MasterKeys;

    fn recipes(directory: &Path, server: &str) -> (Config, Recipes) {
        let text = format!(
            "providers: {{ corp: {{ kind: oidc, issuer: https://idp.example.com, client_id: a, \
             client_secret: {{ value: a }} }} }}\n\
             servers: {{ demo: {{ upstream: 'http://127.0.0.1:9/', provider: corp, {server} }} }}\n"
        );
        let config = parse(&text, Path::new("p"), &|_| None).unwrap();
        let key = MasterKeys::open(&directory.join("keys"), &SystemRandom, Timestamp::default())
            .unwrap()
            .revision_key();
        let recipes = Recipes::new(&config, key);
        (config, recipes)
    }

    #[test]
    fn every_other_way_has_another_number_and_the_same_has_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let ways = [
            "credential: provider_token",
            "credential: none",
            "credential: assertion",
            "credential: { static: { secret: { value: a } } }",
            "credential: { static: { secret: { value: b } } }",
            "credential: { static: { secret: { value: a }, header: x-api-key } }",
            "credential: { static: { secret: { value: a }, scheme: Basic } }",
            "credential: { user_token: { check_url: 'https://a.example.com' } }",
            "credential: none, assertion: {}",
            "credential: none, assertion: { header: x-proof }",
            "credential: none, assertion: { header: x-proof }, x: 1",
        ];
        let name = ServerName::new("demo");
        let mut numbers = BTreeSet::new();
        for way in ways {
            let (url, way) = match way.strip_suffix(", x: 1") {
                Some(way) => ("http://localhost:10000/other", way),
                None => ("http://localhost:10000/demo", way),
            };
            let number = || {
                let (_, recipes) = recipes(directory.path(), &format!("url: '{url}', {way}"));
                recipes.of(&name).unwrap().revision
            };
            assert_eq!(number(), number());
            assert!(numbers.insert(number()), "{way}");
        }
    }

    #[test]
    fn a_new_secret_is_a_change_and_the_same_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let server = "url: 'http://localhost:10000/demo', credential: { static: { secret: { value: one } } }";
        let (config, recipes) = recipes(directory.path(), server);
        let name = ServerName::new("demo");
        let before = recipes.of(&name).unwrap().revision;
        let changes = recipes.subscribe();
        let server = &config.servers[&name];
        assert!(!recipes.replace(&name, server, "one".into()));
        assert!(!changes.has_changed().unwrap());
        assert!(recipes.replace(&name, server, "two".into()));
        assert!(changes.has_changed().unwrap());
        let after = recipes.of(&name).unwrap();
        assert_ne!(after.revision, before);
        assert_eq!(after.secret.as_ref().unwrap().expose_secret(), "two");
        assert!(recipes.replace(&name, server, "one".into()));
        assert_eq!(recipes.of(&name).unwrap().revision, before);
        assert!(!format!("{after:?}").contains("two"));
    }
}

//! What has been revoked and may still have live tokens.

use std::hash::Hash;

use imbl::HashMap;
use portcullis_proto::ids::{ClientId, GrantId, ProviderName, Sequence, ServerName, Subject, TokenId};
use portcullis_proto::record::TokenRecord;
use portcullis_proto::revocation::{Entry, Scope};
use portcullis_proto::time::Timestamp;

/// The entries of the revocation log that can still hit a token. A copy shares what both have.
#[derive(Clone, Debug, Default)]
pub struct Tombstones {
    tokens: HashMap<TokenId, Tombstone>,
    grants: HashMap<GrantId, Tombstone>,
    clients: HashMap<ClientId, Tombstone>,
    subjects: HashMap<ProviderName, HashMap<Subject, Tombstone>>,
    servers: HashMap<ServerName, Tombstone>,
    everything: Option<Tombstone>,
    count: usize,
}

/// All entries of one scope in one.
#[derive(Clone, Copy, Debug)]
struct Tombstone {
    /// Of the latest of them.
    sequence: Sequence,
    /// When none of them can hit a token any more.
    forget_at: Timestamp,
}

// === impl Tombstones ===

impl Tombstones {
    /// Puts an entry in force.
    pub fn add(&mut self, entry: &Entry) {
        let new = Tombstone { sequence: entry.sequence, forget_at: entry.forget_at };
        let is_new = match &entry.scope {
            Scope::Token(id) => add(&mut self.tokens, id, new),
            Scope::Grant(id) => add(&mut self.grants, id, new),
            Scope::Client(id) => add(&mut self.clients, id, new),
            Scope::Subject(provider, subject) => {
                add(self.subjects.entry(provider.clone()).or_default(), subject, new)
            }
            Scope::Server(name) => add(&mut self.servers, name, new),
            Scope::Everything => self.everything.replace(new.and(self.everything)).is_none(),
        };
        self.count += usize::from(is_new);
    }

    /// Whether a token has been revoked. An entry that names the token or its grant hits it always; one
    /// that names more hits what was born before it.
    pub fn hit(&self, record: &TokenRecord) -> bool {
        if self.count == 0 {
            return false;
        }
        let subject = || self.subjects.get(&record.provider)?.get(&record.subject);
        let wide = [
            self.everything.as_ref(),
            self.clients.get(&record.client),
            subject(),
            self.servers.get(&record.server),
        ];
        self.tokens.contains_key(&record.token)
            || self.grants.contains_key(&record.grant)
            || wide.into_iter().flatten().any(|tombstone| record.born < tombstone.sequence)
    }

    /// Forgets a scope, where nothing that it could hit was alive at `cutoff`.
    pub fn forget(&mut self, scope: &Scope, cutoff: Timestamp) {
        let gone = match scope {
            Scope::Token(id) => forget(&mut self.tokens, id, cutoff),
            Scope::Grant(id) => forget(&mut self.grants, id, cutoff),
            Scope::Client(id) => forget(&mut self.clients, id, cutoff),
            Scope::Subject(provider, subject) => self.forget_subject(provider, subject, cutoff),
            Scope::Server(name) => forget(&mut self.servers, name, cutoff),
            Scope::Everything => self.everything.take_if(|tombstone| tombstone.forget_at <= cutoff).is_some(),
        };
        self.count -= usize::from(gone);
    }

    fn forget_subject(&mut self, provider: &ProviderName, subject: &Subject, cutoff: Timestamp) -> bool {
        let Some(subjects) = self.subjects.get_mut(provider) else { return false };
        let gone = forget(subjects, subject, cutoff);
        if subjects.is_empty() {
            self.subjects.remove(provider);
        }
        gone
    }

    /// How many scopes are revoked.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Whether there was none.
fn add<K: Clone + Eq + Hash>(tombstones: &mut HashMap<K, Tombstone>, key: &K, new: Tombstone) -> bool {
    let new = new.and(tombstones.get(key).copied());
    tombstones.insert(key.clone(), new).is_none()
}

/// Whether it has gone.
fn forget<K: Clone + Eq + Hash>(tombstones: &mut HashMap<K, Tombstone>, key: &K, cutoff: Timestamp) -> bool {
    let over = tombstones.get(key).is_some_and(|tombstone| tombstone.forget_at <= cutoff);
    over && tombstones.remove(key).is_some()
}

// === impl Tombstone ===

impl Tombstone {
    fn and(self, old: Option<Self>) -> Self {
        old.map_or(self, |old| Self {
            sequence: self.sequence.max(old.sequence),
            forget_at: self.forget_at.max(old.forget_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::record;

    /// One of few, so that entries and records meet often.
    fn name() -> impl Strategy<Value = &'static str> + Clone {
        prop::sample::select(vec!["a", "b", "c"])
    }

    fn scopes() -> impl Strategy<Value = Scope> {
        prop_oneof![
            name().prop_map(|name| Scope::Token(TokenId::of(name))),
            name().prop_map(|name| Scope::Grant(GrantId::new(name))),
            name().prop_map(|name| Scope::Client(ClientId::new(name))),
            (name(), name())
                .prop_map(|(provider, name)| Scope::Subject(ProviderName::new(provider), Subject::new(name))),
            name().prop_map(|name| Scope::Server(ServerName::new(name))),
            Just(Scope::Everything),
        ]
    }

    fn records() -> impl Strategy<Value = TokenRecord> {
        (name(), name(), name(), (name(), name()), name(), 0..12_u64).prop_map(
            |(token, grant, client, (provider, subject), server, born)| TokenRecord {
                token: TokenId::of(token),
                grant: GrantId::new(grant),
                client: ClientId::new(client),
                provider: ProviderName::new(provider),
                subject: Subject::new(subject),
                server: ServerName::new(server),
                born: Sequence(born),
                ..record()
            },
        )
    }

    /// The rule, said again over a plain list of entries.
    fn is_hit(record: &TokenRecord, entries: &[Entry]) -> bool {
        Scope::hitting(record).iter().any(|scope| {
            let narrow = matches!(scope, Scope::Token(_) | Scope::Grant(_));
            let naming = entries.iter().filter(|entry| entry.scope == *scope);
            naming.into_iter().any(|entry| narrow || record.born < entry.sequence)
        })
    }

    proptest! {
        #[test]
        fn t20_a_token_is_hit_where_any_scope_that_it_has_is_in_the_set(
            scopes in vec((scopes(), 0..4_u64), 0..12),
            forgotten in vec((scopes(), 0..4_u64), 0..4),
            records in vec(records(), 1..8),
        ) {
            let (mut tombstones, mut entries) = (Tombstones::default(), Vec::new());
            for ((scope, forget_at), sequence) in scopes.into_iter().zip(1..) {
                let entry = entry(sequence, forget_at, scope);
                tombstones.add(&entry);
                entries.push(entry);
            }
            for (scope, cutoff) in forgotten {
                let cutoff = Timestamp::from_millis(cutoff);
                tombstones.forget(&scope, cutoff);
                let of_it = |entry: &&Entry| entry.scope == scope;
                if entries.iter().filter(of_it).all(|entry| entry.forget_at <= cutoff) {
                    entries.retain(|entry| entry.scope != scope);
                }
            }
            for record in records {
                prop_assert_eq!(tombstones.hit(&record), is_hit(&record, &entries), "{:?}", record);
            }
            let different: std::collections::HashSet<_> = entries.iter().map(|entry| &entry.scope).collect();
            prop_assert_eq!(tombstones.len(), different.len());
        }
    }

    fn entry(sequence: u64, forget_at: u64, scope: Scope) -> Entry {
        Entry {
            sequence: Sequence(sequence),
            at: Timestamp::from_millis(0),
            forget_at: Timestamp::from_millis(forget_at),
            scope,
        }
    }

    #[test]
    fn a_wide_entry_hits_what_was_born_before_it_and_nothing_later() {
        let mut tombstones = Tombstones::default();
        tombstones.add(&entry(5, 100, Scope::Everything));
        let born = |sequence| TokenRecord { born: Sequence(sequence), ..record() };
        assert!(tombstones.hit(&born(4)));
        assert!(!tombstones.hit(&born(5)));
        assert!(!tombstones.hit(&born(6)));
    }

    #[test]
    fn a_narrow_entry_hits_whenever_the_token_was_born() {
        for scope in [Scope::Token(record().token), Scope::Grant(record().grant)] {
            let mut tombstones = Tombstones::default();
            tombstones.add(&entry(5, 100, scope));
            assert!(tombstones.hit(&TokenRecord { born: Sequence(9), ..record() }));
        }
    }

    #[test]
    fn a_repeated_scope_keeps_the_later_entry_and_the_longer_life() {
        let mut tombstones = Tombstones::default();
        let scope = Scope::Client(ClientId::new("client"));
        tombstones.add(&entry(5, 200, scope.clone()));
        tombstones.add(&entry(7, 100, scope.clone()));
        assert!(tombstones.hit(&TokenRecord { born: Sequence(6), ..record() }));
        tombstones.forget(&scope, Timestamp::from_millis(199));
        assert_eq!(tombstones.len(), 1);
        tombstones.forget(&scope, Timestamp::from_millis(200));
        assert!(tombstones.is_empty());
    }

    #[test]
    fn every_scope_is_counted_once_and_goes_when_nothing_that_it_hits_is_left() {
        let mut tombstones = Tombstones::default();
        for scope in Scope::hitting(&record()) {
            for sequence in [5, 6] {
                tombstones.add(&entry(sequence, 100, scope.clone()));
            }
            assert!(tombstones.hit(&record()), "{scope:?}");
            assert_eq!(tombstones.len(), 1);
            let other = TokenRecord {
                token: TokenId::of("another"),
                grant: GrantId::new("another"),
                client: ClientId::new("another"),
                subject: Subject::new("another"),
                server: ServerName::new("another"),
                ..record()
            };
            assert_eq!(tombstones.hit(&other), scope == Scope::Everything);
            for _ in 0..2 {
                tombstones.forget(&scope, Timestamp::from_millis(100));
                assert!(tombstones.is_empty() && tombstones.subjects.is_empty());
            }
        }
    }
}

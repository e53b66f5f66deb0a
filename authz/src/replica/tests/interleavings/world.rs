//! How tokens and the instance go through an order, and what must be true of both at each step.

use portcullis_proto::ids::{ClientId, GrantId, ServerName, Subject};

use super::*;
use crate::testing::record;

// === impl Token ===

impl Token {
    pub(super) fn new(kind: Kind, number: u8, name: &str) -> Self {
        let record = TokenRecord {
            token: TokenId::of(&format!("{kind:?} {number} {name}")),
            grant: GrantId::new(format!("{kind:?} {name}")),
            client: ClientId::new(format!("{kind:?}")),
            subject: Subject::new(format!("{kind:?}")),
            server: ServerName::new(format!("{kind:?}")),
            born: Sequence(0),
            expires_at: EXPIRY,
            ..record()
        };
        Self { record, question: None, learned: false, fleeting: false, held: None }
    }

    fn learn(&mut self, replica: &Replica) {
        if let Some((asked, true)) = self.question {
            self.held = Some(replica.learn(asked, self.record.clone()));
            let position = replica.position().map(|position| position.sequence);
            let is_ahead = Some(self.record.born) > position;
            // It may hang on another log than the stream that has begun since.
            self.learned = asked.stream == replica.question().stream;
            self.fleeting = asked.generation != replica.generation() || is_ahead;
        }
    }

    /// What is in memory only is gone.
    pub(super) fn swept(&mut self) {
        self.learned &= !self.fleeting;
    }

    pub(super) fn restart(&mut self) {
        self.held = None;
        self.swept();
        if !self.learned {
            self.question = None;
        }
    }

    /// What the instance must say, if it does not sweep too much.
    fn expected(&self, world: &World, is_hit: bool) -> Verdict {
        let generation = world.instance.replica.generation();
        match self.question {
            Some((of, _)) if self.learned && of.generation == generation && is_hit => {
                Verdict::Refused("revoked")
            }
            Some((of, _)) if self.learned && of.generation == generation => Verdict::Permitted,
            _ => Verdict::Absent,
        }
    }
}

// === impl Placement ===

impl Placement {
    /// What must be revoked for the old token to be: once for all of a kind, except where it is the token itself.
    pub(super) fn scope(&self) -> Option<Scope> {
        let record = &self.old.record;
        let scope = match self.kind {
            Kind::Token => return Some(Scope::Token(record.token)),
            Kind::Grant => Scope::Grant(record.grant.clone()),
            Kind::Client => Scope::Client(record.client.clone()),
            Kind::Subject => Scope::Subject(record.provider.clone(), record.subject.clone()),
            Kind::Server => Scope::Server(record.server.clone()),
            Kind::Everything => Scope::Everything,
        };
        Some(scope).filter(|_| (self.asked, self.learned) == (0, 0))
    }

    /// What comes before the event at `step`.
    pub(super) fn pass(&mut self, step: usize, world: &World) {
        let replica = &world.instance.replica;
        if step == self.asked {
            self.old.question = Some((replica.question(), !world.revoked));
            self.twin.record.born = world.log.head().sequence;
            self.twin.question = Some((replica.question(), world.revoked));
        }
        if step == self.learned {
            self.old.learn(replica);
            self.twin.learn(replica);
        }
    }

    /// A sweep, and a new stream, have every record read from the disk again.
    pub(super) fn swept(&mut self) {
        self.old.swept();
        self.twin.swept();
    }

    /// What was under way ends with the process.
    pub(super) fn restart(&mut self) {
        self.old.restart();
        self.twin.restart();
    }
}

// === impl World ===

impl World {
    pub(super) async fn pass(mut self, event: Event, scopes: &[Scope]) -> Self {
        match event {
            Event::Revoke => {
                for scope in scopes {
                    self.log.append(scope.clone(), NOW, EXPIRY);
                }
                self.revoked = true;
            }
            Event::Deliver => {
                self.instance.deliver(&self.log, scopes.len()).await;
                self.in_force = self.instance.replica.position() == Some(self.log.head());
                self.in_force &= self.log.head() != self.log.base;
                self.dead = true;
            }
            Event::Reconnect => self.instance.reconnect(&self.log).await,
            Event::StartOver => {
                self.log = self.log.next();
                self.instance.reconnect(&self.log).await;
                self.in_force = false;
                self.dead |= self.revoked;
            }
            Event::Restart => self.instance = self.instance.restart().await,
            Event::Sweep => {
                self.instance.sweep(if self.sweep_at == SweepAt::Now { NOW } else { EXPIRY }).await;
            }
        }
        self
    }

    pub(super) fn check(
        &self,
        Placement { kind, asked, learned, old, twin }: &Placement,
        seen: &mut Seen,
        after: &dyn Fn() -> String,
    ) {
        let after = || format!("{kind:?}, asked before {asked}, learned before {learned}, after {}", after());
        for token in [old, twin] {
            let is_old = token.record.token == old.record.token;
            let verdict = self.instance.ask(&token.record, NOW);
            let held = token.held.as_ref().map(|held| self.instance.judge(held, NOW));
            for verdict in [Some(verdict), held].into_iter().flatten() {
                seen.count(verdict);
                if is_old {
                    assert!(verdict != Verdict::Permitted || !self.dead, "{}", after());
                } else {
                    assert_ne!(verdict, Verdict::Refused("revoked"), "the twin of {}", after());
                }
            }
            if self.sweep_at == SweepAt::Now {
                assert_eq!(verdict, token.expected(self, is_old && self.in_force), "{is_old} {}", after());
            }
        }
    }
}

// === impl Seen ===

impl Seen {
    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Absent => self.absent += 1,
            Verdict::Permitted => self.permitted += 1,
            Verdict::Refused("revoked") => self.revoked += 1,
            Verdict::Refused("started_over") => self.started_over += 1,
            Verdict::Refused("clock_went_back") => self.clock_went_back += 1,
            Verdict::Refused(reason) => panic!("{reason}"),
        }
    }
}

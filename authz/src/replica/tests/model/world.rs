//! What each operation does to the instance and to the model, and what must be true of both after it.

use portcullis_proto::ids::{ClientId, GrantId, ServerName, Subject};

use super::super::instance::Verdict;
use super::*;
use crate::testing::record;

// === impl World ===

impl World {
    pub(super) fn new() -> Self {
        Self {
            instance: Instance::new(),
            plane: Plane::new(1),
            backup: Plane::new(1),
            epochs: 1,
            starts: 0,
            tokens: Vec::new(),
            flights: Vec::new(),
            connected: false,
            followed: HashMap::new(),
            buried: BTreeSet::new(),
            announced: None,
            current_at: None,
            seconds: 0,
        }
    }

    fn now(&self) -> Timestamp {
        at(self.seconds)
    }

    pub(super) async fn apply(mut self, op: &Op) -> Self {
        match *op {
            Op::Issue { owner } => self.issue(owner),
            Op::Revoke { kind, of } => self.revoke(kind, of),
            Op::Ask { of } => {
                if let Some(of) = pick(of, self.tokens.len()) {
                    self.ask(of);
                }
            }
            Op::Learn { of } => {
                if let Some(of) = pick(of, self.tokens.len()) {
                    self.ask(of);
                    self.answer(self.flights.len() - 1);
                }
            }
            Op::Answer { which } => {
                if let Some(which) = pick(which, self.flights.len()) {
                    self.answer(which);
                }
            }
            Op::Deliver { limit, heartbeat } => self.deliver(limit, heartbeat).await,
            Op::Cut => self.connected = false,
            Op::Reconnect => self.reconnect().await,
            Op::Restart => {
                self.instance = self.instance.restart().await;
                self.restarted();
            }
            Op::Crash => {
                let acknowledged = *self.instance.replica.store().durable().borrow();
                self.instance = self.instance.crash();
                self.restarted();
                if let Some((generation, sequence)) = acknowledged {
                    let replica = &self.instance.replica;
                    let position = replica.position().map(|position| position.sequence);
                    assert!(replica.generation() != generation || position >= Some(sequence), "{position:?}");
                }
            }
            Op::Sweep { ahead } => self.instance.sweep(at(self.seconds + ahead)).await,
            Op::Wait { seconds } => {
                self.seconds += seconds;
                tokio::time::advance(Duration::from_secs(seconds)).await;
            }
            Op::Forget => {
                let now = self.now();
                self.plane.log.forget(now);
            }
            Op::Backup => {
                self.backup = self.plane.clone();
                self.begin_work();
                self.connected = false;
            }
            Op::Restore => {
                self.plane = self.backup.clone();
                self.begin_work();
                self.flights.clear(); // their connection ended with the process before
                self.buried.retain(|token| !self.plane.alive.contains(token));
                self.connected = false;
            }
            Op::NewEpoch => {
                self.epochs += 1;
                self.plane = Plane::new(self.epochs);
                self.begin_work();
                self.backup = self.plane.clone();
                self.connected = false;
            }
        }
        self
    }

    /// A process begins to work with the log: with an entry of its own, and knowing that there may be tokens which it
    /// does not know.
    fn begin_work(&mut self) {
        let mut id = [255; 32];
        self.starts += 1;
        id[..8].copy_from_slice(&self.starts.to_be_bytes());
        self.plane.access_until = self.plane.access_until.max(at(self.seconds + LIFETIME));
        let scope = Scope::Token(TokenId::from_slice(&id).unwrap());
        self.plane.log.append(scope, self.now(), self.plane.access_until);
    }

    fn issue(&mut self, owner: u8) {
        let number = self.tokens.len();
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        // Every other token is of the same grant as the one before, where that lives.
        let previous = number.checked_sub(1).filter(|one| one % 2 == 0 && self.plane.alive.contains(one));
        self.plane.alive.insert(number);
        self.plane.issued.insert(number);
        self.tokens.push(TokenRecord {
            token: TokenId::from_slice(&id).unwrap(),
            grant: GrantId::new(format!("grant {}", previous.unwrap_or(number))),
            client: ClientId::new(format!("client {owner}")),
            subject: Subject::new(format!("subject {}", (owner + 1) % 3)),
            server: ServerName::new(format!("server {}", owner % 2)),
            born: self.plane.log.head().sequence,
            issued_at: self.now(),
            expires_at: at(self.seconds + LIFETIME),
            ..record()
        });
    }

    fn revoke(&mut self, kind: u8, of: usize) {
        let Some(of) = pick(of, self.tokens.len()) else { return };
        let scope = Scope::hitting(&self.tokens[of])[usize::from(kind)].clone();
        let expiry = |token: &usize| self.tokens[*token].expires_at;
        let forget_at = self.plane.issued.iter().map(expiry).max().unwrap_or_default();
        let forget_at = forget_at.max(self.plane.access_until).max(self.now());
        let entry = self.plane.log.append(scope, self.now(), forget_at);
        self.plane.alive.retain(|token| !hits(&entry, &self.tokens[*token]));
    }

    fn ask(&mut self, of: usize) {
        let found = self.plane.alive.contains(&of) && self.now() < self.tokens[of].expires_at;
        self.flights.push(Flight { of, generation: self.instance.replica.generation(), found });
    }

    fn answer(&mut self, which: usize) {
        let Flight { of, generation, found } = self.flights.remove(which);
        if found {
            self.instance.replica.learn(generation, self.instance.replica.era(), self.tokens[of].clone());
        }
    }

    async fn deliver(&mut self, limit: usize, heartbeat: bool) {
        let Some(position) = self.instance.replica.position().filter(|_| self.connected) else { return };
        if !self.plane.log.has(position) {
            self.connected = false; // what it needs next has been forgotten
            return;
        }
        let entries: Vec<_> = self.plane.log.after(position).take(limit).collect();
        self.instance.deliver(&self.plane.log, limit).await;
        self.bury(&entries);
        self.followed.entry(self.instance.replica.generation()).or_default().extend(entries);
        let position = self.instance.replica.position().unwrap().sequence;
        if let Some((_, at)) = self.announced.take_if(|(head, _)| *head <= position) {
            self.current_at = Some(at);
        }
        if heartbeat {
            let head = self.plane.log.head().sequence;
            self.instance.heartbeat(head, self.now());
            if head <= position {
                self.current_at = Some(Instant::now());
                self.announced = None;
            } else {
                self.announced.get_or_insert((head, Instant::now()));
            }
        }
    }

    fn bury(&mut self, entries: &[Entry]) {
        let is_hit = |token: &usize| entries.iter().any(|entry| hits(entry, &self.tokens[*token]));
        let buried: Vec<_> = self.plane.issued.iter().copied().filter(is_hit).collect();
        self.buried.extend(buried);
    }

    pub(super) async fn reconnect(&mut self) {
        self.announced = None;
        self.connected = true;
        let generation = self.instance.replica.generation();
        self.instance.reconnect(&self.plane.log).await;
        if self.instance.replica.generation() != generation {
            self.buried.extend(self.plane.issued.difference(&self.plane.alive));
        }
    }

    /// What was in memory only is gone.
    fn restarted(&mut self) {
        let replica = &self.instance.replica;
        let position = replica.position().map(|position| position.sequence);
        let followed = self.followed.entry(replica.generation()).or_default();
        followed.retain(|entry| Some(entry.sequence) <= position);
        self.flights.clear();
        self.connected = false;
        self.announced = None;
        self.current_at = None;
    }

    pub(super) fn check(&self, op: &Op) {
        let replica = &self.instance.replica;
        let is_current = self.current_at.is_some_and(|at| at.elapsed() <= MAX_STALENESS);
        assert_eq!(replica.ready(self.now()).is_ok(), is_current, "{op:?}");
        let none = Vec::new();
        let followed = self.followed.get(&replica.generation()).unwrap_or(&none);
        for (number, record) in self.tokens.iter().enumerate() {
            let verdict = self.instance.ask(record, self.now());
            let is_hit = followed.iter().any(|entry| hits(entry, record));
            // An entry of a log that never had the token hits it by an accident of numbers, and may be forgotten before.
            let is_excluded =
                followed.iter().any(|entry| hits(entry, record) && record.expires_at <= entry.forget_at);
            let after = format!("token {number} after {op:?}");
            match verdict {
                Verdict::Permitted => {
                    assert!(!is_excluded && self.now() < record.expires_at, "{after}");
                    assert!(!is_current || !self.buried.contains(&number), "{after}");
                }
                Verdict::Refused("revoked") => assert!(is_hit, "{after}"),
                Verdict::Refused("expired") => assert!(record.expires_at <= self.now(), "{after}"),
                Verdict::Absent | Verdict::Refused("clock_went_back") => {}
                Verdict::Refused(reason) => panic!("{reason}: {after}"),
            }
        }
    }

    /// Once it has caught up, the instance permits exactly what the control plane has.
    pub(super) async fn finish(mut self) {
        self = self.apply(&Op::Restart).await; // with a clock that was always right
        self.reconnect().await;
        self.deliver(usize::MAX, true).await;
        assert!(self.instance.replica.ready(self.now()).is_ok());
        for number in self.plane.issued.clone() {
            if self.instance.ask(&self.tokens[number], self.now()) == Verdict::Absent {
                self.ask(number);
                self.answer(self.flights.len() - 1);
            }
            let is_alive = self.plane.alive.contains(&number) && self.now() < self.tokens[number].expires_at;
            let verdict = self.instance.ask(&self.tokens[number], self.now());
            assert_eq!(verdict == Verdict::Permitted, is_alive, "token {number}: {verdict:?}");
        }
    }
}

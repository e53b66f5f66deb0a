//! What must hold.

use super::*;

/// From the beginning of an outage until a stream that was fed by what was on its way has fallen silent.
const SILENCE: Duration = Duration::from_secs(1);

impl Story {
    /// The instances whose line has been good for long enough.
    pub(super) fn well(&self) -> Vec<usize> {
        let is_well = |edge: &usize| {
            self.fleet.edges[*edge].wire.line() == Line::Good && self.changed[*edge].elapsed() >= RECOVERY
        };
        (0..INSTANCES).filter(is_well).collect()
    }

    /// Those that can have heard nothing for too long.
    fn is_cut_off(&self, edge: usize) -> bool {
        let hears_nothing = match self.fleet.edges[edge].wire.line() {
            Line::Cut => true,
            Line::Poor { down, .. } => down == Flow::Stalled,
            Line::Good => false,
        };
        hears_nothing && self.changed[edge].elapsed() > MAX_STALENESS + SILENCE
    }

    /// Lets time pass, and looks every second.
    pub(super) async fn run(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.fleet.run(Duration::from_secs(1).min(until - Instant::now())).await;
            self.check();
            self.reap().await;
        }
    }

    /// What each instance says of each token at this moment.
    pub(super) fn check(&mut self) {
        let well = self.well();
        let mut seen = Vec::new();
        for (number, edge) in self.fleet.edges.iter().enumerate() {
            let at = || self.at(number);
            let known = edge.applied().max(self.counted[number]);
            for one in &self.issued {
                let dead = one.dead.is_some_and(|dead| dead <= known);
                let status = edge.decide(one.server, &one.login.token);
                let what = match status {
                    Some(200) => {
                        assert!(!dead, "{}: a revoked token passes", at());
                        "permitted"
                    }
                    Some(401) => {
                        assert!(one.dead.is_some(), "{}: a token that nobody revoked is refused", at());
                        "refused"
                    }
                    Some(503) => "outage",
                    None => "asked",
                    other => panic!("{}: {other:?}", at()),
                };
                assert!(what != "outage" || !well.contains(&number), "{}: an outage", at());
                assert!(what == "outage" || !self.is_cut_off(number), "{}: {what}, cut off", at());
                seen.push(what);
            }
            if well.contains(&number) {
                assert_eq!(edge.applied(), self.fleet.plane.head(), "{}", at());
            }
        }
        for what in seen {
            *self.tally.entry(what).or_default() += 1;
        }
    }

    /// What has become of the requests that have ended.
    async fn reap(&mut self) {
        let (ended, going_on) = self.requests.drain(..).partition(|request| request.task.is_finished());
        self.requests = going_on;
        for Request { token, task } in ended {
            let (status, in_force) = task.await.unwrap();
            let dead = self.issued[token].dead;
            assert!(status != 200 || dead.is_none_or(|dead| dead > in_force), "seed {}", self.seed);
            assert!(status != 401 || dead.is_some(), "seed {}", self.seed);
        }
    }

    pub(super) async fn finish(&mut self) {
        for edge in 0..INSTANCES {
            self.change(edge, Line::Good);
        }
        self.run(RECOVERY).await;
        assert_eq!(self.well().len(), INSTANCES);
        for edge in 0..INSTANCES {
            for token in 0..self.issued.len() {
                self.request_with(edge, token);
                let Request { task, .. } = self.requests.pop().unwrap();
                let (status, _) = self.fleet.outcome(task).await;
                let expected = if self.issued[token].dead.is_some() { 401 } else { 200 };
                assert_eq!(status, expected, "{}, token {token}", self.at(edge));
            }
        }
        assert_eq!(self.fleet.plane.connected().len(), INSTANCES);
    }

    pub(super) fn at(&self, edge: usize) -> String {
        let since = |instant: Instant| instant.elapsed().as_millis();
        let (edge, changed) = (&self.fleet.edges[edge], since(self.changed[edge]));
        let line = edge.wire.line();
        let now = since(self.fleet.began);
        format!("seed {}, {now} ms, {}: {line:?} for {changed} ms", self.seed, edge.name)
    }
}

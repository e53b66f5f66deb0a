//! What has been done, counted.

use std::collections::BTreeMap;
use std::fmt;

/// Counts by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Rounds that have ended.
    pub rounds: u64,
    operations: BTreeMap<&'static str, Count>,
    faults: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    answered: u64,
    unanswered: u64,
}

// === impl Figures ===

impl Figures {
    /// An operation has ended: with an answer, or without one that says anything.
    pub fn operation(&mut self, kind: &'static str, answered: bool) {
        let count = self.operations.entry(kind).or_default();
        if answered {
            count.answered += 1;
        } else {
            count.unanswered += 1;
        }
    }

    /// A fault has begun.
    pub fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    /// All operations, answered or not.
    pub fn operations(&self) -> u64 {
        self.operations.values().map(|count| count.answered + count.unanswered).sum()
    }

    /// All operations without an answer that says anything.
    pub fn unanswered(&self) -> u64 {
        self.operations.values().map(|count| count.unanswered).sum()
    }

    /// Operations of this kind with an answer that says something.
    pub fn answered(&self, kind: &str) -> u64 {
        self.operations.get(kind).map_or(0, |count| count.answered)
    }

    /// Faults of this kind.
    pub fn faults_of(&self, kind: &str) -> u64 {
        self.faults.get(kind).copied().unwrap_or_default()
    }

    /// All faults.
    fn faults(&self) -> u64 {
        self.faults.values().sum()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rounds {}", self.rounds)?;
        writeln!(f, "operations {}, {} of them without an answer", self.operations(), self.unanswered())?;
        for (kind, count) in &self.operations {
            writeln!(f, "  {kind:<26} {:>7} {:>6}", count.answered + count.unanswered, count.unanswered)?;
        }
        writeln!(f, "faults {}", self.faults())?;
        for (kind, count) in &self.faults {
            writeln!(f, "  {kind:<26} {count:>7}")?;
        }
        Ok(())
    }
}

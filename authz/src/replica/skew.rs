//! Whether this machine's clock agrees with the control plane's. A pure rule.
//!
//! A token's end is a time that the control plane's clock has set and this machine's clock judges. Where the two
//! differ by much, one of them is wrong, and nobody here knows which: then nothing is decided.

use std::fmt;
use std::time::Duration;

use portcullis_proto::time::Timestamp;

/// How far the clocks may be apart. Clocks that are set by NTP differ by milliseconds.
pub(super) const TOLERANCE: Duration = Duration::from_secs(30);

/// How much this machine's clock is wrong, at least, if the control plane's is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skew {
    /// It is ahead.
    Ahead(Duration),
    /// It is behind.
    Behind(Duration),
}

/// Compares the clocks. The control plane read its own between two moments of ours: when it was asked, and when
/// the answer came.
pub(super) fn skew(asked: Timestamp, theirs: Timestamp, answered: Timestamp) -> Option<Skew> {
    if theirs.since(answered) > TOLERANCE {
        Some(Skew::Behind(theirs.since(answered)))
    } else if asked.since(theirs) > TOLERANCE {
        Some(Skew::Ahead(asked.since(theirs)))
    } else {
        None
    }
}

// === impl Skew ===

impl Skew {
    /// In seconds; negative where this machine's clock is behind.
    pub fn seconds(self) -> f64 {
        match self {
            Self::Ahead(by) => by.as_secs_f64(),
            Self::Behind(by) => -by.as_secs_f64(),
        }
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ahead(by) => write!(f, "{:.0} s ahead of the control plane's", by.as_secs_f64()),
            Self::Behind(by) => write!(f, "{:.0} s behind the control plane's", by.as_secs_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn clocks_may_differ_by_half_a_minute() {
        assert_eq!(skew(at(100), at(130), at(100)), None);
        assert_eq!(skew(at(100), at(70), at(100)), None);
        let by = |seconds| Duration::from_secs(seconds);
        assert_eq!(skew(at(100), at(131), at(100)), Some(Skew::Behind(by(31))));
        assert_eq!(skew(at(100), at(69), at(100)), Some(Skew::Ahead(by(31))));
    }

    #[test]
    fn an_answer_that_was_long_on_its_way_says_nothing_about_the_clock() {
        assert_eq!(skew(at(100), at(100), at(200)), None);
        assert_eq!(skew(at(100), at(200), at(200)), None);
        assert!(skew(at(100), at(69), at(200)).is_some());
    }
}

//! What a message of the Watch stream means to an instance that stands at some position. Pure.

use std::time::Duration;

use portcullis_proto::Malformed;
use portcullis_proto::ids::Sequence;
use portcullis_proto::revocation::{Entry, Position};
use portcullis_proto::time::Timestamp;
use portcullis_proto::v1::{self, watch_response::Message};
use thiserror::Error;

use crate::catalog::Catalog;

/// What to do about a message.
#[derive(Debug)]
pub(super) enum Step {
    /// Forget records and tombstones; the log continues behind this position.
    StartOver(Position),
    /// Replace the catalog.
    Catalog(Catalog),
    /// Put these entries in force; then the instance stands at this position.
    Append(Vec<Entry>, Position),
    /// The log's head was here after this instance had asked.
    Heartbeat(Heartbeat),
}

/// The control plane's answer to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heartbeat {
    /// The log's head.
    pub(super) head: Sequence,
    /// What the probe said, in milliseconds of the instance's own.
    pub(super) probe_at: Duration,
    /// The control plane's clock.
    pub(super) now: Timestamp,
}

/// The message cannot belong to the log that the instance follows. Something may have been missed: the
/// only way on is to start over.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum ProtocolError {
    /// Nothing that is understood.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Entries or a heartbeat, but the instance has not been told where the log begins.
    #[error("a message of the log before its beginning")]
    NoPosition,
    /// An entry is missing, or comes a second time.
    #[error("entry {got} after {position}")]
    OutOfOrder {
        /// The last entry that is in force.
        position: Sequence,
        /// The one that came.
        got: Sequence,
    },
    /// Records and revocations were removed by a clock that has been set back since: what is left of them cannot be
    /// relied upon.
    #[error("the clock has been set back behind the last sweep")]
    ClockWentBack,
    /// The heartbeat answers a probe that is still to be made.
    #[error("a heartbeat that nobody has asked for")]
    UnaskedHeartbeat,
    /// The head belongs to another log than the instance's position.
    #[error("the control plane follows another revocation log")]
    AnotherLog,
}

/// What to do about `message`.
pub(super) fn step(position: Option<Position>, message: v1::WatchResponse) -> Result<Step, ProtocolError> {
    match message.message.ok_or(Malformed("message of an unknown kind"))? {
        Message::StartOver(message) => {
            let from = message.from.ok_or(Malformed("start over without a position"))?;
            Ok(Step::StartOver(from.try_into()?))
        }
        Message::Catalog(message) => Ok(Step::Catalog(message.into())),
        Message::Entries(message) => append(position.ok_or(ProtocolError::NoPosition)?, message),
        Message::Heartbeat(message) => heartbeat(position.ok_or(ProtocolError::NoPosition)?, message),
    }
}

fn append(mut position: Position, message: v1::Entries) -> Result<Step, ProtocolError> {
    let mut entries = Vec::with_capacity(message.entries.len());
    for entry in message.entries {
        let entry = Entry::try_from(entry)?;
        position = position
            .after(&entry)
            .ok_or(ProtocolError::OutOfOrder { position: position.sequence, got: entry.sequence })?;
        entries.push(entry);
    }
    Ok(Step::Append(entries, position))
}

/// A head behind the position is an older heartbeat that an entry has overtaken.
fn heartbeat(position: Position, message: v1::Heartbeat) -> Result<Step, ProtocolError> {
    let head: Position = message.head.ok_or(Malformed("heartbeat without a head"))?.try_into()?;
    if head.epoch != position.epoch || (head.sequence == position.sequence && head != position) {
        return Err(ProtocolError::AnotherLog);
    }
    Ok(Step::Heartbeat(Heartbeat {
        head: head.sequence,
        probe_at: Duration::from_millis(message.probe_at_ms),
        now: Timestamp::from_millis(message.now_ms),
    }))
}

#[cfg(test)]
mod tests {
    use portcullis_proto::ids::{ClientId, Epoch};
    use portcullis_proto::revocation::Scope;

    use super::*;

    fn entry(sequence: u64, client: &str) -> Entry {
        Entry {
            sequence: Sequence(sequence),
            at: Timestamp::from_millis(1),
            forget_at: Timestamp::from_millis(2),
            scope: Scope::Client(ClientId::new(client)),
        }
    }

    fn start() -> Position {
        Position::start(Epoch([1; 16]))
    }

    fn entries(entries: &[Entry]) -> v1::WatchResponse {
        let entries = entries.iter().cloned().map(Into::into).collect();
        v1::WatchResponse { message: Some(Message::Entries(v1::Entries { entries })) }
    }

    fn head(head: Position) -> v1::WatchResponse {
        let heartbeat = v1::Heartbeat { head: Some(head.into()), probe_at_ms: 7, now_ms: 9 };
        v1::WatchResponse { message: Some(Message::Heartbeat(heartbeat)) }
    }

    #[test]
    fn entries_in_order_move_the_position() {
        let (one, two) = (entry(1, "a"), entry(2, "b"));
        let expected = start().after(&one).unwrap().after(&two).unwrap();
        let Step::Append(appended, position) = step(Some(start()), entries(&[one, two])).unwrap() else {
            panic!("not an append");
        };
        assert_eq!((appended.len(), position), (2, expected));
    }

    #[test]
    fn a_gap_a_repetition_and_a_reversal_are_errors() {
        let one = start().after(&entry(1, "a")).unwrap();
        for (position, wrong) in [
            (start(), vec![entry(2, "b")]),
            (one, vec![entry(1, "a")]),
            (one, vec![entry(3, "c")]),
            (start(), vec![entry(1, "a"), entry(3, "c")]),
            (start(), vec![entry(2, "b"), entry(1, "a")]),
        ] {
            let error = step(Some(position), entries(&wrong)).unwrap_err();
            assert!(matches!(error, ProtocolError::OutOfOrder { .. }), "{error}");
        }
    }

    #[test]
    fn an_entry_of_an_unknown_kind_is_not_skipped() {
        let strange = v1::Entry { sequence: 1, scope: Some(v1::Scope { kind: None }), ..Default::default() };
        let message = Message::Entries(v1::Entries { entries: vec![strange] });
        let error = step(Some(start()), v1::WatchResponse { message: Some(message) }).unwrap_err();
        assert!(matches!(error, ProtocolError::Malformed(_)));
        assert!(step(Some(start()), v1::WatchResponse { message: None }).is_err());
    }

    #[test]
    fn nothing_of_the_log_counts_before_its_beginning() {
        assert_eq!(step(None, entries(&[entry(1, "a")])).unwrap_err(), ProtocolError::NoPosition);
        assert_eq!(step(None, head(start())).unwrap_err(), ProtocolError::NoPosition);
    }

    #[test]
    fn the_head_of_another_log_is_noticed() {
        let ours = start().after(&entry(1, "a")).unwrap();
        let other_epoch = Position { epoch: Epoch([2; 16]), ..ours };
        let other_history = start().after(&entry(1, "x")).unwrap();
        for head_of_another in [other_epoch, other_history] {
            let error = step(Some(ours), head(head_of_another)).unwrap_err();
            assert_eq!(error, ProtocolError::AnotherLog);
        }
        let ahead = ours.after(&entry(2, "b")).unwrap();
        for (head_of_ours, sequence) in [(start(), 0), (ours, 1), (ahead, 2)] {
            let Ok(Step::Heartbeat(got)) = step(Some(ours), head(head_of_ours)) else {
                panic!("not a heartbeat");
            };
            let expected = Heartbeat {
                head: Sequence(sequence),
                probe_at: Duration::from_millis(7),
                now: Timestamp::from_millis(9),
            };
            assert_eq!(got, expected);
        }
    }
}

mod instance;
mod interleavings;
mod model;
mod unreadable;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use portcullis_proto::ids::Epoch;
use portcullis_proto::random::SystemRandom;
use tempfile::TempDir;
use tokio::task::unconstrained;

use super::*;
use crate::testing::{record, server};

/// A token would seem to have expired, and the client would be sent to log in again.
#[tokio::test]
async fn t34_a_clock_that_jumps_makes_503_and_nobody_log_in_again() {
    let directory = TempDir::new().unwrap();
    let (store, loaded) = Store::open(directory.path(), 1000).unwrap();
    let (now, hour) = (record().issued_at.after(Duration::from_hours(1)), Duration::from_hours(1));
    let replica = Replica::new(store, &loaded, hour, &SystemRandom);
    replica.set_catalog(Catalog::default());
    replica.heartbeat(Sequence(0), moment(now), None);
    assert_eq!(replica.ready(now), Ok(()));
    for jumped in [now.after(hour / 2), now.before(hour / 2)] {
        assert_eq!(replica.ready(jumped), Err(Outage::ClockSkew));
        replica.heartbeat(Sequence(0), moment(jumped), None);
        assert_eq!(replica.ready(jumped), Ok(()));
        replica.heartbeat(Sequence(0), moment(now), None);
    }
}

/// The stream may end at any moment. What is not in the queue then is in force, but does not count as applied:
/// nobody would ever write it, and an instance waits until its position is durable before it connects again.
#[tokio::test]
async fn an_append_that_is_given_up_leaves_a_position_that_becomes_durable() {
    let directory = TempDir::new().unwrap();
    let (store, loaded) = Store::open(directory.path(), 1000).unwrap();
    let replica = Replica::new(store, &loaded, Duration::from_mins(1), &SystemRandom);
    let position = Position::start(Epoch([1; 16]));
    replica.start_over(position, &SystemRandom).await.unwrap();

    let entry = Entry {
        sequence: position.sequence.next(),
        at: record().issued_at,
        forget_at: record().expires_at,
        scope: Scope::Everything,
    };
    let mut context = Context::from_waker(Waker::noop());
    let mut queue = Vec::new();
    while let Poll::Ready(place) = pin!(unconstrained(replica.store.place())).poll(&mut context) {
        queue.push(place.unwrap());
    }
    {
        let entries = [entry.clone()];
        let append = pin!(replica.append(&entries, position.after(&entry).unwrap()));
        assert!(append.poll(&mut context).is_pending(), "the queue is full");
    }
    drop(queue);

    let known = Known {
        record: TokenRecord { born: position.sequence, ..record() },
        generation: replica.generation(),
        era: replica.hot.era(),
    };
    let denial = replica.judge(&server(), &known, record().issued_at).unwrap_err();
    assert_eq!(denial.reason(), "revoked");
    assert_eq!(replica.position(), Some(position));
    tokio::time::timeout(Duration::from_secs(10), replica.settled()).await.unwrap().unwrap();
}

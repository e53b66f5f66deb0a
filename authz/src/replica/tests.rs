use std::pin::pin;
use std::task::{Context, Waker};

use portcullis_proto::ids::Epoch;
use portcullis_proto::random::SystemRandom;
use tempfile::TempDir;

use super::*;
use crate::testing::{record, server};

/// The stream may end at any moment. What is not in the queue then is in force, but does not count as applied:
/// nobody would ever write it, and an instance waits until its position is durable before it connects again.
#[tokio::test]
async fn an_append_that_is_given_up_leaves_a_position_that_becomes_durable() {
    let directory = TempDir::new().unwrap();
    let (store, loaded) = Store::open(directory.path(), 1000).unwrap();
    let replica = Replica::new(store, &loaded, Duration::from_mins(1), &SystemRandom);
    let mut position = Position::start(Epoch([1; 16]));
    replica.start_over(position, &SystemRandom).await.unwrap();
    loop {
        for _ in 0..20_000 {
            replica.learn(replica.generation(), record()); // more than the queue takes
        }
        let entry = Entry {
            sequence: position.sequence.next(),
            at: record().issued_at,
            forget_at: record().expires_at,
            scope: Scope::Everything,
        };
        let next = position.after(&entry).unwrap();
        let append = pin!(replica.append(std::slice::from_ref(&entry), next));
        if append.poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            break;
        }
        position = next;
    }
    let known = Known {
        record: TokenRecord { born: position.sequence, ..record() },
        generation: replica.generation(),
    };
    let denial = replica.judge(&server(), &known, record().issued_at).unwrap_err();
    assert_eq!(denial.reason(), "revoked");
    assert_eq!(replica.position(), Some(position));
    tokio::time::timeout(Duration::from_secs(10), replica.settled()).await.unwrap().unwrap();
}

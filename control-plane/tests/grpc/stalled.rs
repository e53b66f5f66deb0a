//! Instances that do not do their part hold up nobody and leave nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_proto::ids::ClientId;
use portcullis_proto::revocation::Scope;
use portcullis_proto::v1;
use portcullis_proto::v1::watch_request::Message;
use tonic::Code;

use crate::instance::Instance;
use crate::plane::{Plane, in_time, pass_until, until};

/// Entries of 40 kB. An instance's end takes 2 MB unread, ours 16 messages and some more.
const FLOOD: usize = 100;

/// Appends more than fits into all buffers on the way to an instance.
pub(crate) async fn flood(plane: &Plane) {
    for number in 0..FLOOD {
        let id = ClientId::new(format!("{number}-{}", "x".repeat(40_000)));
        plane.app.store.revoke(Scope::Client(id), plane.app.now()).await.unwrap();
    }
}

#[tokio::test]
async fn an_instance_that_does_not_read_is_dropped_and_resumes() {
    let plane = Plane::with_a_token().await;
    let start = plane.head();
    let mut stalled = Instance::connect(plane.replica().await, "stalled", Some(start)).await;
    let mut reading = Instance::connect(plane.replica().await, "reading", Some(start)).await;
    stalled.catalog().await;
    reading.catalog().await;
    let (count, ()) = tokio::join!(
        async {
            let mut count = 0;
            while count < FLOOD {
                count += reading.entries().await.len();
            }
            count
        },
        flood(&plane)
    );
    assert_eq!(count, FLOOD);

    let gone = Box::pin(until(|| plane.connected() == ["reading"]));
    let (seconds, ()) = pass_until(gone).await;
    assert!(seconds <= 7, "{seconds} s");

    // It reads again, finds its stream ended, and goes on from where it was.
    let mut position = start;
    let status = loop {
        match in_time(stalled.responses.message()).await {
            Ok(Some(message)) => {
                let Some(v1::watch_response::Message::Entries(entries)) = message.message else { continue };
                for entry in entries.entries {
                    position = position.after(&entry.try_into().unwrap()).unwrap();
                }
            }
            Ok(None) => break None,
            Err(status) => break Some(status.code()),
        }
    };
    assert!(matches!(status, None | Some(Code::DeadlineExceeded)), "{status:?}");
    assert!(position.sequence.0 < FLOOD as u64, "it was not dropped");
    let mut resumed = Instance::connect(plane.replica().await, "stalled", Some(position)).await;
    resumed.catalog().await;
    let rest = resumed.follow(position, &plane.app).await as u64;
    assert_eq!(position.sequence.0 + rest, FLOOD as u64);
}

#[tokio::test]
async fn an_instance_that_floods_is_still_served_and_holds_up_nobody() {
    let plane = Plane::with_a_token().await;
    let start = plane.head();
    let mut flooding = Instance::connect(plane.replica().await, "flooding", Some(start)).await;
    let mut other = Instance::connect(plane.replica().await, "other", Some(start)).await;
    flooding.catalog().await;
    other.catalog().await;
    let (requests, said) = (flooding.requests.clone(), Arc::<AtomicU64>::default());
    let count = Arc::clone(&said);
    let flood = tokio::spawn(async move {
        let applied = v1::WatchRequest { message: Some(Message::Applied(v1::Applied { sequence: 0 })) };
        while requests.send(applied.clone()).await.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    for client in ["one", "two", "three"] {
        let entry = plane.append(client).await;
        assert_eq!(other.entries().await, std::slice::from_ref(&entry));
        assert_eq!(flooding.entries().await, [entry]);
        // It goes on talking between one entry and the next.
        let before = said.load(Ordering::Relaxed);
        until(|| said.load(Ordering::Relaxed) > before + 1_000).await;
    }
    drop(flooding);
    flood.abort();
    until(|| plane.connected() == ["other"]).await;
    assert_eq!(other.heartbeat().await, plane.head());
}

#[tokio::test]
async fn an_instance_that_floods_and_does_not_read_is_dropped() {
    let plane = Plane::with_a_token().await;
    let mut flooding = Instance::connect(plane.replica().await, "flooding", Some(plane.head())).await;
    flooding.catalog().await;
    let requests = flooding.requests.clone();
    let applied = v1::WatchRequest { message: Some(Message::Applied(v1::Applied { sequence: 0 })) };
    let talk = tokio::spawn(async move { while requests.send(applied.clone()).await.is_ok() {} });
    flood(&plane).await;
    let gone = Box::pin(until(|| plane.connected().is_empty()));
    let (seconds, ()) = pass_until(gone).await;
    assert!(seconds <= 7, "{seconds} s");
    drop(flooding);
    in_time(talk).await.unwrap();
}

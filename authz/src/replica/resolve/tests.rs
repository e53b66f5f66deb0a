use std::sync::mpsc;
use std::thread;

use portcullis_proto::random::SystemRandom;
use tempfile::TempDir;
use tokio::runtime;
use tonic::transport::Endpoint;

use super::*;
use crate::replica::store::Store;

/// A runtime that is closing, or has closed, drops a flight while the thread that began it is still there.
#[test]
fn a_question_that_is_asked_while_the_service_ends_holds_nobody_up() {
    let directory = TempDir::new().unwrap();
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let resolver = runtime.block_on(async {
        let (store, loaded) = Store::open(directory.path(), 1000).unwrap();
        let replica = Replica::new(store, &loaded, Duration::from_mins(1), &SystemRandom);
        let channel = Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
        Arc::new(Resolver::new(ReplicaClient::new(channel), Arc::new(replica), Arc::default()))
    });
    drop(runtime);
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let cause = Cause::FirstSight(Neighbourhood::of(None));
        drop(resolver.fly(TokenId::of("token"), cause, None));
        done.send(resolver.flights().get(&(TokenId::of("token"), resolver.replica.generation())).is_none())
    });
    assert_eq!(ended.recv_timeout(Duration::from_secs(10)), Ok(true));
}

//! What operators are told of how far a revocation has come.

use portcullis_proto::revocation::Scope;
use portcullis_proto::v1;

use crate::instance::Instance;
use crate::plane::{Plane, until};

fn everything(wait_ms: u32) -> v1::RevokeRequest {
    v1::RevokeRequest { scope: Some(Scope::Everything.into()), wait_ms }
}

async fn current(plane: &Plane, name: &str) -> Instance {
    let mut instance = Instance::connect(plane.replica().await, name, Some(plane.head())).await;
    instance.catalog().await;
    instance
}

/// Applies the next entry as soon as it comes.
async fn apply(instance: &mut Instance) {
    let entries = instance.entries().await;
    instance.applied(entries.last().unwrap().sequence.0).await;
}

#[tokio::test]
async fn a_revocation_is_effective_when_all_have_applied_it() {
    let plane = Plane::with_a_token().await;
    let (mut one, mut two) = (current(&plane, "one").await, current(&plane, "two").await);
    let mut admin = plane.admin().await;
    let (answer, (), ()) = tokio::join!(admin.revoke(everything(20_000)), apply(&mut one), apply(&mut two));
    let answer = answer.unwrap().into_inner();
    assert_eq!((answer.sequence, answer.instances, answer.applied), (1, 2, 2));
    assert_eq!(answer.lagging, Vec::<String>::new());
    assert!(answer.elapsed_us < 10_000_000);

    let list = admin.list_instances(v1::ListInstancesRequest {}).await.unwrap().into_inner();
    assert_eq!(list.head, 1);
    let list: Vec<_> = list.instances.iter().map(|one| (one.name.as_str(), one.applied)).collect();
    assert_eq!(list, [("one", 1), ("two", 1)]);
}

#[tokio::test]
async fn whoever_lags_or_goes_away_meanwhile_is_named() {
    let plane = Plane::with_a_token().await;
    let mut quick = current(&plane, "quick").await;
    let _slow = current(&plane, "slow").await;
    let mut leaving = current(&plane, "leaving").await;
    let leave = async {
        leaving.entries().await;
        drop(leaving);
    };
    let mut admin = plane.admin().await;
    let (answer, (), ()) = tokio::join!(admin.revoke(everything(300)), apply(&mut quick), leave);
    let answer = answer.unwrap().into_inner();
    assert_eq!((answer.instances, answer.applied), (3, 1));
    assert_eq!(answer.lagging, ["leaving", "slow"]);
    assert!(answer.elapsed_us >= 300_000);
}

#[tokio::test]
async fn what_an_instance_had_counts_as_applied_and_what_it_must_fetch_does_not() {
    let plane = Plane::with_a_token().await;
    plane.append("one").await;
    let _resumed = current(&plane, "resumed").await;
    let mut fresh = Instance::connect(plane.replica().await, "fresh", None).await;
    fresh.start_over().await;
    let applied = || plane.app.instances.list().iter().map(|one| one.applied.0).collect::<Vec<_>>();
    until(|| applied() == [1, 0]).await;
    // What it says does not go back.
    fresh.applied(1).await;
    fresh.applied(0).await;
    until(|| applied() == [1, 1]).await;
    let metrics = Plane::get(plane.ops, "/metrics").await;
    assert!(metrics.contains("\nportcullis_instances 2\n"), "{metrics}");
    assert!(metrics.contains("\nportcullis_instance_lag_entries 0\n"), "{metrics}");
}

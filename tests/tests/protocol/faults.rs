//! Single faults, with the times that they take.

use std::time::Duration;

use portcullis_proto::ids::{ProviderName, Subject};
use portcullis_proto::revocation::Scope;
use tokio::time::Instant;

use crate::edge::MAX_STALENESS;
use crate::fleet::{Fleet, STEP};
use crate::schedule::RECOVERY;
use crate::support::{LoggedIn, Login};
use crate::wire::{Flow, Line};

const DEAF: Line = Line::Poor { up: Flow::Open, down: Flow::Stalled };
const MUTE: Line = Line::Poor { up: Flow::Stalled, down: Flow::Open };
const DEAF_AND_MUTE: Line = Line::Poor { up: Flow::Stalled, down: Flow::Stalled };

/// Instances that all have a token's record.
async fn fleet(instances: usize) -> (Fleet, LoggedIn) {
    let fleet = Fleet::start(instances, 1).await;
    let login = fleet.plane.log_in(Login::default()).await;
    fleet.settle().await;
    for edge in &fleet.edges {
        assert_eq!(edge.decide("docs", &login.token), None, "it asks");
        fleet.settle().await;
        assert_eq!(edge.decide("docs", &login.token), Some(200));
    }
    (fleet, login)
}

/// How long it takes until the first instance answers like this. Whatever it cannot tell, it never says that the token is
/// not good.
async fn until(fleet: &Fleet, login: &LoggedIn, status: i32) -> Duration {
    let began = Instant::now();
    loop {
        let answer = fleet.edges[0].decide("docs", &login.token);
        assert!(matches!(answer, Some(200 | 503)), "{answer:?} to a token that is good");
        if answer == Some(status) {
            return began.elapsed();
        }
        assert!(began.elapsed() < MAX_STALENESS * 3, "it never answers {status}");
        fleet.step().await;
    }
}

#[tokio::test(start_paused = true)]
async fn t33_an_instance_that_is_cut_off_stops_in_time_and_recovers_by_itself() {
    let (fleet, login) = fleet(1).await;
    for line in [Line::Cut, DEAF, DEAF_AND_MUTE] {
        fleet.edges[0].wire.set(line);
        let stopped = until(&fleet, &login, 503).await;
        // The last heartbeat may have been up to a second old.
        let is_late = stopped > MAX_STALENESS + STEP * 2;
        assert!(!is_late && stopped + Duration::from_secs(1) >= MAX_STALENESS, "{line:?}: after {stopped:?}");
        for outage in [Duration::ZERO, Duration::from_secs(3), Duration::from_mins(1)] {
            fleet.run(outage).await;
            fleet.edges[0].wire.set(Line::Good);
            let recovered = until(&fleet, &login, 200).await;
            assert!(recovered <= RECOVERY, "{line:?}: after {recovered:?}");
            fleet.edges[0].wire.set(line);
            until(&fleet, &login, 503).await;
        }
        fleet.edges[0].wire.set(Line::Good);
        until(&fleet, &login, 200).await;
        fleet.run(RECOVERY).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_hears_nothing_delays_no_other() {
    for line in [DEAF, MUTE, DEAF_AND_MUTE] {
        let (fleet, _) = fleet(5).await;
        fleet.edges[0].wire.set(line);
        for number in 1..=50 {
            let subject = format!("nobody {number}");
            let scope = Scope::Subject(ProviderName::new("corp"), Subject::new(subject));
            let revocation = fleet.revoke(scope.into(), STEP).await;
            // No time has passed.
            for edge in &fleet.edges[1..] {
                assert_eq!(edge.applied(), fleet.plane.head(), "{line:?}: {}", edge.name);
            }
            let answer = fleet.outcome(revocation).await.unwrap();
            assert_eq!((answer.applied, answer.lagging), (4, vec!["edge-0".to_owned()]), "{line:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn t20_an_instance_that_was_counted_refuses_after_it_was_killed_and_cut_off() {
    let (mut fleet, login) = fleet(3).await;
    let revocation = fleet.revoke(Scope::Grant(login.grant.clone()).into(), STEP).await;
    assert!(revocation.is_finished(), "nobody has to wait");
    let answer = fleet.outcome(revocation).await.unwrap();
    assert_eq!((answer.instances, answer.applied), (3, 3));
    for edge in &mut fleet.edges {
        assert_eq!(edge.decide("docs", &login.token), Some(401));
        edge.wire.set(Line::Cut);
        edge.kill().await;
        assert_eq!(edge.applied().0, answer.sequence);
    }
    fleet.run(MAX_STALENESS).await;
    assert!(fleet.edges.iter().all(|edge| edge.decide("docs", &login.token) == Some(503)));
    for edge in &fleet.edges {
        edge.wire.set(Line::Good);
    }
    fleet.run(RECOVERY).await;
    assert!(fleet.edges.iter().all(|edge| edge.decide("docs", &login.token) == Some(401)));
}

//! An authz instance, while tokens are revoked and it says that it has applied that.

use std::cell::Cell;
use std::time::Duration;

use http::StatusCode;
use portcullis_proto::token::{Access, Presented};
use portcullis_proto::v1::scope::Kind;
use portcullis_tests::client::Client;
use portcullis_tests::faults::dice::Dice;
use portcullis_tests::stack::{Part, Stack};
use rustix::process::Signal;
use tokio::time::sleep;

const ROUNDS: u64 = 6;
/// Grants that there are in a round.
const GRANTS: usize = 8;
/// The power goes when fewer of them than this have been revoked.
const REVOKED: u64 = 6;

#[tokio::test]
async fn t31_a_revocation_that_authz_applied_is_in_force_after_its_power_cut() {
    let mut stack = Stack::builder().faults().start().await;
    let client = Client::register(stack.url(), "Power cut").await;
    let mut dead = Vec::new();
    for seed in 0..ROUNDS {
        let mut tokens = Vec::new();
        for _ in 0..GRANTS {
            let token = client.login("ada").await.access_token;
            // From now on authz knows it and needs nobody to accept it.
            assert_eq!(stack.check(0, &token).await, StatusCode::OK);
            tokens.push(token);
        }
        let applied = Cell::new(0);
        let enough = 1 + Dice::new(seed).below(REVOKED - 1);
        let cut = async {
            while applied.get() < enough {
                sleep(Duration::from_millis(1)).await;
            }
            stack.signal(Part::Authz(0), Signal::KILL);
        };
        tokio::select! {
            biased;
            () = cut => {}
            () = revoke_each(&stack, &tokens, &applied) => {}
        }
        let applied = usize::try_from(applied.into_inner()).unwrap();
        dead.extend(tokens.drain(..applied));
        stack.power_cut(Part::Authz(0), seed).await;
        // Waits until it is ready, which it becomes by itself.
        stack.start(Part::Authz(0)).await;
        for token in &dead {
            assert_eq!(stack.check(0, token).await, StatusCode::UNAUTHORIZED, "seed {seed}");
        }
        // The one that was being revoked may be either.
        for token in tokens.iter().skip(1) {
            assert_eq!(stack.check(0, token).await, StatusCode::OK, "seed {seed}");
        }
    }
}

/// Revokes one token after the other. Counts those of which the control plane has said that every instance has
/// applied the revocation.
async fn revoke_each(stack: &Stack, tokens: &[String], applied: &Cell<u64>) {
    for token in tokens {
        let id = Presented::<Access>::parse(token).unwrap().id();
        let answer = stack.revoke(Kind::TokenId(id.as_bytes().to_vec())).await;
        assert_eq!((answer.applied, answer.instances), (1, 1));
        applied.set(applied.get() + 1);
    }
}

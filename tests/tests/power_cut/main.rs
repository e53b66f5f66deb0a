//! What was acknowledged survives a power cut of the part that acknowledged it. What a power cut is says
//! `portcullis_tests::faults::disk`.

#![expect(clippy::unwrap_used, reason = "helpers of tests: what fails here fails the test")]

mod authz;
mod control_plane;
mod sled;

use std::path::PathBuf;

use http::StatusCode;
use portcullis_tests::client::Client;
use portcullis_tests::stack::{Part, Stack};
use rustix::process::Signal;

/// Otherwise a write could go by unseen, and every power cut would keep it.
#[tokio::test]
async fn the_journal_misses_nothing() {
    let mut stack = Stack::builder().faults().start().await;
    let client = Client::register(stack.url(), "Journal").await;
    let tokens = client.login("ada").await;
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
    for part in [Part::Authz(0), Part::ControlPlane] {
        for stops in [true, false] {
            if stops {
                stack.stop(part).await;
            } else {
                stack.signal(part, Signal::STOP);
                stack.kill(part).await;
            }
            assert_eq!(stack.shim(part).missed().unwrap(), Vec::<PathBuf>::new());
            stack.start(part).await;
        }
    }
}

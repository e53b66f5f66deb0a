//! What was acknowledged survives a power cut of one part: see `portcullis_tests::faults` for what that is.

use http::StatusCode;
use portcullis_tests::client::Client;
use portcullis_tests::stack::{Part, Stack};

#[tokio::test]
async fn the_journal_misses_nothing() {
    let mut stack = Stack::builder().faults().start().await;
    let client = Client::register(stack.url(), "Journal").await;
    let tokens = client.login("ada").await;
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
    for part in [Part::Authz(0), Part::ControlPlane] {
        for _ in 0..2 {
            stack.stop(part).await;
            assert_eq!(stack.shim(part).missed().unwrap(), Vec::<std::path::PathBuf>::new());
            stack.start(part).await;
        }
    }
}

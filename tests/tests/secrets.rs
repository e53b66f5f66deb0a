//! Secrets are in no log, whatever is logged.

use std::time::Duration;

use http::StatusCode;
use portcullis_tests::client::{Browser, Client, Visit};
use portcullis_tests::stack::{Part, Stack};
use tokio::time::{sleep, timeout};
use url::Url;

/// What the demo provider is told about Portcullis.
const APP_SECRET: &str = "demo-secret";
/// What its codes and tokens begin with.
const OF_THE_PROVIDER: [&str; 3] = ["demo_code_", "demo_at_", "demo_rt_"];
/// So short that each access token of ours makes the control plane refresh.
const SECONDS: u64 = 70;

/// Also not at the level at which libraries tell what they do, and not where the provider fails.
#[tokio::test]
async fn t18_no_log_has_a_secret() {
    let mut stack = Stack::builder().log_level("trace").provider_token_seconds(SECONDS).start().await;
    let client = Client::register(stack.url(), "Secrets").await;
    let tokens = client.login("ada").await;
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
    let credential = stack.upstream().take()[0].headers["authorization"].to_str().unwrap().to_owned();
    let next = client.refresh(&tokens.refresh_token).await.tokens();
    client.refresh(&tokens.refresh_token).await;
    client.revoke(&next.refresh_token).await;
    client.refresh(&next.refresh_token).await;

    // The provider is gone, and then it is back and knows nothing any more.
    let (kept, browser) = (client.login("ada").await, Browser::new());
    let (authorization, callback) = (client.authorization(), format!("{}/callback", stack.origin()));
    let brought = browser.visit(&authorization.url, &callback, Visit::approve("ada")).await;
    stack.kill(Part::Provider).await;
    client.refresh(&kept.refresh_token).await;
    browser.open(&Url::parse_with_params(&callback, &brought).unwrap()).await;
    stack.start(Part::Provider).await;
    client.refresh(&kept.refresh_token).await;

    let credential = credential.strip_prefix("Bearer ").unwrap();
    assert!(credential.starts_with(OF_THE_PROVIDER[1]) && brought["code"].starts_with(OF_THE_PROVIDER[0]));
    let mut secrets = vec![
        credential,
        &brought["code"],
        &brought["state"],
        &authorization.verifier,
        APP_SECRET,
        "pcl_ac_",
        "pcl_at_",
        "pcl_rt_",
    ];
    for tokens in [&tokens, &next, &kept] {
        secrets.extend([tokens.access_token.as_str(), &tokens.refresh_token]);
    }
    secrets.extend(OF_THE_PROVIDER);
    let written = async {
        while !stack.log(Part::Edge).contains(r#""subject":"ada""#) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(5), written).await.expect("the access log says who");
    for part in [Part::ControlPlane, Part::Authz(0), Part::Edge] {
        let log = stack.log(part);
        assert!(part == Part::Edge || log.contains(r#""level":"TRACE""#), "{part:?} has not logged all");
        for secret in &secrets {
            let line = log.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{part:?} has logged a secret that begins {}", &secret[..7]);
        }
    }
    let log = stack.log(Part::ControlPlane);
    for event in ["logged in", "login failed"] {
        assert!(log.contains(event), "{event}");
    }
}

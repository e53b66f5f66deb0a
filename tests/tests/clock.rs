//! Wall clocks that jump, of the control plane and of authz, alone and together: nobody is let in who was
//! revoked, and every session is still there afterwards.

use std::time::Duration;

use http::StatusCode;
use portcullis_tests::client::{Client, Tokens};
use portcullis_tests::stack::{Part, Stack};
use tokio::time::{Instant, sleep};

const HOURS: i64 = 3_600_000;
/// Long enough for a sweep of the control plane, which are 5 s apart: it must not remove what has not expired.
const SWEEP: Duration = Duration::from_secs(6);
/// How long clocks that agree again may take to show at the edge.
const MOMENT: Duration = Duration::from_secs(20);

struct Users {
    stack: Stack,
    client: Client,
    alive: Tokens,
    revoked: Vec<Tokens>,
}

// === impl Users ===

impl Users {
    async fn start() -> Self {
        let stack = Stack::builder().faults().start().await;
        let client = Client::register(stack.url(), "Clock").await;
        let (alive, revoked) = (client.login("ada").await, client.login("ada").await);
        for tokens in [&alive, &revoked] {
            assert_eq!(client.status(&tokens.access_token).await, StatusCode::OK);
        }
        let mut users = Self { stack, client, alive, revoked: Vec::new() };
        users.revoke(revoked).await;
        users
    }

    async fn revoke(&mut self, tokens: Tokens) {
        assert_eq!(self.client.revoke(&tokens.refresh_token).await.status, StatusCode::OK);
        let deadline = Instant::now() + MOMENT;
        while self.client.status(&tokens.access_token).await == StatusCode::OK {
            assert!(Instant::now() < deadline, "a revoked token is accepted");
        }
        self.revoked.push(tokens);
    }

    /// Has clocks jump, waits for what the jump might do, and has them jump back.
    async fn jump(&mut self, parts: &[Part], ahead: i64) {
        let set = |ahead| parts.iter().for_each(|part| self.stack.set_clock(*part, ahead));
        set(ahead);
        self.never_let_in(SWEEP).await;
        set(0);
        self.never_let_in(Duration::from_secs(1)).await;
        // The clocks agree again: everything is as it was.
        let deadline = Instant::now() + MOMENT;
        while self.client.status(&self.alive.access_token).await != StatusCode::OK {
            assert!(Instant::now() < deadline, "a session that lives is not let in");
            sleep(Duration::from_millis(50)).await;
        }
        self.alive = self.client.refresh(&self.alive.refresh_token).await.tokens();
        assert_eq!(self.client.status(&self.alive.access_token).await, StatusCode::OK);
        for tokens in &self.revoked {
            let refresh = self.client.refresh(&tokens.refresh_token).await;
            assert_eq!(refresh.status, StatusCode::BAD_REQUEST, "{}", refresh.body);
        }
    }

    async fn never_let_in(&self, during: Duration) {
        let deadline = Instant::now() + during;
        while Instant::now() < deadline {
            for tokens in &self.revoked {
                let status = self.client.status(&tokens.access_token).await;
                let refused = [StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE];
                assert!(refused.contains(&status), "{status} for a revoked token");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn t34_clocks_that_jump_ahead_and_back_let_nobody_in_and_log_nobody_out() {
    let mut users = Users::start().await;
    users.jump(&[Part::ControlPlane], 2 * HOURS).await;
    users.jump(&[Part::Authz(0)], 2 * HOURS).await;
    users.jump(&[Part::ControlPlane, Part::Authz(0)], 2 * HOURS).await;
}

#[tokio::test]
async fn t34_clocks_that_jump_back_and_ahead_let_nobody_in_and_log_nobody_out() {
    let mut users = Users::start().await;
    users.jump(&[Part::ControlPlane], -2 * HOURS).await;
    users.jump(&[Part::Authz(0)], -2 * HOURS).await;
    users.jump(&[Part::ControlPlane, Part::Authz(0)], -2 * HOURS).await;
}

/// While the clocks disagree authz cannot tell what has expired: it says so, and decides nothing.
#[tokio::test]
async fn t34_an_authz_whose_clock_disagrees_answers_503_and_says_so() {
    let users = Users::start().await;
    let said = |skew: &str| {
        let log = users.stack.log(Part::Authz(0));
        log.lines().filter(|line| line.contains("clock is") && line.contains(skew)).count()
    };
    for ahead in [2 * HOURS, -2 * HOURS] {
        for (part, sign) in [(Part::Authz(0), 1), (Part::ControlPlane, -1)] {
            let skew =
                if ahead * sign > 0 { "ahead of the control plane's" } else { "behind the control plane's" };
            let before = said(skew);
            users.stack.set_clock(part, ahead);
            let deadline = Instant::now() + MOMENT;
            while users.client.status(&users.alive.access_token).await != StatusCode::SERVICE_UNAVAILABLE
                || said(skew) == before
            {
                assert!(Instant::now() < deadline, "it decides by a wrong clock, or does not say so");
                sleep(Duration::from_millis(50)).await;
            }
            users.stack.set_clock(part, 0);
            while users.client.status(&users.alive.access_token).await != StatusCode::OK {
                assert!(Instant::now() < deadline + MOMENT, "the clocks agree, and it does not see it");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

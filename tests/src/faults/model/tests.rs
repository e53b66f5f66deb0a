use http::{HeaderMap, StatusCode};

use super::*;
use crate::client::Answer;

const SECOND: Duration = Duration::from_secs(1);
const PROMISES: Promises =
    Promises { reach: SECOND.saturating_mul(5), grace: SECOND.saturating_mul(60), early: Duration::ZERO };

/// A memory with one session.
struct Story {
    model: Model,
    now: Instant,
    client: Arc<Client>,
    session: SessionId,
}

// === impl Story ===

impl Story {
    fn begin() -> Self {
        let now = Instant::now();
        let mut model = Model::new(PROMISES, now);
        model.registered(Client::of_id("client"));
        let client = model.clients().next().unwrap().clone();
        model.logged_in(Login::new(client.clone(), "ada", now), tokens("1"), now);
        let session = model.live()[0];
        Self { model, now, client, session }
    }

    fn later(&mut self, seconds: u32) {
        self.now += SECOND * seconds;
    }

    /// The session's latest token is shown to an instance, which answers at once.
    fn hears(&mut self, said: Said) {
        let held = self.model.held(self.session).pop().unwrap();
        self.model.said(&held, &"authz 0", said, self.now, self.now);
    }

    fn revoke(&mut self, target: Target, answer: Option<Acknowledged>) {
        let revocation = self.model.revoke(target, self.now);
        self.model.revoked(&revocation, answer, self.now);
    }

    fn refresh(&mut self, answer: Result<Tokens, Failure>) {
        let refreshing = self.model.refresh(self.session, self.now).unwrap();
        self.model.refreshed(&refreshing, answer, self.now);
    }

    fn verdicts(&self) -> Vec<Kind> {
        self.model.verdicts().iter().map(|verdict| verdict.kind).collect()
    }
}

fn tokens(name: &str) -> Tokens {
    let (access_token, refresh_token) = (format!("access {name}"), format!("refresh {name}"));
    Tokens { access_token, refresh_token, expires_in: 3600, scope: None }
}

fn answered(status: StatusCode) -> Failure {
    let answer = Box::new(Answer { status, headers: HeaderMap::new(), body: String::new() });
    Failure::Answered { url: "/token".to_owned(), answer }
}

const REFUSED: StatusCode = StatusCode::BAD_REQUEST;
const OUTAGE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

#[test]
fn a_token_that_nobody_has_revoked_may_be_undecided_but_not_refused() {
    let mut story = Story::begin();
    story.hears(Said::Allowed);
    story.hears(Said::from(OUTAGE));
    assert_eq!(story.verdicts(), []);
    story.hears(Said::from(StatusCode::UNAUTHORIZED));
    story.hears(Said::from(StatusCode::FORBIDDEN));
    assert_eq!(story.verdicts(), [Kind::Lost, Kind::Lost]);
    let account = story.model.verdicts()[0].to_string();
    assert!(account.contains("client client") && account.contains("logged in"), "{account}");
    assert!(!account.contains("access 1"), "{account}");
}

#[test]
fn an_expired_token_may_be_refused() {
    let mut story = Story::begin();
    story.later(3600);
    story.hears(Said::Refused);
    assert_eq!(story.verdicts(), []);
}

#[test]
fn after_an_effective_revocation_nothing_is_allowed() {
    let mut story = Story::begin();
    story.revoke(Target::Session(story.session), Some(Acknowledged::Effective));
    story.hears(Said::Refused);
    assert_eq!(story.verdicts(), []);
    story.hears(Said::Allowed);
    assert_eq!(story.verdicts(), [Kind::Resurrected]);
}

#[test]
fn what_was_asked_before_the_answer_may_be_allowed_after_it() {
    let mut story = Story::begin();
    let (held, began) = (story.model.held(story.session).remove(0), story.now);
    story.later(1);
    story.revoke(Target::Session(story.session), Some(Acknowledged::Effective));
    story.model.said(&held, &"authz 0", Said::Allowed, began, story.now);
    assert_eq!(story.verdicts(), []);
}

#[test]
fn a_durable_revocation_has_until_it_reaches_a_cut_off_instance() {
    let mut story = Story::begin();
    story.revoke(Target::Session(story.session), Some(Acknowledged::Durable));
    story.later(4);
    story.hears(Said::Allowed);
    assert_eq!(story.verdicts(), []);
    story.later(1);
    story.hears(Said::Allowed);
    assert_eq!(story.verdicts(), [Kind::Resurrected]);
}

#[test]
fn once_everything_is_settled_a_durable_revocation_is_effective() {
    let mut story = Story::begin();
    story.revoke(Target::Session(story.session), Some(Acknowledged::Durable));
    story.model.settled(story.now);
    story.hears(Said::Allowed);
    assert_eq!(story.verdicts(), [Kind::Resurrected]);
}

#[test]
fn a_revocation_without_an_answer_is_open_until_one_comes() {
    let mut story = Story::begin();
    story.revoke(Target::Session(story.session), None);
    story.later(100);
    story.hears(Said::Allowed);
    story.hears(Said::Refused);
    story.refresh(Err(answered(REFUSED)));
    assert_eq!((story.verdicts(), story.model.unsure()), (vec![], vec![story.session]));
    story.revoke(Target::Session(story.session), Some(Acknowledged::Effective));
    story.hears(Said::Allowed);
    assert_eq!((story.verdicts(), story.model.dead()), (vec![Kind::Resurrected], vec![story.session]));
}

#[test]
fn a_revoked_token_leaves_its_session_alive() {
    let mut story = Story::begin();
    let held = story.model.held(story.session).remove(0);
    let target = Target::Token(story.session, held.access_token.clone());
    story.revoke(target, Some(Acknowledged::Effective));
    assert!(story.model.is_dead(&held) && story.model.live() == [story.session]);
    story.hears(Said::Refused);
    story.refresh(Ok(tokens("2")));
    story.hears(Said::Allowed);
    assert_eq!(story.verdicts(), []);
    story.model.said(&held, &"authz 0", Said::Allowed, story.now, story.now);
    assert_eq!(story.verdicts(), [Kind::Resurrected]);
}

#[test]
fn a_refresh_without_an_answer_must_work_again_within_the_grace() {
    let mut story = Story::begin();
    story.refresh(Err(answered(OUTAGE)));
    story.later(59);
    assert_eq!(story.model.unanswered(), [story.session]);
    story.refresh(Err(answered(REFUSED)));
    assert_eq!(story.verdicts(), [Kind::Lost]);
}

#[test]
fn a_refresh_that_comes_again_too_late_may_end_the_session() {
    let mut story = Story::begin();
    story.refresh(Err(answered(OUTAGE)));
    story.later(61);
    story.refresh(Err(answered(REFUSED)));
    assert_eq!((story.verdicts(), story.model.unsure()), (vec![], vec![story.session]));
}

#[test]
fn a_refresh_that_works_after_a_revocation_is_a_resurrection_and_one_before_it_brings_dead_tokens() {
    let mut story = Story::begin();
    let refreshing = story.model.refresh(story.session, story.now).unwrap();
    assert!(story.model.refresh(story.session, story.now).is_none(), "twice at once");
    story.later(1);
    story.revoke(Target::Session(story.session), Some(Acknowledged::Effective));
    story.model.refreshed(&refreshing, Ok(tokens("2")), story.now);
    assert_eq!(story.verdicts(), []);
    story.hears(Said::Allowed);
    story.refresh(Ok(tokens("3")));
    assert_eq!(story.verdicts(), [Kind::Resurrected, Kind::Resurrected]);
}

#[test]
fn a_wide_revocation_hits_logins_before_it_and_none_after_it() {
    for target in [Target::Client("client".to_owned()), Target::User("ada")] {
        let mut story = Story::begin();
        story.later(1);
        story.revoke(target, Some(Acknowledged::Effective));
        assert_eq!(story.model.dead(), [story.session]);
        story.later(1);
        story.model.logged_in(Login::new(story.client.clone(), "ada", story.now), tokens("2"), story.now);
        assert_eq!(story.model.live().len(), 1);
    }
}

#[test]
fn a_login_beside_a_wide_revocation_may_be_hit_or_refused() {
    let mut story = Story::begin();
    let during = Login::new(story.client.clone(), "ada", story.now);
    story.later(1);
    story.revoke(Target::User("ada"), Some(Acknowledged::Effective));
    story.model.login_refused(&during, &answered(REFUSED), story.now);
    story.model.logged_in(during, tokens("2"), story.now);
    assert_eq!((story.verdicts(), story.model.unsure().len()), (vec![], 1));
    story.later(1);
    let after = Login::new(story.client.clone(), "ada", story.now);
    story.model.login_refused(&after, &answered(OUTAGE), story.now);
    story.model.login_refused(&after, &Failure::SentBack("server_error".to_owned()), story.now);
    assert_eq!(story.verdicts(), []);
    story.model.login_refused(&after, &Failure::SentBack("access_denied".to_owned()), story.now);
    assert_eq!(story.verdicts(), [Kind::Lost]);
    story.model.login_refused(&after, &answered(REFUSED), story.now);
    assert_eq!(story.verdicts(), [Kind::Lost, Kind::Lost]);
}

#[test]
fn the_latest_of_the_dead_are_remembered() {
    let mut story = Story::begin();
    story.revoke(Target::User("ada"), Some(Acknowledged::Durable));
    story.later(1);
    story.model.logged_in(Login::new(story.client.clone(), "ada", story.now), tokens("2"), story.now);
    story.revoke(Target::User("ada"), Some(Acknowledged::Durable));
    story.model.forget_dead(1);
    assert_eq!(story.model.dead().len(), 1);
    assert_ne!(story.model.dead(), [story.session]);
}

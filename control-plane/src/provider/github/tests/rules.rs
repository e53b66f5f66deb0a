//! What is found out about a user for the rules of a server.

use super::*;

const EMAILS: &str = "/api/v3/user/emails";

fn membership_in(name: &str) -> String {
    format!("/api/v3/user/memberships/orgs/{name}")
}

fn verified_email() -> Value {
    json!([{ "email": "octo@acme.example", "primary": true, "verified": true, "visibility": "private" }])
}

impl World {
    async fn exchange_asking(&self, questions: &Questions) -> Result<Identity, ProviderError> {
        let login = Login { questions, ..login() };
        self.github.exchange(&secret("code"), &login, NOW).await.map(|(identity, _)| identity)
    }

    async fn identify(&self, questions: &Questions) -> Result<Identity, ProviderError> {
        let tokens = self.refresh().await.unwrap();
        Ok(self.github.identify(&tokens, acting(), questions, NOW).await?.unwrap())
    }
}

#[tokio::test]
async fn only_the_scopes_are_added_that_the_questions_need() {
    let world = World::new(None).await;
    for (questions, scope) in [
        (Questions::default(), "repo"),
        (questions(&[], &[]), "repo user:email"),
        (questions(&[], &["acme"]), "repo user:email read:org"),
    ] {
        let login = Login { questions: &questions, ..login() };
        assert_eq!(query(&world.github.authorization_url(&login).await.unwrap())["scope"], scope);
    }
}

#[tokio::test]
async fn the_organizations_asked_about_are_those_of_active_members() {
    let world = World::new(None).await;
    world.fake.reply(EMAILS, verified_email());
    world.fake.reply(&membership_in("acme"), json!({ "state": "active" }));
    world.fake.reply(&membership_in("invited"), json!({ "state": "pending" }));
    world.fake.reply(&membership_in("closed"), Reply::error(403, json!({ "message": "s3cr3t" })));
    let questions = questions(&[], &["acme", "closed", "invited", "other"]);
    let expected =
        Facts { email_verified: true, organizations: ["acme".to_owned()].into(), ..Facts::default() };
    let identity = world.exchange_asking(&questions).await.unwrap();
    assert_eq!((identity.facts, identity.email.as_deref()), (expected.clone(), Some("octo@acme.example")));
    assert_eq!(world.identify(&questions).await.unwrap().facts, expected);

    // What is lost is missed after the next refresh.
    world.fake.reply(&membership_in("acme"), Reply::error(404, json!({ "message": "Not Found" })));
    assert!(world.identify(&questions).await.unwrap().facts.organizations.is_empty());
}

#[tokio::test]
async fn the_address_of_the_profile_is_not_verified_and_without_a_question_nobody_is_asked() {
    let world = World::new(None).await;
    let identity = world.exchange_asking(&Questions::default()).await.unwrap();
    assert_eq!((identity.email.as_deref(), identity.facts), (Some("octo@example.com"), Facts::default()));
    assert!(world.fake.requests(EMAILS).is_empty());
    for reply in [
        Reply::error(404, json!({})),
        json!([{ "email": "octo@acme.example", "primary": true, "verified": false }]).into(),
        json!([{ "email": "octo@acme.example", "primary": false, "verified": true }]).into(),
    ] {
        world.fake.reply(EMAILS, reply);
        let identity = world.exchange_asking(&questions(&[], &[])).await.unwrap();
        assert_eq!((identity.email.as_deref(), identity.facts), (Some("octo@example.com"), Facts::default()));
    }
    // A member of the profile that nobody at GitHub vouches for.
    let user = json!({ "id": 583_231, "email": "octo@example.com", "email_verified": true });
    world.fake.reply("/api/v3/user", user);
    assert!(!world.exchange_asking(&questions(&[], &[])).await.unwrap().facts.email_verified);
}

#[tokio::test]
async fn what_github_cannot_say_at_the_moment_is_no_no() {
    let questions = questions(&[], &["acme"]);
    let limited = |headers: fn(&mut Reply)| {
        let mut reply = Reply::error(403, json!({ "message": "API rate limit exceeded" }));
        headers(&mut reply);
        reply
    };
    for reply in [
        Reply::status(502, "s3cr3t"),
        Reply::status(429, "s3cr3t"),
        // What is wrong with the token says nothing of the user.
        Reply::status(401, "s3cr3t"),
        limited(|reply| reply.retry_after = Some("60")),
        limited(|reply| reply.rate_limit_remaining = Some("0")),
    ] {
        for path in [membership_in("acme"), EMAILS.to_owned(), "/api/v3/user".to_owned()] {
            let world = World::new(None).await;
            world.fake.reply(EMAILS, verified_email());
            world.fake.reply(&membership_in("acme"), json!({ "state": "active" }));
            world.fake.reply(&path, reply.clone());
            for error in [
                error_of(world.exchange_asking(&questions).await),
                error_of(world.identify(&questions).await),
            ] {
                assert!(!matches!(error, ProviderError::NotAllowed(_)), "{path}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn who_has_left_the_providers_own_organization_may_not_in_any_more() {
    let world = World::new(Some("acme")).await;
    world.fake.reply(MEMBERSHIP, json!({ "state": "active" }));
    world.identify(&Questions::default()).await.unwrap();
    world.fake.reply(MEMBERSHIP, Reply::error(404, json!({})));
    let error = error_of(world.identify(&Questions::default()).await);
    assert!(matches!(error, ProviderError::NotAllowed(_)), "{error}");
}

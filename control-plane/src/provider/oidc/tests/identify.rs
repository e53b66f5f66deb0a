//! What is found out about a user for the rules of a server, after a login and after a refresh.

use super::*;

fn refused(why: &str) -> ProviderError {
    ProviderError::IdToken(why.into())
}

impl World {
    /// Lets ID tokens say this too; `null` removes a claim.
    fn says(&self, changes: &Value) {
        let mut claims = self.claims();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.answer_with(&self.key.sign(&claims));
    }

    async fn exchange_asking(&self, questions: &Questions) -> Result<Identity, ProviderError> {
        let login = Login { questions, ..login() };
        self.oidc.exchange(&secret("code"), &login, NOW).await.map(|(identity, _)| identity)
    }

    async fn identify(&self, questions: &Questions) -> Result<Option<Identity>, ProviderError> {
        let tokens = self.refresh().await.unwrap();
        self.oidc.identify(&tokens, acting(), questions, NOW).await
    }

    /// What both say, which is the same.
    async fn facts(&self, questions: &Questions) -> Facts {
        let identity = self.exchange_asking(questions).await.unwrap();
        assert_eq!(self.identify(questions).await, Ok(Some(identity.clone())));
        identity.facts
    }
}

fn groups(names: &[&str]) -> Facts {
    let names = names.iter().map(ToString::to_string).collect();
    Facts { claims: [("groups".to_owned(), names)].into(), ..Facts::default() }
}

#[tokio::test]
async fn what_the_id_token_says_nobody_else_is_asked() {
    let world = World::new().await;
    world.says(&json!({ "email_verified": true, "groups": ["a", "b"], "name": "Jane" }));
    let facts = world.facts(&questions(&["groups"], &[])).await;
    assert_eq!(facts, Facts { email_verified: true, ..groups(&["a", "b"]) });
    assert!(world.fake.requests("/userinfo").is_empty());
    assert!(world.fake.requests("/jwks").len() == 1, "the key set is kept");
}

#[tokio::test]
async fn what_it_lacks_userinfo_says_and_what_it_says_stays() {
    let world = World::new().await;
    world.says(&json!({ "groups": ["a"] }));
    world.fake.reply(
        "/userinfo",
        json!({ "sub": "248289761001", "email": "jane@example.com", "email_verified": true, "groups": ["b"], "role": "admin" }),
    );
    let facts = world.facts(&questions(&["groups", "role"], &[])).await;
    let mut expected = Facts { email_verified: true, ..groups(&["a"]) };
    expected.claims.insert("role".into(), vec!["admin".into()]);
    assert_eq!(facts, expected);
    assert_eq!(world.fake.requests("/userinfo").len(), 2, "once each");
}

#[tokio::test]
async fn that_an_address_is_verified_is_said_of_that_address_only() {
    let world = World::new().await;
    let said = |email: &str, verified: Value| json!({ "sub": "248289761001", "email": email, "email_verified": verified });
    for (id_token, userinfo, email, verified) in [
        (json!({}), said("jane@example.com", json!(true)), "jane@example.com", true),
        (json!({}), said("other@example.com", json!(true)), "jane@example.com", false),
        (json!({ "email": null }), said("other@example.com", json!(true)), "other@example.com", true),
        (
            json!({ "email": null, "email_verified": true }),
            said("other@example.com", json!(false)),
            "other@example.com",
            false,
        ),
        (
            json!({ "email_verified": false }),
            said("jane@example.com", json!(true)),
            "jane@example.com",
            false,
        ),
    ] {
        world.says(&id_token);
        world.fake.reply("/userinfo", userinfo.clone());
        let identity = world.exchange_asking(&questions(&["x"], &[])).await.unwrap();
        let found = (identity.email.as_deref(), identity.facts.email_verified);
        assert_eq!(found, (Some(email), verified), "{id_token} {userinfo}");
    }
}

#[tokio::test]
async fn where_rules_ask_userinfo_must_answer_and_about_the_same_user() {
    let world = World::new().await;
    world.says(&json!({}));
    let groups = questions(&["groups"], &[]);
    for (reply, error) in [
        (Reply::status(502, "s3cr3t"), unreachable("userinfo: HTTP 502")),
        (Reply::status(401, "s3cr3t"), ProviderError::Refused("userinfo: HTTP 401".into())),
        (
            json!({ "sub": "another", "groups": ["a"] }).into(),
            ProviderError::Malformed("userinfo is about another user than the ID token".into()),
        ),
    ] {
        world.fake.reply("/userinfo", reply);
        assert_eq!(error_of(world.exchange_asking(&groups).await), error);
        assert_eq!(error_of(world.identify(&groups).await), error);
    }
}

#[tokio::test]
async fn the_id_token_of_a_refresh_is_verified_as_a_logins_but_for_the_nonce() {
    let world = World::new().await;
    let none = Questions::default();
    world.says(&json!({ "nonce": null }));
    assert_eq!(world.identify(&none).await.unwrap().unwrap().subject.as_str(), "248289761001");
    for (claim, value, why) in [
        ("iss", json!("https://evil.example"), "iss is another's"),
        ("aud", json!("another"), "aud is another's"),
        ("exp", json!(NOW.as_secs() - 60), "it has expired"),
        ("iat", json!(NOW.as_secs() + 61), "it is from the future"),
    ] {
        world.says(&json!({ claim: value }));
        assert_eq!(error_of(world.identify(&none).await), refused(why));
    }
    world.answer_with(&SigningKey::es256("2024").sign(&world.claims()));
    let forged = "its signature is wrong, or a claim is missing";
    assert_eq!(error_of(world.identify(&none).await), refused(forged));
    world.answer_with(&SigningKey::es256("2025").sign(&world.claims()));
    let unknown = "its key is not in the provider's key set";
    assert_eq!(error_of(world.identify(&none).await), refused(unknown));
    world.says(&json!({ "sub": "another" }));
    let another = world.identify(&none).await.unwrap().unwrap();
    assert_eq!(another.subject.as_str(), "another", "whoever asks compares");
}

#[tokio::test]
async fn without_an_id_token_userinfo_is_asked_and_without_that_nothing_is_known() {
    let world = World::new().await;
    world.fake.reply("/token", token_answer());
    let groups = questions(&["groups"], &[]);
    world.fake.reply(
        "/userinfo",
        json!({ "sub": "248289761001", "email": "jane@example.com", "email_verified": true, "groups": "a" }),
    );
    let identity = world.identify(&groups).await.unwrap().unwrap();
    assert_eq!(identity.subject.as_str(), "248289761001");
    assert_eq!(identity.facts, Facts { email_verified: true, ..super::identify::groups(&["a"]) });
    world.fake.reply("/userinfo", json!({ "sub": "" }));
    let error = error_of(world.identify(&groups).await);
    assert_eq!(error, ProviderError::Malformed("`sub` of userinfo is no identifier".into()));

    let silent = World::new().await;
    silent.fake.reply("/token", token_answer());
    silent.discover(&json!({ "userinfo_endpoint": null }));
    assert_eq!(silent.identify(&groups).await, Ok(None));
}

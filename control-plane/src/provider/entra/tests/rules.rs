//! What is found out about a user for the rules of a server.

use super::*;

impl World {
    /// What is known of a user with these claims, after a login and after a refresh: the same.
    async fn facts(&self, changes: Value) -> Facts {
        let mut claims = self.claims(ACME);
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let questions = questions(&["groups"], &[ACME]);
        self.exchange(&claims).await.unwrap();
        let login = Login { questions: &questions, ..login() };
        let (identity, _) = self.entra.exchange(&secret("code"), &login, NOW).await.unwrap();
        let tokens = self.entra.refresh(&secret("refresh"), acting(), NOW).await.unwrap();
        assert_eq!(self.entra.identify(&tokens, acting(), &questions, NOW).await, Ok(Some(identity.clone())));
        identity.facts
    }
}

#[tokio::test]
async fn an_address_is_verified_where_the_tenant_owns_its_domain_whatever_else_is_said() {
    let world = World::new(ACME, ACME).await;
    for (xms_edov, verified) in [
        (json!(true), true),
        (json!("true"), true),
        (json!(1), true),
        (json!("1"), true),
        (json!(false), false),
        (json!(0), false),
        (json!("0"), false),
        (json!(null), false),
        (json!([true]), false),
    ] {
        let facts = world.facts(json!({ "xms_edov": xms_edov, "email_verified": true })).await;
        assert_eq!(facts.email_verified, verified, "{xms_edov}");
    }
    assert!(!world.facts(json!({ "email_verified": true })).await.email_verified);
}

#[tokio::test]
async fn the_organization_is_the_tenant_and_groups_are_a_claim() {
    let world = World::new(ACME, ACME).await;
    let facts = world.facts(json!({ "groups": [OTHER] })).await;
    assert_eq!(facts.organizations, [ACME.to_owned()].into());
    assert_eq!(facts.claims, [("groups".to_owned(), vec![OTHER.to_owned()])].into());
}

#[tokio::test]
async fn groups_that_are_too_many_for_the_token_are_not_known() {
    let world = World::new(ACME, ACME).await;
    let facts = world
        .facts(json!({
            "_claim_names": { "groups": "src1" },
            "_claim_sources": { "src1": { "endpoint": format!("{}/graph", world.fake.issuer) } },
        }))
        .await;
    assert!(facts.claims.is_empty());
    assert!(world.fake.requests("/graph").is_empty());
}

#[tokio::test]
async fn a_refresh_without_an_id_token_says_nothing_of_the_user() {
    let world = World::new(ACME, ACME).await;
    world.fake.reply("/token", token_answer());
    let tokens = world.entra.refresh(&secret("refresh"), acting(), NOW).await.unwrap();
    assert_eq!(world.entra.identify(&tokens, acting(), &questions(&[], &[]), NOW).await, Ok(None));
    assert!(world.fake.requests("/userinfo").is_empty());
}

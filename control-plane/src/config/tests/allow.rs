//! `servers.NAME.allow`.

use super::*;
use crate::oauth::admission::{Facts, admit};
use crate::provider::Identity;
use portcullis_proto::ids::Subject;

/// The good file with a provider of this kind, and these rules on its server.
fn with(kind: &str, rules: &str) -> Result<Rules, String> {
    let (start, end) = (GOOD.find("    kind: oidc").unwrap(), GOOD.find("servers:").unwrap());
    let provider = "client_id: portcullis\n    client_secret: { env: CORP }";
    let text = format!("{}    {kind}\n    {provider}\n{}", &GOOD[..start], &GOOD[end..]);
    let text = text.replace("required_scopes: [email]", &format!("allow: {rules}"));
    match read(&text) {
        Ok(mut config) => Ok(config.servers.remove(&ServerName::new("demo")).unwrap().allow.unwrap()),
        Err(problems) => Err(problems.to_string()),
    }
}

/// What is wrong with these rules: always said of this place.
#[track_caller]
fn assert_wrong(kind: &str, rules: &str, place: &str, said: &str) {
    let line = 13 + kind.matches('\n').count();
    assert_eq!(
        with(kind, rules).map(|_| ()),
        Err(format!("p:{line}: servers.demo.{place}: {said}")),
        "{rules}"
    );
}

const OIDC: &str = "kind: oidc\n    issuer: https://idp.example.com";
const GITHUB: &str = "kind: github";
const GOOGLE: &str = "kind: google";
const ENTRA: &str = "kind: entra\n    tenant: organizations";
const WORKOS: &str = "kind: workos";
const OAUTH2: &str = "kind: oauth2\n    authorization_endpoint: https://a.example\n    token_endpoint: https://a.example\n    userinfo: { url: https://a.example }";

#[test]
fn without_the_key_everybody_may_in() {
    let config = read(GOOD).unwrap();
    let server = &config.servers[&ServerName::new("demo")];
    assert!(server.allow.is_none());
    assert_eq!(*server.questions(), NO_QUESTIONS);
}

#[test]
fn any_rule_and_of_a_rule_every_key() {
    let rules =
        with(OIDC, "[{ subject: root }, { email_domain: Example.COM, claim: groups, value: mcp-users }]")
            .unwrap();
    assert!(rules.questions().email && rules.questions().claims.contains("groups"));
    let who = |subject: &str, groups: &[&str]| Identity {
        subject: Subject::new(subject),
        email: Some("jane@example.com".into()),
        facts: Facts {
            email_verified: true,
            claims: [("groups".to_owned(), groups.iter().map(ToString::to_string).collect())].into(),
            ..Facts::default()
        },
    };
    assert!(admit(Some(&rules), who("root", &[])).is_ok());
    assert!(admit(Some(&rules), who("jane", &["mcp-users"])).is_ok());
    assert!(admit(Some(&rules), who("jane", &["others"])).is_err());
}

#[test]
fn what_an_organization_is_depends_on_the_kind() {
    let tenant = "8EAEF023-2b34-4da1-9baa-8bc8c9d6a490";
    for (kind, organization, known_as) in [
        (GITHUB, "Acme-Corp", "acme-corp"),
        (GOOGLE, "Example.com", "example.com"),
        (ENTRA, tenant, &tenant.to_lowercase()),
        (WORKOS, "org_01EHZNVPK3SFK441A1RGBFSHRT", "org_01EHZNVPK3SFK441A1RGBFSHRT"),
    ] {
        let rules = with(kind, &format!("[{{ organization: {organization} }}]")).unwrap();
        assert_eq!(rules.questions().organizations, [known_as.to_owned()].into(), "{kind}");
    }
    for (kind, organization, said) in [
        (GITHUB, "acme/..", "must be the organization's name in its URL: letters, digits and hyphens"),
        (GOOGLE, "acme", "must be a domain such as `example.com`"),
        (
            ENTRA,
            "acme.example",
            "must be a tenant's identifier, such as `72f988bf-86f1-41af-91ab-2d7cd011db47`",
        ),
        (
            OIDC,
            "acme",
            "OpenID Connect has no organizations: use `claim` with the claim that your provider has for them, such as `org_id`",
        ),
        (
            OAUTH2,
            "acme",
            "userinfo has no organizations: use `claim` with the member that yours has for them",
        ),
    ] {
        let rules = format!("[{{ organization: {organization} }}]");
        assert_wrong(kind, &rules, "allow[0].organization", said);
    }
}

#[test]
fn rules_that_say_nothing_are_refused() {
    let none = "must have at least one rule; without `allow` everybody may in who can log in";
    assert_wrong(OIDC, "[]", "allow", none);
    assert_wrong(OIDC, "[{}]", "allow[0]", "must demand something: everybody would fulfil an empty rule");
    assert_wrong(OIDC, "{ subject: a }", "allow", "must be a list, not a section");
    assert_wrong(OIDC, "[jane]", "allow[0]", "must be a section, not text");
    assert_wrong(OIDC, "[{ subject: '' }]", "allow[0].subject", "must not be empty");
}

#[test]
fn claims_have_a_value_and_are_about_the_user() {
    assert_wrong(OIDC, "[{ claim: groups }]", "allow[0]", "`claim` needs `value`: what it must be");
    assert_wrong(OIDC, "[{ subject: a, value: b }]", "allow[0]", "`value` needs `claim`: what must be so");
    let quotes = "must be text, not true or false: put it in quotes";
    assert_wrong(OIDC, "[{ claim: staff, value: true }]", "allow[0].value", quotes);
    for (claim, why) in [
        ("email", "anybody may have entered it: use `email_domain`, or `subject`"),
        ("sub", "use `subject`"),
        ("aud", "it is about the token"),
    ] {
        let said = format!("`{claim}` is no claim to go by: {why}");
        assert_wrong(OIDC, &format!("[{{ claim: {claim}, value: a }}]"), "allow[0].claim", &said);
    }
    let none = "GitHub has no claims: use `organization`, `subject`, or `email_domain`";
    assert_wrong(GITHUB, "[{ claim: company, value: acme }]", "allow[0].claim", none);
    for kind in [GOOGLE, OAUTH2] {
        with(kind, "[{ claim: groups, value: a }]").unwrap();
    }
    for kind in [ENTRA, WORKOS] {
        with(kind, "[{ claim: groups, value: a, subject: b }]").unwrap();
    }
}

#[test]
fn single_values_have_their_form() {
    for domain in ["example", "'@example.com'", "'*.example.com'", "jane@example.com"] {
        let rules = format!("[{{ email_domain: {domain} }}]");
        assert_wrong(OIDC, &rules, "allow[0].email_domain", "must be a domain such as `example.com`");
    }
    let said = "must be the provider's identifier: 1 to 255 printable ASCII characters";
    assert_wrong(OIDC, "[{ subject: jané }]", "allow[0].subject", said);
    let said = "unknown key; known: email_domain, subject, claim, value, organization";
    assert_wrong(OIDC, "[{ subject: a, colour: red }]", "allow[0].colour", said);
    let said = "unknown key; did you mean `email_domain`?";
    assert_wrong(OIDC, "[{ subject: a, email-domain: a.b }]", "allow[0].email-domain", said);
}

#[test]
fn github_is_asked_about_so_many_organizations_and_no_more() {
    let rules = |count: usize| {
        let rules: Vec<_> = (0..count).map(|number| format!("{{ organization: org-{number} }}")).collect();
        format!("[{}]", rules.join(", "))
    };
    with(GITHUB, &rules(10)).unwrap();
    let said = "has 11 organizations; GitHub is asked about 10 at most";
    assert_wrong(GITHUB, &rules(11), "allow", said);
    with(WORKOS, &rules(11)).unwrap();
}

#[test]
fn a_provider_that_is_wrong_itself_does_not_hide_what_is_wrong_with_the_rules() {
    let said = with("kind: gitlab", "[{ claim: groups }]").unwrap_err();
    assert!(said.contains("there is no kind \"gitlab\"") && said.contains("`claim` needs `value`"), "{said}");
}

#[test]
fn a_claim_that_any_tenants_administrators_can_give_is_not_enough() {
    let said = "`claim` alone is not enough: users of any tenant may log in, and each decides about its own users' claims. \
                Add `organization`, or let only some in at the provider";
    for kind in [ENTRA, WORKOS] {
        assert_wrong(kind, "[{ claim: roles, value: mcp-users }]", "allow[0]", said);
    }
    let tenant = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
    let of_one = format!("[{{ claim: roles, value: mcp-users, organization: {tenant} }}]");
    assert!(with(ENTRA, &of_one).is_ok());
    assert!(with("kind: entra\n    tenant: acme.example", "[{ claim: roles, value: mcp-users }]").is_ok());
    let some = format!("{ENTRA}\n    allowed_tenants: [{tenant}]");
    assert!(with(&some, "[{ claim: roles, value: mcp-users }]").is_ok());
}

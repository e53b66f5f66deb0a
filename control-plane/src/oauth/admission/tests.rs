use proptest::prelude::*;

use super::*;

/// A user of whom everything is known.
fn jane() -> Identity {
    Identity {
        subject: Subject::new("jane"),
        email: Some("jane@example.com".into()),
        facts: Facts {
            email_verified: true,
            claims: [("groups".to_owned(), vec!["staff".to_owned(), "mcp-users".to_owned()])].into(),
            organizations: ["acme".to_owned()].into(),
        },
    }
}

fn domain(name: &str) -> Condition {
    Condition::EmailDomain(name.into())
}

fn subject(name: &str) -> Condition {
    Condition::Subject(Subject::new(name))
}

fn claim(name: &str, value: &str) -> Condition {
    Condition::Claim { name: name.into(), value: value.into() }
}

fn organization(name: &str) -> Condition {
    Condition::Organization(name.into())
}

fn rules(rules: &[&[Condition]]) -> Rules {
    Rules::new(rules.iter().map(|conditions| Rule::new(conditions.to_vec()).unwrap()).collect()).unwrap()
}

fn may_in(rules: &Rules, identity: Identity) -> bool {
    admit(Some(rules), identity).is_ok()
}

#[test]
fn without_rules_everybody_may_in_and_an_empty_list_is_none() {
    let nobody = Identity { email: None, facts: Facts::default(), ..jane() };
    assert_eq!(admit(None, nobody.clone()).unwrap().into_identity(), nobody);
    assert!(Rules::new(Vec::new()).is_none() && Rule::new(Vec::new()).is_none());
}

#[test]
fn each_condition_holds_for_what_it_names_and_for_nothing_else() {
    for (right, wrong) in [
        (domain("example.com"), domain("example.org")),
        (subject("jane"), subject("Jane")),
        (claim("groups", "mcp-users"), claim("groups", "mcp")),
        (claim("groups", "staff"), claim("roles", "staff")),
        (organization("acme"), organization("acm")),
    ] {
        assert!(may_in(&rules(&[&[right]]), jane()));
        assert_eq!(admit(Some(&rules(&[&[wrong]])), jane()).unwrap_err(), Refused);
    }
}

#[test]
fn any_rule_lets_in_and_within_a_rule_everything_must_hold() {
    let (yes, no) = (subject("jane"), organization("other"));
    let (yes, no) = (&[yes][..], &[no][..]);
    assert!(may_in(&rules(&[no, yes]), jane()));
    assert!(!may_in(&rules(&[&[yes, no].concat()]), jane()));
    assert!(may_in(&rules(&[&[subject("jane"), domain("example.com"), organization("acme")]]), jane()));
    assert!(!may_in(&rules(&[no, &[yes, no].concat()]), jane()));
}

#[test]
fn an_email_counts_only_where_it_is_verified_and_in_the_very_domain() {
    let rules = rules(&[&[domain("example.com")]]);
    let with = |email: &str| Identity { email: Some(email.into()), ..jane() };
    for good in ["jane@EXAMPLE.com", "\"a@b\"@example.com", "jane+tag@example.com"] {
        assert!(may_in(&rules, with(good)), "{good}");
    }
    for bad in [
        "jane@sub.example.com",
        "jane@notexample.com",
        "jane@example.com.evil.example",
        "jane@example.com@evil.example",
        "jane@example.com.",
        "jane@example.com ",
        "jane@xn--example.com",
        "@example.com",
        "example.com",
        "",
    ] {
        assert!(!may_in(&rules, with(bad)), "{bad}");
    }
    let mut unverified = jane();
    unverified.facts.email_verified = false;
    assert!(!may_in(&rules, unverified));
    assert!(!may_in(&rules, Identity { email: None, ..jane() }));
}

#[test]
fn what_is_not_known_is_not_so() {
    let nothing = Identity { email: None, facts: Facts::default(), ..jane() };
    for condition in
        [domain("example.com"), claim("groups", ""), claim("groups", "staff"), organization("acme")]
    {
        assert!(!may_in(&rules(&[&[condition]]), nothing.clone()));
    }
    let mut groupless = jane();
    groupless.facts.claims.insert("groups".into(), Vec::new());
    assert!(!may_in(&rules(&[&[claim("groups", "")]]), groupless));
}

#[test]
fn the_questions_are_those_of_all_rules_and_no_others() {
    assert_eq!(*rules(&[&[subject("jane")]]).questions(), NO_QUESTIONS);
    let rules = rules(&[
        &[claim("groups", "a"), organization("acme")],
        &[claim("groups", "b"), claim("role", "admin")],
        &[domain("example.com")],
    ]);
    let texts = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let expected =
        Questions { email: true, claims: texts(&["groups", "role"]), organizations: texts(&["acme"]) };
    assert_eq!(*rules.questions(), expected);
}

// === any rules, any user ===

fn condition() -> impl Strategy<Value = Condition> {
    let name = || prop::sample::select(vec!["a", "b", "c"]);
    prop_oneof![
        name().prop_map(|name| domain(&format!("{name}.example"))),
        name().prop_map(subject),
        (name(), name()).prop_map(|(name, value)| claim(name, value)),
        name().prop_map(organization),
    ]
}

fn some_rules() -> impl Strategy<Value = Vec<Vec<Condition>>> {
    prop::collection::vec(prop::collection::vec(condition(), 1..4), 1..4)
}

prop_compose! {
    fn identity()(
        subject in "[abc]",
        email in prop::option::of("[abc]@[abc]\\.example"),
        email_verified in any::<bool>(),
        claims in prop::collection::btree_map("[abc]", prop::collection::vec("[abc]", 0..3), 0..3),
        organizations in prop::collection::btree_set("[abc]", 0..3),
    ) -> Identity {
        let facts = Facts { email_verified, claims, organizations };
        Identity { subject: Subject::new(subject), email, facts }
    }
}

proptest! {
    #[test]
    fn a_further_rule_turns_nobody_away_and_a_further_condition_lets_nobody_in(
        mut some in some_rules(),
        more in condition(),
        identity in identity(),
    ) {
        let build = |some: &[Vec<Condition>]| {
            rules(&some.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        let before = may_in(&build(&some), identity.clone());
        let mut longer = some.clone();
        longer.push(vec![more.clone()]);
        prop_assert!(!before || may_in(&build(&longer), identity.clone()));
        for rule in &mut some {
            rule.push(more.clone());
        }
        prop_assert!(before || !may_in(&build(&some), identity));
    }

    #[test]
    fn whoever_is_let_in_is_let_in_by_what_was_asked_about(some in some_rules(), identity in identity()) {
        let rules = rules(&some.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let Questions { email, claims, organizations } = rules.questions();
        let mut asked = identity.clone();
        asked.facts.claims.retain(|name, _| claims.contains(name));
        asked.facts.organizations.retain(|name| organizations.contains(name));
        if !email {
            asked.email = None;
        }
        prop_assert_eq!(may_in(&rules, asked), may_in(&rules, identity));
    }

    #[test]
    fn an_address_in_a_domain_ends_in_it(email in "[a-c@.]{0,12}", domain in "[a-c]{1,3}\\.[a-c]") {
        let inside = is_in_domain(&email, &domain);
        prop_assert!(!inside || email.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('@')));
    }
}

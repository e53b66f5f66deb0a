//! `allow` of a server: who may in. What can be asked for depends on what its provider can tell of a user.

use super::item::Item;
use super::problems::Reported;
use super::section::Section;
use super::{providers, values};
use crate::oauth::admission::{Condition, Rule, Rules};
use crate::provider::Settings;

/// GitHub is asked about one organization at a time, at each login and each refresh.
const MAX_ORGANIZATIONS: usize = 10;

/// Claims about the token, or that another key is for. None of them says anything of what a user may do.
const OTHER_CLAIMS: [(&str, &str); 16] = [
    ("aud", "it is about the token"),
    ("azp", "it is about the token"),
    ("email", "anybody may have entered it: use `email_domain`, or `subject`"),
    ("email_verified", "it goes without saying with `email_domain`"),
    ("exp", "it is about the token"),
    ("iat", "it is about the token"),
    ("iss", "it is about the token"),
    ("name", "users may change it: use `subject`"),
    ("nbf", "it is about the token"),
    ("nickname", "users may change it: use `subject`"),
    ("nonce", "it is about the token"),
    ("preferred_username", "users may change it: use `subject`"),
    ("sub", "use `subject`"),
    ("unique_name", "users may change it: use `subject`"),
    ("upn", "users may change it: use `subject`"),
    ("_claim_names", "it names other claims"),
];

/// Reads the list. `provider` is the server's, where it could be read.
pub(super) fn read(item: Item<'_>, provider: Option<&Settings>) -> Result<Rules, Reported> {
    let (context, place) = (item.context, item.place.clone());
    let rules = item.list(|item| rule(item, provider))?;
    let Some(rules) = Rules::new(rules) else {
        let text = "must have at least one rule; without `allow` everybody may in who can log in";
        return Err(context.notes.add(&place, text));
    };
    let asked = rules.questions().organizations.len();
    if matches!(provider, Some(Settings::GitHub(_))) && asked > MAX_ORGANIZATIONS {
        let text = format!("has {asked} organizations; GitHub is asked about {MAX_ORGANIZATIONS} at most");
        return Err(context.notes.add(&place, text));
    }
    Ok(rules)
}

fn rule(item: Item<'_>, provider: Option<&Settings>) -> Result<Rule, Reported> {
    let mut section = item.section()?;
    let email_domain = section.optional("email_domain", |item| item.parse(values::domain));
    let subject = section.optional("subject", |item| item.parse(values::subject));
    let claim = claim(&mut section, provider);
    let organization =
        section.optional("organization", |item| item.parse(|text| organization(text, provider)));
    let conditions = [
        email_domain?.map(Condition::EmailDomain),
        subject?.map(Condition::Subject),
        claim?,
        organization?.map(Condition::Organization),
    ];
    let conditions: Vec<_> = conditions.into_iter().flatten().collect();
    if provider.is_some_and(Settings::is_of_several)
        && conditions.iter().all(is_claim)
        && !conditions.is_empty()
    {
        let text = "`claim` alone is not enough: users of any tenant may log in, and each decides about its own users' \
                    claims. Add `organization`, or let only some in at the provider";
        return Err(section.wrong(text));
    }
    let rule = Rule::new(conditions);
    rule.ok_or_else(|| section.wrong("must demand something: everybody would fulfil an empty rule"))
}

fn is_claim(condition: &Condition) -> bool {
    matches!(condition, Condition::Claim { .. })
}

/// `claim` and `value`.
fn claim(section: &mut Section<'_>, provider: Option<&Settings>) -> Result<Option<Condition>, Reported> {
    let name = section.optional("claim", |item| item.parse(|name| claim_name(name, provider)));
    let value = section.optional("value", Item::text);
    match (name?, value?) {
        (Some(name), Some(value)) => Ok(Some(Condition::Claim { name, value })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(section.wrong("`claim` needs `value`: what it must be")),
        (None, Some(_)) => Err(section.wrong("`value` needs `claim`: what must be so")),
    }
}

fn claim_name(name: &str, provider: Option<&Settings>) -> Result<String, String> {
    if matches!(provider, Some(Settings::GitHub(_))) {
        return Err("GitHub has no claims: use `organization`, `subject`, or `email_domain`".to_owned());
    }
    match OTHER_CLAIMS.into_iter().find(|(other, _)| *other == name) {
        Some((_, why)) => Err(format!("`{name}` is no claim to go by: {why}")),
        None => Ok(name.to_owned()),
    }
}

/// What the kind of provider calls an organization, as its code writes it.
fn organization(text: &str, provider: Option<&Settings>) -> Result<String, String> {
    match provider {
        Some(Settings::GitHub(_)) => values::github_organization(text).map(|name| name.to_ascii_lowercase()),
        Some(Settings::Google(_)) => values::domain(text),
        Some(Settings::Entra(_)) => providers::tenant_id(text),
        Some(Settings::WorkOs(_)) | None => Ok(text.to_owned()),
        Some(Settings::Oidc(_)) => {
            Err("OpenID Connect has no organizations: use `claim` with the claim that your \
                                        provider has for them, such as `org_id`"
                .to_owned())
        }
        Some(Settings::OAuth2(_)) => {
            Err("userinfo has no organizations: use `claim` with the member that yours has for \
                                          them"
                .to_owned())
        }
    }
}

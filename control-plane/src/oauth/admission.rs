//! Who may in at a server: rules about what its provider says of a user.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_proto::ids::Subject;
use thiserror::Error;

use crate::provider::Identity;

/// What is asked about a user where there are no rules.
pub static NO_QUESTIONS: Questions =
    Questions { email: false, claims: BTreeSet::new(), organizations: BTreeSet::new() };

/// `servers.NAME.allow`. Whoever fulfils any of the rules may in; there is at least one.
#[derive(Clone, Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    questions: Questions,
}

/// Fulfilled where all of its conditions are; there is at least one.
#[derive(Clone, Debug)]
pub struct Rule(Vec<Condition>);

/// What must be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `email_domain`: the e-mail address is in this very domain, and the provider has verified it.
    EmailDomain(String),
    /// `subject`: this is the user.
    Subject(Subject),
    /// `claim` and `value`: the claim is this value, or a list that has it.
    Claim {
        /// The claim's name.
        name: String,
        /// The value.
        value: String,
    },
    /// `organization`: the user belongs to it, in the way that the kind of provider has. Written as the provider's
    /// code writes it in [`Facts::organizations`].
    Organization(String),
}

/// What rules ask about a user. A provider finds out this, and no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// Which e-mail address the user has, and whether it is verified.
    pub email: bool,
    /// What these claims are.
    pub claims: BTreeSet<String>,
    /// Which of these organizations the user belongs to.
    pub organizations: BTreeSet<String>,
}

/// The answers, as far as the provider gives them: what is not here is not so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether the provider vouches for the e-mail address.
    pub email_verified: bool,
    /// Of the claims that were asked about those that there are, each as the list of its values.
    pub claims: BTreeMap<String, Vec<String>>,
    /// The organizations that the user belongs to.
    pub organizations: BTreeSet<String>,
}

/// A user who may in. Only [`admit`] makes it.
#[derive(Debug)]
pub struct Admitted(Identity);

/// The user may not in.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("no rule of the server lets the user in")]
pub struct Refused;

/// Whether the user may in. Without rules everybody may whom the provider knows.
pub fn admit(allow: Option<&Rules>, identity: Identity) -> Result<Admitted, Refused> {
    match allow {
        Some(rules) if !rules.let_in(&identity) => Err(Refused),
        Some(_) | None => Ok(Admitted(identity)),
    }
}

// === impl Rules ===

impl Rules {
    /// `None` where there are none: that is not the same as to let everybody in.
    pub fn new(rules: Vec<Rule>) -> Option<Self> {
        let mut questions = Questions::default();
        for condition in rules.iter().flat_map(|rule| &rule.0) {
            match condition {
                Condition::EmailDomain(_) => questions.email = true,
                Condition::Subject(_) => {}
                Condition::Claim { name, .. } => _ = questions.claims.insert(name.clone()),
                Condition::Organization(name) => _ = questions.organizations.insert(name.clone()),
            }
        }
        (!rules.is_empty()).then_some(Self { rules, questions })
    }

    /// What they ask about a user.
    pub const fn questions(&self) -> &Questions {
        &self.questions
    }

    fn let_in(&self, identity: &Identity) -> bool {
        self.rules.iter().any(|rule| rule.0.iter().all(|condition| condition.holds(identity)))
    }
}

// === impl Rule ===

impl Rule {
    /// `None` where nothing is demanded: everybody would fulfil that.
    pub fn new(conditions: Vec<Condition>) -> Option<Self> {
        (!conditions.is_empty()).then_some(Self(conditions))
    }
}

// === impl Condition ===

impl Condition {
    fn holds(&self, identity: &Identity) -> bool {
        let Identity { subject, email, facts } = identity;
        match self {
            Self::EmailDomain(domain) => {
                facts.email_verified && email.as_ref().is_some_and(|email| is_in_domain(email, domain))
            }
            Self::Subject(wanted) => subject == wanted,
            Self::Claim { name, value } => {
                facts.claims.get(name).is_some_and(|values| values.contains(value))
            }
            Self::Organization(name) => facts.organizations.contains(name),
        }
    }
}

/// What is behind the last `@`: the part before it may have some too (RFC 5321 section 4.1.2). A domain within the
/// domain is another's.
fn is_in_domain(email: &str, domain: &str) -> bool {
    email.rsplit_once('@').is_some_and(|(local, of)| !local.is_empty() && of.eq_ignore_ascii_case(domain))
}

// === impl Admitted ===

impl Admitted {
    /// Who it is.
    pub fn into_identity(self) -> Identity {
        self.0
    }
}

#[cfg(test)]
mod tests;

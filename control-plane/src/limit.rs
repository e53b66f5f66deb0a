//! What a request may run into, by the names that the metric `limits_reached` and docs/CONFIGURATION.md give them. How much
//! each is stands where it is enforced.

/// A limit that a request has reached. In a response's extensions it says why the response is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// The time that a request's head may take.
    Head,
    /// Connections.
    Connections,
    /// A body's length.
    Body,
    /// The length of a request's path and query.
    Uri,
    /// How many parameters a query or form has.
    Parameters,
    /// The length of `state`.
    State,
    /// How many redirect URIs a client has, and how long they are.
    RedirectUris,
    /// How many keys a client has, and how long they are.
    Jwks,
    /// `limits.unused_clients`.
    UnusedClients,
    /// `limits.provider_clients`.
    ProviderClients,
    /// Logins under way: `limits.pending`.
    Pending,
    /// Logins under way in one browser.
    PendingInBrowser,
    /// Logins that wait for a token of the user's own: `limits.pending`.
    Enrolments,
    /// The same of one user.
    EnrolmentsOfUser,
    /// Sessions on the account page: `limits.pending`.
    Sessions,
    /// The same of one user.
    SessionsOfUser,
}

// === impl Limit ===

impl Limit {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Head,
        Self::Connections,
        Self::Body,
        Self::Uri,
        Self::Parameters,
        Self::State,
        Self::RedirectUris,
        Self::Jwks,
        Self::UnusedClients,
        Self::ProviderClients,
        Self::Pending,
        Self::PendingInBrowser,
        Self::Enrolments,
        Self::EnrolmentsOfUser,
        Self::Sessions,
        Self::SessionsOfUser,
    ];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Connections => "connections",
            Self::Body => "body",
            Self::Uri => "uri",
            Self::Parameters => "parameters",
            Self::State => "state",
            Self::RedirectUris => "redirect_uris",
            Self::Jwks => "jwks",
            Self::UnusedClients => "unused_clients",
            Self::ProviderClients => "provider_clients",
            Self::Pending => "pending",
            Self::PendingInBrowser => "pending_in_browser",
            Self::Enrolments => "enrolments",
            Self::EnrolmentsOfUser => "enrolments_of_user",
            Self::Sessions => "sessions",
            Self::SessionsOfUser => "sessions_of_user",
        }
    }

    /// Whether it is the browser's or user's own, and not one of all of them together.
    pub const fn is_own(self) -> bool {
        matches!(self, Self::PendingInBrowser | Self::EnrolmentsOfUser | Self::SessionsOfUser)
    }

    /// What has been reached, in a few words.
    pub const fn reached(self) -> &'static str {
        match self {
            Self::Head => "the request did not come in time",
            Self::Connections => "too many connections are open",
            Self::Body => "the body is too long",
            Self::Uri => "the URI is too long",
            Self::Parameters => "there are too many parameters",
            Self::State => "state is too long",
            Self::RedirectUris => "there are too many redirect URIs",
            Self::Jwks => "there are too many keys",
            Self::UnusedClients => "too many clients have registered lately",
            Self::ProviderClients => "too many clients are registered at the login service",
            Self::Pending => "too many logins are under way",
            Self::PendingInBrowser => "too many logins are under way in this browser",
            Self::Enrolments => "too many logins wait for a token",
            Self::EnrolmentsOfUser => "too many logins of this user wait for a token",
            Self::Sessions => "too many sessions are open",
            Self::SessionsOfUser => "too many sessions of this user are open",
        }
    }

    /// What somebody who sees a page can do about it, in a sentence.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::PendingInBrowser => "Finish one of them, or wait until they are over.",
            Self::EnrolmentsOfUser => "Finish one of them, or go back and try again in ten minutes.",
            Self::SessionsOfUser => "Log out elsewhere, or try again in a quarter of an hour.",
            _ => "Go back and try again in a minute.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_have_one_name() {
        let mut names = Limit::ALL.map(Limit::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Limit::ALL.len());
    }
}

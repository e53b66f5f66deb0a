//! The people who can log in.

pub(super) struct User {
    /// `sub`, and what the login page sends.
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) email: &'static str,
    /// `groups`, until somebody changes them.
    pub(super) groups: &'static [&'static str],
}

pub(super) const USERS: [User; 3] = [
    User { id: "ada", name: "Ada Lovelace", email: "ada@example.com", groups: &["mcp-users", "admins"] },
    User { id: "grace", name: "Grace Hopper", email: "grace@example.com", groups: &["mcp-users"] },
    User { id: "alan", name: "Alan Turing", email: "alan@example.com", groups: &[] },
];

// === impl User ===

impl User {
    pub(super) fn find(id: &str) -> Option<&'static Self> {
        USERS.iter().find(|user| user.id == id)
    }
}

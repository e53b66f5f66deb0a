//! The people who can log in.

pub(super) struct User {
    /// `sub`, and what the login page sends.
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) email: &'static str,
}

pub(super) const USERS: [User; 3] = [
    User { id: "ada", name: "Ada Lovelace", email: "ada@example.com" },
    User { id: "grace", name: "Grace Hopper", email: "grace@example.com" },
    User { id: "alan", name: "Alan Turing", email: "alan@example.com" },
];

// === impl User ===

impl User {
    pub(super) fn find(id: &str) -> Option<&'static Self> {
        USERS.iter().find(|user| user.id == id)
    }
}

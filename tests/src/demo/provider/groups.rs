//! Who is in which groups, which changes while the provider runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;

use super::user::{USERS, User};
use super::{Parameters, Provider};

/// More than anybody needs.
const MOST: usize = 100;

/// Each user's groups.
pub(super) struct Groups(BTreeMap<&'static str, Vec<String>>);

/// Puts `user` into `groups`, separated by blanks, and into no others. Whoever reaches the provider may do that.
pub(super) async fn change(
    State(provider): State<Arc<Provider>>,
    Form(form): Form<Parameters>,
) -> StatusCode {
    let Some(user) = form.get("user").and_then(|id| User::find(id)) else {
        return StatusCode::NOT_FOUND;
    };
    let groups = form.get("groups").map_or("", String::as_str).split(' ').filter(|group| !group.is_empty());
    let groups = groups.take(MOST).map(ToOwned::to_owned).collect();
    provider.state().groups.0.insert(user.id, groups);
    StatusCode::NO_CONTENT
}

// === impl Groups ===

impl Default for Groups {
    fn default() -> Self {
        let groups = |user: &User| user.groups.iter().map(ToString::to_string).collect();
        Self(USERS.iter().map(|user| (user.id, groups(user))).collect())
    }
}

impl Groups {
    pub(super) fn of(&self, user: &User) -> &[String] {
        self.0.get(user.id).map_or(&[], Vec::as_slice)
    }
}

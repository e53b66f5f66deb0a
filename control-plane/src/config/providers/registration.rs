//! `registration`: whether each MCP client gets a client of its own at the provider.

use super::{fixed, secret_and_method};
use crate::config::item::Item;
use crate::config::node::Value;
use crate::config::problems::Reported;
use crate::config::secret;
use crate::config::section::Section;
use crate::provider::{App, AppIdentity, DynamicRegistration};

const FORMS: &str = "must be `dynamic` or `{ dynamic: { initial_access_token: SECRET } }`";

/// The keys of the configured app, where there is no `registration`: none of them goes with it.
pub(super) fn fixed_or_dynamic(section: &mut Section<'_>) -> Result<AppIdentity, Reported> {
    let registration = section.optional("registration", registration);
    if let Ok(None) = registration {
        return fixed(section, secret_and_method);
    }
    let contradictions = ["client_id", "client_secret", "client_auth"].map(|key| {
        section.optional(key, |item| {
            Err::<(), _>(item.wrong("not with `registration: dynamic`, which gets these from the provider"))
        })
    });
    for contradiction in contradictions {
        contradiction?;
    }
    Ok(AppIdentity::Dynamic(registration?.unwrap_or_default()))
}

/// Whether it has no configured app.
pub(super) fn is_dynamic(app: &App) -> bool {
    matches!(app.identity, AppIdentity::Dynamic(_))
}

fn registration(item: Item<'_>) -> Result<DynamicRegistration, Reported> {
    match &item.value {
        Value::Text(word) if word == "dynamic" => Ok(DynamicRegistration::default()),
        Value::Section(_) => {
            let mut section = item.section()?;
            let initial_access_token = section
                .required("dynamic", |item| item.section()?.required("initial_access_token", secret::read));
            Ok(DynamicRegistration { initial_access_token: Some(initial_access_token?) })
        }
        _ => Err(item.wrong(FORMS)),
    }
}

//! What users do: on the page that asks for a token, and on the account page.

use portcullis_proto::ids::{ProviderName, Subject};
use portcullis_proto::time::Timestamp;
use proptest::prelude::*;

use super::memory::Memory;
use super::{MANY, Made, QUOTA, pick};
use crate::oauth::enrolment::EnrolmentId;
use crate::oauth::pending::BrowserId;
use crate::oauth::session::SessionId;
use crate::store::contract::fixtures::{enrolment, finish, grant, holder, session, user_token};
use crate::store::{Enrolled, Store};

/// What somebody does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Enrol { client: usize },
    Attempt { right_browser: bool },
    Cancel { right_browser: bool },
    Finish { right_browser: bool },
    Replace,
    Remove,
    OpenSession { client: usize },
    AttemptInSession,
    EndSession,
}

pub(super) fn deeds() -> impl Strategy<Value = Deed> {
    let browser = prop_oneof![4 => Just(true), 1 => Just(false)];
    prop_oneof![
        4 => (0..1_000_usize).prop_map(|client| Deed::Enrol { client }),
        3 => browser.clone().prop_map(|right_browser| Deed::Attempt { right_browser }),
        1 => browser.clone().prop_map(|right_browser| Deed::Cancel { right_browser }),
        4 => browser.prop_map(|right_browser| Deed::Finish { right_browser }),
        2 => Just(Deed::Replace),
        1 => Just(Deed::Remove),
        2 => (0..1_000_usize).prop_map(|client| Deed::OpenSession { client }),
        1 => Just(Deed::AttemptInSession),
        1 => Just(Deed::EndSession),
    ]
}

/// `of` picks the enrolment, the user or the session.
pub(super) async fn act(
    store: &dyn Store,
    memory: &mut Memory,
    made: &mut Made,
    of: usize,
    deed: Deed,
    now: Timestamp,
) {
    let client = |draw: usize| format!("c{}", pick(draw, made.clients));
    let enrolment_id = EnrolmentId::of(&format!("e{}", pick(of, made.enrolments)));
    let session_id = SessionId::of(&format!("s{}", pick(of, made.sessions)));
    let browser = |right: bool| BrowserId::of(if right { "browser" } else { "another" });
    let whose = holder(&client(of));
    match deed {
        Deed::Enrol { client: draw } => {
            let name = format!("e{}", made.enrolments);
            let waiting = enrolment(&name, &client(draw), now);
            made.enrolments += 1;
            let id = EnrolmentId::of(&name);
            let begun = store.enrol(id, waiting.clone(), QUOTA).await.unwrap();
            assert_eq!(begun, memory.enrol(id.0, waiting, QUOTA), "{deed:?}");
        }
        Deed::Attempt { right_browser } => {
            let browser = browser(right_browser);
            let attempted = store.attempt(&enrolment_id, &browser, now).await.unwrap();
            assert_eq!(attempted, memory.attempt(enrolment_id.0, browser, now), "{deed:?}");
        }
        Deed::Cancel { right_browser } => {
            let browser = browser(right_browser);
            let taken = store.take_enrolment(&enrolment_id, &browser, now).await.unwrap();
            assert_eq!(taken, memory.take_enrolment(enrolment_id.0, browser, now), "{deed:?}");
        }
        Deed::Finish { right_browser } => {
            let browser = browser(right_browser);
            let owner =
                memory.enrolments.get(&enrolment_id.0).map(|waiting| waiting.grant.client.to_string());
            let name = format!("g{}", made.grants);
            let with = finish(&name, owner.as_deref().unwrap_or("c0"), now);
            let end = store.finish_enrolment(&enrolment_id, &browser, with.clone(), now).await.unwrap();
            assert_eq!(end, memory.finish(enrolment_id.0, browser, with, now), "{deed:?}");
            if end != Enrolled::Gone {
                made.grants += 1;
            }
        }
        Deed::Replace => {
            let token = user_token(&format!("of {of}"));
            let entries = store.replace_user_token(&whose, token.clone(), now).await.unwrap();
            assert_eq!(entries, memory.replace_user_token(&whose, token, now), "{deed:?}");
        }
        Deed::Remove => {
            let entries = store.remove_user_token(&whose, now).await.unwrap();
            assert_eq!(entries, memory.remove_user_token(&whose, now), "{deed:?}");
        }
        Deed::OpenSession { client: draw } => {
            let id = SessionId::of(&format!("s{}", made.sessions));
            let new = session(&client(draw), now);
            made.sessions += 1;
            let begun = store.open_session(id, new.clone(), QUOTA).await.unwrap();
            assert_eq!(begun, memory.open_session(id.0, new, QUOTA), "{deed:?}");
        }
        Deed::AttemptInSession => {
            let may = store.attempt_in_session(&session_id, now).await.unwrap();
            assert_eq!(may, memory.attempt_in_session(session_id.0, now), "{deed:?}");
        }
        Deed::EndSession => {
            store.end_session(&session_id).await.unwrap();
            memory.sessions.remove(&session_id.0);
        }
    }
}

/// Everything that can be seen of users.
pub(super) async fn compare(store: &dyn Store, memory: &Memory, made: &Made, now: Timestamp) {
    for number in 0..made.clients {
        let name = format!("c{number}");
        let whose = holder(&name);
        assert_eq!(store.user_token(&whose).await.unwrap().as_ref(), memory.user_tokens.get(&whose));
        let (provider, subject) = (ProviderName::new("provider"), Subject::new(name.as_str()));
        let servers = [grant("any", &name, now).server];
        let grants = store.grants_of(&provider, &subject, &servers, MANY).await.unwrap();
        assert_eq!(grants, memory.grants_of(&subject));
    }
    for number in 0..made.sessions {
        let id = SessionId::of(&format!("s{number}"));
        assert_eq!(store.session(&id, now).await.unwrap(), memory.session(id.0, now));
    }
}

//! Logins that wait for a token of the user's own, and those tokens.

use portcullis_proto::ids::TokenId;
use portcullis_proto::revocation::{Entry, Scope};
use portcullis_proto::time::Timestamp;

use super::keys::{Key, Meta};
use super::rows::{Kept, Read};
use super::tx::Tx;
use super::{clients, holders, log, owned, revocation, tokens};
use crate::oauth::enrolment::{self, Enrolment, EnrolmentId};
use crate::oauth::grant::AccessToken;
use crate::oauth::pending::BrowserId;
use crate::oauth::user_token::{Holder, UserToken};
use crate::store::{Begun, Enrolled, Finish, Granted, StoreError};

/// Most revocations in one operation: everybody else's writes wait for it. Where a user has more to be revoked, it is done
/// in steps, and what they are for comes with the last.
const STEP: usize = if cfg!(test) { 8 } else { 512 };

/// A piece of something that may be long.
pub(super) enum Step<T> {
    /// So much has been revoked, and there is more.
    More(Vec<Entry>),
    /// All of it, at last.
    Done(T),
}

/// Keeps an enrolment, unless there are too many. Its client need not make room meanwhile. `None` where what it is to
/// become has been revoked since it was decided.
pub(super) fn enrol(
    tx: &mut Tx<'_>,
    id: &EnrolmentId,
    mut enrolment: Enrolment,
    quota: usize,
) -> Result<Option<Begun>, StoreError> {
    if revocation::came_too_late(tx, &enrolment.grant.revoked_by(), enrolment.grant.born)? {
        return Ok(None);
    }
    if !holders::has_room(tx, &enrolment, enrolment::MOST_OF_A_USER)? {
        return Ok(Some(Begun::TooMany));
    }
    let enrolments: u64 = tx.present(&Key::meta(Meta::Enrolments))?;
    if enrolments >= quota as u64 {
        return Ok(Some(Begun::Full));
    }
    enrolment.grant.born = enrolment.grant.born.min(log::head(tx)?.sequence);
    tx.count(Meta::Enrolments, 1)?;
    let key = Key::enrolment(id);
    holders::add(tx, &key, &enrolment);
    tx.insert(key, &enrolment, Some(enrolment.expires_at))?;
    clients::protect(tx, &enrolment.grant.client, enrolment.expires_at)?;
    Ok(Some(Begun::Done))
}

/// Counts an attempt; one too many ends the enrolment.
pub(super) fn attempt(
    tx: &mut Tx<'_>,
    id: &EnrolmentId,
    browser: &BrowserId,
    now: Timestamp,
) -> Result<Option<Enrolment>, StoreError> {
    let Some(kept) = open(tx, id, browser, now)? else {
        return Ok(None);
    };
    let until = kept.until;
    let Some(enrolment) = kept.row.clone().attempted() else {
        remove(tx, id, &kept)?;
        return Ok(None);
    };
    tx.update(Key::enrolment(id), &Kept { until, row: &enrolment })?;
    Ok(Some(enrolment))
}

/// Ends an enrolment, and hands it out.
pub(super) fn take(
    tx: &mut Tx<'_>,
    id: &EnrolmentId,
    browser: &BrowserId,
    now: Timestamp,
) -> Result<Option<Enrolment>, StoreError> {
    let Some(kept) = open(tx, id, browser, now)? else {
        return Ok(None);
    };
    remove(tx, id, &kept)?;
    Ok(Some(kept.row))
}

/// Makes a grant of an enrolment.
pub(super) fn finish(
    tx: &mut Tx<'_>,
    id: &EnrolmentId,
    browser: &BrowserId,
    finish: Finish,
    now: Timestamp,
) -> Result<Step<Enrolled>, StoreError> {
    let Some(kept) = open(tx, id, browser, now)? else {
        return Ok(Step::Done(Enrolled::Gone));
    };
    let Finish { grant, code: (code_id, code), token } = finish;
    let holder = Holder::of(&grant);
    let key = Key::user_token(&holder);
    let replaces = tx.bytes(&key)?.is_some();
    if replaces && let Some(revoked) = thin_out(tx, &holder, now)? {
        return Ok(Step::More(revoked));
    }
    remove(tx, id, &kept)?;
    // What was kept is not revoked, however long ago it was decided.
    if tokens::keep_grant(tx, grant, &code_id, &code)? == Granted::Gone {
        return Ok(Step::Done(Enrolled::Gone));
    }
    let entries = if replaces { renew(tx, &holder, now)? } else { Vec::new() };
    tx.put(key, &token)?;
    Ok(Step::Done(Enrolled::Done(entries)))
}

/// Replaces a token that is there.
pub(super) fn replace_token(
    tx: &mut Tx<'_>,
    holder: &Holder,
    token: &UserToken,
    now: Timestamp,
) -> Result<Step<Option<Vec<Entry>>>, StoreError> {
    let key = Key::user_token(holder);
    if tx.bytes(&key)?.is_none() {
        return Ok(Step::Done(None));
    }
    if let Some(revoked) = thin_out(tx, holder, now)? {
        return Ok(Step::More(revoked));
    }
    tx.put(key, token)?;
    Ok(Step::Done(Some(renew(tx, holder, now)?)))
}

/// Removes a token, and what is worth nothing without.
pub(super) fn remove_token(
    tx: &mut Tx<'_>,
    holder: &Holder,
    now: Timestamp,
) -> Result<Step<Vec<Entry>>, StoreError> {
    let mut grants = owned::live_grants_at(tx, holder)?;
    let is_last = grants.len() <= STEP;
    grants.truncate(STEP);
    let revoke = |id| revocation::revoke(tx, Scope::Grant(id), now);
    let revoked = grants.into_iter().map(revoke).collect::<Result<_, _>>()?;
    if !is_last {
        return Ok(Step::More(revoked));
    }
    tx.remove(Key::user_token(holder));
    Ok(Step::Done(revoked))
}

/// Where the user has more access tokens there than one operation may end, ends some.
fn thin_out(tx: &mut Tx<'_>, holder: &Holder, now: Timestamp) -> Result<Option<Vec<Entry>>, StoreError> {
    let mut tokens = access_tokens(tx, holder, STEP + 1)?;
    if tokens.len() <= STEP {
        return Ok(None);
    }
    tokens.truncate(STEP);
    tokens
        .into_iter()
        .map(|id| revocation::revoke(tx, Scope::Token(id), now))
        .collect::<Result<_, _>>()
        .map(Some)
}

/// Ends the access tokens that were sealed together with the token before: also those that seem to have expired, by
/// whichever clock.
fn renew(tx: &mut Tx<'_>, holder: &Holder, now: Timestamp) -> Result<Vec<Entry>, StoreError> {
    let tokens = access_tokens(tx, holder, usize::MAX)?;
    tokens.into_iter().map(|id| revocation::revoke(tx, Scope::Token(id), now)).collect()
}

/// The access tokens of the user's grants at the server; `limit` of them at most.
fn access_tokens(tx: &Tx<'_>, holder: &Holder, limit: usize) -> Result<Vec<TokenId>, StoreError> {
    let mut tokens = Vec::new();
    for grant in owned::live_grants_at(tx, holder)? {
        for id in owned::access_tokens(tx, &grant, limit.saturating_sub(tokens.len()))? {
            if tx.kept::<AccessToken>(&Key::access(&id))?.is_some() {
                tokens.push(id);
            }
        }
    }
    Ok(tokens)
}

/// The enrolment, where this browser may go on with it and nothing has revoked it.
fn open(
    tx: &Tx<'_>,
    id: &EnrolmentId,
    browser: &BrowserId,
    now: Timestamp,
) -> Result<Option<Kept<Enrolment>>, StoreError> {
    let Some(kept) = tx.kept::<Enrolment>(&Key::enrolment(id))? else {
        return Ok(None);
    };
    let grant = &kept.row.grant;
    let open =
        kept.row.is_open_to(browser, now) && !revocation::is_cut_off(tx, &grant.revoked_by(), grant.born)?;
    Ok(open.then_some(kept))
}

fn remove(tx: &mut Tx<'_>, id: &EnrolmentId, kept: &Kept<Enrolment>) -> Result<(), StoreError> {
    let key = Key::enrolment(id);
    tx.count(Meta::Enrolments, -1)?;
    holders::remove(tx, &key, &kept.row);
    tx.remove_kept(key, kept);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::fixtures::{at, enrolled, grant, holder, issue, token_id, user_token};
    use crate::store::sled::SledStore;
    use crate::store::sled::tests::fresh;
    use crate::store::{Store, UserStore};

    /// A user with a token and with more grants than one operation may end, each with an access token.
    async fn crowded(store: &SledStore) -> usize {
        enrolled(store, "e", at(0)).await;
        for number in 0..2 * STEP {
            let name = format!("g{number}");
            let grant = grant(&name, "e", at(0));
            let code = crate::store::contract::fixtures::code(&grant);
            store.grant(grant, token_id(&name), code).await.unwrap();
            store.redeem(&token_id(&name), issue(&name, &name, None, at(0)), at(0)).await.unwrap();
        }
        2 * STEP + 1
    }

    #[tokio::test]
    async fn no_operation_ends_more_than_a_step_and_the_new_token_comes_with_the_last() {
        let (_home, store) = fresh();
        let all = crowded(&store).await;
        let token = async || store.user_token(&holder("e")).await.unwrap();
        let step = async || {
            let step = |tx: &mut Tx<'_>| replace_token(tx, &holder("e"), &user_token("new"), at(1));
            store.committer.submit(step).await.unwrap()
        };
        for _ in 0..2 {
            let Step::More(revoked) = step().await else { panic!("all at once") };
            assert_eq!((revoked.len(), token().await), (STEP, Some(user_token("e"))));
        }
        let Step::Done(Some(revoked)) = step().await else { panic!("still not all") };
        assert_eq!((revoked.len(), token().await), (all - 2 * STEP, Some(user_token("new"))));
    }

    #[tokio::test]
    async fn in_steps_or_not_all_of_it_is_ended() {
        let (_home, store) = fresh();
        let all = crowded(&store).await;
        let replaced = store.replace_user_token(&holder("e"), user_token("new"), at(1)).await.unwrap();
        assert_eq!(replaced.unwrap().len(), all);
        assert_eq!(store.user_token(&holder("e")).await.unwrap(), Some(user_token("new")));
        let removed = store.remove_user_token(&holder("e"), at(1)).await.unwrap();
        assert_eq!(removed.len(), all);
        assert_eq!(store.user_token(&holder("e")).await.unwrap(), None);
        assert!(store.grants(None, 10).await.unwrap().is_empty());
    }
}

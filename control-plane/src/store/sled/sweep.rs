//! Removes what can mean nothing any more, a bounded piece at a time.

use std::time::Duration;

use portcullis_proto::ids::{GrantId, Sequence};
use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::keys::{Key, Meta, Table};
use super::rows::{self, Kept, Read, Until};
use super::tx::Tx;
use super::{log, provider_clients, revocation};
use crate::oauth::code::Code;
use crate::oauth::grant::Grant;
use crate::store::StoreError;

/// How exactly the time of sweeps is noted.
const NOTE_EVERY: Duration = Duration::from_mins(1);

/// One pass over all grants, in search of those that wide revocations have ended.
#[derive(Serialize, Deserialize)]
struct Pass {
    /// The log's head when it began: it finds all that the revocations up to there have ended.
    head: Sequence,
    /// The last grant looked at.
    after: Option<GrantId>,
    /// Once all grants have been: the last cutoff looked at.
    #[serde(default)]
    cutoff: Option<Key>,
}

/// Looks at up to `limit` rows of each kind, and tells how many it has removed.
pub(super) fn sweep(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    note(tx, now)?;
    Ok(expired(tx, now, limit)? + log::forget(tx, now, limit)? + cut_off(tx, limit)?)
}

/// Not at every sweep: a store in which nothing happens is to be written once a minute.
fn note(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    let key = Key::meta(Meta::SweptAt);
    let noted: Option<Timestamp> = tx.row(&key)?;
    if noted.is_none_or(|noted| now < noted || now.since(noted) >= NOTE_EVERY) {
        tx.put(key, &now)?;
    }
    Ok(())
}

/// Rows past their time.
fn expired(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let mut removed = 0;
    for (due, _) in tx.scan(&Key::first(Table::Expiry), &Key::expiry_end(now), limit)? {
        let key = due.expiring().ok_or_else(|| StoreError::Row { key: due.to_string() })?;
        tx.remove(due);
        let Some(Until { until: Some(until) }) = tx.row(&key)? else {
            continue; // gone already, or kept for good
        };
        if until > now {
            tx.look_again(until, &key);
            continue;
        }
        if key.table() == Some(Table::Code)
            && let Some(code) = prolonged(tx, &key)?
            && let Some(until) = code.until.filter(|until| *until > now)
        {
            tx.update(key.clone(), &code)?;
            tx.look_again(until, &key);
            continue;
        }
        match key.table() {
            Some(Table::Client) => {
                tx.count(Meta::UnusedClients, -1)?;
                let client = key.as_client().ok_or_else(|| StoreError::Row { key: key.to_string() })?;
                removed += provider_clients::forget_all_of(tx, &client)?;
            }
            Some(Table::ProviderClient) => tx.count(Meta::ProviderClients, -1)?,
            Some(Table::Pending) => tx.count(Meta::Logins, -1)?,
            _ => {}
        }
        tx.remove(key);
        removed += 1;
    }
    Ok(removed)
}

/// A used code, kept as long as its grant: while that lives, a replay has something to revoke.
fn prolonged(tx: &Tx<'_>, key: &Key) -> Result<Option<Kept<Code>>, StoreError> {
    let Some(code) = tx.kept::<Code>(key)?.filter(|code| code.row.used) else {
        return Ok(None);
    };
    let grant = revocation::live(tx, &code.row.grant)?;
    Ok(grant.map(|grant| Kept { until: grant.until, ..code }))
}

/// Grants that a wide revocation has ended; after a whole pass over the grants, also the cutoffs that it has
/// made useless.
fn cut_off(tx: &mut Tx<'_>, limit: usize) -> Result<usize, StoreError> {
    if tx.scan(&Key::first(Table::Cutoff), &Key::end(Table::Cutoff), 1)?.is_empty() {
        return Ok(0);
    }
    let mut pass = match tx.row(&Key::meta(Meta::Pass))? {
        Some(pass) => pass,
        None => Pass { head: log::head(tx)?.sequence, after: None, cutoff: None },
    };
    let mut removed = 0;
    let mut at_end = true;
    if pass.cutoff.is_none() {
        at_end = pass_grants(tx, &mut pass, limit, &mut removed)?;
    }
    if at_end {
        at_end = pass_cutoffs(tx, &mut pass, limit, &mut removed)?;
    }
    if at_end {
        tx.remove(Key::meta(Meta::Pass));
    } else {
        tx.put(Key::meta(Meta::Pass), &pass)?;
    }
    Ok(removed)
}

/// Looks at some more grants, and tells whether they were the last.
fn pass_grants(
    tx: &mut Tx<'_>,
    pass: &mut Pass,
    limit: usize,
    removed: &mut usize,
) -> Result<bool, StoreError> {
    let after = pass.after.as_ref().map_or_else(|| Key::first(Table::Grant), Key::grant);
    let grants = tx.scan_after(&after, &Key::end(Table::Grant), limit)?;
    let at_end = grants.len() < limit;
    for (key, bytes) in grants {
        let Kept { row: grant, .. } = rows::decode::<Kept<Grant>>(&key, &bytes)?;
        if revocation::is_cut_off(tx, &grant)? {
            tx.remove(key);
            *removed += 1;
        }
        pass.after = Some(grant.id);
    }
    Ok(at_end)
}

/// Looks at some more cutoffs, and tells whether they were the last. No grant is left for those up to the pass's
/// head: whatever was born before them and is dead, the pass has removed.
fn pass_cutoffs(
    tx: &mut Tx<'_>,
    pass: &mut Pass,
    limit: usize,
    removed: &mut usize,
) -> Result<bool, StoreError> {
    let after = pass.cutoff.take().unwrap_or_else(|| Key::first(Table::Cutoff));
    let cutoffs = tx.scan_after(&after, &Key::end(Table::Cutoff), limit)?;
    let at_end = cutoffs.len() < limit;
    for (key, bytes) in cutoffs {
        let cutoff: Sequence = rows::decode(&key, &bytes)?;
        if cutoff <= pass.head {
            tx.remove(key.clone());
            *removed += 1;
        }
        pass.cutoff = Some(key);
    }
    Ok(at_end)
}

#[cfg(test)]
mod tests {
    use portcullis_proto::ids::ClientId;
    use portcullis_proto::revocation::Scope;

    use super::*;
    use crate::store::Store;
    use crate::store::contract::fixtures::{at, granted};
    use crate::store::sled::tests::fresh;

    fn scope(name: &str) -> Scope {
        Scope::Client(ClientId::new(name))
    }

    #[tokio::test]
    async fn a_pass_looks_at_no_more_cutoffs_at_a_time_than_it_may() {
        let (_home, store) = fresh();
        let revoke = async |name: &str| store.revoke(scope(name), at(1)).await.unwrap();
        let pass = || store.db.row::<Pass>(&Key::meta(Meta::Pass)).unwrap();
        let is_there = |name: &str| store.db.bytes(&Key::cutoff(&scope(name)).unwrap()).unwrap().is_some();
        granted(&store, "g", at(0)).await;
        revoke("old").await;
        // The pass begins; what is revoked from now on is for the next one.
        assert_eq!(store.sweep(at(1), 1).await.unwrap(), 1, "the log's only entry");
        let new: Vec<String> = (0..6).map(|number| format!("new-{number}")).collect();
        for name in &new {
            revoke(name).await;
        }
        // Keys have the name after its length: "old" is the first of them.
        for last in ["new-0", "new-2", "new-4"] {
            cut_off_once(&store).await;
            assert!(pass().unwrap().cutoff == Key::cutoff(&scope(last)), "up to {last}");
            assert!(!is_there("old") && new.iter().all(|name| is_there(name)));
        }
        cut_off_once(&store).await;
        assert!(pass().is_none() && new.iter().all(|name| is_there(name)));
        for _ in 0..5 {
            cut_off_once(&store).await;
        }
        assert!(new.iter().all(|name| !is_there(name)));
    }

    async fn cut_off_once(store: &crate::store::sled::SledStore) {
        store.committer.submit(|tx| cut_off(tx, 2)).await.unwrap();
    }

    #[test]
    fn a_pass_of_the_former_format_goes_on() {
        let pass: Pass = serde_json::from_str(r#"{"head":3,"after":"g"}"#).unwrap();
        assert!(pass.cutoff.is_none());
        let pass = Pass { cutoff: Key::cutoff(&scope("c")), ..pass };
        let again: Pass = serde_json::from_str(&serde_json::to_string(&pass).unwrap()).unwrap();
        assert!(again.cutoff == pass.cutoff);
    }
}

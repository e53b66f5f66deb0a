//! Removes what can mean nothing any more, a bounded piece at a time.

use std::time::Duration;

use portcullis_proto::ids::Sequence;
use portcullis_proto::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::holders::Held;
use super::keys::{Key, Meta, Table};
use super::rows::{self, Kept, Read, Until};
use super::tx::Tx;
use super::{clients, holders, log, owned, revocation};
use crate::oauth::client::Client;
use crate::oauth::code::Code;
use crate::oauth::enrolment::Enrolment;
use crate::oauth::grant::{AccessToken, Grant};
use crate::oauth::pending::Pending;
use crate::oauth::session::Session;
use crate::store::StoreError;

/// How exactly the time of sweeps is noted.
const NOTE_EVERY: Duration = Duration::from_mins(1);

/// How old a cutoff becomes, at least: older than any request, since what is born before it and kept after it has gone is
/// refused, whether it was revoked or not.
const CUTOFFS_STAY: Duration = Duration::from_mins(1);

/// What a pass looks at, in this order: what wide revocations can have ended, then the cutoffs.
const PASSED: [Table; 5] = [Table::Grant, Table::Enrolment, Table::Session, Table::Pending, Table::Cutoff];

/// One pass over all rows that wide revocations end, in search of those that they have ended.
#[derive(Serialize, Deserialize)]
struct Pass {
    /// The log's head when it began: it finds all that the revocations up to there have ended.
    head: Sequence,
    /// The last row looked at. A pass that another version has begun has none, and starts over.
    #[serde(default)]
    at: Option<Key>,
}

/// Cutoffs that are to become old enough.
#[derive(Serialize, Deserialize)]
struct Aging {
    /// Those up to here.
    head: Sequence,
    /// They were there then.
    since: Timestamp,
}

/// Looks at up to `limit` rows of each kind, and tells how many it has removed.
pub(super) fn sweep(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    note(tx, now)?;
    Ok(expired(tx, now, limit)? + log::forget(tx, now, limit)? + cut_off(tx, now, limit)?)
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
        removed += remove(tx, key)?;
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

/// Removes a row, and with it whatever counts it, leads to it or is worth nothing without it. Tells how many rows.
fn remove(tx: &mut Tx<'_>, key: Key) -> Result<usize, StoreError> {
    let mut removed = 1;
    match key.table() {
        Some(Table::Client) => {
            if let Some(kept) = tx.kept::<Client>(&key)? {
                removed += clients::forget(tx, &kept.row)?;
            }
        }
        // A note on a client, and no row that anybody would count.
        Some(Table::Busy) => {
            clients::unprotect(tx, &key)?;
            removed = 0;
        }
        Some(Table::ProviderClient) => tx.count(Meta::ProviderClients, -1)?,
        Some(Table::Pending) => {
            tx.count(Meta::Logins, -1)?;
            release::<Pending>(tx, &key)?;
        }
        Some(Table::Enrolment) => {
            tx.count(Meta::Enrolments, -1)?;
            release::<Enrolment>(tx, &key)?;
        }
        Some(Table::Session) => {
            tx.count(Meta::Sessions, -1)?;
            release::<Session>(tx, &key)?;
        }
        Some(Table::Grant) => {
            if let Some(kept) = tx.kept::<Grant>(&key)? {
                owned::remove_grant(tx, &kept.row);
            }
        }
        Some(Table::Access) => {
            if let (Some(kept), Some(id)) = (tx.kept::<AccessToken>(&key)?, key.access_id()) {
                owned::remove_access(tx, &kept.row, &id);
            }
        }
        _ => {}
    }
    tx.remove(key);
    Ok(removed)
}

fn release<T: Held>(tx: &mut Tx<'_>, key: &Key) -> Result<(), StoreError> {
    if let Some(kept) = tx.kept::<T>(key)? {
        holders::remove(tx, key, &kept.row);
    }
    Ok(())
}

/// Rows that a wide revocation has ended; after a whole pass over them, also the cutoffs that it has made useless.
/// Looks at up to `limit` rows.
fn cut_off(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    if tx.scan(&Key::first(Table::Cutoff), &Key::end(Table::Cutoff), 1)?.is_empty() {
        return Ok(0);
    }
    let mut pass = match tx.row(&Key::meta(Meta::Pass))? {
        Some(pass) => pass,
        None => Pass { head: log::head(tx)?.sequence, at: None },
    };
    let aging = aging(tx, now)?;
    let old = (now.since(aging.since) >= CUTOFFS_STAY).then(|| aging.head.min(pass.head));
    let (mut left, mut removed) = (limit, 0);
    let reached = pass.at.as_ref().and_then(Key::table);
    for table in PASSED.into_iter().skip_while(|table| reached.is_some_and(|reached| reached != *table)) {
        if table == Table::Cutoff && old.is_none() {
            break;
        }
        let after = pass.at.take_if(|at| at.table() == Some(table)).unwrap_or_else(|| Key::first(table));
        let rows = tx.scan_after(&after, &Key::end(table), left)?;
        let at_end = rows.len() < left;
        left -= rows.len();
        pass.at = rows.last().map(|(key, _)| key.clone()).or(Some(after));
        for (key, bytes) in rows {
            if is_over(tx, table, &key, &bytes, old)? {
                if table == Table::Cutoff {
                    note_uncut(tx, rows::decode(&key, &bytes)?)?;
                }
                removed += remove(tx, key)?;
            }
        }
        if !at_end {
            tx.put(Key::meta(Meta::Pass), &pass)?;
            return Ok(removed);
        }
    }
    tx.remove(Key::meta(Meta::Pass));
    if old.is_some() {
        tx.remove(Key::meta(Meta::Aging));
    }
    Ok(removed)
}

fn aging(tx: &mut Tx<'_>, now: Timestamp) -> Result<Aging, StoreError> {
    let key = Key::meta(Meta::Aging);
    if let Some(aging) = tx.row(&key)? {
        return Ok(aging);
    }
    let aging = Aging { head: log::head(tx)?.sequence, since: now };
    tx.put(key, &aging)?;
    Ok(aging)
}

fn note_uncut(tx: &mut Tx<'_>, cutoff: Sequence) -> Result<(), StoreError> {
    let key = Key::meta(Meta::Uncut);
    let noted: Option<Sequence> = tx.row(&key)?;
    if noted.is_none_or(|noted| noted < cutoff) {
        tx.put(key, &cutoff)?;
    }
    Ok(())
}

/// Whether a wide revocation has ended the row. A cutoff itself is over once the pass has been everywhere, and it is old:
/// whatever was born before the cutoffs up to the pass's head and is dead, the pass has removed, and nothing more is kept
/// that was.
fn is_over(
    tx: &Tx<'_>,
    table: Table,
    key: &Key,
    bytes: &[u8],
    old: Option<Sequence>,
) -> Result<bool, StoreError> {
    match table {
        Table::Grant => {
            let grant = rows::decode::<Kept<Grant>>(key, bytes)?.row;
            revocation::is_cut_off(tx, &grant.revoked_by(), grant.born)
        }
        Table::Enrolment => {
            let grant = rows::decode::<Kept<Enrolment>>(key, bytes)?.row.grant;
            revocation::is_cut_off(tx, &grant.revoked_by(), grant.born)
        }
        Table::Session => {
            let session = rows::decode::<Kept<Session>>(key, bytes)?.row;
            revocation::is_cut_off(tx, &session.revoked_by(), session.born)
        }
        Table::Pending => {
            let pending = rows::decode::<Kept<Pending>>(key, bytes)?.row;
            match pending.born {
                Some(born) => revocation::is_cut_off(tx, &pending.revoked_by(), born),
                None => Ok(false), // a store that knew no birth of logins has kept it
            }
        }
        _ => Ok(Some(rows::decode::<Sequence>(key, bytes)?) <= old),
    }
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
        let cut_off_at = async |minute: u64| {
            let now = at(1).after(CUTOFFS_STAY * u32::try_from(minute).unwrap());
            store.committer.submit(move |tx| cut_off(tx, now, 2)).await.unwrap();
        };
        for last in ["new-0", "new-2", "new-4"] {
            cut_off_at(1).await;
            assert!(pass().unwrap().at == Key::cutoff(&scope(last)), "up to {last}");
            assert!(!is_there("old") && new.iter().all(|name| is_there(name)));
        }
        cut_off_at(1).await;
        assert!(pass().is_none() && new.iter().all(|name| is_there(name)));
        for minute in 2..7 {
            cut_off_at(minute).await;
        }
        assert!(new.iter().all(|name| !is_there(name)));
    }

    /// Whoever was born before it may still be on the way.
    #[tokio::test]
    async fn a_cutoff_stays_for_a_minute_and_what_it_would_have_cut_off_is_known_afterwards() {
        let (_home, store) = fresh();
        let is_there = || store.db.bytes(&Key::cutoff(&scope("c")).unwrap()).unwrap().is_some();
        let uncut = || store.db.row::<Sequence>(&Key::meta(Meta::Uncut)).unwrap();
        store.revoke(scope("c"), at(0)).await.unwrap();
        let begun = Timestamp::from_millis(7_000);
        let nearly = begun.after(CUTOFFS_STAY).before(Duration::from_millis(1));
        for now in [begun, begun, nearly, Timestamp::default()] {
            store.sweep(now, 100).await.unwrap();
            assert!(is_there() && uncut().is_none());
        }
        store.sweep(begun.after(CUTOFFS_STAY), 100).await.unwrap();
        assert!(!is_there() && uncut() == Some(Sequence(1)));
    }

    #[test]
    fn a_pass_of_the_former_format_starts_over() {
        let pass: Pass = serde_json::from_str(r#"{"head":3,"after":"g","cutoff":"dQ=="}"#).unwrap();
        assert!(pass.head == Sequence(3) && pass.at.is_none());
        let pass = Pass { at: Key::cutoff(&scope("c")), ..pass };
        let again: Pass = serde_json::from_str(&serde_json::to_string(&pass).unwrap()).unwrap();
        assert!(again.at == pass.at);
    }
}

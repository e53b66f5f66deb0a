//! What does not last long, by the browser or user whose it is: nobody has so much of it that there is none left for
//! others. Rows without a value; they come and go with the rows that they lead to.

use ::sled::Tree;
use serde::de::DeserializeOwned;

use super::keys::{Key, Table};
use super::rows::{self, Kept};
use super::tx::Tx;
use crate::oauth::enrolment::Enrolment;
use crate::oauth::pending::Pending;
use crate::oauth::session::Session;
use crate::store::StoreError;

/// What one browser or user may have so many of.
pub(super) trait Held: DeserializeOwned {
    /// Below and above all that its holder has.
    fn range(&self) -> (Key, Key);
}

// === impl Held ===

impl Held for Pending {
    fn range(&self) -> (Key, Key) {
        Key::held_by(Table::Pending, &[&self.browser.0])
    }
}

impl Held for Enrolment {
    fn range(&self) -> (Key, Key) {
        let grant = &self.grant;
        Key::held_by(
            Table::Enrolment,
            &[grant.provider.as_str().as_bytes(), grant.subject.as_str().as_bytes()],
        )
    }
}

impl Held for Session {
    fn range(&self) -> (Key, Key) {
        Key::held_by(Table::Session, &[self.provider.as_str().as_bytes(), self.subject.as_str().as_bytes()])
    }
}

/// Whether the holder has less than `most` of them.
pub(super) fn has_room(tx: &Tx<'_>, row: &impl Held, most: usize) -> Result<bool, StoreError> {
    let (first, end) = row.range();
    Ok(tx.scan(&first, &end, most)?.len() < most)
}

/// Notes whose a new row is.
pub(super) fn add(tx: &mut Tx<'_>, key: &Key, row: &impl Held) {
    tx.mark(Key::held(&row.range().0, key));
}

/// Forgets whose a row was.
pub(super) fn remove(tx: &mut Tx<'_>, key: &Key, row: &impl Held) {
    tx.remove(Key::held(&row.range().0, key));
}

/// Notes anew whose everything is.
pub(super) fn prepare(tree: &Tree, tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for row in rows::scan(tree, &Key::first(Table::HeldBy), &Key::end(Table::HeldBy)) {
        tx.remove(row?.0);
    }
    note::<Pending>(tree, tx, Table::Pending)?;
    note::<Enrolment>(tree, tx, Table::Enrolment)?;
    note::<Session>(tree, tx, Table::Session)
}

fn note<T: Held>(tree: &Tree, tx: &mut Tx<'_>, table: Table) -> Result<(), StoreError> {
    for row in rows::scan(tree, &Key::first(table), &Key::end(table)) {
        let (key, bytes) = row?;
        add(tx, &key, &rows::decode::<Kept<T>>(&key, &bytes)?.row);
    }
    Ok(())
}

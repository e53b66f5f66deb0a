//! Records of clients that are described elsewhere.

use super::memory::Memory;
use super::{Made, client, pick};
use crate::oauth::client::{Client, ClientSource};
use crate::store::Store;

pub(super) async fn remember(store: &dyn Store, memory: &mut Memory, made: &mut Made, draw: usize) {
    // Every other time in the place of one that is there.
    let number = if draw.is_multiple_of(2) { made.clients } else { pick(draw, made.clients) };
    made.clients = made.clients.max(number + 1);
    let record = Client { source: ClientSource::Document, ..client(&format!("c{number}")) }.record();
    store.remember(record.clone()).await.unwrap();
    memory.remember(record);
}

//! Records of clients that are described elsewhere.

use super::memory::Memory;
use super::{Made, QUOTA, client, pick};
use crate::oauth::client::{Client, ClientSource};
use crate::store::Store;
use crate::store::contract::fixtures::{UNUSED, at};

pub(super) async fn remember(
    store: &dyn Store,
    memory: &mut Memory,
    made: &mut Made,
    draw: usize,
    used: bool,
) {
    // Every other time in the place of one that is there.
    let number = if draw.is_multiple_of(2) { made.clients } else { pick(draw, made.clients) };
    made.clients = made.clients.max(number + 1);
    let record = Client { source: ClientSource::Document, ..client(&format!("c{number}")) }.record();
    if used {
        store.remember(record.clone()).await.unwrap();
        memory.remember(record);
    } else {
        let unused = Client { unused_until: Some(at(UNUSED)), ..record };
        let registered = store.register(unused.clone(), QUOTA).await.unwrap();
        assert_eq!(registered, memory.register(unused, QUOTA));
    }
}

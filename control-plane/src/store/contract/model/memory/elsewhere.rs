//! What is kept of clients that are described elsewhere, and of what they have used.

use portcullis_proto::ids::TokenId;
use portcullis_proto::time::Timestamp;

use super::Memory;
use crate::oauth::client::Client;

impl Memory {
    pub(in crate::store::contract::model) fn remember(&mut self, record: Client) {
        let created_at = self.clients.get(&record.id).map_or(record.created_at, |client| client.created_at);
        self.clients.insert(record.id.clone(), Client { created_at, ..record });
    }

    pub(in crate::store::contract::model) fn use_once(&mut self, id: TokenId, until: Timestamp) -> bool {
        let first = !self.used.contains_key(&id);
        self.used.entry(id).or_insert(until);
        first
    }
}

//! The web sites of clients, as far as they have documents on them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::client_document::{DocumentError, Page, Standing, Web};
use crate::oauth::document_url::DocumentUrl;

/// Says what a test tells it to. What it has not been told of is not there.
#[derive(Default)]
pub(crate) struct ScriptedWeb {
    answers: Mutex<BTreeMap<String, Result<Page, DocumentError>>>,
    asked: Mutex<Vec<String>>,
}

impl ScriptedWeb {
    /// A document that is fresh for ten minutes.
    pub(crate) fn publish(&self, url: &str, document: &Value) {
        let page = Page { body: document.to_string().into_bytes(), fresh_for: Duration::from_mins(10) };
        self.answer(url, Ok(page));
    }

    pub(crate) fn answer(&self, url: &str, answer: Result<Page, DocumentError>) {
        self.answers.lock().unwrap().insert(url.to_owned(), answer);
    }

    /// Everything that was asked for since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

#[async_trait]
impl Web for ScriptedWeb {
    async fn get(&self, url: &DocumentUrl, _: Standing) -> Result<Page, DocumentError> {
        self.asked.lock().unwrap().push(url.as_str().to_owned());
        self.answers.lock().unwrap().get(url.as_str()).cloned().unwrap_or(Err(DocumentError::Gone))
    }
}

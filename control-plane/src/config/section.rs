//! Walks the tree: a section is asked for its keys, and what nobody asked for is a problem.
//!
//! A reader asks for all of a section's keys before it gives up on any, so that one run reports every
//! problem.

use std::path::Path;

use super::item::Item;
use super::problems::{Notes, Place, Reported};

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What every reader can reach.
pub(super) struct Context<'a> {
    /// What relative paths are relative to: the file's directory.
    pub(super) base: &'a Path,
    pub(super) environment: Environment<'a>,
    pub(super) notes: Notes,
}

/// Keys and values. Reports unknown keys when it is dropped.
pub(super) struct Section<'c> {
    pub(super) context: &'c Context<'c>,
    pub(super) place: Place,
    /// What has not been asked for. No name occurs twice.
    rest: Vec<(String, Item<'c>)>,
    asked: Vec<&'static str>,
}

// === impl Section ===

impl<'c> Section<'c> {
    /// A section with these entries.
    pub(super) fn new(context: &'c Context<'c>, place: Place, entries: Vec<(String, Item<'c>)>) -> Self {
        let mut rest: Vec<(String, Item<'c>)> = Vec::with_capacity(entries.len());
        for (name, item) in entries {
            if let Some((_, first)) = rest.iter().find(|(other, _)| *other == name) {
                item.wrong(format!("given twice, first on line {}", first.place.line));
            } else {
                rest.push((name, item));
            }
        }
        Self { context, place, rest, asked: Vec::new() }
    }

    /// Notes a problem with the section as such.
    pub(super) fn wrong(&self, text: impl Into<String>) -> Reported {
        self.context.notes.add(&self.place, text)
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.rest.iter().any(|(name, _)| name == key)
    }

    /// A key's value, where it is there.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Item<'c>) -> Result<T, Reported>,
    ) -> Result<Option<T>, Reported> {
        self.asked.push(key);
        let Some(index) = self.rest.iter().position(|(name, _)| name == key) else { return Ok(None) };
        let (_, item) = self.rest.remove(index);
        read(item).map(Some)
    }

    /// A key's value; a problem where the key is not there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Item<'c>) -> Result<T, Reported>,
    ) -> Result<T, Reported> {
        match self.optional(key, read)? {
            Some(value) => Ok(value),
            None => Err(self.context.notes.add(&self.place.below(key, self.place.line), "missing")),
        }
    }

    /// A key's value, or the default.
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(Item<'c>) -> Result<T, Reported>,
    ) -> Result<T, Reported> {
        Ok(self.optional(key, read)?.unwrap_or(default))
    }

    /// The section under a key; an empty one where the key is not there, so that all its defaults hold.
    pub(super) fn section(&mut self, key: &'static str) -> Result<Section<'c>, Reported> {
        let empty = Section::new(self.context, self.place.below(key, self.place.line), Vec::new());
        self.or(key, empty, Item::section)
    }

    /// Every entry: for sections whose keys are names that the file chooses.
    pub(super) fn entries(mut self) -> Vec<(String, Item<'c>)> {
        std::mem::take(&mut self.rest)
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        for (name, item) in &self.rest {
            item.wrong(unknown_key(name, &self.asked));
        }
    }
}

/// What to say about a key that nobody knows.
fn unknown_key(name: &str, known: &[&str]) -> String {
    let distance = |key: &str| strsim::osa_distance(name, key);
    match known.iter().min_by_key(|key| distance(key)) {
        Some(near) if distance(near) * 3 <= near.len().max(3) => {
            format!("unknown key; did you mean `{near}`?")
        }
        _ => format!("unknown key; known: {}", known.join(", ")),
    }
}

//! One value of the file, and what can be made of it.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use super::node::{Node, Value};
use super::problems::{Place, Reported};
use super::section::{Context, Section};
use super::values;

/// A value under a key, or an element of a list. Has no `Debug`: it may hold a secret.
pub(super) struct Item<'c> {
    pub(super) context: &'c Context<'c>,
    pub(super) place: Place,
    pub(super) value: Value,
}

// === impl Item ===

impl<'c> Item<'c> {
    /// The whole file.
    pub(super) fn root(context: &'c Context<'c>, node: Node) -> Self {
        Self { context, place: Place { line: node.line, key: String::new() }, value: node.value }
    }

    /// Notes a problem with this value. The text must not quote what may be a secret.
    pub(super) fn wrong(&self, text: impl Into<String>) -> Reported {
        self.context.notes.add(&self.place, text)
    }

    fn wrong_kind(&self, expected: &str) -> Reported {
        let hint = match (expected, &self.value) {
            ("text", Value::Boolean(_) | Value::Whole(_) | Value::OtherNumber) => ": put it in quotes",
            _ => "",
        };
        self.wrong(format!("must be {expected}, not {}{hint}", self.value.kind()))
    }

    /// Text that is not empty.
    pub(super) fn text(self) -> Result<String, Reported> {
        match self.value {
            Value::Text(text) if text.is_empty() => {
                Err(self.context.notes.add(&self.place, "must not be empty"))
            }
            Value::Text(text) => Ok(text),
            _ => Err(self.wrong_kind("text")),
        }
    }

    /// What a rule makes of the text.
    pub(super) fn parse<T>(self, rule: impl FnOnce(&str) -> Result<T, String>) -> Result<T, Reported> {
        let (context, place) = (self.context, self.place.clone());
        rule(&self.text()?).map_err(|wrong| context.notes.add(&place, wrong))
    }

    /// A path; a relative one is taken from the file's directory.
    pub(super) fn path(self) -> Result<PathBuf, Reported> {
        let base = self.context.base;
        self.text().map(|path| base.join(path))
    }

    /// A duration like `60s`, within bounds that include both ends.
    pub(super) fn duration(self, min: Duration, max: Duration) -> Result<Duration, Reported> {
        self.parse(|text| match humantime::parse_duration(text) {
            Ok(duration) if (min..=max).contains(&duration) => Ok(duration),
            Ok(_) => Err(format!(
                "must be between {} and {}",
                humantime::format_duration(min),
                humantime::format_duration(max)
            )),
            Err(_) => Err("must be a duration such as `60s`, `10m` or `30days`".to_owned()),
        })
    }

    /// `true` or `false`.
    pub(super) fn boolean(self) -> Result<bool, Reported> {
        match self.value {
            Value::Boolean(value) => Ok(value),
            _ => Err(self.wrong_kind("true or false")),
        }
    }

    /// A number from 1 to `max`.
    pub(super) fn count(self, max: usize) -> Result<usize, Reported> {
        let number = match self.value {
            Value::Whole(number) => usize::try_from(number).ok(),
            _ => None,
        };
        number
            .filter(|number| (1..=max).contains(number))
            .ok_or_else(|| self.wrong(format!("must be a whole number from 1 to {max}")))
    }

    /// A list, each element read. All elements are read before the first bad one fails the list.
    pub(super) fn list<T>(self, read: impl Fn(Item<'c>) -> Result<T, Reported>) -> Result<Vec<T>, Reported> {
        let Value::List(nodes) = self.value else { return Err(self.wrong_kind("a list")) };
        let elements: Vec<_> = nodes
            .into_iter()
            .enumerate()
            .map(|(index, node)| {
                let place = self.place.element(index, node.line);
                read(Item { context: self.context, place, value: node.value })
            })
            .collect();
        elements.into_iter().collect()
    }

    /// A list of texts, each once.
    pub(super) fn distinct<T: PartialEq + Display>(
        self,
        rule: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, Reported> {
        let (context, place) = (self.context, self.place.clone());
        let elements = self.list(|element| element.parse(&rule))?;
        match elements.iter().enumerate().find(|(i, element)| elements[..*i].contains(element)) {
            Some((_, twice)) => Err(context.notes.add(&place, format!("has `{twice}` twice"))),
            None => Ok(elements),
        }
    }

    /// Scope tokens, each once.
    pub(super) fn scopes(self) -> Result<Vec<String>, Reported> {
        self.distinct(values::scope)
    }

    /// Checks the name that the file chose for this value.
    pub(super) fn named(&self, name: &str) -> Result<(), Reported> {
        values::name(name).map_err(|wrong| self.wrong(wrong))
    }

    /// Keys and values.
    pub(super) fn section(self) -> Result<Section<'c>, Reported> {
        let Value::Section(entries) = self.value else { return Err(self.wrong_kind("a section")) };
        let entries = entries
            .into_iter()
            .map(|(key, node)| {
                let place = self.place.below(&key.value, key.referenced.line());
                (key.value, Item { context: self.context, place, value: node.value })
            })
            .collect();
        Ok(Section::new(self.context, self.place, entries))
    }
}

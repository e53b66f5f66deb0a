//! What is wrong with a configuration: everything at once, each with its line and its key.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Everything that is wrong with one file, in the order of its lines. Never empty.
#[derive(Debug, Error, PartialEq, Eq)]
pub struct Problems {
    file: PathBuf,
    list: Vec<Problem>,
}

/// One thing that is wrong. Its text never has a secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; `None` where it is about the file as such.
    pub line: Option<u64>,
    /// The full path of the key, such as `servers.demo.url`; empty where it is about no key.
    pub key: String,
    /// What is wrong, and what would be right.
    pub text: String,
}

/// Where in the file something stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) key: String,
}

/// Proof that a problem has been noted: only [`Notes::add`] makes one. A reader that cannot go on returns it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported(());

/// Problems noted so far.
#[derive(Default)]
pub(super) struct Notes(RefCell<Vec<Problem>>);

// === impl Problems ===

impl Problems {
    /// The only thing to say about a file: that it cannot be read, or is not YAML.
    pub(super) fn only(file: &Path, line: Option<u64>, text: String) -> Self {
        Self { file: file.to_owned(), list: vec![Problem { line, key: String::new(), text }] }
    }

    /// The same problems under the name by which the caller knows the file.
    pub(super) fn of_file(self, file: &Path) -> Self {
        Self { file: file.to_owned(), ..self }
    }

    /// Each problem, in the order of lines.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }
}

impl fmt::Display for Problems {
    /// One line for each problem: `portcullis.yaml:14: servers.demo.provider: missing`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.list.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            write!(f, "{newline}{}", self.file.display())?;
            if let Some(line) = problem.line {
                write!(f, ":{line}")?;
            }
            if !problem.key.is_empty() {
                write!(f, ": {}", problem.key)?;
            }
            write!(f, ": {}", problem.text)?;
        }
        Ok(())
    }
}

// === impl Place ===

impl Place {
    /// The place of a key below this one.
    pub(super) fn below(&self, key: &str, line: u64) -> Self {
        let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-<".contains(c));
        let key = if plain { key.to_owned() } else { format!("{key:?}") };
        let key = if self.key.is_empty() { key } else { format!("{}.{key}", self.key) };
        Self { line, key }
    }

    /// The place of a list's element, counted from 0.
    pub(super) fn element(&self, index: usize, line: u64) -> Self {
        Self { line, key: format!("{}[{index}]", self.key) }
    }
}

// === impl Notes ===

impl Notes {
    /// Notes one problem.
    pub(super) fn add(&self, place: &Place, text: impl Into<String>) -> Reported {
        let problem = Problem { line: Some(place.line), key: place.key.clone(), text: text.into() };
        self.0.borrow_mut().push(problem);
        Reported(())
    }

    /// The value, if nothing was noted. An `Err` proves that something was.
    pub(super) fn conclude<T>(self, file: &Path, value: Result<T, Reported>) -> Result<T, Problems> {
        let mut list = self.0.into_inner();
        match value {
            Ok(value) if list.is_empty() => Ok(value),
            _ => {
                list.sort_by_key(|problem| problem.line);
                Err(Problems { file: file.to_owned(), list })
            }
        }
    }
}

//! Every target on its corpus, and on what becomes of that by chance: the same in every run. For longer, and led by which
//! code is reached, there is `make fuzz`.

#![expect(clippy::unwrap_used, reason = "a test may stop where its input is not what it must be")]

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_fuzz::{TARGETS, Target};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

/// Mutations of each target: a few seconds for all of them.
const CASES: u32 = 4_000;

/// What may turn a parser's head, whatever it parses.
const WORDS: [&str; 40] = [
    "\0",
    "\n",
    "\r\n",
    "\t",
    " ",
    "%00",
    "%2e%2e",
    "%2f",
    "%",
    "+",
    "&",
    "=",
    "#",
    "?",
    "@",
    ":",
    "/",
    "\\",
    "..",
    "//",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    "null",
    "-1",
    "1e999",
    "18446744073709551616",
    "\u{202e}",
    "\u{feff}",
    "é",
    "javascript:",
    "http://",
    "https://",
    "localhost",
    "[::1]",
    "*a",
    "&a",
];

/// One change.
#[derive(Clone, Debug)]
enum Change {
    /// Another byte.
    Byte(Index, u8),
    /// Something between.
    Word(Index, Index),
    /// Something less.
    Cut(Index, usize),
    /// Something again, so many times.
    Repeat(Index, usize, usize),
    /// A piece of another entry.
    Splice(Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let index = || any::<Index>();
    prop_oneof![
        2 => (index(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        4 => (index(), index()).prop_map(|(at, word)| Change::Word(at, word)),
        2 => (index(), 1..20_usize).prop_map(|(at, length)| Change::Cut(at, length)),
        1 => (index(), 1..20_usize, 1..200_usize).prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        2 => (index(), index(), index()).prop_map(|(at, entry, from)| Change::Splice(at, entry, from)),
    ]
}

impl Change {
    fn apply(&self, data: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let place = |at: &Index| at.index(data.len() + 1);
        match self {
            Self::Byte(at, byte) => {
                let at = place(at);
                data.splice(at..(at + 1).min(data.len()), [*byte]);
            }
            Self::Word(at, word) => {
                let at = place(at);
                data.splice(at..at, word.get(&WORDS).bytes());
            }
            Self::Cut(at, length) => {
                let at = place(at);
                data.drain(at..(at + length).min(data.len()));
            }
            Self::Repeat(at, length, times) => {
                let at = place(at);
                let piece = data[at..(at + length).min(data.len())].repeat(*times);
                data.splice(at..at, piece);
            }
            Self::Splice(at, entry, from) => {
                let at = place(at);
                let other = entry.get(corpus);
                data.splice(at.., other[from.index(other.len() + 1)..].iter().copied());
            }
        }
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let mut files: Vec<_> =
        fs::read_dir(directory().join(target.name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no corpus", target.name);
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn run(name: &str) {
    let target = TARGETS.into_iter().find(|target| target.name == name).unwrap();
    let corpus = corpus(&target);
    for entry in &corpus {
        (target.run)(entry);
    }
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let strategy = (any::<Index>(), prop::collection::vec(change(), 1..6));
    TestRunner::new_with_rng(config, random)
        .run(&strategy, |(entry, changes)| {
            let mut data = entry.get(&corpus).clone();
            for change in &changes {
                change.apply(&mut data, &corpus);
            }
            (target.run)(&data);
            Ok(())
        })
        .unwrap();
}

macro_rules! targets {
    ($($name:ident),+) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })+

        #[test]
        fn every_target_and_no_other_has_a_corpus_and_is_run() {
            let mut run = vec![$(stringify!($name)),+];
            let mut names = TARGETS.map(|target| target.name).to_vec();
            let entries = fs::read_dir(directory()).unwrap();
            let mut kept: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            for list in [&mut run, &mut names] {
                list.sort_unstable();
            }
            kept.sort_unstable();
            assert_eq!(run, names);
            assert_eq!(kept, names);
        }
    };
}

targets!(
    token,
    check_request,
    form,
    token_request,
    authorization_request,
    redirect_uri,
    registration,
    client_document,
    portcullis_yaml,
    authz_yaml,
    provider_tokens,
    provider_claims
);

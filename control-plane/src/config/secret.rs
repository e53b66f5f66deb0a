//! Secrets: `{ file: PATH }`, `{ env: NAME }` or `{ value: TEXT }`. No problem ever quotes one.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::item::Item;
use super::node::Value;
use super::problems::Reported;
use super::values;

/// A client secret is some dozens of bytes; a file beyond this is the wrong file.
const MAX_SECRET_BYTES: usize = 64 * 1024;

const FORMS: &str = "must be one of `{ file: PATH }`, `{ env: NAME }` and `{ value: TEXT }`";

/// Reads a secret from where the configuration says it is.
///
/// Goes around [`super::section::Section`], which names the keys that it does not know: here such a key may
/// be the secret itself, as in `{ hunter2 }`.
pub(super) fn read(item: Item<'_>) -> Result<SecretString, Reported> {
    with_file(item).map(|(secret, _)| secret)
}

/// The same, with the file that it was read from, if it was.
pub(super) fn with_file(mut item: Item<'_>) -> Result<(SecretString, Option<PathBuf>), Reported> {
    let (form, text) = match std::mem::replace(&mut item.value, Value::Nothing) {
        Value::Section(mut entries) if entries.len() == 1 => match entries.pop() {
            Some((key, node)) => match node.value {
                Value::Text(text) => (key.value, text),
                Value::Boolean(_) | Value::Whole(_) | Value::OtherNumber => {
                    return Err(item.wrong("must be text, not a number or a boolean: put it in quotes"));
                }
                _ => return Err(item.wrong(FORMS)),
            },
            None => return Err(item.wrong(FORMS)),
        },
        _ => return Err(item.wrong(FORMS)),
    };
    let (secret, file) = match form.as_str() {
        "file" => {
            let path = item.context.base.join(text);
            (from_file(&path), Some(path))
        }
        "env" => (from_environment(&item, &text), None),
        "value" => (Ok(text), None),
        _ => (Err(FORMS.to_owned()), None),
    };
    match secret {
        Ok(secret) if secret.is_empty() => Err(item.wrong("the secret is empty")),
        Ok(secret) => Ok((secret.into(), file)),
        Err(wrong) => Err(item.wrong(wrong)),
    }
}

/// The text of a file that is no secret itself, but belongs to one.
pub(super) fn file(item: Item<'_>) -> Result<String, Reported> {
    let (context, place) = (item.context, item.place.clone());
    from_file(&item.path()?).map_err(|wrong| context.notes.add(&place, wrong))
}

fn from_file(path: &Path) -> Result<String, String> {
    // All the room at once: a buffer that grows leaves copies of its secret behind.
    let mut secret = Zeroizing::new(String::with_capacity(MAX_SECRET_BYTES + 1));
    let file = File::open(path).map(|file| file.take(MAX_SECRET_BYTES as u64 + 1));
    match file.and_then(|mut file| file.read_to_string(&mut secret)) {
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        Ok(_) if secret.len() > MAX_SECRET_BYTES => {
            Err(format!("{} is too large to be a secret", path.display()))
        }
        Ok(_) => Ok(secret.trim_end_matches(['\r', '\n']).to_owned()),
    }
}

/// The secret of a static credential as its file has it now.
pub fn static_secret(path: &Path) -> Result<SecretString, String> {
    match from_file(path)? {
        secret if secret.is_empty() => Err(format!("{} is empty", path.display())),
        secret if !values::is_header_value(&secret) => {
            Err(format!("{} has characters that no header field can have", path.display()))
        }
        secret => Ok(secret.into()),
    }
}

fn from_environment(item: &Item<'_>, name: &str) -> Result<String, String> {
    (item.context.environment)(name).ok_or_else(|| format!("there is no environment variable {name:?}"))
}

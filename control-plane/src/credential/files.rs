//! Static credentials that are in files: a changed file is a changed credential, without a restart.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use portcullis_proto::ids::ServerName;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::{self, CredentialMode, Server};
use crate::metrics::ServerLabels;

/// How often the files are looked at. Their contents, since a file that is swapped by a symlink tells nothing else.
const EVERY: Duration = Duration::from_secs(2);
/// How long a new content must stay the same: a file that is being written is not read halfway.
const SETTLE: Duration = Duration::from_millis(100);

/// Looks at the files until `shutdown`.
pub async fn follow(app: &App, shutdown: &CancellationToken) {
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut bad = BTreeSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = every.tick() => {}
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = look(app, &mut bad) => {}
        }
    }
}

/// Looks at each file once. `bad` has the servers whose file was of no use the last time.
async fn look(app: &App, bad: &mut BTreeSet<ServerName>) {
    for (name, server) in &app.config.servers {
        let CredentialMode::Static(fixed) = &server.credential else { continue };
        let Some(path) = &fixed.file else { continue };
        match settled(app, name, path).await {
            Ok(None) => {
                bad.remove(name);
            }
            Ok(Some(secret)) => {
                bad.remove(name);
                take(app, name, server, secret);
            }
            Err(wrong) => {
                count(app, name, "failed");
                if bad.insert(name.clone()) {
                    tracing::error!(server = %name, "static credential: {wrong}; the last good one stays in use");
                }
            }
        }
    }
}

fn take(app: &App, name: &ServerName, server: &Server, secret: SecretString) {
    if app.recipes.replace(name, server, secret) {
        count(app, name, "changed");
        tracing::info!(server = %name, "static credential changed");
    }
}

fn count(app: &App, name: &ServerName, outcome: &'static str) {
    let labels = ServerLabels { server: name.to_string(), outcome };
    app.metrics.static_credentials.get_or_create(&labels).inc();
}

/// What the file has, where that is new and no more in the making.
async fn settled(app: &App, name: &ServerName, path: &Path) -> Result<Option<SecretString>, String> {
    let first = read(path).await;
    let current = app.recipes.of(name).and_then(|recipe| recipe.secret);
    let is = |secret: &SecretString, other: &SecretString| secret.expose_secret() == other.expose_secret();
    if let (Ok(first), Some(current)) = (&first, &current)
        && is(first, current)
    {
        return Ok(None);
    }
    sleep(SETTLE).await;
    let second = read(path).await?;
    match first {
        Ok(first) if is(&first, &second) => Ok(Some(second)),
        Ok(_) | Err(_) => Ok(None), // the next look will tell
    }
}

/// Away from the other tasks: a file may be on a disk that takes its time.
async fn read(path: &Path) -> Result<SecretString, String> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || config::static_secret(&path)).await;
    read.unwrap_or_else(|_| Err("the file could not be looked at".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::config::{CredentialHeader, StaticCredential};
    use crate::http::tests::harness::World;

    /// A server whose static credential is in a file, and the file's path.
    fn world() -> (World, std::path::PathBuf) {
        let world = World::with(|config| {
            let path = config.keys.with_file_name("secret");
            fs::write(&path, "s3cr3t-one\n").unwrap();
            let server = config.servers.values_mut().next().unwrap();
            server.credential = CredentialMode::Static(StaticCredential {
                secret: "s3cr3t-one".into(),
                file: Some(path),
                header: CredentialHeader::bearer(),
            });
        });
        let path = world.app.config.keys.with_file_name("secret");
        (world, path)
    }

    fn secret(world: &World) -> String {
        let recipe = world.app.recipes.of(&ServerName::new("demo")).unwrap();
        recipe.secret.unwrap().expose_secret().to_owned()
    }

    fn counted(world: &World, outcome: &'static str) -> u64 {
        let labels = ServerLabels { server: "demo".into(), outcome };
        world.app.metrics.static_credentials.get_or_create(&labels).get()
    }

    #[tokio::test]
    async fn a_changed_file_is_a_changed_credential() {
        let (world, path) = world();
        let mut bad = BTreeSet::new();
        let revision = || world.app.recipes.of(&ServerName::new("demo")).unwrap().revision;
        let before = revision();
        look(&world.app, &mut bad).await;
        assert_eq!((secret(&world).as_str(), revision()), ("s3cr3t-one", before));
        fs::write(&path, "s3cr3t-two\n").unwrap();
        look(&world.app, &mut bad).await;
        assert_eq!(secret(&world), "s3cr3t-two");
        assert_ne!(revision(), before);
        assert_eq!(counted(&world, "changed"), 1);
    }

    #[tokio::test]
    async fn a_swapped_symlink_is_a_changed_file() {
        let (world, path) = world();
        let (one, two) = (path.with_extension("1"), path.with_extension("2"));
        fs::rename(&path, &one).unwrap();
        fs::write(&two, "s3cr3t-two").unwrap();
        symlink(&one, &path).unwrap();
        let mut bad = BTreeSet::new();
        look(&world.app, &mut bad).await;
        assert_eq!(secret(&world), "s3cr3t-one");
        symlink(&two, path.with_extension("new")).unwrap();
        fs::rename(path.with_extension("new"), &path).unwrap();
        look(&world.app, &mut bad).await;
        assert_eq!(secret(&world), "s3cr3t-two");
    }

    #[tokio::test]
    async fn a_file_of_no_use_leaves_the_last_good_credential_in_use() {
        let (world, path) = world();
        let mut bad = BTreeSet::new();
        let long = "a".repeat(100 * 1024);
        for (failures, contents) in ["", "\n", "two\tparts", "two\nlines", "\u{e9}", &long].iter().enumerate()
        {
            fs::write(&path, contents).unwrap();
            look(&world.app, &mut bad).await;
            assert_eq!(secret(&world), "s3cr3t-one", "{contents:?}");
            assert_eq!(counted(&world, "failed"), failures as u64 + 1);
            assert_eq!(bad.len(), 1);
        }
        fs::remove_file(&path).unwrap();
        look(&world.app, &mut bad).await;
        assert_eq!((secret(&world).as_str(), bad.len()), ("s3cr3t-one", 1));
        fs::write(&path, "s3cr3t-two").unwrap();
        look(&world.app, &mut bad).await;
        assert_eq!((secret(&world).as_str(), bad.len()), ("s3cr3t-two", 0));
    }
}

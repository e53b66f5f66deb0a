use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use super::issue::{Authority, IssueError, are_made};
use super::*;
use crate::time::{Clock as _, SystemClock};

mod handshake;
mod reload;

const DAY: Duration = Duration::from_hours(24);

/// An authority's certificates for every role, good for a day.
pub(super) struct World {
    pub(super) directory: TempDir,
    pub(super) now: Timestamp,
}

/// What observers are told.
#[derive(Default)]
pub(super) struct Told(Mutex<Vec<String>>);

impl World {
    pub(super) fn new() -> Self {
        let world = Self { directory: tempfile::tempdir().unwrap(), now: SystemClock.now() };
        let authority = Authority::new(world.now).unwrap();
        authority.write(world.path()).unwrap();
        for role in Role::ALL {
            authority.issue(role, &Names::default(), world.now, DAY, world.path()).unwrap();
        }
        world
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn files(&self, role: Role) -> Files {
        issue::files(role, self.path())
    }

    pub(super) fn open(&self, role: Role) -> Result<Identity, MeshError> {
        Identity::open(role, self.files(role), Names::default(), self.now)
    }

    /// Why a role's files are refused after a change to them.
    fn refusal(&self, role: Role, change: impl FnOnce(&Files)) -> String {
        change(&self.files(role));
        let error = self.open(role).unwrap_err().to_string();
        error.replace(&format!("{}/", self.path().display()), "")
    }
}

impl Told {
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }
}

impl Observer for Told {
    fn refused(&self, why: Refusal) {
        self.note(why.name());
    }

    fn reread(&self, taken: bool) {
        self.note(if taken { "taken" } else { "not taken" });
    }

    fn expires(&self, at: Timestamp) {
        self.note(format!("good until {}", at.as_secs()));
    }
}

#[test]
fn what_is_made_is_good_for_its_role_and_keys_are_private() {
    let world = World::new();
    for role in Role::ALL {
        let identity = world.open(role).unwrap();
        assert_eq!(identity.expires().as_secs(), world.now.after(DAY).as_secs(), "{role}");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&world.files(role).private_key), 0o600);
        assert_eq!(mode(world.files(role).private_key.parent().unwrap()), 0o700);
    }
    assert!(are_made(world.path()).unwrap());
}

#[test]
fn nothing_is_overwritten() {
    let world = World::new();
    let before = fs::read(world.files(Role::Edge).private_key).unwrap();
    let authority = Authority::new(world.now).unwrap();
    assert!(matches!(authority.write(world.path()), Err(IssueError::Exists(_))));
    let again = authority.issue(Role::Edge, &Names::default(), world.now, DAY, world.path());
    assert!(matches!(again, Err(IssueError::Exists(_))));
    assert_eq!(fs::read(world.files(Role::Edge).private_key).unwrap(), before);
    fs::remove_file(world.files(Role::Admin).certificate).unwrap();
    assert!(
        matches!(are_made(world.path()), Err(IssueError::Missing(path)) if path.ends_with("admin/certificate.pem"))
    );
    assert!(!are_made(&world.path().join("elsewhere")).unwrap());
}

#[test]
fn an_authority_that_is_read_again_is_the_same() {
    let world = World::new();
    let authority = Authority::read(world.path()).unwrap();
    let renewed = tempfile::tempdir().unwrap();
    let mut files =
        authority.issue(Role::Authz, &Names::default(), world.now, 2 * DAY, renewed.path()).unwrap();
    files.ca = world.files(Role::Edge).ca;
    let identity = Identity::open(Role::Authz, files, Names::default(), world.now).unwrap();
    assert_eq!(identity.expires().as_secs(), world.now.after(2 * DAY).as_secs());
}

#[test]
fn a_file_of_no_use_is_named_with_its_key() {
    /// Spoils one of them.
    type Change = fn(&Files);
    let cases: [(Change, &str); 9] = [
        (
            |files| fs::remove_file(&files.ca).unwrap(),
            "mesh.ca: authz/ca.pem: cannot be read: No such file or directory (os error 2)",
        ),
        (
            |files| fs::write(&files.ca, "nothing").unwrap(),
            "mesh.ca: authz/ca.pem: has no certificate in PEM",
        ),
        (
            |files| fs::write(&files.certificate, "").unwrap(),
            "mesh.certificate: authz/certificate.pem: has no certificate in PEM",
        ),
        (
            |files| fs::write(&files.private_key, fs::read(&files.certificate).unwrap()).unwrap(),
            "mesh.private_key: authz/private_key.pem: has no private key in PEM that can be used",
        ),
        (
            |files| fs::write(&files.private_key, vec![b'-'; 300 * 1024]).unwrap(),
            "mesh.private_key: authz/private_key.pem: is too long",
        ),
        (
            |files| copy(files.private_key.with_file_name("../edge/private_key.pem"), &files.private_key),
            "mesh.private_key: authz/private_key.pem: is not the key of the certificate in authz/certificate.pem",
        ),
        (
            |files| copy(files.ca.with_file_name("../edge/certificate.pem"), &files.certificate),
            "mesh.certificate: authz/certificate.pem: is not for authz.portcullis.internal, which must be one of its subject \
             alternative names",
        ),
        (
            |files| copy(&files.certificate, &files.ca),
            "mesh.certificate: authz/certificate.pem: was issued by no authority in authz/ca.pem",
        ),
        (
            |files| {
                let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
                fs::write(&files.ca, text).unwrap();
            },
            "mesh.ca: authz/ca.pem: has a certificate that cannot be used: invalid peer certificate: BadEncoding",
        ),
    ];
    for (change, said) in cases {
        assert_eq!(World::new().refusal(Role::Authz, change), said);
    }
}

#[test]
fn a_certificate_of_another_authority_or_time_is_refused() {
    let (world, other) = (World::new(), World::new());
    let another = other.files(Role::Authz).ca;
    let said = world.refusal(Role::Authz, |files| copy(another, &files.ca));
    assert_eq!(said, "mesh.certificate: authz/certificate.pem: was issued by no authority in authz/ca.pem");

    let at = |now| {
        Identity::open(Role::Admin, other.files(Role::Admin), Names::default(), now).unwrap_err().to_string()
    };
    let late = at(other.now.after(DAY + Duration::from_secs(1)));
    assert!(late.contains("admin/certificate.pem: expired on 2"), "{late}");
    let early = at(other.now.before(DAY));
    assert!(early.contains("admin/certificate.pem: is good from 2"), "{early}");
}

#[test]
fn what_a_certificate_may_be_used_for_is_checked() {
    let world = World::new();
    // The names are swapped: authz's own is then on a certificate that nobody may connect to.
    let names = Names::with(&[
        (Role::Authz, Names::default().of(Role::Edge)),
        (Role::Edge, Names::default().of(Role::Authz)),
    ]);
    let error = Identity::open(Role::Authz, world.files(Role::Edge), names.unwrap(), world.now).unwrap_err();
    assert!(
        error.to_string().ends_with("lacks an extended key usage: serverAuth, to be connected to"),
        "{error}"
    );
}

#[test]
fn t18_no_debug_output_and_no_error_shows_the_key() {
    let world = World::new();
    let key = fs::read_to_string(world.files(Role::Authz).private_key).unwrap();
    let line = key.lines().nth(1).unwrap();
    let shown = format!("{:?}", world.open(Role::Authz).unwrap());
    assert!(shown.contains("authz") && !shown.contains(line), "{shown}");
    let error =
        world.refusal(Role::Authz, |files| fs::write(&files.private_key, &key[..key.len() / 2]).unwrap());
    assert!(!error.contains(&line[..8]), "{error}");
}

#[test]
fn only_this_machine_is_loopback() {
    for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "::1", "[::1]"] {
        assert!(is_loopback(host), "{host}");
    }
    for host in
        ["", "0.0.0.0", "10.0.0.1", "::", "[::]", "::ffff:127.0.0.1", "localhost.example.com", "authz-1"]
    {
        assert!(!is_loopback(host), "{host}");
    }
}

#[test]
fn only_the_section_is_tls_and_only_nothing_is_loopback() {
    assert!(Settings::default().is_loopback_only());
    assert!(!Settings::SecuredByPlatform.is_loopback_only() && !Settings::SecuredByPlatform.is_tls());
    let world = World::new();
    let tls = Settings::Tls { files: world.files(Role::Edge), names: Names::default() };
    assert!(tls.is_tls() && !tls.is_loopback_only());
    assert!(tls.open(Role::Edge, world.now).unwrap().is_some());
    assert!(Settings::SecuredByPlatform.open(Role::Edge, world.now).unwrap().is_none());
}

fn copy(from: impl AsRef<Path>, to: &Path) {
    fs::copy(from, to).unwrap();
}

fn arc(identity: Result<Identity, MeshError>) -> Arc<Identity> {
    Arc::new(identity.unwrap())
}

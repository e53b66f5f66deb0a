//! Files that change while a process runs.

use std::os::unix::fs::symlink;

use super::*;

/// Puts a renewed certificate, good for two days, where the one before was.
fn renew(world: &World, role: Role) {
    let renewed = tempfile::tempdir().unwrap();
    let authority = Authority::read(world.path()).unwrap();
    let made = authority.issue(role, &Names::default(), world.now, 2 * DAY, renewed.path()).unwrap();
    let files = world.files(role);
    fs::copy(made.private_key, files.private_key).unwrap();
    fs::copy(made.certificate, files.certificate).unwrap();
}

fn until(world: &World, days: u32) -> String {
    format!("good until {}", world.now.after(days * DAY).as_secs())
}

#[tokio::test]
async fn a_renewed_certificate_is_taken() {
    let world = World::new();
    let identity = world.open(Role::Authz).unwrap();
    let (told, mut bad) = (Told::default(), None);
    identity.look(world.now, &told, &mut bad).await;
    assert!(told.take().is_empty());
    renew(&world, Role::Authz);
    identity.look(world.now, &told, &mut bad).await;
    assert_eq!(told.take(), ["taken".to_owned(), until(&world, 2)]);
    identity.look(world.now, &told, &mut bad).await;
    assert!(told.take().is_empty());
}

#[tokio::test]
async fn files_of_no_use_leave_those_before_in_use() {
    let world = World::new();
    let identity = world.open(Role::Authz).unwrap();
    let (told, mut bad) = (Told::default(), None);
    let before = identity.expires();
    let another = world.files(Role::Edge);
    fs::copy(&another.private_key, world.files(Role::Authz).private_key).unwrap();
    for _ in 0..2 {
        identity.look(world.now, &told, &mut bad).await;
        assert_eq!(told.take(), ["not taken"]);
        assert!(bad.as_ref().unwrap().contains("mesh.private_key: "), "{bad:?}");
    }
    assert_eq!(identity.expires(), before);
    // The second file of the pair comes later: then both are taken.
    renew(&world, Role::Authz);
    identity.look(world.now, &told, &mut bad).await;
    assert_eq!((told.take()[0].as_str(), bad), ("taken", None));
}

#[tokio::test]
async fn a_directory_that_is_swapped_by_a_symlink_is_noticed() {
    let (world, link) = (World::new(), tempfile::tempdir().unwrap());
    let link = link.path().join("mesh");
    symlink(world.path().join("authz"), &link).unwrap();
    let at = |name: &str| link.join(name);
    let files =
        Files { ca: at("ca.pem"), certificate: at("certificate.pem"), private_key: at("private_key.pem") };
    let identity = Identity::open(Role::Authz, files, Names::default(), world.now).unwrap();
    let renewed = tempfile::tempdir().unwrap();
    let authority = Authority::read(world.path()).unwrap();
    authority.issue(Role::Authz, &Names::default(), world.now, 2 * DAY, renewed.path()).unwrap();
    symlink(renewed.path().join("authz"), link.with_extension("new")).unwrap();
    fs::rename(link.with_extension("new"), &link).unwrap();
    let told = Told::default();
    identity.look(world.now, &told, &mut None).await;
    assert_eq!(told.take()[0], "taken");
}

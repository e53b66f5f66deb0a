//! `certificates`, and what they are for.

use std::fs;
use std::path::Path;

use crate::home::Home;
use crate::program::program;
use crate::serve::Serve;
use crate::support::CONFIG;

/// Makes them, and gives the directory.
fn make(home: &Home, more: &[&str]) -> String {
    let directory = home.directory.path().join("certs").to_str().unwrap().to_owned();
    let output = program(&[&["certificates", "--dir", &directory], more].concat(), "");
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let made = ["edge", "authz", "control-plane", "admin"];
    let made = made.map(|role| format!("{directory}/{role}/certificate.pem\n")).concat();
    assert_eq!(output.stdout, made);
    directory
}

/// Configured with a role's certificate.
fn configured(home: &Home, certs: &str, role: &str) {
    let section = |role| {
        let directory = format!("{certs}/{role}");
        format!(
            "{{ ca: {directory}/ca.pem, certificate: {directory}/certificate.pem, private_key: \
             {directory}/private_key.pem }}"
        )
    };
    let edge = format!("edge: {{ mesh: {}, ", section("edge"));
    let config = format!("mesh: {}\n{}", section(role), CONFIG.replace("edge: { ", &edge));
    fs::write(home.file(), config).unwrap();
}

#[test]
fn nothing_is_overwritten() {
    let home = Home::new();
    let certs = make(&home, &[]);
    let key = || fs::read(Path::new(&certs).join("edge/private_key.pem")).unwrap();
    let before = key();
    let again = program(&["certificates", "--dir", &certs], "");
    assert_eq!(again.code, Some(1));
    let said = format!("{certs}/ca/private_key.pem: is there already, and nothing is overwritten");
    assert_eq!(again.stderr, format!("portcullis-control-plane: {said}\n"));
    let unless = program(&["certificates", "--dir", &certs, "--unless-made"], "");
    assert_eq!((unless.code, unless.stdout), (Some(0), format!("{certs}: they have been made\n")));
    assert_eq!(key(), before);
    fs::remove_file(Path::new(&certs).join("admin/ca.pem")).unwrap();
    let partly = program(&["certificates", "--dir", &certs, "--unless-made"], "");
    assert_eq!(partly.code, Some(1));
    assert!(
        partly.stderr.contains("/admin/ca.pem: is missing, though others are there"),
        "{}",
        partly.stderr
    );
}

#[test]
fn an_operator_asks_with_a_certificate_of_the_same_authority() {
    let home = Home::new();
    let certs = make(&home, &[]);
    configured(&home, &certs, "control-plane");
    let check = program(&["check", "--config", home.file()], "");
    assert_eq!((check.code, check.stderr.as_str()), (Some(0), ""));
    let serve = Serve::start(&home);
    let url = serve.grpc.replace("http:", "https:");
    let ask = |certs: &str, role: &str| {
        let file = |name: &str| format!("{certs}/{role}/{name}.pem");
        let (ca, certificate, key) = (file("ca"), file("certificate"), file("private_key"));
        let files = ["--ca", &ca, "--certificate", &certificate, "--private-key", &key];
        program(&[&["grants", "list", "--control-plane", &url][..], &files].concat(), "")
    };
    let listed = ask(&certs, "admin");
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);

    // Renewed under the same authority.
    let renewed = home.directory.path().join("renewed").to_str().unwrap().to_owned();
    let made = program(&["certificates", "--dir", &renewed, "--ca", &certs, "--days", "1"], "");
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert!(!Path::new(&renewed).join("ca").exists());
    assert_eq!(ask(&renewed, "admin").code, Some(0));

    let other = ask(&certs, "authz");
    assert_eq!(other.code, Some(1));
    let said = "is not for admin.portcullis.internal, which must be one of its subject alternative names";
    assert!(
        other.stderr.contains(&format!("--certificate: {certs}/authz/certificate.pem: {said}")),
        "{}",
        other.stderr
    );
    let plain = serve.ask(&["grants", "list"], "");
    assert_eq!(plain.code, Some(1));
    let none = program(&["grants", "list", "--control-plane", &url], "");
    assert_eq!(none.stderr, "portcullis-control-plane: https takes --ca, --certificate and --private-key\n");
}

#[test]
fn a_certificate_of_no_use_keeps_the_control_plane_from_starting() {
    let home = Home::new();
    let certs = make(&home, &[]);
    configured(&home, &certs, "authz");
    for command in ["check", "serve"] {
        let output = program(&[command, "--config", home.file()], "");
        assert_eq!(output.code, Some(1), "{command}");
        let said = format!("mesh.certificate: {certs}/authz/certificate.pem: is not for control-plane.");
        assert!(output.stderr.contains(&said), "{command}: {}", output.stderr);
    }
    // Whoever renders Envoy's configuration needs none of the files.
    assert_eq!(program(&["envoy", "--config", home.file()], "").code, Some(0));
}

#[test]
fn operators_speak_in_the_clear_on_loopback_only() {
    let remote = ["grants", "list", "--control-plane", "http://control-plane.invalid:8081"];
    let refused = program(&remote, "");
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("http is for loopback, unless --secured-by-platform"),
        "{}",
        refused.stderr
    );
    let tried = program(&[&remote[..], &["--secured-by-platform"]].concat(), "");
    assert!(tried.stderr.contains("no control plane answers at"), "{}", tried.stderr);
}

use super::*;

const TLS: &str = "mesh: { ca: a, certificate: c, private_key: k }\n";
const EDGE: &str = "  mesh: { ca: a, certificate: e, private_key: f }\n";
const PLATFORM: &str = "mesh: secured_by_platform\n";

/// What is wrong with the good file with something before `edge`, and more in it.
fn with(before: &str, edge: &str) -> String {
    changed("edge:\n", &format!("{before}edge:\n{edge}"))
}

#[test]
fn whoever_listens_beyond_loopback_says_what_keeps_strangers_out() {
    for key in ["http", "grpc"] {
        for address in ["0.0.0.0:1", "'[::]:1'", "10.0.0.5:1"] {
            let listen = format!("listen: {{ {key}: {address} }}\n");
            let edge = "  control_plane: 127.0.0.1:1\n";
            let said = format!("p:1: listen.{key}: without `mesh`, it must be a loopback address");
            assert_eq!(with(&listen, edge), said, "{address}");
            assert_eq!(with(&format!("{listen}{PLATFORM}"), edge), "nothing", "{address}");
            assert_eq!(with(&format!("{listen}{TLS}"), &format!("{edge}{EDGE}")), "nothing", "{address}");
        }
    }
    assert_eq!(with("listen: { ops: 0.0.0.0:1, http: '[::1]:2', grpc: 127.0.0.2:3 }\n", ""), "nothing");
}

#[test]
fn whoever_connects_beyond_loopback_says_so_too() {
    for (edge, key) in [
        ("  authz: [127.0.0.1:1, localhost:2, '[::1]:3', 10.0.0.5:1]\n", "authz[3]"),
        ("  authz: [authz-1:1]\n", "authz[0]"),
        ("  control_plane: control-plane:1\n", "control_plane"),
    ] {
        assert_eq!(with("", edge), format!("p:2: edge.{key}: without `mesh`, it must be on loopback"));
        assert_eq!(with(PLATFORM, edge), "nothing", "{edge}");
        assert_eq!(with(TLS, &format!("{edge}{EDGE}")), "nothing", "{edge}");
    }
}

#[test]
fn envoy_has_a_certificate_where_the_others_have() {
    let missing =
        "p:2: edge: `mesh` is missing: the certificate that Envoy shows to authz and the control plane";
    assert_eq!(with(TLS, ""), missing);
    let lonely = "edge.mesh: there is no `mesh` with a certificate for the others";
    assert_eq!(with("", EDGE), format!("p:2: {lonely}"));
    assert_eq!(with(PLATFORM, EDGE), format!("p:3: {lonely}"));
    let incomplete = "  mesh: { ca: a, certificate: e }\n";
    assert_eq!(with(TLS, incomplete), "p:3: edge.mesh.private_key: missing");
}

#[test]
fn what_is_wrong_with_the_section() {
    let word = "p:1: mesh: must be a section, or the word `secured_by_platform`";
    let dns = "must be a DNS name, such as `authz.portcullis.internal`";
    let names =
        |names: &str| format!("mesh: {{ ca: a, certificate: c, private_key: k, names: {{ {names} }} }}\n");
    for (mesh, said) in [
        ("mesh: istio\n".to_owned(), word.to_owned()),
        ("mesh:\n".to_owned(), "p:1: mesh: must be a section, not nothing".to_owned()),
        ("mesh: { ca: a, certificate: c }\n".to_owned(), "p:1: mesh.private_key: missing".to_owned()),
        (names("edge: '*.test'"), format!("p:1: mesh.names.edge: {dns}")),
        (
            names("admin: edge.portcullis.internal"),
            "p:1: mesh.names: two roles cannot have one name".to_owned(),
        ),
        (names("authzz: a.test"), "p:1: mesh.names.authzz: unknown key; did you mean `authz`?".to_owned()),
    ] {
        // Whatever else needs `mesh` is not blamed.
        assert_eq!(with(&mesh, &format!("  authz: [a:1]\n{EDGE}")), said, "{mesh}");
    }
}

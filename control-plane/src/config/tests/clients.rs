use portcullis_proto::ids::ClientId;

use super::*;
use crate::client_document::DomainPattern;
use crate::oauth::client::{ClientAuth, ClientSource};
use crate::provider::testing::SigningKey;

fn clients(section: &str) -> Result<Clients, Problems> {
    read(&format!("{GOOD}clients:\n{section}")).map(|config| config.clients)
}

/// What is wrong with the section; its first line is the 17th.
fn wrong(section: &str) -> String {
    clients(section).unwrap_err().to_string()
}

#[test]
fn by_default_everybody_may_register_or_have_a_document() {
    let clients = read(GOOD).unwrap().clients;
    assert!(clients.registration && clients.preregistered.is_empty());
    let policy = clients.metadata_documents.unwrap();
    assert!(policy.allowed_domains.is_none());
    assert!(policy.development.addresses.is_empty() && policy.development.ca.is_none());
}

#[test]
fn both_can_be_turned_off() {
    let clients =
        clients("  registration: { enabled: false }\n  metadata_documents: { enabled: false }\n").unwrap();
    assert!(!clients.registration && clients.metadata_documents.is_none());
    assert_eq!(
        wrong("  registration: { enabled: \"no\" }\n"),
        "p:17: clients.registration.enabled: must be true or false, not text"
    );
}

#[test]
fn domains_are_names_or_what_lies_below() {
    let clients =
        clients("  metadata_documents: { allowed_domains: [Claude.ai, '*.example.com', localhost] }\n")
            .unwrap();
    let expected = [
        DomainPattern::Host("claude.ai".into()),
        DomainPattern::Below("example.com".into()),
        DomainPattern::Host("localhost".into()),
    ];
    assert_eq!(clients.metadata_documents.unwrap().allowed_domains.unwrap(), expected);
    for domain in ["https://claude.ai", "*", "*.com", "a.*.com", "claude.ai/c", "claude.ai:443"] {
        assert_eq!(
            wrong(&format!("  metadata_documents: {{ allowed_domains: ['{domain}'] }}\n")),
            "p:17: clients.metadata_documents.allowed_domains[0]: must be a domain such as `example.com` or `*.example.com`"
        );
    }
}

#[test]
fn development_names_loopback_addresses_and_only_behind_a_loopback_edge() {
    let good = "  metadata_documents: { development: { addresses: ['127.0.0.1:8443', '[::1]:8443'] } }\n";
    let policy = clients(good).unwrap().metadata_documents.unwrap();
    assert_eq!(policy.development.addresses.len(), 2);
    for address in ["10.0.0.1:443", "127.0.0.1", "127.0.0.1:0", "localhost:8443", "0.0.0.0:8443"] {
        assert_eq!(
            wrong(&format!("  metadata_documents: {{ development: {{ addresses: ['{address}'] }} }}\n")),
            "p:17: clients.metadata_documents.development.addresses[0]: must be a loopback address and a port, such as `127.0.0.1:8443`"
        );
    }
    let no_pem =
        clients("  metadata_documents: { development: { addresses: ['127.0.0.1:8443'], ca: /dev/null } }\n");
    assert_eq!(
        no_pem.unwrap_err().to_string(),
        "p:17: clients.metadata_documents.development: `ca` must be PEM, as in `-----BEGIN CERTIFICATE-----`"
    );
    let public = GOOD
        .replace("edge:\n", "edge:\n  listen: 0.0.0.0:443\n  tls: { certificate: c, private_key: k }\n")
        .replace("http://localhost:10000", "https://localhost:10000");
    assert!(read(&public).is_ok());
    assert_eq!(
        read(&format!("{public}clients:\n{good}")).unwrap_err().to_string(),
        "p:19: clients.metadata_documents.development: is for development only: `edge.listen` must be a loopback address"
    );
}

#[test]
fn configured_clients_have_a_secret_keys_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let jwks = file("jwks.json", &serde_json::json!({ "keys": [SigningKey::es256("k").jwk()] }).to_string());
    let pem = file(
        "key.pem",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
    );
    let uris = "redirect_uris: ['https://app.example/cb', 'http://127.0.0.1/cb']";
    let clients = clients(&format!(
        "  preregistered:
    one: {{ {uris}, secret: {{ value: {SECRET}-long-enough }} }}
    two: {{ {uris}, jwks: '{jwks}', client_id: the second, name: The Second }}
    three: {{ {uris}, public_key: '{pem}' }}
    four: {{ {uris} }}
"
    ))
    .unwrap()
    .preregistered;
    let of = |id: &str| &clients[&ClientId::new(id)];
    assert!(clients.values().all(|client| client.source == ClientSource::Configured));
    assert!(clients.values().all(|client| client.unused_until.is_none() && client.redirect_uris.len() == 2));
    assert!(matches!(of("one").auth, ClientAuth::Secret(_)));
    assert_eq!(of("one").name.as_deref(), Some("one"));
    assert!(matches!(of("the second").auth, ClientAuth::PrivateKeyJwt(_)));
    assert_eq!(of("the second").name.as_deref(), Some("The Second"));
    assert!(matches!(of("three").auth, ClientAuth::PrivateKeyJwt(_)));
    assert_eq!(of("four").auth, ClientAuth::None);
}

#[test]
fn what_is_wrong_with_a_configured_client_is_named() {
    let uris = "redirect_uris: ['https://app.example/cb']";
    for (client, expected) in [
        ("{}", "redirect_uris: missing"),
        ("{ redirect_uris: [] }", "redirect_uris: must have at least one redirect URI"),
        (
            "{ redirect_uris: ['javascript:alert(1)'] }",
            "redirect_uris[0]: a redirect URI has a scheme that is not allowed: use https, http on loopback, or a reversed domain name",
        ),
        (
            "{ redirect_uris: ['http://localhost:10000/callback'] }",
            "redirect_uris[0]: a redirect URI is on this authorization server's own origin",
        ),
        (
            &format!("{{ {uris}, client_id: 'https://app.example/c' }}"),
            "client_id: must not be a URL: that is a client which describes itself there",
        ),
        (&format!("{{ {uris}, secret: {{ value: too-short }} }}"), "secret: must have 16 bytes at least"),
        (
            &format!("{{ {uris}, jwks: none.json }}"),
            "jwks: cannot read /etc/portcullis/none.json: No such file or directory (os error 2)",
        ),
        (
            &format!("{{ {uris}, colour: red }}"),
            "colour: unknown key; known: client_id, name, redirect_uris, secret, jwks, public_key",
        ),
    ] {
        assert_eq!(
            wrong(&format!("  preregistered:\n    app: {client}\n")),
            format!("p:18: clients.preregistered.app.{expected}")
        );
    }
    let twice = format!("  preregistered:\n    a: {{ {uris} }}\n    b: {{ {uris}, client_id: a }}\n");
    assert_eq!(wrong(&twice), "p:19: clients.preregistered.b: has the same `client_id` as the client `a`");
    let unnamed = wrong(&format!("  preregistered:\n    A B: {{ {uris} }}\n"));
    assert!(unnamed.starts_with("p:18: clients.preregistered.\"A B\": a name has"), "{unnamed}");
}

#[test]
fn secret_and_keys_exclude_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let jwks = directory.path().join("jwks.json");
    std::fs::write(&jwks, serde_json::json!({ "keys": [SigningKey::es256("k").jwk()] }).to_string()).unwrap();
    let client = format!(
        "redirect_uris: ['https://app.example/cb'], secret: {{ value: {SECRET}-long-enough }}, jwks: '{}'",
        jwks.display()
    );
    assert_eq!(
        wrong(&format!("  preregistered:\n    app: {{ {client} }}\n")),
        "p:18: clients.preregistered.app: must have one of `secret`, `jwks` and `public_key`, or none for a public client"
    );
    std::fs::write(&jwks, "{ \"keys\": [{ \"kty\": \"oct\", \"k\": \"hunter2-hunter2\" }] }").unwrap();
    let shared = format!("redirect_uris: ['https://app.example/cb'], jwks: '{}'", jwks.display());
    let said = wrong(&format!("  preregistered:\n    app: {{ {shared} }}\n"));
    assert!(said.contains("private or symmetric key") && !said.contains(SECRET), "{said}");
}

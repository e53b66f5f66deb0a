use std::path::Path;

use portcullis_proto::mesh::{Role, Settings as MeshSettings};
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::*;
use crate::provider::{App, AppCredentials, AppIdentity, ClientAuth, Settings};

mod allow;
mod bad_values;
mod clients;
mod kinds;
mod mesh;
mod registration;
mod secrets;
mod user_token;

/// The smallest complete file; each bad file below differs from it in one thing.
const GOOD: &str = "\
edge:
  allowed_origins: [https://app.example.com]
providers:
  corp:
    kind: oidc
    issuer: https://idp.example.com
    client_id: portcullis
    client_secret: { env: CORP }
    scopes: [openid, email]
servers:
  demo:
    url: http://localhost:10000/demo/mcp
    upstream: http://127.0.0.1:9000/mcp
    provider: corp
    required_scopes: [email]
";

const SECRET: &str = "hunter2-hunter2";

fn read(text: &str) -> Result<Config, Problems> {
    let environment = |name: &str| match name {
        "CORP" => Some(SECRET.to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    parse(text, Path::new("/etc/portcullis/p.yaml"), &environment)
        .map_err(|problems| problems.of_file(Path::new("p")))
}

/// The configured app.
#[track_caller]
fn credentials(app: &App) -> &AppCredentials {
    let AppIdentity::Fixed(credentials) = &app.identity else { panic!("no configured app") };
    credentials
}

fn auth(app: &App) -> &ClientAuth {
    &credentials(app).auth
}

/// What is wrong with the good file after one change.
fn changed(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "{from:?} must occur once");
    match read(&GOOD.replace(from, to)) {
        Ok(_) => "nothing".to_owned(),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn defaults_hold_for_what_the_file_leaves_out() {
    let config = read(GOOD).unwrap();
    assert_eq!(config.listen.http.to_string(), "127.0.0.1:8080");
    assert_eq!(config.listen.grpc.to_string(), "127.0.0.1:8081");
    assert_eq!(config.listen.ops.to_string(), "127.0.0.1:8082");
    let StoreConfig::Sled { path } = &config.store;
    assert_eq!(path, Path::new("/etc/portcullis/data/control-plane"));
    assert_eq!(config.keys, Path::new("/etc/portcullis/data/keys"));
    assert_eq!(config.edge.listen.to_string(), "127.0.0.1:10000");
    assert_eq!(config.edge.admin.to_string(), "127.0.0.1:9901");
    assert_eq!(config.edge.authz, ["127.0.0.1:9191"]);
    assert_eq!(config.edge.control_plane, "127.0.0.1:8080");
    assert_eq!(config.edge.allowed_origins, ["https://app.example.com"]);
    assert!(config.edge.tls.is_none() && config.edge.mesh.is_none());
    assert_eq!(config.mesh, MeshSettings::Loopback);
    assert_eq!(config.lifetimes.code, Duration::from_mins(1));
    assert_eq!(config.limits.pending, 20_000);

    let server = &config.servers[&ServerName::new("demo")];
    assert_eq!(server.url.as_str(), "http://localhost:10000/demo/mcp");
    assert_eq!(server.provider.as_str(), "corp");
    assert!(server.credential.is_provider_token());
    assert_eq!(server.scopes, ["openid", "email"], "the provider's");
    assert_eq!(server.required_scopes, ["email"]);

    let Settings::Oidc(corp) = &config.providers[&ProviderName::new("corp")] else { panic!("oidc") };
    assert_eq!(corp.issuer, "https://idp.example.com");
    let ClientAuth::Basic(secret) = auth(&corp.app) else { panic!("basic") };
    assert_eq!(secret.expose_secret(), SECRET);
}

#[test]
fn offline_access_is_asked_for_at_the_provider_and_offered_by_no_server_that_does_not_name_it() {
    let text = GOOD.replace("scopes: [openid, email]", "scopes: [openid, email, offline_access]");
    assert_ne!(text, GOOD);
    let config = read(&text).unwrap();
    assert_eq!(config.servers[&ServerName::new("demo")].scopes, ["openid", "email"]);
    let Settings::Oidc(corp) = &config.providers[&ProviderName::new("corp")] else { panic!("oidc") };
    assert_eq!(corp.app.scopes, ["openid", "email", "offline_access"]);
}

#[test]
fn everything_can_be_set() {
    let config = read(
        "
listen: { http: 0.0.0.0:1, grpc: '[::]:2', ops: 127.0.0.1:3 }
mesh:
  ca: mesh/ca.pem
  certificate: mesh/certificate.pem
  private_key: /run/mesh.key
  names: { edge: e.test, authz: a.test, control_plane: c.test, admin: o.test }
store: { sled: { path: /var/lib/portcullis } }
keys: { path: ../keys }
edge:
  listen: 0.0.0.0:443
  tls: { certificate: tls/chain.pem, private_key: /run/key.pem }
  mesh: { ca: /m/ca.pem, certificate: /m/edge.pem, private_key: /m/edge.key }
  admin: 127.0.0.1:4
  authz: ['authz-1:9191', '[::1]:9191']
  control_plane: control-plane:1
providers:
  hub:
    kind: oauth2
    authorization_endpoint: https://hub.example.com/authorize
    token_endpoint: http://127.0.0.1:5/token
    userinfo: { url: https://api.hub.example.com/user, subject: id, email: mail }
    issuer: https://hub.example.com
    client_id: portcullis
    client_secret: { value: hunter2-hunter2 }
    client_auth: client_secret_post
    authorize_parameters: { prompt: consent, max_age: '60' }
servers:
  hub-1:
    url: HTTPS://Mcp.Example.com:443/v1/
    upstream: https://hub.internal/mcp/
    provider: hub
    credential: provider_token
    scopes: [repo, 'read:user']
lifetimes: { access_token: 15m, refresh_token: 7days, code: 30s, pending: 5m, refresh_grace: 0s, unused_client: 1h }
limits: { unused_clients: 5, pending: 6, provider_clients: 7 }
",
    )
    .unwrap();
    assert_eq!(config.listen.grpc.port(), 2);
    assert_eq!(config.keys, Path::new("/etc/portcullis/../keys"));
    let MeshSettings::Tls { files, names } = &config.mesh else { panic!("TLS") };
    assert_eq!(files.ca, Path::new("/etc/portcullis/mesh/ca.pem"));
    assert_eq!(files.private_key, Path::new("/run/mesh.key"));
    assert_eq!(Role::ALL.map(|role| names.of(role)), ["e.test", "a.test", "c.test", "o.test"]);
    assert_eq!(config.edge.mesh.unwrap().certificate, Path::new("/m/edge.pem"));
    let tls = config.edge.tls.unwrap();
    assert_eq!(tls.certificate, Path::new("/etc/portcullis/tls/chain.pem"));
    assert_eq!(tls.private_key, Path::new("/run/key.pem"));
    assert_eq!(config.edge.authz, ["authz-1:9191", "[::1]:9191"]);
    assert_eq!(config.edge.control_plane, "control-plane:1");
    let Settings::OAuth2(hub) = &config.providers[&ProviderName::new("hub")] else { panic!("oauth2") };
    assert_eq!(hub.subject_member, "id");
    assert_eq!(hub.email_member, "mail");
    assert_eq!(hub.issuer.as_deref(), Some("https://hub.example.com"));
    assert!(matches!(auth(&hub.app), ClientAuth::Post(_)));
    assert_eq!(hub.app.scopes, [""; 0]);
    let parameters = [("prompt", "consent"), ("max_age", "60")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(hub.app.authorize_parameters, parameters);
    let server = &config.servers[&ServerName::new("hub-1")];
    assert_eq!(server.url.as_str(), "https://mcp.example.com/v1", "canonical");
    assert_eq!(server.upstream.as_str(), "https://hub.internal/mcp/", "as it was written");
    assert_eq!(config.lifetimes.refresh_grace, Duration::ZERO);
    assert_eq!(config.lifetimes.refresh_token, Duration::from_hours(7 * 24));
    assert_eq!(config.limits.unused_clients, 5);
    assert_eq!(config.limits.provider_clients, 7);
}

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_lines() {
    let problems = read(
        "
listen:
  htpp: 127.0.0.1:8080
  grpc: localhost:8081
store: { postgres: { url: postgres://db } }
edge: { listen: 0.0.0.0:10000 }
providers:
  corp:
    kind: oidc
    isuer: https://idp.example.com
    client_id: 12
    client_secret: { env: NOWHERE }
  hub: { kind: gitlab, client_id: portcullis }
servers:
  demo:
    url: https://example.com/mcp
    provider: corp2
    required_scopes: email
    colour: red
lifetimes: { code: 11m }
",
    )
    .unwrap_err();
    let expected = "\
p:3: listen.htpp: unknown key; did you mean `http`?
p:4: listen.grpc: must be an IP address and a port, such as `127.0.0.1:8080`
p:5: store.postgres: there is no store \"postgres\"; known: sled
p:6: edge: without `tls`, `listen` must be a loopback address
p:8: providers.corp.issuer: missing
p:10: providers.corp.isuer: unknown key; did you mean `issuer`?
p:11: providers.corp.client_id: must be text, not a number: put it in quotes
p:12: providers.corp.client_secret: there is no environment variable \"NOWHERE\"
p:13: providers.hub.kind: there is no kind \"gitlab\"; known: oidc, oauth2, google, github, entra, workos
p:15: servers.demo.upstream: missing
p:16: servers.demo.url: https, but the edge has no `edge.tls`
p:17: servers.demo.provider: there is no provider \"corp2\"; known: corp, hub
p:18: servers.demo.required_scopes: must be a list, not text
p:19: servers.demo.colour: unknown key; known: url, upstream, provider, credential, assertion, identity, passthrough, \
         scopes, required_scopes, allow
p:20: lifetimes.code: must be between 1s and 10m";
    assert_eq!(problems.to_string(), expected);
    assert_eq!(problems.iter().count(), 15);
}

#[test]
fn a_file_without_servers_is_refused() {
    let start = GOOD.find("servers:").unwrap();
    let without = &GOOD[..start];
    assert_eq!(read(without).unwrap_err().to_string(), "p:1: servers: missing");
    let empty = format!("{without}servers: {{}}");
    assert_eq!(read(&empty).unwrap_err().to_string(), "p:10: servers: must have at least one server");
}

#[test]
fn what_is_not_yaml_is_one_problem_with_its_line() {
    for (text, start) in [
        ("", "p:1: must be a section, not nothing"),
        ("- a", "p:1: must be a section, not a list"),
        ("a: 1\nb: 'x", "p:2: not valid YAML: "),
        ("a: *nowhere", "p:1: not valid YAML: "),
        ("a: 1\n---\nb: 2", "p:3: not valid YAML: "),
        (&"[".repeat(1000), "p:1: not valid YAML: "),
    ] {
        let problems = read(text).unwrap_err();
        let said = problems.to_string();
        assert!(said.starts_with(start), "{text:?}: {said}");
        assert_eq!(problems.iter().count(), 1);
    }
}

#[test]
fn anchors_and_merge_keys_work() {
    let text = GOOD.replace("  demo:\n", "  demo: &demo\n")
        + "  second:\n    <<: *demo\n    url: http://localhost/2\n";
    let config = read(&text).unwrap();
    assert_eq!(config.servers.len(), 2);
    assert_eq!(config.servers[&ServerName::new("second")].url.as_str(), "http://localhost/2");
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem() {
    let problems = load(Path::new("/nowhere/portcullis.yaml"), &|_| None).unwrap_err();
    let said = "/nowhere/portcullis.yaml: cannot be read: No such file or directory (os error 2)";
    assert_eq!(problems.to_string(), said);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        check_any(&text);
    }

    #[test]
    fn no_damage_to_a_good_file_makes_the_reader_panic(
        at in 0..GOOD.len(),
        cut in 0..20_usize,
        put in r"[\[\]{}:,&*!|>'%@`#\- \n\ta-z0-9]{0,8}",
    ) {
        let end = (at + cut).min(GOOD.len());
        check_any(&format!("{}{put}{}", &GOOD[..at], &GOOD[end..]));
    }
}

/// Whatever the text, there is a configuration, or something to say.
fn check_any(text: &str) {
    if let Err(problems) = read(text) {
        assert_ne!(problems.iter().count(), 0, "{text:?}");
        assert!(problems.iter().all(|problem| !problem.text.is_empty()));
    }
}

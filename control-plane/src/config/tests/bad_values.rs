use super::*;

/// One part of the good file, and for each thing to put there what is said about it.
fn each(part: &str, cases: &[(&str, &str)]) {
    for (to, said) in cases {
        assert_eq!(changed(part, to), *said, "{part:?} became {to:?}");
    }
}

/// The same, for a rule about one key: what is said follows its line and key.
fn each_value(value: &str, place: &str, cases: &[(&str, &str)]) {
    for (to, said) in cases {
        assert_eq!(changed(value, to), format!("{place}: {said}"), "{value:?} became {to:?}");
    }
}

#[test]
fn addresses_that_contradict_each_other() {
    let same = "listen: { http: 127.0.0.1:9, ops: 127.0.0.1:9 }\nedge:\n";
    let anywhere = "listen: { http: 0.0.0.0:8080 }\nmesh: secured_by_platform\nedge:\n";
    each(
        "edge:\n",
        &[
            (same, "p:1: listen: `http`, `grpc` and `ops` must be different addresses"),
            (
                anywhere,
                "p:3: edge: `control_plane` is missing: nobody can connect to `listen.http` 0.0.0.0:8080",
            ),
            ("listen: { http: 127.0.0.1:0, ops: 127.0.0.1:0 }\nedge:\n", "nothing"),
            (
                "edge:\n  admin: 127.0.0.1:10000\n",
                "p:1: edge: `listen` and `admin` must be different addresses",
            ),
            (
                "edge:\n  listen: 10.0.0.1:1\n",
                "p:1: edge: without `tls`, `listen` must be a loopback address",
            ),
            (
                "edge:\n  tls: { certificate: a }\n",
                "p:2: edge.tls.private_key: missing\np:13: servers.demo.url: http, but the edge has `edge.tls`",
            ),
        ],
    );
}

#[test]
fn sections_of_the_wrong_kind() {
    each(
        "edge:\n",
        &[
            ("listen:\nedge:\n", "p:1: listen: must be a section, not nothing"),
            ("keys: data\nedge:\n", "p:1: keys: must be a section, not text"),
            (
                "store: {}\nedge:\n",
                "p:1: store: must name one store, such as `sled: { path: data/control-plane }`",
            ),
            ("store: { sled: {} }\nedge:\n", "p:1: store.sled.path: missing"),
        ],
    );
}

#[test]
fn authz_instances() {
    let bad = |at| format!("p:2: edge.authz[{at}]: must be a host and a port, such as `authz-1:9191`");
    for wrong in ["'*:1'", "a:0", "a", "a:+1", "a:65536", "'::1:9191'", "':9191'", "http://a:1"] {
        assert_eq!(
            changed("edge:\n", &format!("edge:\n  authz: [localhost:1, {wrong}]\n")),
            bad(1),
            "{wrong}"
        );
    }
    each("edge:\n", &[("edge:\n  authz: []\n", "p:2: edge.authz: must have at least one `host:port`")]);
}

#[test]
fn allowed_origins() {
    let not_an_origin = "must be an origin: scheme, host and port, without path or trailing slash";
    each_value(
        "https://app.example.com",
        "p:2: edge.allowed_origins[0]",
        &[
            ("https://app.example.com/", not_an_origin),
            ("https://app.example.com/app", not_an_origin),
            ("https://*.example.com", "the host must be an IP address or a name without wildcards"),
            ("'null'", "must be a URL such as `https://mcp.example.com/mcp`"),
            ("'*'", "must be a URL such as `https://mcp.example.com/mcp`"),
        ],
    );
}

#[test]
fn issuers() {
    each_value(
        "https://idp.example.com",
        "p:6: providers.corp.issuer",
        &[
            ("http://idp.example.com", "must be https: plain http is for loopback only"),
            ("http://localhost.example.com", "must be https: plain http is for loopback only"),
            ("https://idp.example.com?tenant=1", "must not have a query or fragment"),
        ],
    );
}

#[test]
fn scopes() {
    each_value(
        "[openid, email]",
        "p:9: providers.corp.scopes",
        &[("[openid, email, openid]", "has `openid` twice"), ("openid email", "must be a list, not text")],
    );
    each_value(
        "[openid, email]",
        "p:9: providers.corp.scopes[2]",
        &[(
            "[openid, email, 'a b']",
            "a scope is one word of printable ASCII without quotes and backslashes (RFC 6749 section 3.3)",
        )],
    );
    let without = "p:4: providers.corp: `scopes` must have `openid`: without it there is no ID token";
    each("[openid, email]", &[("[email]", without)]);
    let extra = "p:11: servers.demo: `required_scopes` has `admin`, which is not one of its scopes";
    each("required_scopes: [email]", &[("required_scopes: [email, admin]", extra)]);
}

#[test]
fn providers() {
    let name = "a name has 1 to 63 lower-case letters, digits and hyphens, the first not a hyphen";
    let unknown = "p:14: servers.demo.provider: there is no provider \"corp\"; known: Corp";
    each("  corp:\n", &[("  Corp:\n", &format!("p:4: providers.Corp: {name}\n{unknown}"))]);
    each("    kind: oidc\n", &[("", "p:4: providers.corp.kind: missing")]);
    each("client_id: portcullis", &[("client_id: ''", "p:7: providers.corp.client_id: must not be empty")]);
    let own = "p:9: providers.corp.authorize_parameters.state: Portcullis sets this parameter itself";
    let kind =
        "p:9: providers.corp.authorize_parameters.prompt: must be text, not true or false: put it in quotes";
    let known = "known: client_secret_basic, client_secret_post";
    each(
        "    scopes:",
        &[
            ("    authorize_parameters: { state: x, prompt: true }\n    scopes:", &format!("{own}\n{kind}")),
            (
                "    client_auth: none\n    scopes:",
                &format!("p:9: providers.corp.client_auth: there is no client_auth \"none\"; {known}"),
            ),
        ],
    );
}

#[test]
fn server_urls() {
    let own = |path| format!("the path lies under `{path}`, which is the OAuth surface's own");
    let not_plain = "the path must have letters, digits and `-._~` only, and no `//`";
    let metadata = "the path must not have `.well-known`, where the metadata is";
    let (token, assets) = (own("/token"), own("/assets"));
    each_value(
        "http://localhost:10000/demo/mcp",
        "p:12: servers.demo.url",
        &[
            ("https://localhost/mcp", "https, but the edge has no `edge.tls`"),
            ("http://mcp.example.com/mcp", "must be https: plain http is for loopback only"),
            ("http://*/mcp", "the host must be an IP address or a name without wildcards"),
            ("ftp://localhost/mcp", "must be an http or https URL"),
            ("http://localhost:10000/", "must have a path other than `/`, such as `/mcp`"),
            ("http://localhost/mcp#x", "must not have a query or fragment"),
            ("http://localhost/mcp?", "must not have a query or fragment"),
            ("http://user:pass@localhost/mcp", "must not have user information"),
            ("http://localhost/token", &token),
            ("http://localhost/token/", &token),
            ("http://localhost/assets/mcp", &assets),
            ("http://localhost/account/mcp", &own("/account")),
            ("http://localhost/user-token", &own("/user-token")),
            ("http://localhost/.well-known", metadata),
            ("http://localhost/x/../.well-knownish", metadata),
            ("http://localhost/mcp/.well-known/x", metadata),
            ("http://localhost/a//b", not_plain),
            ("http://localhost/a//", not_plain),
            ("http://localhost/ä", not_plain),
            ("http://localhost/a*", not_plain),
            ("http://localhost/a%2fb", not_plain),
            ("http://localhost/a;b", not_plain),
        ],
    );
    for good in ["http://localhost/tokens", "http://[::1]:10000/mcp", "http://127.0.0.1/a/token"] {
        assert_eq!(changed("http://localhost:10000/demo/mcp", good), "nothing", "{good}");
    }
}

#[test]
fn servers() {
    let name = "a name has 1 to 63 lower-case letters, digits and hyphens, the first not a hyphen";
    let copy = "  copy: { url: 'http://LOCALHOST:10000/demo/mcp/', upstream: 'http://u', provider: corp }\n  demo:\n";
    each(
        "  demo:\n",
        &[
            ("  de mo:\n", &format!("p:11: servers.\"de mo\": {name}")),
            (copy, "p:13: servers.demo.url: the same as that of the server `copy`"),
        ],
    );
    let upstream = "p:13: servers.demo.upstream: must be an http or https URL";
    each("http://127.0.0.1:9000/mcp", &[("unix:/run/mcp.sock", upstream)]);
    let one_key = "p:15: servers.demo.credential: must be a word, or a section with one key";
    let no_credential = "p:15: servers.demo.credential.static.header: `host` has a meaning of its own: it cannot carry a \
                         credential";
    let no_value =
        "p:15: servers.demo.credential.static: `secret` has characters that no header field can have";
    each(
        "required_scopes: [email]",
        &[
            (
                "credential: dynamic",
                "p:15: servers.demo.credential: there is no credential \"dynamic\"; known: provider_token, assertion, \
                 none, user_token, static",
            ),
            (
                "credential: static",
                "p:15: servers.demo.credential: `static` has keys of its own: write it as a section",
            ),
            ("credential: { static: { secret: { value: a } }, none: {} }", one_key),
            ("credential: { static: { secret: { value: a }, header: Host } }", no_credential),
            ("credential: { static: { secret: { value: \"a\\tb\" } } }", no_value),
            ("credential: { user_token: {} }", "p:15: servers.demo.credential.user_token.check_url: missing"),
            ("url: http://localhost/x", "p:15: servers.demo.url: given twice, first on line 12"),
        ],
    );
}

#[test]
fn lifetimes_and_limits() {
    let grace = "p:10: lifetimes: `refresh_grace` must be shorter than `access_token`";
    let refresh = "p:10: lifetimes: `refresh_token` must not be shorter than `access_token`";
    let number = "must be a whole number from 1 to 10000000";
    each(
        "servers:\n",
        &[
            (
                "lifetimes: { access_token: 20s, refresh_token: 15s }\nservers:\n",
                &format!("{grace}\n{refresh}"),
            ),
            (
                "lifetimes: { code: 60 }\nservers:\n",
                "p:10: lifetimes.code: must be text, not a number: put it in quotes",
            ),
            (
                "lifetimes: { code: soon }\nservers:\n",
                "p:10: lifetimes.code: must be a duration such as `60s`, `10m` or `30days`",
            ),
            (
                "limits: { unused_clients: -1, pending: 0 }\nservers:\n",
                &format!("p:10: limits.unused_clients: {number}\np:10: limits.pending: {number}"),
            ),
        ],
    );
}

#[test]
fn assertions_identity_headers_and_tokens_that_pass_through() {
    let with = |rest: &str| format!("required_scopes: [email]\n    {rest}");
    let prefix = "p:16: servers.demo.passthrough[0]: must be 3 to 64 characters of a bearer token: letters, digits and \
                  `-._~+/`";
    let ours = "p:16: servers.demo.passthrough[0]: `pcl_` begins the tokens of Portcullis itself";
    let long = format!("passthrough: [{}]", "a".repeat(65));
    for (to, said) in [
        ("assertion: {}", "nothing"),
        ("assertion: { header: X-Portcullis-Assertion }", "nothing"),
        ("assertion: { header: X-Proof }\n    credential: assertion", "nothing"),
        (
            "assertion: { header: Authorization }",
            "p:11: servers.demo: `credential` and `assertion` are both sent in `authorization`",
        ),
        (
            "assertion: { header: x-portcullis-subject }",
            "p:16: servers.demo.assertion.header: `x-portcullis-subject` has a meaning of its own: it cannot carry a \
             credential",
        ),
        ("assertion: x-proof", "p:16: servers.demo.assertion: must be a section, not text"),
        ("identity: [subject, email, client, server, provider, scopes, grant]", "nothing"),
        ("identity: []", "nothing"),
        ("identity: subject", "p:16: servers.demo.identity: must be a list, not text"),
        ("identity: [subject, email, subject]", "p:16: servers.demo.identity: has `subject` twice"),
        (
            "identity: [x-portcullis-subject]",
            "p:16: servers.demo.identity[0]: there is no identity header \"x-portcullis-subject\"; known: subject, email, \
             client, server, provider, scopes, grant",
        ),
        ("passthrough: [ghp_, github_pat_]", "nothing"),
        ("passthrough: []", "p:16: servers.demo.passthrough: must have at least one prefix, or be left out"),
        ("passthrough: [ghp_, ghp_]", "p:16: servers.demo.passthrough: has `ghp_` twice"),
        ("passthrough: [gh]", prefix),
        ("passthrough: ['a b c']", prefix),
        ("passthrough: ['a,b']", prefix),
        ("passthrough: ['g\u{e9}h']", prefix),
        (&long, prefix),
        ("passthrough: [pcl]", ours),
        ("passthrough: [pcl_]", ours),
        ("passthrough: [pcl_at_]", ours),
    ] {
        assert_eq!(changed("required_scopes: [email]", &with(to)), said, "{to}");
    }
    for (interval, is_good) in [("30days", true), ("1h", true), ("59m", false), ("366days", false)] {
        let said = changed("edge:\n", &format!("keys: {{ rotate_signing: {interval} }}\nedge:\n"));
        let refused = said.starts_with("p:1: keys.rotate_signing: must be between 1h and ");
        assert!(if is_good { said == "nothing" } else { refused }, "{interval}: {said}");
    }
}

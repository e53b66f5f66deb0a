//! Authorization requests and redirect URIs: whatever is accepted leads to the client, and nowhere else.

use std::sync::LazyLock;

use portcullis_control_plane::oauth::client::Client;
use portcullis_control_plane::oauth::params::Params;
use portcullis_control_plane::oauth::pending::AuthorizationRequest;
use portcullis_control_plane::oauth::redirect_uri::{RedirectTarget, RedirectUri};
use portcullis_control_plane::oauth::registration::Registration;
use portcullis_control_plane::oauth::request::{self, Checked};
use portcullis_control_plane::oauth::resource::Resource;
use portcullis_control_plane::oauth::scope::Scopes;
use portcullis_proto::ids::ServerName;
use portcullis_proto::random::SystemRandom;
use portcullis_proto::time::Timestamp;
use url::{Origin, Url};

use crate::text;

/// This authorization server's own origin.
pub(crate) static OWN: LazyLock<[Origin; 1]> = LazyLock::new(|| [parsed("https://mcp.example.com").origin()]);

/// What the client has registered.
const REGISTERED: [&str; 3] = ["https://app.example/cb", "http://127.0.0.1/cb?x=1", "com.example.app:/cb"];

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let body = serde_json::json!({ "redirect_uris": REGISTERED, "token_endpoint_auth_method": "none" });
    let registration = Registration::parse(body.to_string().as_bytes(), OWN.as_slice());
    let registration = registration.unwrap_or_else(|error| panic!("{error}"));
    registration.into_client(&SystemRandom, Timestamp::default(), Timestamp::default()).0
});

static RESOURCES: LazyLock<Vec<Resource>> = LazyLock::new(|| {
    let resource = |name: &str, scopes: &[&str]| Resource {
        server: ServerName::new(name),
        url: parsed(&format!("https://mcp.example.com/{name}")),
        scopes: Scopes::from_tokens(scopes.iter().map(|scope| (*scope).to_owned())),
    };
    vec![resource("one", &["read", "write"]), resource("two", &["openid"])]
});

pub(crate) fn parsed(url: &str) -> Url {
    Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Wherever the answer goes, with an error or without, it goes to what the client has registered.
pub(crate) fn request(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(params) = Params::parse(text) else { return };
    let Ok(target) = request::target(&params, &CLIENT, OWN.as_slice()) else { return };
    leads_to_the_client(&target);
    let Ok(checked) = request::check(&params, &CLIENT, target.clone(), &RESOURCES) else { return };
    match checked {
        Checked::Complete(request) => means(&request, &params, &target),
        Checked::Ambiguous(request) => {
            assert_eq!(request.redirect, target);
            assert!(params.get("resource").is_none() && request.meanings.len() > 1, "not to be asked about");
            request.meanings.iter().for_each(|meaning| means(meaning, &params, &target));
        }
    }
}

/// What was asked for, at a server that there is, of what is offered there.
fn means(request: &AuthorizationRequest, params: &Params, target: &RedirectTarget) {
    assert_eq!(request.redirect, *target);
    assert_eq!(request.client, CLIENT.id);
    assert_eq!(params.get("response_type"), Some("code"));
    assert_eq!(params.get("code_challenge_method"), Some("S256"), "a weaker challenge");
    assert_eq!(request.challenge.as_str().len(), 43);
    assert!(request.state.as_ref().is_none_or(|state| state.len() <= 2048));
    let server = RESOURCES.iter().find(|resource| resource.server == request.server);
    let server = server.unwrap_or_else(|| panic!("a server that there is not"));
    for scope in request.scopes.iter() {
        assert!(server.scopes.iter().any(|offered| offered == scope), "a scope that is not offered");
    }
}

/// As browsers understand it, with what we add.
fn leads_to_the_client(target: &RedirectTarget) {
    let answer = target.with_params([("code", "c&state=x#y"), ("iss", "https://mcp.example.com")]);
    let (answer, asked) = (parsed(&answer), parsed(target.as_str()));
    assert_eq!(answer.fragment(), None);
    assert_eq!(answer.path(), asked.path());
    let codes = answer.query_pairs().filter(|(name, value)| name == "code" && value == "c&state=x#y").count();
    assert_eq!(codes, 1, "the code is not there once");
    let same = |registered: &&str| {
        let registered = parsed(registered);
        let port = registered.scheme() == "http" || registered.port() == answer.port();
        registered.scheme() == answer.scheme()
            && registered.host_str() == answer.host_str()
            && registered.path() == answer.path()
            && port
            && answer.username().is_empty()
            && answer.password().is_none()
    };
    assert!(REGISTERED.iter().any(same), "leads elsewhere");
}

/// What may be registered is in normal form, harmless, and admits itself and nothing of another host.
pub(crate) fn redirect_uri(data: &[u8]) {
    let Some(text) = text(data) else { return };
    // What comes after a line break is what a request names.
    let (registered, requested) = text.split_once('\n').unwrap_or((text, text));
    let Ok(uri) = RedirectUri::parse(registered, OWN.as_slice()) else { return };
    let url = parsed(registered);
    let normal = url.as_str() == registered || url.as_str().strip_suffix('/') == Some(registered);
    assert!(normal, "not in normal form");
    assert!(url.fragment().is_none() && url.username().is_empty() && url.password().is_none());
    assert!(registered.len() <= 2048 && registered.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!OWN.contains(&url.origin()), "our own origin");
    for bad in
        ["javascript", "data", "blob", "mailto", "file", "vbscript", "about", "filesystem", "ws", "ftp"]
    {
        assert_ne!(url.scheme(), bad);
    }
    if url.scheme() == "http" {
        assert!(matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost")), "http to elsewhere");
    }
    let registered = [uri];
    let own = RedirectTarget::only(&registered, OWN.as_slice());
    assert!(own.is_some_and(|target| !target.display_host().is_empty()), "it does not admit itself");
    if let Some(target) = RedirectTarget::choose(&registered, requested, OWN.as_slice()) {
        let named = parsed(target.as_str());
        assert_eq!((named.scheme(), named.host_str()), (url.scheme(), url.host_str()), "another host");
        assert_eq!((named.path(), named.query()), (url.path(), url.query()), "another place");
        assert!(named.port() == url.port() || url.scheme() == "http", "another port");
    }
}

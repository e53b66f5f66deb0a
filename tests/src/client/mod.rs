//! An MCP client without a screen: it discovers, registers, logs in and calls, as a real one does, and shows
//! every answer as it came.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails, and says why")]

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use portcullis_proto::random::{SystemRandom, base62};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

mod account;
mod answer;
mod attempt;
mod browser;
mod caller;
mod page;

pub use account::Account;
pub use answer::Answer;
pub use attempt::Failure;
pub use browser::{Browser, Callback, Visit};
pub use caller::Caller;

/// The version of MCP that tool calls are made in.
const PROTOCOL: &str = "2026-07-28";

/// A registered client of one MCP server.
#[derive(Clone, Debug)]
pub struct Client {
    caller: Caller,
    http: reqwest::Client,
    /// The MCP server's URL.
    pub resource: String,
    /// What the authorization server says about itself (RFC 8414).
    pub metadata: Metadata,
    /// As registered (RFC 7591).
    pub client_id: String,
    /// As registered.
    pub redirect_uri: String,
}

/// The authorization server's endpoints (RFC 8414 section 2).
#[derive(Clone, Debug, Deserialize)]
pub struct Metadata {
    /// Its identifier.
    pub issuer: String,
    /// Where the browser goes.
    pub authorization_endpoint: String,
    /// Where codes become tokens.
    pub token_endpoint: String,
    /// Where clients register.
    pub registration_endpoint: String,
    /// Where tokens are revoked.
    pub revocation_endpoint: String,
}

/// An authorization request, and what the client keeps of it.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// Where the browser goes.
    pub url: Url,
    /// What must come back with the code.
    pub state: String,
    /// What proves that the code is for this client (RFC 7636).
    pub verifier: String,
}

/// The answer of the token endpoint (RFC 6749 section 5.1).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Tokens {
    /// For the MCP server.
    pub access_token: String,
    /// For the next access token.
    pub refresh_token: String,
    /// Seconds.
    pub expires_in: u64,
    /// What was granted.
    pub scope: Option<String>,
}

// === impl Client ===

impl Client {
    /// Finds the authorization server as a client does, from the MCP server's refusal, and registers there.
    pub async fn register(resource: &str, name: &str) -> Self {
        let caller = Caller::default();
        let http = caller.http().build().expect("an HTTP client");
        let refusal = post(&http, resource, &tool_call("whoami", &json!({})), None).await.expect("an answer");
        assert_eq!(refusal.status, StatusCode::UNAUTHORIZED, "{}", refusal.body);
        let protected: Value = get(&http, &refusal.challenge("resource_metadata")).await;
        assert_eq!(protected["resource"], resource);
        let issuer = protected["authorization_servers"][0].as_str().expect("an authorization server");
        let metadata: Metadata =
            get(&http, &format!("{issuer}/.well-known/oauth-authorization-server")).await;
        assert_eq!(metadata.issuer, issuer);

        let registered = Self::attempt_register(caller, resource, &metadata, name).await;
        registered.unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// A new authorization request.
    pub fn authorization(&self) -> Authorization {
        let (state, verifier) = (base62(&SystemRandom, 32), base62(&SystemRandom, 64));
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let mut url = Url::parse(&self.metadata.authorization_endpoint).expect("a URL");
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("state", &state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", &self.resource),
        ]);
        Authorization { url, state, verifier }
    }

    /// The whole login of a user who approves, in a browser of its own.
    pub async fn login(&self, user: &str) -> Tokens {
        let authorization = self.authorization();
        let callback =
            Browser::new().visit(&authorization.url, &self.redirect_uri, Visit::approve(user)).await;
        assert_eq!(callback.get("state"), Some(&authorization.state), "{callback:?}");
        assert_eq!(callback.get("iss"), Some(&self.metadata.issuer), "{callback:?}");
        let code = callback.get("code").expect("a code");
        self.redeem(&authorization, code).await.tokens()
    }

    /// Asks for the tokens that a code is good for.
    pub async fn redeem(&self, authorization: &Authorization, code: &str) -> Answer {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", &authorization.verifier),
            ("resource", &self.resource),
        ])
        .await
    }

    /// Asks for the next tokens.
    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.token(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("resource", &self.resource),
        ])
        .await
    }

    /// Revokes a token of either kind (RFC 7009).
    pub async fn revoke(&self, token: &str) -> Answer {
        self.form(&self.metadata.revocation_endpoint, &[("token", token)]).await.expect("an answer")
    }

    /// Calls a tool of the MCP server.
    pub async fn call(&self, access_token: &str, tool: &str, arguments: &Value) -> Answer {
        let message = tool_call(tool, arguments);
        post(&self.http, &self.resource, &message, Some(access_token)).await.expect("an answer")
    }

    /// The status that the MCP server answers with to the bearer of a token.
    pub async fn status(&self, access_token: &str) -> StatusCode {
        self.call(access_token, "whoami", &json!({})).await.status
    }

    /// A request to the token endpoint.
    pub async fn token(&self, parameters: &[(&str, &str)]) -> Answer {
        self.form(&self.metadata.token_endpoint, parameters).await.expect("an answer")
    }

    async fn form(&self, endpoint: &str, parameters: &[(&str, &str)]) -> reqwest::Result<Answer> {
        let form = form(parameters.iter().copied().chain([("client_id", self.client_id.as_str())]));
        let request = self.http.post(endpoint).header("content-type", "application/x-www-form-urlencoded");
        Answer::attempt(request.body(form)).await
    }
}

fn form<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

async fn get<T: serde::de::DeserializeOwned>(http: &reqwest::Client, url: &str) -> T {
    let answer = Answer::to(http.get(url)).await;
    assert_eq!(answer.status, StatusCode::OK, "{url}: {}", answer.body);
    serde_json::from_str(&answer.body).expect(&answer.body)
}

async fn post(
    http: &reqwest::Client,
    url: &str,
    message: &Value,
    access_token: Option<&str>,
) -> reqwest::Result<Answer> {
    let request = http
        .post(url)
        .json(message)
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", PROTOCOL)
        .header("mcp-method", message["method"].as_str().expect("a method"))
        .header("mcp-name", message["params"]["name"].as_str().expect("a name"));
    Answer::attempt(match access_token {
        Some(token) => request.bearer_auth(token),
        None => request,
    })
    .await
}

/// A call that needs no session: the protocol of 2026-07-28 has none.
fn tool_call(tool: &str, arguments: &Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": tool,
            "arguments": arguments,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": PROTOCOL,
                "io.modelcontextprotocol/clientInfo": { "name": "portcullis-tests", "version": "0" },
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    })
}

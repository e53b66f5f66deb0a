//! Renders the edge's Envoy configuration: one static YAML file for Envoy 1.40.
//!
//! [`render`] takes an [`Edge`] and gives text: nothing is read, asked or started. The same edge always renders to
//! the same text. `example.yaml` beside this crate is what a sample gives; read it for what the edge does and why.
//!
//! # What the rendered edge promises
//!
//! - **A request goes to an MCP server only with authz's explicit permission.** `ext_authz` takes an empty answer for
//!   a yes and asks nothing where no route matches. So every request has a route (404, or 421 for an unknown
//!   authority), and a gate (RBAC) behind `ext_authz` wants the dynamic metadata `decision: allow` and no `pcl_at_`
//!   token left in `Authorization`. A token in the URL beside that is 400.
//! - **No answer is no verdict.** What authz cannot answer within a second is 503 with `Retry-After`, and so is what
//!   the gate holds back. 401 and 403 come from authz only; an MCP server's own 401 becomes 502, unless the client has brought a
//!   token of that server's own, which authz has passed through.
//! - **Names come from the configuration.** Authz learns which server is meant from `context_extensions`
//!   (`server: <name>`), the control plane which issuer from the header `x-portcullis-origin`. A client that sends
//!   `x-portcullis-*`, `x-envoy-*` or `x-forwarded-*` itself has them removed before anything reads them. Trailers of
//!   a request are removed, whatever they are.
//! - **Paths mean one thing.** `..`, `//` and needless encodings are resolved first; what is still encoded then, a `;`
//!   or a backslash is 400.
//! - **Browsers** reach MCP servers from [`Edge::allowed_origins`] only. Preflights are answered at the edge; authz is
//!   not asked. The OAuth surface answers CORS itself.
//! - **Nobody takes all the room**: there are buckets for an address, for a customer's addresses, for a user's event
//!   streams and for all together. What there is not, because Envoy has none: a bound on one address's connections.
//! - **An open event stream ends** after [`Limits::stream`] at the latest, which bounds how long it outlives its token.
//!
//! # Dynamic metadata
//!
//! Of what authz returns, the gate reads `decision`, a user's rate limit `subject`, and what becomes of an MCP server's 401
//! depends on `reason`. The access log (JSON, standard output) prints these, `token_id`, `client_id`, and `server`, `provider`
//! and `grant_id`, which it takes from the identity headers where the MCP server gets them.

mod check;
mod edge;
mod error;
mod host_port;
mod limits;
mod routes;
mod view;

pub use edge::{Edge, Mesh, SYSTEM_CA, Server, Tls, VirtualHost};
pub use error::RenderError;
pub use host_port::{HostPort, HostPortError};
pub use limits::{Limits, Rate};

/// The edge's Envoy configuration, as YAML.
pub fn render(edge: &Edge) -> Result<String, RenderError> {
    check::edge(edge)?;
    Ok(askama::Template::render(&view::View::new(edge)?)?)
}

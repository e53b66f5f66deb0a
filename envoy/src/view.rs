//! What the templates print: an [`Edge`] in Envoy's terms.
//!
//! Every text from the configuration is [`Quoted`] here, so that a template has none that it could print bare.

mod host;
mod server;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use askama::Template;

use self::host::HostView;
pub(crate) use self::host::authorities;
use self::server::Rewrite;
use crate::{Edge, HostPort, Rate, RenderError};

/// The whole file.
#[derive(Template)]
#[template(path = "edge.yaml", escape = "none")]
pub(crate) struct View {
    admin: Address,
    listen: Address,
    tls: Option<TlsView>,
    authz: Vec<Address>,
    control_plane: Address,
    mesh: Option<MeshView>,
    allowed_origins: Vec<Quoted>,
    trusted_ca: Quoted,
    plain_path: Quoted,
    /// A regular expression: the header fields that authz may write.
    authz_writes: Quoted,
    virtual_hosts: Vec<HostView>,
    limits: LimitsView,
}

/// A text as a JSON string, which is a YAML scalar too, and the same one to every YAML parser.
struct Quoted(String);

/// Envoy's `socket_address`.
struct Address {
    host: Quoted,
    port: u16,
}

struct TlsView {
    certificate: Quoted,
    private_key: Quoted,
}

struct MeshView {
    ca: Quoted,
    certificate: Quoted,
    private_key: Quoted,
    authz: Quoted,
    control_plane: Quoted,
}

struct LimitsView {
    body_bytes: u32,
    stream: Quoted,
    request: Quoted,
    idle_stream: Quoted,
    idle_connection: Quoted,
    streams_per_user: u32,
    connections: u32,
    /// Questions to authz at a time.
    checks: usize,
}

struct RateView {
    per_address: u32,
    /// For an IPv6 /48.
    per_customer: u32,
    overall: u32,
}

/// `:path` without encodings: segments of RFC 3986's `pchar` less `;` and percent-encodings, then any query.
const PLAIN_PATH: &str = r"(/[A-Za-z0-9._~!$&'()*+,=:@-]+)*/?(\?.*)?";

/// Questions to one instance of authz at a time. It lets some 4,000 requests wait for its control plane: there must be room
/// for others, which it answers at once.
const CHECKS: usize = 10_000;

// === impl View ===

impl View {
    /// The view of an edge that has been checked.
    pub(crate) fn new(edge: &Edge) -> Result<Self, RenderError> {
        let tls = edge.tls.as_ref().map(|tls| {
            Ok::<_, RenderError>(TlsView {
                certificate: utf8(&tls.certificate)?,
                private_key: utf8(&tls.private_key)?,
            })
        });
        let mesh = edge.mesh.as_ref().map(|mesh| {
            Ok::<_, RenderError>(MeshView {
                ca: utf8(&mesh.ca)?,
                certificate: utf8(&mesh.certificate)?,
                private_key: utf8(&mesh.private_key)?,
                authz: Quoted::new(&mesh.authz),
                control_plane: Quoted::new(&mesh.control_plane),
            })
        });
        let hosts = edge.virtual_hosts.iter().map(|host| HostView::new(host, &edge.limits));
        Ok(Self {
            admin: Address::from(&edge.admin.into()),
            listen: Address::from(&edge.listen.into()),
            tls: tls.transpose()?,
            authz: edge.authz.iter().map(Address::from).collect(),
            control_plane: Address::from(&edge.control_plane),
            mesh: mesh.transpose()?,
            allowed_origins: edge.allowed_origins.iter().map(Quoted::new).collect(),
            trusted_ca: utf8(&edge.trusted_ca)?,
            plain_path: Quoted::new(PLAIN_PATH),
            authz_writes: authz_writes(edge),
            virtual_hosts: hosts.collect::<Result<_, _>>()?,
            limits: LimitsView {
                body_bytes: edge.limits.body_bytes,
                stream: Quoted::seconds(edge.limits.stream),
                request: Quoted::seconds(edge.limits.request),
                idle_stream: Quoted::seconds(edge.limits.idle_stream),
                idle_connection: Quoted::seconds(edge.limits.idle_connection),
                streams_per_user: edge.limits.streams_per_user,
                connections: edge.limits.connections,
                checks: CHECKS * edge.authz.len(),
            },
        })
    }
}

/// `Authorization`, the identity headers, and what carries a credential at some server.
fn authz_writes(edge: &Edge) -> Quoted {
    let servers = edge.virtual_hosts.iter().flat_map(|host| &host.servers);
    let names = servers.flat_map(|server| &server.credential_headers).map(String::as_str);
    let common = |name: &&str| *name == "authorization" || name.starts_with("x-portcullis-");
    let own: BTreeSet<_> = names.filter(|name| !common(name)).collect();
    let all: Vec<_> = ["authorization", "x-portcullis-[a-z0-9-]+"].into_iter().chain(own).collect();
    Quoted::new(format!("^({})$", all.join("|")))
}

fn utf8(path: &Path) -> Result<Quoted, RenderError> {
    path.to_str().map(Quoted::new).ok_or_else(|| RenderError::NotUtf8(path.to_owned()))
}

// === impl Quoted ===

impl Quoted {
    fn new(text: impl Into<String>) -> Self {
        Self(serde_json::Value::String(text.into()).to_string())
    }

    /// Protobuf's `Duration`, as its JSON has it.
    fn seconds(time: Duration) -> Self {
        Self::new(format!("{}s", time.as_secs_f64()))
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Address ===

impl From<&HostPort> for Address {
    fn from(from: &HostPort) -> Self {
        Self { host: Quoted::new(from.address()), port: from.port() }
    }
}

// === impl RateView ===

impl From<Rate> for RateView {
    fn from(rate: Rate) -> Self {
        let per_customer = rate.per_address.saturating_mul(3);
        Self { per_address: rate.per_address, per_customer, overall: rate.overall }
    }
}

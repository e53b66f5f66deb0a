//! The whole file: from its text to a [`Config`].

use std::fs::File;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_proto::mesh::Settings;

use super::item::Item;
use super::problems::{Notes, Problems, Reported};
use super::section::{Context, Environment, Section};
use super::{
    Config, Lifetimes, Limits, Listen, StoreConfig, clients, edge, mesh, node, providers, servers, values,
};

/// Room for thousands of servers; a file beyond this is the wrong file.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

const DAY: Duration = Duration::from_hours(24);

/// Reads and checks `portcullis.yaml`.
///
/// Relative paths in the file are relative to its directory, and absolute in the [`Config`].
pub fn load(path: &Path, environment: Environment<'_>) -> Result<Config, Problems> {
    let unreadable = |error: io::Error| Problems::only(path, None, format!("cannot be read: {error}"));
    let absolute = std::path::absolute(path).map_err(unreadable)?;
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(Problems::only(path, None, "too large to be a configuration".to_owned()));
    }
    parse(&text, &absolute, environment).map_err(|problems| problems.of_file(path))
}

/// Checks the text of `portcullis.yaml`. `file` is its path: problems name it, and its directory is what
/// relative paths are taken from. Reads the files that secrets are in, and nothing else.
pub fn parse(text: &str, file: &Path, environment: Environment<'_>) -> Result<Config, Problems> {
    let root = node::read(text, file)?;
    let base = file.parent().unwrap_or(Path::new(""));
    let context = Context { base, environment, notes: Notes::default() };
    let config = Item::root(&context, root).section().and_then(config);
    context.notes.conclude(file, config)
}

fn config(mut root: Section<'_>) -> Result<Config, Reported> {
    let base = root.context.base;
    let mesh = root.or("mesh", Settings::default(), mesh::read);
    let listen = root.section("listen").and_then(|section| listen(section, mesh.as_ref().ok()));
    let store = root.or("store", StoreConfig::Sled { path: base.join("data/control-plane") }, store);
    let keys = root.section("keys").and_then(|section| keys(section, base));

    let edge = root.section("edge");
    let tls = edge.as_ref().ok().map(|edge| edge.has("tls"));
    let edge = edge.and_then(|edge| edge::read(edge, listen.as_ref().ok(), mesh.as_ref().ok()));

    let providers = root.required("providers", providers::read);
    let servers = root.required("servers", |item| servers::read(item, providers.as_ref().ok(), tls));

    let clients = root
        .section("clients")
        .and_then(|section| clients::read(section, edge.as_ref().ok(), servers.as_ref().ok()));

    let lifetimes = root.section("lifetimes").and_then(lifetimes);
    let limits = root.section("limits").and_then(limits);
    let (keys, rotate_signing) = keys?;
    Ok(Config {
        listen: listen?,
        mesh: mesh?,
        store: store?,
        keys,
        rotate_signing,
        edge: edge?,
        providers: providers.and_then(providers::complete)?,
        servers: servers?,
        clients: clients?,
        lifetimes: lifetimes?,
        limits: limits?,
    })
}

/// `mesh` is `None` where it is wrong itself.
fn listen(mut section: Section<'_>, mesh: Option<&Settings>) -> Result<Listen, Reported> {
    // Whoever connects to these without a certificate is taken for Envoy, authz or an operator.
    let inside = |text: &str| match values::address(text)? {
        address if !address.ip().is_loopback() && mesh.is_some_and(Settings::is_loopback_only) => {
            Err("without `mesh`, it must be a loopback address".to_owned())
        }
        address => Ok(address),
    };
    let http = section.or("http", ([127, 0, 0, 1], 8080).into(), |item| item.parse(inside));
    let grpc = section.or("grpc", ([127, 0, 0, 1], 8081).into(), |item| item.parse(inside));
    let ops = section.or("ops", ([127, 0, 0, 1], 8082).into(), |item| item.parse(values::address));
    let listen = Listen { http: http?, grpc: grpc?, ops: ops? };

    // Port 0 is whichever is free, so two of them never collide.
    let same = |a: SocketAddr, b: SocketAddr| a == b && a.port() != 0;
    if same(listen.http, listen.grpc) || same(listen.http, listen.ops) || same(listen.grpc, listen.ops) {
        return Err(section.wrong("`http`, `grpc` and `ops` must be different addresses"));
    }
    Ok(listen)
}

fn store(item: Item<'_>) -> Result<StoreConfig, Reported> {
    let context = item.context;
    let place = item.place.clone();
    let mut entries = item.section()?.entries();
    match (entries.pop(), entries.is_empty()) {
        (Some((kind, item)), true) if kind == "sled" => {
            let path = item.section()?.required("path", Item::path)?;
            Ok(StoreConfig::Sled { path })
        }
        (Some((kind, item)), true) => Err(item.wrong(format!("there is no store {kind:?}; known: sled"))),
        _ => Err(context
            .notes
            .add(&place, "must name one store, such as `sled: { path: data/control-plane }`")),
    }
}

/// `path` and `rotate_signing`.
fn keys(mut section: Section<'_>, base: &Path) -> Result<(PathBuf, Duration), Reported> {
    let path = section.or("path", base.join("data/keys"), Item::path);
    let rotate_signing =
        section.or("rotate_signing", 30 * DAY, |item| item.duration(Duration::from_hours(1), 365 * DAY));
    Ok((path?, rotate_signing?))
}

fn lifetimes(mut section: Section<'_>) -> Result<Lifetimes, Reported> {
    let second = Duration::from_secs(1);
    let minute = Duration::from_mins(1);
    let year = 365 * DAY;
    let default = Lifetimes::default();
    let mut read = |key, default, min, max| section.or(key, default, |item| item.duration(min, max));

    // The revocation log keeps an entry for as long as an access token may live: a day bounds it.
    let access_token = read("access_token", default.access_token, 10 * second, DAY);
    let refresh_token = read("refresh_token", default.refresh_token, 10 * second, year);
    // RFC 6749 section 4.1.2: at most 10 minutes.
    let code = read("code", default.code, second, 10 * minute);
    let pending = read("pending", default.pending, 10 * second, 60 * minute);
    let refresh_grace = read("refresh_grace", default.refresh_grace, Duration::ZERO, 10 * minute);
    let unused_client = read("unused_client", default.unused_client, 10 * second, year);
    let lifetimes = Lifetimes {
        access_token: access_token?,
        refresh_token: refresh_token?,
        code: code?,
        pending: pending?,
        refresh_grace: refresh_grace?,
        unused_client: unused_client?,
    };

    let shorter = (lifetimes.refresh_grace >= lifetimes.access_token)
        .then(|| section.wrong("`refresh_grace` must be shorter than `access_token`"));
    let longer = (lifetimes.refresh_token < lifetimes.access_token)
        .then(|| section.wrong("`refresh_token` must not be shorter than `access_token`"));
    match shorter.or(longer) {
        Some(reported) => Err(reported),
        None => Ok(lifetimes),
    }
}

fn limits(mut section: Section<'_>) -> Result<Limits, Reported> {
    const MAX: usize = 10_000_000;
    let default = Limits::default();
    let unused_clients = section.or("unused_clients", default.unused_clients, |item| item.count(MAX));
    let pending = section.or("pending", default.pending, |item| item.count(MAX));
    let provider_clients = section.or("provider_clients", default.provider_clients, |item| item.count(MAX));
    Ok(Limits { unused_clients: unused_clients?, pending: pending?, provider_clients: provider_clients? })
}

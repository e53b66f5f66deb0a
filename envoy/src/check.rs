//! What must hold before an edge is rendered.

use std::collections::{HashMap, HashSet};

use url::{Origin, Url};

use crate::routes::RESERVED;
use crate::view::authorities;
use crate::{Edge, Limits, Rate, RenderError, Server};

/// Everything that Envoy would take and then do something else with.
pub(crate) fn edge(edge: &Edge) -> Result<(), RenderError> {
    if edge.authz.is_empty() {
        return Err(RenderError::NoAuthz);
    }
    limits(&edge.limits)?;
    for origin in &edge.allowed_origins {
        allowed_origin(origin)?;
    }
    let mut taken = HashSet::new();
    let mut names = HashSet::new();
    for host in &edge.virtual_hosts {
        for authority in authorities(&host.origin)? {
            if !taken.insert(authority.clone()) {
                return Err(RenderError::SharedAuthority(authority));
            }
        }
        let mut paths = HashMap::new();
        for server in &host.servers {
            if !names.insert(&server.name) {
                return Err(RenderError::SameName(server.name.clone()));
            }
            if let Some(other) = paths.insert(&server.path, server) {
                return Err(RenderError::SamePath(other.name.clone(), server.name.clone()));
            }
            path(server)?;
            upstream(server)?;
            credential_headers(server)?;
        }
    }
    Ok(())
}

/// Envoy refuses empty buckets, and takes no time for one without end.
fn limits(limits: &Limits) -> Result<(), RenderError> {
    let is_empty = |rate: Rate| rate.per_address == 0 || rate.overall == 0;
    let zero = [
        ("register", is_empty(limits.register)),
        ("token", is_empty(limits.token)),
        ("browser", is_empty(limits.browser)),
        ("mcp", is_empty(limits.mcp)),
        ("body_bytes", limits.body_bytes == 0),
        ("streams_per_user", limits.streams_per_user == 0),
        ("connections", limits.connections == 0),
        ("stream", limits.stream.is_zero()),
        ("request", limits.request.is_zero()),
        ("idle_stream", limits.idle_stream.is_zero()),
        ("idle_connection", limits.idle_connection.is_zero()),
    ];
    match zero.into_iter().find(|(_, is_zero)| *is_zero) {
        Some((name, _)) => Err(RenderError::Limit(name)),
        None => Ok(()),
    }
}

/// An origin in the form that browsers send (RFC 6454 section 6.2). CORS compares text: a star would be none.
fn allowed_origin(text: &str) -> Result<(), RenderError> {
    let origin = Url::parse(text).ok().map(|url| url.origin());
    match origin {
        Some(origin @ Origin::Tuple(..)) if origin.ascii_serialization() == text && !text.contains('*') => {
            Ok(())
        }
        _ => Err(RenderError::AllowedOrigin(text.to_owned())),
    }
}

/// A path that means the same to Envoy, to its regular expressions and to every client.
fn path(server: &Server) -> Result<(), RenderError> {
    let Server { name, path, .. } = server;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    let Some(segments) = path.strip_prefix('/').map(|rest| rest.split('/')) else {
        return Err(RenderError::Path { server: name.clone(), path: path.clone() });
    };
    if !segments.clone().all(segment) {
        return Err(RenderError::Path { server: name.clone(), path: path.clone() });
    }
    let first = segments.clone().next().unwrap_or_default();
    if RESERVED.contains(&first) || segments.clone().any(|segment| segment == ".well-known") {
        return Err(RenderError::ReservedPath { server: name.clone(), path: path.clone() });
    }
    Ok(())
}

fn upstream(server: &Server) -> Result<(), RenderError> {
    let url = &server.upstream;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if matches!(url.scheme(), "http" | "https") && plain {
        return Ok(());
    }
    Err(RenderError::Upstream { server: server.name.clone(), upstream: Box::new(url.clone()) })
}

/// Names that stand for themselves in a regular expression.
fn credential_headers(server: &Server) -> Result<(), RenderError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let bad = server.credential_headers.iter().find(|name| name.is_empty() || !name.bytes().all(plain));
    bad.map_or(Ok(()), |header| {
        Err(RenderError::CredentialHeader { server: server.name.clone(), header: header.clone() })
    })
}

#[cfg(test)]
mod tests;

//! From the configuration to what Envoy's is rendered from.

use std::path::PathBuf;

use portcullis_envoy::{
    Edge, HostPort, HostPortError, Limits, Mesh, RenderError, SYSTEM_CA, Server, Tls, VirtualHost,
};
use portcullis_proto::mesh::{Role, Settings};
use thiserror::Error;

use crate::config::Config;

/// Why there is no Envoy configuration.
#[derive(Debug, Error)]
pub enum EdgeError {
    /// An address that the configuration's reader should have refused.
    #[error("{0}")]
    Address(#[from] HostPortError),
    /// Something that Envoy could not be told.
    #[error("{0}")]
    Render(#[from] RenderError),
}

/// Envoy's YAML for this configuration.
pub fn render(config: &Config) -> Result<String, EdgeError> {
    Ok(portcullis_envoy::render(&edge(config)?)?)
}

fn edge(config: &Config) -> Result<Edge, HostPortError> {
    let mut virtual_hosts: Vec<VirtualHost> = Vec::new();
    for (name, server) in &config.servers {
        let origin = server.origin();
        let server = Server {
            name: name.to_string(),
            path: server.url.path().to_owned(),
            upstream: server.upstream.clone(),
            credential_headers: server.credential_headers().map(str::to_owned).collect(),
        };
        match virtual_hosts.iter_mut().find(|host| host.origin == origin) {
            Some(host) => host.servers.push(server),
            None => virtual_hosts.push(VirtualHost { origin, servers: vec![server] }),
        }
    }
    let names = match &config.mesh {
        Settings::Tls { names, .. } => Some(names),
        Settings::Loopback | Settings::SecuredByPlatform => None,
    };
    Ok(Edge {
        listen: config.edge.listen,
        tls: config
            .edge
            .tls
            .as_ref()
            .map(|tls| Tls { certificate: tls.certificate.clone(), private_key: tls.private_key.clone() }),
        admin: config.edge.admin,
        authz: config.edge.authz.iter().map(|address| address.parse()).collect::<Result<_, _>>()?,
        control_plane: config.edge.control_plane.parse::<HostPort>()?,
        mesh: config.edge.mesh.as_ref().zip(names).map(|(files, names)| Mesh {
            ca: files.ca.clone(),
            certificate: files.certificate.clone(),
            private_key: files.private_key.clone(),
            authz: names.of(Role::Authz).to_owned(),
            control_plane: names.of(Role::ControlPlane).to_owned(),
        }),
        allowed_origins: config.edge.allowed_origins.clone(),
        trusted_ca: PathBuf::from(SYSTEM_CA),
        virtual_hosts,
        limits: Limits::default(),
    })
}

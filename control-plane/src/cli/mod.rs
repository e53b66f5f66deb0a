//! The command line: the server itself, and what operators ask of a running one.

mod admin;
mod certificates;
mod configuration;
mod keys;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use portcullis_control_plane::config::Problems;
use portcullis_control_plane::start::{Clocks, LostSigningKeys};

/// Portcullis's control plane: the OAuth surface of MCP servers behind Envoy.
#[derive(Debug, Parser)]
#[command(name = "portcullis-control-plane", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the control plane until SIGTERM or SIGINT.
    Serve {
        #[command(flatten)]
        config: ConfigFile,
        /// Start also where the clock says a time before the store was last in use.
        #[arg(long)]
        accept_clock: bool,
        /// Make new signing keys where those that there were are lost.
        #[arg(long)]
        new_signing_keys: bool,
    },
    /// Read the configuration and name everything that is wrong with it.
    Check(ConfigFile),
    /// Print the Envoy configuration of the edge.
    Envoy {
        #[command(flatten)]
        config: ConfigFile,
        /// Write it to this file instead.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Make an authority and certificates for the mesh, one directory for each role.
    Certificates(Certificates),
    /// List or revoke grants: what users have allowed clients to do.
    #[command(subcommand)]
    Grants(Grants),
    /// List registered clients, or revoke all that one has been granted.
    #[command(subcommand)]
    Clients(Clients),
    /// Revoke all that a user has granted.
    #[command(subcommand)]
    Subjects(Subjects),
    /// Revoke all that has been granted at an MCP server.
    #[command(subcommand)]
    Servers(Servers),
    /// Revoke a single access token.
    #[command(subcommand)]
    Tokens(Tokens),
    /// Revoke all that has ever been granted.
    #[command(subcommand)]
    Everything(Everything),
    /// List the authz instances that are connected, and how far behind each is.
    #[command(subcommand)]
    Instances(Instances),
    /// List, rotate or forget the keys that everything in the store is sealed under.
    #[command(subcommand)]
    Keys(Keys),
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "portcullis.yaml")]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Certificates {
    /// Where to make them; created where it is not there. Nothing is overwritten.
    #[arg(long, value_name = "DIRECTORY")]
    dir: PathBuf,
    /// Use the authority that an earlier run has made in this directory, in place of a new one.
    #[arg(long, value_name = "DIRECTORY")]
    ca: Option<PathBuf>,
    /// How long the certificates are good.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    /// Do nothing where they have been made.
    #[arg(long)]
    unless_made: bool,
}

/// Where the running control plane is, and who asks it.
#[derive(Debug, clap::Args)]
struct Remote {
    /// Its `listen.grpc`: http, or https where it has a certificate.
    #[arg(
        long,
        value_name = "URL",
        env = "PORTCULLIS_CONTROL_PLANE",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8081"
    )]
    control_plane: String,
    /// With https: PEM file of the mesh's authority.
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_CA")]
    ca: Option<PathBuf>,
    /// With https: PEM file of an operator's certificate.
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_CERTIFICATE")]
    certificate: Option<PathBuf>,
    /// With https: PEM file of its key.
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_PRIVATE_KEY")]
    private_key: Option<PathBuf>,
    /// With https: the name in the control plane's certificate, where `mesh.names.control_plane` says another.
    #[arg(long, value_name = "NAME", env = "PORTCULLIS_SERVER_NAME")]
    server_name: Option<String>,
    /// With https: the name in the operator's certificate, where `mesh.names.admin` says another.
    #[arg(long, value_name = "NAME", env = "PORTCULLIS_ADMIN_NAME")]
    admin_name: Option<String>,
    /// With http beyond loopback: that something else encrypts, and keeps others out.
    #[arg(long)]
    secured_by_platform: bool,
}

#[derive(Debug, Subcommand)]
enum Grants {
    /// One line a grant.
    List(Remote),
    /// End a grant, with every token under it.
    Revoke {
        /// The grant's id.
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Subcommand)]
enum Clients {
    /// One line a client.
    List(Remote),
    /// End all that a client has been granted so far.
    Revoke {
        /// The client's id.
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Subcommand)]
enum Subjects {
    /// End all that a user has granted so far.
    Revoke {
        /// The provider's name in the configuration.
        provider: String,
        /// The user's identifier there, as `grants list` shows it.
        subject: String,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Subcommand)]
enum Servers {
    /// End all that has been granted at a server so far.
    Revoke {
        /// The server's name in the configuration.
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Subcommand)]
enum Tokens {
    /// End one access token, which is read from standard input, so that no process list shows it.
    Revoke(Remote),
}

#[derive(Debug, Subcommand)]
enum Everything {
    /// End every grant there is: all users have to log in again.
    Revoke {
        /// That this is really meant.
        #[arg(long, required = true)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Subcommand)]
enum Instances {
    /// One line an instance.
    List(Remote),
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// One line a key: how old it is, and how many rows hang on it.
    List(Remote),
    /// Make a new master key. What is sealed under older ones is brought under it in the background.
    Rotate {
        /// Make a new key for signing assertions instead, and drop the old ones at once: for keys that may be stolen.
        #[arg(long)]
        signing: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove an old master key for good, once nothing hangs on it.
    Forget {
        /// The key's id, as `keys list` shows it.
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
}

/// Does what was asked, and says on standard error why not.
pub(crate) async fn run(arguments: Arguments) -> ExitCode {
    let done = match arguments.command {
        Command::Serve { config, accept_clock, new_signing_keys } => {
            let clocks = if accept_clock { Clocks::Accepted } else { Clocks::MustAdvance };
            let lost = if new_signing_keys { LostSigningKeys::Replaced } else { LostSigningKeys::Missed };
            serve::serve(&config.config, clocks, lost).await
        }
        Command::Check(file) => configuration::check(&file.config),
        Command::Envoy { config, output } => configuration::envoy(&config.config, output.as_deref()),
        Command::Certificates(certificates) => certificates::make(&certificates),
        Command::Grants(Grants::List(remote)) => admin::list_grants(&remote).await,
        Command::Grants(Grants::Revoke { id, remote }) => admin::revoke_grant(&remote, id).await,
        Command::Clients(Clients::List(remote)) => admin::list_clients(&remote).await,
        Command::Clients(Clients::Revoke { id, remote }) => admin::revoke_client(&remote, id).await,
        Command::Subjects(Subjects::Revoke { provider, subject, remote }) => {
            admin::revoke_subject(&remote, provider, subject).await
        }
        Command::Servers(Servers::Revoke { name, remote }) => admin::revoke_server(&remote, name).await,
        Command::Tokens(Tokens::Revoke(remote)) => admin::revoke_token(&remote).await,
        Command::Everything(Everything::Revoke { yes: _, remote }) => admin::revoke_everything(&remote).await,
        Command::Instances(Instances::List(remote)) => admin::list_instances(&remote).await,
        Command::Keys(Keys::List(remote)) => keys::list(&remote).await,
        Command::Keys(Keys::Rotate { signing, remote }) => keys::rotate(&remote, signing).await,
        Command::Keys(Keys::Forget { id, remote }) => keys::forget(&remote, id).await,
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // Problems of a configuration begin with the file and line, as editors like it.
            let program = if error.is::<Problems>() { "" } else { "portcullis-control-plane: " };
            eprintln!("{program}{error}");
            ExitCode::FAILURE
        }
    }
}

/// What a command ends with: an exit code, or what went wrong, in words for whoever typed it.
type Done = Result<ExitCode, Box<dyn std::error::Error>>;

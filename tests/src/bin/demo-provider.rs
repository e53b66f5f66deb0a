//! The demo's identity provider as a process of its own.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use portcullis_tests::demo::provider::{Settings, router};
use portcullis_tests::demo::serve;

/// A small OpenID provider that believes whatever name is picked. For demos and tests only.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:10001")]
    listen: SocketAddr,
    /// The issuer identifier, without a trailing slash.
    #[arg(long, default_value = "http://localhost:10001")]
    issuer: String,
    /// The one client.
    #[arg(long, default_value = "portcullis")]
    client_id: String,
    /// Its secret.
    #[arg(long, default_value = "demo-secret")]
    client_secret: String,
    /// Where it may be redirected to; may be given several times.
    #[arg(long, default_value = "http://localhost:10000/callback")]
    redirect_uri: Vec<String>,
    /// How many seconds an access token lives.
    #[arg(long, default_value_t = 3600)]
    access_token_seconds: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let settings = Settings {
        issuer: arguments.issuer,
        client_id: arguments.client_id,
        client_secret: arguments.client_secret,
        redirect_uris: arguments.redirect_uri,
        access_token_lifetime: Duration::from_secs(arguments.access_token_seconds),
    };
    serve(arguments.listen, router(settings)?).await?;
    Ok(())
}

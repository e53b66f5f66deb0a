//! What operators ask of a running control plane, over its Admin service.

use std::error::Error;
use std::io::{Read, Write, stdin, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use portcullis_proto::ids::{ClientId, GrantId, ProviderName, ServerName, Subject};
use portcullis_proto::mesh::{self, Files, Identity, Names, Role};
use portcullis_proto::revocation::Scope;
use portcullis_proto::time::{Clock as _, SystemClock};
use portcullis_proto::token::{Access, Presented};
use portcullis_proto::v1;
use portcullis_proto::v1::admin_client::AdminClient;
use tonic::transport::{Channel, Endpoint};
use zeroize::Zeroizing;

use super::{Done, Remote};

/// Longest time for one answer; a revocation waits up to 2 s for its instances.
const DEADLINE: Duration = Duration::from_secs(10);
/// Rows asked for at once.
const PAGE: u32 = 500;
/// Not everywhere yet.
const LAGGING: u8 = 2;

pub(super) type Client = AdminClient<Channel>;

pub(super) async fn connect(remote: &Remote) -> Result<Client, Box<dyn Error>> {
    let url = &remote.control_plane;
    let endpoint = Endpoint::from_shared(url.clone())
        .map_err(|_| format!("--control-plane: {url:?} is not a URL"))?
        .connect_timeout(Duration::from_secs(3))
        .timeout(DEADLINE);
    let uri = endpoint.uri();
    let identity = match (uri.scheme_str(), uri.host(), uri.port()) {
        (Some("https"), Some(_), Some(_)) => Some(Arc::new(identity(remote)?)),
        (Some("http"), Some(host), _) if mesh::is_loopback(host) || remote.secured_by_platform => None,
        (Some("http"), Some(_), _) => {
            let why = "http is for loopback, unless --secured-by-platform says that something else encrypts";
            return Err(format!("--control-plane: {url:?}: {why}").into());
        }
        _ => {
            return Err(
                format!("--control-plane: {url:?} is not http://host:port or https://host:port").into()
            );
        }
    };
    let channel = mesh::connect(&endpoint, identity, Role::ControlPlane).await;
    Ok(AdminClient::new(channel.map_err(|error| unreached(url, &error))?))
}

fn identity(remote: &Remote) -> Result<Identity, Box<dyn Error>> {
    let (Some(ca), Some(certificate), Some(private_key)) =
        (&remote.ca, &remote.certificate, &remote.private_key)
    else {
        return Err("https takes --ca, --certificate and --private-key".into());
    };
    let files = Files { ca: ca.clone(), certificate: certificate.clone(), private_key: private_key.clone() };
    let given = [(Role::ControlPlane, &remote.server_name), (Role::Admin, &remote.admin_name)];
    let given: Vec<_> = given.iter().filter_map(|(role, name)| Some((*role, name.as_deref()?))).collect();
    let names = Names::with(&given).map_err(|error| format!("--server-name, --admin-name: {error}"))?;
    let opened = Identity::open(Role::Admin, files, names, SystemClock.now());
    Ok(opened.map_err(|error| {
        let option = error.key.replace('_', "-");
        format!("--{option}: {}: {}", error.file.display(), error.wrong)
    })?)
}

/// With what lies at the bottom, where that is more than a connection that was not taken.
fn unreached(url: &str, error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    format!("no control plane answers at {url}: {cause}")
}

pub(super) async fn list_grants(remote: &Remote) -> Done {
    let mut client = connect(remote).await?;
    let mut output = stdout().lock();
    writeln!(output, "GRANT\tSERVER\tPROVIDER\tSUBJECT\tEMAIL\tCLIENT\tNAME\tSCOPES")?;
    let mut after = String::new();
    loop {
        let page = Some(v1::Page { size: PAGE, after });
        let answer = client.list_grants(v1::ListGrantsRequest { page }).await.map_err(words)?.into_inner();
        for grant in answer.grants {
            let fields: [&str; 8] = [
                &grant.grant_id,
                &grant.server,
                &grant.provider,
                &grant.subject,
                &grant.email,
                &grant.client_id,
                &grant.client_name,
                &grant.scopes.join(" "),
            ];
            writeln!(output, "{}", line(fields))?;
        }
        if answer.next.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        after = answer.next;
    }
}

pub(super) async fn list_clients(remote: &Remote) -> Done {
    let mut client = connect(remote).await?;
    let mut output = stdout().lock();
    writeln!(output, "CLIENT\tNAME\tAUTH\tUSED\tREDIRECT URIS")?;
    let mut after = String::new();
    loop {
        let page = Some(v1::Page { size: PAGE, after });
        let answer = client.list_clients(v1::ListClientsRequest { page }).await.map_err(words)?.into_inner();
        for row in answer.clients {
            let used = if row.unused_expires_at_ms == 0 { "yes" } else { "no" };
            let fields: [&str; 5] = [
                &row.client_id,
                &row.client_name,
                &row.token_endpoint_auth_method,
                used,
                &row.redirect_uris.join(" "),
            ];
            writeln!(output, "{}", line(fields))?;
        }
        if answer.next.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        after = answer.next;
    }
}

pub(super) async fn list_instances(remote: &Remote) -> Done {
    let mut client = connect(remote).await?;
    let answer = client.list_instances(v1::ListInstancesRequest {}).await.map_err(words)?.into_inner();
    let mut output = stdout().lock();
    writeln!(output, "INSTANCE\tAPPLIED\tBEHIND")?;
    for instance in answer.instances {
        let behind = answer.head.saturating_sub(instance.applied);
        writeln!(output, "{}\t{}\t{behind}", line([&instance.name]), instance.applied)?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn revoke_grant(remote: &Remote, id: String) -> Done {
    revoke(remote, Scope::Grant(GrantId::new(id))).await
}

pub(super) async fn revoke_client(remote: &Remote, id: String) -> Done {
    revoke(remote, Scope::Client(ClientId::new(id))).await
}

pub(super) async fn revoke_subject(remote: &Remote, provider: String, subject: String) -> Done {
    revoke(remote, Scope::Subject(ProviderName::new(provider), Subject::new(subject))).await
}

pub(super) async fn revoke_server(remote: &Remote, name: String) -> Done {
    revoke(remote, Scope::Server(ServerName::new(name))).await
}

pub(super) async fn revoke_everything(remote: &Remote) -> Done {
    revoke(remote, Scope::Everything).await
}

pub(super) async fn revoke_token(remote: &Remote) -> Done {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    stdin().lock().take(1024).read_to_string(&mut text)?;
    let token =
        Presented::<Access>::parse(text.trim()).map_err(|error| format!("standard input: {error}"))?;
    revoke(remote, Scope::Token(token.id())).await
}

async fn revoke(remote: &Remote, scope: Scope) -> Done {
    let mut client = connect(remote).await?;
    let request = v1::RevokeRequest { scope: Some(scope.into()), wait_ms: 0 };
    let answer = client.revoke(request).await.map_err(words)?.into_inner();
    let milliseconds = Duration::from_micros(answer.elapsed_us).as_secs_f64() * 1000.0;
    let mut output = stdout().lock();
    writeln!(
        output,
        "revoked: entry {}, effective on {} of {} instances after {milliseconds:.1} ms",
        answer.sequence, answer.applied, answer.instances
    )?;
    if answer.instances == 0 {
        writeln!(output, "no instance is connected: one that runs decides for max_staleness at most")?;
        return Ok(ExitCode::from(LAGGING));
    }
    if answer.lagging.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(output, "not yet on: {}", answer.lagging.join(", "))?;
    Ok(ExitCode::from(LAGGING))
}

/// Tab-separated. What clients have chosen cannot break out of its field or move the terminal's cursor.
pub(super) fn line<const N: usize>(fields: [&str; N]) -> String {
    let clean = |field: &str| field.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    fields.map(clean).join("\t")
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err asks for")]
pub(super) fn words(status: tonic::Status) -> String {
    match status.message() {
        "" => status.code().to_string(),
        message => message.to_owned(),
    }
}

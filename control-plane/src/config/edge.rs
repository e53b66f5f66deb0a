//! `edge`: what the Envoy configuration is rendered from.

use portcullis_proto::mesh::{Files, Settings, is_loopback};

use super::item::Item;
use super::problems::Reported;
use super::section::Section;
use super::{Edge, Listen, Tls, mesh, values};

/// Reads the section. `listen` gives the default of `control_plane`, `mesh` says what may be connected to how; each where
/// it could be read.
pub(super) fn read(
    mut section: Section<'_>,
    listen: Option<&Listen>,
    mesh: Option<&Settings>,
) -> Result<Edge, Reported> {
    let address = section.or("listen", ([127, 0, 0, 1], 10000).into(), |item| item.parse(values::address));
    let tls = section.optional("tls", |item| item.section().and_then(tls));
    let admin = section.or("admin", ([127, 0, 0, 1], 9901).into(), |item| item.parse(values::address));
    let inside = |text: &str| inside(text, mesh);
    let authz = section.or("authz", vec!["127.0.0.1:9191".to_owned()], |item| authz(item, inside));
    let control_plane = control_plane(&mut section, listen, inside);
    let certificate = certificate(&mut section, mesh);
    let allowed_origins =
        section.or("allowed_origins", Vec::new(), |item| item.list(|origin| origin.parse(values::origin)));

    let collision = match (&address, &admin) {
        (Ok(address), Ok(admin)) if address == admin => {
            Some(section.wrong("`listen` and `admin` must be different addresses"))
        }
        _ => None,
    };
    let bare = match (&address, &tls) {
        (Ok(address), Ok(None)) if !address.ip().is_loopback() => {
            Some(section.wrong("without `tls`, `listen` must be a loopback address"))
        }
        _ => None,
    };
    if let Some(reported) = collision.or(bare) {
        return Err(reported);
    }
    Ok(Edge {
        listen: address?,
        tls: tls?,
        mesh: certificate?,
        admin: admin?,
        authz: authz?,
        control_plane: control_plane?,
        allowed_origins: allowed_origins?,
    })
}

fn tls(mut section: Section<'_>) -> Result<Tls, Reported> {
    let certificate = section.required("certificate", Item::path);
    let private_key = section.required("private_key", Item::path);
    Ok(Tls { certificate: certificate?, private_key: private_key? })
}

/// What Envoy shows and trusts: where, and only where, there is TLS inside the mesh.
fn certificate(section: &mut Section<'_>, settings: Option<&Settings>) -> Result<Option<Files>, Reported> {
    let files = section.optional("mesh", |item| {
        if settings.is_some_and(|settings| !settings.is_tls()) {
            return Err(item.wrong("there is no `mesh` with a certificate for the others"));
        }
        item.section().and_then(mesh::files)
    })?;
    match (files, settings) {
        (None, Some(settings)) if settings.is_tls() => Err(section
            .wrong("`mesh` is missing: the certificate that Envoy shows to authz and the control plane")),
        (files, _) => Ok(files),
    }
}

/// `host:port` that Envoy connects to inside the mesh.
fn inside(text: &str, mesh: Option<&Settings>) -> Result<String, String> {
    let address = values::host_and_port(text)?;
    let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
    if mesh.is_some_and(Settings::is_loopback_only) && !is_loopback(host) {
        return Err("without `mesh`, it must be on loopback".to_owned());
    }
    Ok(address)
}

fn authz(item: Item<'_>, inside: impl Fn(&str) -> Result<String, String>) -> Result<Vec<String>, Reported> {
    let (context, place) = (item.context, item.place.clone());
    let instances = item.list(|instance| instance.parse(&inside))?;
    if instances.is_empty() {
        return Err(context.notes.add(&place, "must have at least one `host:port`"));
    }
    Ok(instances)
}

fn control_plane(
    section: &mut Section<'_>,
    listen: Option<&Listen>,
    inside: impl Fn(&str) -> Result<String, String>,
) -> Result<String, Reported> {
    match (section.optional("control_plane", |item| item.parse(inside))?, listen) {
        (Some(address), _) => Ok(address),
        (None, Some(listen)) if listen.http.ip().is_unspecified() => {
            let text =
                format!("`control_plane` is missing: nobody can connect to `listen.http` {}", listen.http);
            Err(section.wrong(text))
        }
        (None, Some(listen)) => Ok(listen.http.to_string()),
        // What is wrong with `listen` has been reported: this default is never used.
        (None, None) => Ok(String::new()),
    }
}

//! What rustls is told, made from the files and checked.

use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use tokio_rustls::rustls::crypto::aws_lc_rs::sign::any_supported_type;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore, ServerConfig};
use zeroize::Zeroize as _;

use super::files::{Contents, Files};
use super::{MeshError, Names, Role, Wrong};
use crate::time::Timestamp;

/// One state of the files. Has no `Debug`: it holds the key.
pub(super) struct Material {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
    /// Until when the certificate is good.
    pub(super) expires: Timestamp,
    pub(super) digest: [u8; 32],
}

/// A certificate chain, and who vouches for it.
struct Chain<'a> {
    roots: Arc<RootCertStore>,
    clients: Arc<dyn ClientCertVerifier>,
    end_entity: &'a CertificateDer<'static>,
    intermediates: &'a [CertificateDer<'static>],
    parsed: ParsedCertificate<'a>,
    provider: &'a CryptoProvider,
}

// === impl Material ===

impl Material {
    /// Of these contents, for a process of this role. What others would refuse is refused here, so that a process with a
    /// certificate of no use does not start.
    pub(super) fn new(
        own: Role,
        files: &Files,
        names: &Names,
        contents: &Contents,
        now: Timestamp,
    ) -> Result<Self, MeshError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = Arc::new(roots(&contents.ca).map_err(|wrong| files.ca(wrong))?);
        let chain = certificates(&contents.certificate).map_err(|wrong| files.certificate(wrong))?;
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
        let clients =
            clients.map_err(|error| files.ca(Wrong::Other(rustls::Error::General(error.to_string()))))?;

        let malformed = |error| files.certificate(Wrong::Malformed(error));
        let (end_entity, intermediates) =
            chain.split_first().ok_or_else(|| files.certificate(Wrong::NoCertificate))?;
        let parsed = ParsedCertificate::try_from(end_entity).map_err(malformed)?;
        if !names.roles(&parsed).has(own) {
            return Err(files.certificate(Wrong::OtherName(names.of(own).to_owned())));
        }
        let checked = Chain {
            roots: roots.clone(),
            clients: clients.clone(),
            end_entity,
            intermediates,
            parsed,
            provider: &provider,
        };
        checked.verify(own, files, now)?;
        let expires = checked.expires(own, now);
        let key = Arc::new(SingleCertAndKey::from(certified_key(files, contents, chain.clone())?));

        let unusable = |error| files.certificate(Wrong::Other(error));
        let server = ServerConfig::builder_with_provider(provider.clone());
        let mut server = server
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(key.clone());
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // A resumed session would show no certificate: an expired one would be good for longer.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let client = ClientConfig::builder_with_provider(provider);
        let mut client = client
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .with_root_certificates(roots)
            .with_client_cert_resolver(key);
        client.alpn_protocols = vec![b"h2".to_vec()];
        client.resumption = Resumption::disabled();
        Ok(Self { server: Arc::new(server), client: Arc::new(client), expires, digest: contents.digest() })
    }
}

// === impl Chain ===

impl Chain<'_> {
    /// Whether others will take it, for all that this role does.
    fn verify(&self, own: Role, files: &Files, now: Timestamp) -> Result<(), MeshError> {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()));
        let refuse = |usage| {
            let ca = files.ca.clone();
            move |error| files.certificate(Wrong::verified(error, usage, ca))
        };
        if own.is_server() {
            self.as_server(now).map_err(refuse("serverAuth, to be connected to"))?;
        }
        if own.is_client() {
            self.as_client(now).map_err(refuse("clientAuth, to connect"))?;
        }
        Ok(())
    }

    fn as_server(&self, now: UnixTime) -> Result<(), rustls::Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &self.parsed,
            &self.roots,
            self.intermediates,
            now,
            algorithms,
        )
    }

    fn as_client(&self, now: UnixTime) -> Result<(), rustls::Error> {
        self.clients.verify_client_cert(self.end_entity, self.intermediates, now).map(drop)
    }

    /// Until when it is good: what verification says of it at the end of time.
    fn expires(&self, own: Role, now: Timestamp) -> Timestamp {
        let end = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX >> 11)); // fits in milliseconds
        let judged = if own.is_server() { self.as_server(end) } else { self.as_client(end) };
        match judged {
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) => Timestamp::from_millis(not_after.as_secs().saturating_mul(1000)),
            _ => now.after(Duration::MAX),
        }
    }
}

fn certified_key(
    files: &Files,
    contents: &Contents,
    chain: Vec<CertificateDer<'static>>,
) -> Result<CertifiedKey, MeshError> {
    let unusable = || files.private_key(Wrong::NoKey);
    let mut der = PrivateKeyDer::from_pem_slice(&contents.private_key).map_err(|_| unusable())?;
    let key = any_supported_type(&der);
    der.zeroize();
    let key = CertifiedKey::new(chain, key.map_err(|_| unusable())?);
    match key.keys_match() {
        Ok(()) => Ok(key),
        Err(_) => Err(files.private_key(Wrong::OtherKey(files.certificate.clone()))),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    certificates.ok().filter(|list| !list.is_empty()).ok_or(Wrong::NoCertificate)
}

fn roots(pem: &[u8]) -> Result<RootCertStore, Wrong> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(pem)? {
        roots.add(authority).map_err(Wrong::Malformed)?;
    }
    Ok(roots)
}

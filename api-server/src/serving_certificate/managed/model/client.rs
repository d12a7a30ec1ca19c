//! A client that verifies a server's certificate at a given time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use coffer_connect::crypto_provider;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// Returns when the model begins.
pub(super) fn begin() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// The names of the serving certificate.
pub(super) fn names() -> Vec<String> {
    let names = [
        "coffer-api-server.coffer.svc",
        "coffer-api-server.coffer",
        "coffer-api-server.coffer.svc.cluster.local",
    ];
    names.map(str::to_owned).to_vec()
}

/// The time of day of the client.
#[derive(Debug)]
struct FixedTime(UnixTime);

impl TimeProvider for FixedTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

/// Returns the certificate that a server shows to a client that trusts `bundle`.
///
/// # Errors
/// The client does not trust it.
pub(super) fn served_certificate(
    bundle: &str,
    server: &Arc<ServerConfig>,
    now: SystemTime,
) -> Result<CertificateDer<'static>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_slice_iter(bundle.as_bytes());
    roots.add_parsable_certificates(certificates.map(|certificate| certificate.expect("a certificate")));
    let since = now.duration_since(SystemTime::UNIX_EPOCH).expect("a time");
    let time = Arc::new(FixedTime(UnixTime::since_unix_epoch(since)));
    let config = ClientConfig::builder_with_details(crypto_provider(), time)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("coffer-api-server.coffer.svc").expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name)?;
    let mut server = ServerConnection::new(Arc::clone(server))?;
    while client.is_handshaking() {
        let mut sent = Vec::new();
        client.write_tls(&mut sent).expect("written");
        server.read_tls(&mut sent.as_slice()).expect("read");
        server.process_new_packets()?;
        let mut sent = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut sent).expect("written");
        }
        client.read_tls(&mut sent.as_slice()).expect("read");
        client.process_new_packets()?;
    }
    let shown = client.peer_certificates().and_then(|chain| chain.first()).expect("a certificate");
    Ok(shown.clone().into_owned())
}

/// Returns whether a certificate is the one in this PEM text.
pub(super) fn is_same(certificate: &CertificateDer<'_>, pem: &str) -> bool {
    CertificateDer::from_pem_slice(pem.as_bytes()).is_ok_and(|other| other == *certificate)
}

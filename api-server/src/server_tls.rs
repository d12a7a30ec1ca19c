//! TLS towards the clients of this server.

use std::sync::Arc;

use coffer_connect::crypto_provider;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

/// Bytes of a client's certificates, at most.
const MAX_CHAIN_BYTES: usize = 16 << 10;

/// A serving certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerTlsError {
    #[error("the certificate is not a PEM certificate")]
    Certificate,
    #[error("the key is not a PEM private key")]
    Key,
    #[error("certificate and key: {0}")]
    Pair(#[from] rustls::Error),
}

/// Returns the TLS configuration for new connections with this certificate and key, both in PEM.
///
/// # Errors
/// One of the two cannot be used, or they do not belong together.
pub(crate) fn server_config(certificate: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, ServerTlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|_| ServerTlsError::Certificate)?;
    if chain.is_empty() {
        return Err(ServerTlsError::Certificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| ServerTlsError::Key)?;
    let provider = crypto_provider();
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(AnyClient(provider)))
        .with_single_cert(chain, key)?;
    // kube-apiserver uses HTTP/2, and HTTP/1.1 for upgrades
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // no resumption: a client proves its key on each connection, and makes few connections
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Accepts every client, with certificates of few bytes or without. A client with a certificate
/// must prove that it has the key. Whether the certificate is trusted is decided for each request,
/// since the CAs may change meanwhile.
#[derive(Debug)]
struct AnyClient(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        // it is kept as long as the connection, of whoever connects
        if own.len() + others.iter().map(|other| other.len()).sum::<usize>() > MAX_CHAIN_BYTES {
            return Err(rustls::Error::General("the client's certificates are too large".to_owned()));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

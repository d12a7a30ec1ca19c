//! TLS: which certificates are accepted, what the client shows, and why a handshake failed.

mod algorithms;
mod certificate_bundle;
mod certificate_failure;
mod certificate_summary;
mod chain_failure;
mod client_identity;
mod client_key;
mod der;
mod ecdsa_verification;
mod p521_exchange;
mod pem;
mod tls_failure;
mod trusted_authorities;
mod verifier;

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::sign::SingleCertAndKey;

use self::verifier::{NoVerifier, Verifier};

pub use self::algorithms::crypto_provider;
pub use self::certificate_bundle::{BlockProblem, BundleProblem, CertificateBundle, SkippedBlock};
pub use self::certificate_failure::{
    AffectedCertificate, CertificateCause, CertificateFailure, MissingAuthority,
};
pub use self::certificate_summary::CertificateSummary;
pub use self::client_identity::{ClientIdentity, ClientIdentityProblem, KeyFileProblem};
pub use self::client_key::KeyProblem;
pub use self::pem::{NoPem, PemProblem};
pub use self::tls_failure::TlsFailure;
pub use self::trusted_authorities::TrustedAuthorities;

/// Which server certificates are accepted.
#[derive(Debug, Clone)]
pub enum ServerTrust {
    /// Those of these authorities, and these certificates themselves if they are configured ones.
    Authorities(Arc<TrustedAuthorities>),
    /// Every certificate, which is insecure.
    Anything,
}

/// Returns a configuration of TLS clients. `identity` is shown to servers that ask for a client
/// certificate.
#[must_use]
pub fn client_config(trust: ServerTrust, identity: Option<ClientIdentity>) -> ClientConfig {
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        ServerTrust::Authorities(trusted) => Arc::new(Verifier { trusted }),
        ServerTrust::Anything => Arc::new(NoVerifier),
    };
    let builder = ClientConfig::builder_with_provider(crypto_provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match identity {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.0))),
        None => builder.with_no_client_auth(),
    }
}

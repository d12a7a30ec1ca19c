//! A certificate authority for servers of a test.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use crate::http::install_crypto;

/// A certificate authority with its certificate in a file, as `vaultCACertPath` requires.
pub struct TestCa {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

/// A certificate and its key, in PEM.
pub struct IssuedCertificate {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl TestCa {
    /// Creates a new authority.
    ///
    /// # Panics
    /// If the certificate cannot be created.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority's certificate");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let ca = Self { issuer, dir };
        std::fs::write(ca.certificate_file(), ca.issuer.pem()).expect("write the certificate");
        ca
    }

    /// Returns the path of the authority's certificate, in PEM.
    pub fn certificate_file(&self) -> PathBuf {
        self.directory().join("ca.pem")
    }

    /// Returns the directory that contains only that file.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the authority's certificate, in PEM.
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a certificate for a server with these names, or for a client if there are none.
    ///
    /// # Panics
    /// If a name is not valid.
    pub fn issue(&self, common_name: &str, names: &[&str]) -> IssuedCertificate {
        self.issued(common_name, names, None)
    }

    /// Issues a client certificate that is valid until `end`.
    pub fn issue_until(&self, common_name: &str, end: SystemTime) -> IssuedCertificate {
        self.issued(common_name, &[], Some(end))
    }

    fn issued(&self, common_name: &str, names: &[&str], end: Option<SystemTime>) -> IssuedCertificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names for a certificate");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        if let Some(end) = end {
            let since_epoch = end.duration_since(SystemTime::UNIX_EPOCH).expect("a time of this age");
            params.not_after = date_time_ymd(1970, 1, 1) + since_epoch;
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        IssuedCertificate { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Returns an acceptor of TLS connections with a certificate for `127.0.0.1`.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor_of(&[])
    }

    /// Does the same for clients that speak one of these protocols (ALPN).
    pub(crate) fn acceptor_of(&self, protocols: &[&[u8]]) -> TlsAcceptor {
        install_crypto();
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("the key just made");
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.der().clone()], key);
        let mut config = config.expect("a matching key");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for TestCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestCa").field("directory", &self.dir.path()).finish_non_exhaustive()
    }
}

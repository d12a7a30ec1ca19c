//! Client certificates: which authority issued one, and which user it names.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coffer_connect::crypto_provider;
use rustls::RootCertStore;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::user::User;

/// A bundle of certificate authorities that issue client certificates.
pub(crate) struct ClientAuthorities {
    verifier: Arc<dyn ClientCertVerifier>,
    /// The chains that were verified last. Every request asks, and a signature that was good stays
    /// good.
    verified: Mutex<VecDeque<VerifiedChain>>,
}

struct VerifiedChain {
    chain: Vec<CertificateDer<'static>>,
    /// When the first of the certificates expires, in seconds since 1970.
    expires: u64,
}

/// A bundle that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error("there is no CA certificate in it")]
    NoCertificate,
    #[error("{0}")]
    Unusable(#[from] VerifierBuilderError),
}

/// Chains that are remembered, at most: those of a few replicas of kube-apiserver, and of some
/// users.
const MAX_REMEMBERED: usize = 16;

impl ClientAuthorities {
    /// Parses every certificate of a PEM bundle. There are two while a CA is rotated.
    ///
    /// # Errors
    /// The bundle has no usable certificate.
    pub(crate) fn parse(pem: &str) -> Result<Self, BundleError> {
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok);
        roots.add_parsable_certificates(certificates);
        if roots.is_empty() {
            return Err(BundleError::NoCertificate);
        }
        let provider = crypto_provider();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        Ok(Self { verifier, verified: Mutex::default() })
    }

    /// Returns whether one of the authorities issued a chain, the client's own certificate first,
    /// for use by clients, and the chain is valid now. The TLS handshake has proved that the client
    /// has the key.
    pub(crate) fn accept(&self, chain: &[CertificateDer<'_>]) -> bool {
        let now = UnixTime::now();
        if self.verified().iter().any(|known| now.as_secs() < known.expires && known.chain == chain) {
            return true;
        }
        let Some((own, others)) = chain.split_first() else { return false };
        if self.verifier.verify_client_cert(own, others, now).is_err() {
            return false;
        }
        if let Some(expires) = chain.iter().map(expiry).min().flatten() {
            let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
            let mut verified = self.verified();
            verified.truncate(MAX_REMEMBERED - 1);
            verified.push_front(VerifiedChain { chain, expires });
        }
        true
    }

    fn verified(&self) -> MutexGuard<'_, VecDeque<VerifiedChain>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns when a certificate expires, in seconds since 1970.
fn expiry(certificate: &CertificateDer<'_>) -> Option<u64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    certificate.validity().not_after.timestamp().try_into().ok()
}

/// Returns the user that a certificate names: common name and organizations
/// (`CommonNameUserConversion` of k8s.io/apiserver).
pub(crate) fn user(certificate: &CertificateDer<'_>) -> Option<User> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let subject = certificate.subject();
    let groups = subject.iter_organization().map(|group| group.as_str().map(ToOwned::to_owned));
    let name = subject.iter_common_name().last()?.as_str().ok()?.to_owned();
    let groups = groups.collect::<Result<_, _>>().ok()?;
    (!name.is_empty()).then(|| User { name, groups, ..User::default() })
}

#[cfg(test)]
pub(crate) mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    };
    use rustls_pki_types::CertificateDer;

    use super::{ClientAuthorities, MAX_REMEMBERED, VerifiedChain, expiry, user};

    pub(crate) struct TestAuthority(CertifiedIssuer<'static, KeyPair>);

    impl TestAuthority {
        pub(crate) fn new() -> Self {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().expect("a key");
            Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
        }

        pub(crate) fn pem(&self) -> String {
            self.0.pem()
        }

        pub(crate) fn issue(&self, name: &str, groups: &[&str]) -> Vec<CertificateDer<'static>> {
            self.issue_with(name, groups, |_| {})
        }

        pub(crate) fn issue_with(
            &self,
            name: &str,
            groups: &[&str],
            change: impl Fn(&mut CertificateParams),
        ) -> Vec<CertificateDer<'static>> {
            let mut params = CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            for group in groups {
                params.distinguished_name.push(DnType::OrganizationName, *group);
            }
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            change(&mut params);
            let key = KeyPair::generate().expect("a key");
            vec![params.signed_by(&key, &self.0).expect("a certificate").der().clone()]
        }
    }

    #[test]
    fn only_live_certificates_for_clients_of_the_authority_are_accepted() {
        let authority = TestAuthority::new();
        let verifier = ClientAuthorities::parse(&authority.pem()).expect("an authority");
        assert!(verifier.accept(&authority.issue("jo", &[])));
        assert!(!verifier.accept(&TestAuthority::new().issue("jo", &[])));
        assert!(!verifier.accept(&[]));
        let expired =
            authority.issue_with("jo", &[], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
        let early =
            authority.issue_with("jo", &[], |params| params.not_before = rcgen::date_time_ymd(4000, 1, 1));
        let servers = authority.issue_with("jo", &[], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        for refused in [expired, early, servers] {
            assert!(!verifier.accept(&refused));
        }
    }

    #[test]
    fn a_verified_chain_is_remembered_until_it_expires_and_no_longer() {
        let authority = TestAuthority::new();
        let verifier = ClientAuthorities::parse(&authority.pem()).expect("an authority");
        let chain = authority.issue("jo", &[]);
        assert!(verifier.accept(&chain) && verifier.accept(&chain));
        assert_eq!(verifier.verified().len(), 1, "it was verified twice");
        for _ in 0..=MAX_REMEMBERED {
            assert!(verifier.accept(&authority.issue("jo", &[])));
        }
        assert_eq!(verifier.verified().len(), MAX_REMEMBERED);
        let expired =
            authority.issue_with("jo", &[], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
        let expires = expiry(&expired[0]).expect("an end");
        assert_eq!(expires, 1_577_836_800);
        verifier.verified().push_front(VerifiedChain { chain: expired.clone(), expires });
        assert!(!verifier.accept(&expired));
    }

    #[test]
    fn a_certificate_names_user_and_groups() {
        let authority = TestAuthority::new();
        let named = user(&authority.issue("jö", &["a"])[0]).expect("a user");
        assert_eq!((named.name.as_str(), named.groups), ("jö", vec!["a".to_owned()]));
        assert_eq!(user(&authority.issue("", &[])[0]), None);
        assert_eq!(user(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}

//! Client certificates: who issued one, and whom it names.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::user::User;

/// A bundle of certificate authorities that issue client certificates.
pub(crate) struct Authority {
    verifier: Arc<dyn ClientCertVerifier>,
    /// The chains that were accepted last: a signature that was good stays good, and every request asks.
    accepted: Mutex<VecDeque<Accepted>>,
}

struct Accepted {
    chain: Vec<CertificateDer<'static>>,
    /// When the first of its certificates ends, in seconds.
    until: u64,
}

/// How many chains are kept: those of a few replicas of kube-apiserver, and of some users.
const KEPT: usize = 16;

impl Authority {
    /// Reads every certificate of a PEM bundle: while a CA is rotated there are two.
    ///
    /// # Errors
    /// There is none that can be used.
    pub(crate) fn parse(pem: &str) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok);
        roots.add_parsable_certificates(certificates);
        if roots.is_empty() {
            return Err("there is no CA certificate in it".to_owned());
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let verifier = verifier.map_err(|error| error.to_string())?;
        Ok(Self { verifier, accepted: Mutex::default() })
    }

    /// Whether a chain, the client's own certificate first, leads to one of the authorities at this very moment, and
    /// is meant for clients. That the client has the key was proved when it connected.
    pub(crate) fn accepts(&self, chain: &[CertificateDer<'_>]) -> bool {
        let now = UnixTime::now();
        if self.accepted().iter().any(|known| now.as_secs() < known.until && known.chain == chain) {
            return true;
        }
        let Some((own, others)) = chain.split_first() else { return false };
        if self.verifier.verify_client_cert(own, others, now).is_err() {
            return false;
        }
        if let Some(until) = chain.iter().map(end).min().flatten() {
            let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
            let mut accepted = self.accepted();
            accepted.truncate(KEPT - 1);
            accepted.push_front(Accepted { chain, until });
        }
        true
    }

    fn accepted(&self) -> MutexGuard<'_, VecDeque<Accepted>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a certificate ends, in seconds.
fn end(certificate: &CertificateDer<'_>) -> Option<u64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    certificate.validity().not_after.timestamp().try_into().ok()
}

/// The user that a certificate names: common name and organizations (`CommonNameUserConversion` of k8s.io/apiserver).
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

    use super::{Accepted, Authority, KEPT, end, user};

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
        let verifier = Authority::parse(&authority.pem()).expect("an authority");
        assert!(verifier.accepts(&authority.issue("jo", &[])));
        assert!(!verifier.accepts(&TestAuthority::new().issue("jo", &[])));
        assert!(!verifier.accepts(&[]));
        let expired =
            authority.issue_with("jo", &[], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
        let early =
            authority.issue_with("jo", &[], |params| params.not_before = rcgen::date_time_ymd(4000, 1, 1));
        let servers = authority.issue_with("jo", &[], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        for refused in [expired, early, servers] {
            assert!(!verifier.accepts(&refused));
        }
    }

    #[test]
    fn a_chain_that_was_accepted_is_kept_until_its_end_and_no_longer() {
        let authority = TestAuthority::new();
        let verifier = Authority::parse(&authority.pem()).expect("an authority");
        let chain = authority.issue("jo", &[]);
        assert!(verifier.accepts(&chain) && verifier.accepts(&chain));
        assert_eq!(verifier.accepted().len(), 1, "it was verified twice");
        for _ in 0..=KEPT {
            assert!(verifier.accepts(&authority.issue("jo", &[])));
        }
        assert_eq!(verifier.accepted().len(), KEPT);
        let expired =
            authority.issue_with("jo", &[], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
        let until = end(&expired[0]).expect("an end");
        assert_eq!(until, 1_577_836_800);
        verifier.accepted().push_front(Accepted { chain: expired.clone(), until });
        assert!(!verifier.accepts(&expired));
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

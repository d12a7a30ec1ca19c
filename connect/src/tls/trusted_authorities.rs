//! The certificates that are trusted: the system's, or configured ones.

use std::sync::{Arc, OnceLock};

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Version;

use super::certificate_summary::{distinguished, time};
use super::der::bits;

/// Trusted certificates. They do not change: another set has connections of its own.
#[derive(Debug)]
pub struct TrustedAuthorities {
    /// What a chain may end with.
    pub(super) anchors: Vec<TrustAnchor<'static>>,
    /// What else is known of each anchor.
    facts: Vec<AnchorFacts>,
    /// The configured certificates themselves. A server may have one of them, whatever kind it is.
    configured: Vec<CertificateDer<'static>>,
}

/// What a trust anchor does not hold of its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnchorFacts {
    pub(super) subject: Box<str>,
    not_before: i64,
    not_after: i64,
    may_sign: bool,
    /// The number of intermediate certificates that it allows; none is any number.
    max_intermediates: Option<u32>,
    /// The size of an RSA key.
    pub(super) rsa_bits: Option<usize>,
}

impl TrustedAuthorities {
    /// Returns the system's authorities, which are loaded once, as OpenSSL finds them
    /// (`SSL_CERT_FILE`, `SSL_CERT_DIR`). What cannot be read of them is logged and left out.
    pub fn system() -> Arc<Self> {
        static SYSTEM: OnceLock<Arc<TrustedAuthorities>> = OnceLock::new();
        Arc::clone(SYSTEM.get_or_init(|| {
            let loaded = rustls_native_certs::load_native_certs();
            for error in loaded.errors {
                tracing::warn!(%error, "some of the system's certificate authorities cannot be read");
            }
            Arc::new(Self::of(&loaded.certs))
        }))
    }

    /// Returns these certificates as the trusted ones.
    #[must_use]
    pub fn configured(certificates: Vec<CertificateDer<'static>>) -> Self {
        Self { configured: certificates.clone(), ..Self::of(&certificates) }
    }

    fn of(certificates: &[CertificateDer<'static>]) -> Self {
        let (mut anchors, mut facts) = (Vec::new(), Vec::new());
        for certificate in certificates {
            if let Some((anchor, fact)) = anchor(certificate) {
                anchors.push(anchor);
                facts.push(fact);
            }
        }
        Self { anchors, facts, configured: Vec::new() }
    }

    /// Returns whether exactly this certificate is configured. Those of the system never count.
    pub(super) fn has(&self, certificate: &CertificateDer<'_>) -> bool {
        self.configured.iter().any(|configured| configured == certificate)
    }

    /// Returns what is known of the anchors, in their order.
    pub(super) fn facts(&self) -> impl Iterator<Item = (&TrustAnchor<'static>, &AnchorFacts)> {
        self.anchors.iter().zip(&self.facts)
    }

    /// Returns whether a certificate with this anchor's name and key allows so many intermediate
    /// certificates. webpki does not ask.
    pub(super) fn allows(&self, anchor: &TrustAnchor<'_>, intermediates: usize) -> bool {
        let same = self.facts().filter(|(other, _)| {
            other.subject == anchor.subject && other.subject_public_key_info == anchor.subject_public_key_info
        });
        let intermediates = u32::try_from(intermediates).unwrap_or(u32::MAX);
        same.into_iter().any(|(_, facts)| facts.max_intermediates.is_none_or(|most| intermediates <= most))
    }

    /// Returns the anchors that may sign now; none if all may.
    pub(super) fn usable(&self, now: UnixTime) -> Option<Vec<TrustAnchor<'_>>> {
        if self.facts.iter().all(|fact| fact.is_usable(now)) {
            return None;
        }
        let usable = self.facts().filter(|(_, fact)| fact.is_usable(now));
        Some(usable.map(|(anchor, _)| borrowed(anchor)).collect())
    }
}

impl AnchorFacts {
    fn is_usable(&self, now: UnixTime) -> bool {
        self.may_sign && self.is_valid(now)
    }

    pub(super) fn may_sign(&self) -> bool {
        self.may_sign
    }

    pub(super) fn is_valid(&self, now: UnixTime) -> bool {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        (self.not_before..=self.not_after).contains(&now)
    }

    /// Returns the times in words.
    pub(super) fn validity(&self) -> String {
        let text =
            |seconds| x509_parser::time::ASN1Time::from_timestamp(seconds).map(time).unwrap_or_default();
        format!("its certificate is from {} to {}", text(self.not_before), text(self.not_after))
    }
}

/// Returns a certificate as the end of chains; none if it cannot be read.
fn anchor(certificate: &CertificateDer<'static>) -> Option<(TrustAnchor<'static>, AnchorFacts)> {
    let anchor = webpki::anchor_from_trusted_cert(certificate).ok()?.to_owned();
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let facts = AnchorFacts {
        subject: distinguished(parsed.subject()).into(),
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
        may_sign: may_sign(&parsed),
        max_intermediates: parsed
            .basic_constraints()
            .ok()
            .flatten()
            .and_then(|found| found.value.path_len_constraint),
        rsa_bits: rsa_bits(&parsed),
    };
    Some((anchor, facts))
}

/// Returns whether chains may end with a certificate. As in Go, one of version 1 or 2 may sign,
/// since it cannot say that it is an authority's.
fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    let is_authority = match certificate.basic_constraints() {
        Ok(Some(constraints)) => constraints.value.ca,
        Ok(None) => certificate.version() != X509Version::V3,
        Err(_) => false,
    };
    is_authority && signs_certificates(certificate) && is_for_servers(certificate)
}

/// Returns whether the key usage of a certificate allows to sign certificates.
pub(super) fn signs_certificates(certificate: &X509Certificate<'_>) -> bool {
    certificate.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()))
}

/// Returns whether the extended key usage of a certificate allows servers.
pub(super) fn is_for_servers(certificate: &X509Certificate<'_>) -> bool {
    let is_allowed = |usage: &x509_parser::extensions::ExtendedKeyUsage<'_>| usage.server_auth || usage.any;
    certificate.extended_key_usage().is_ok_and(|usage| usage.is_none_or(|usage| is_allowed(usage.value)))
}

/// Returns the size of an RSA key in bits; none for other keys.
pub(super) fn rsa_bits(certificate: &X509Certificate<'_>) -> Option<usize> {
    match certificate.public_key().parsed().ok()? {
        PublicKey::RSA(key) => Some(bits(key.modulus)),
        _ => None,
    }
}

fn borrowed<'a>(anchor: &'a TrustAnchor<'static>) -> TrustAnchor<'a> {
    TrustAnchor {
        subject: anchor.subject.as_ref().into(),
        subject_public_key_info: anchor.subject_public_key_info.as_ref().into(),
        name_constraints: anchor.name_constraints.as_ref().map(|names| names.as_ref().into()),
    }
}

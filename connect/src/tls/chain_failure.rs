//! Finds the words for a chain that webpki refuses.

use rustls_pki_types::UnixTime;
use webpki::{EndEntityCert, Error as WebpkiError};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::certificate_failure::{AffectedCertificate, CertificateCause, MissingAuthority};
use super::certificate_summary::{distinguished, time};
use super::trusted_authorities::{TrustedAuthorities, rsa_bits};
use super::verifier::{Shown, verify_to};

/// A chain that webpki refuses.
pub(super) struct ChainFailure<'a> {
    pub(super) shown: &'a Shown<'a>,
    pub(super) parsed: &'a X509Certificate<'a>,
    pub(super) trusted: &'a TrustedAuthorities,
}

impl ChainFailure<'_> {
    /// Returns why the chain is refused.
    pub(super) fn cause(&self, error: WebpkiError) -> CertificateCause {
        match error {
            WebpkiError::CertExpired { .. } => self.expired(),
            WebpkiError::CertNotValidYet { .. } => self.not_yet_valid(),
            WebpkiError::CaUsedAsEndEntity => CertificateCause::IsAuthority,
            WebpkiError::EndEntityUsedAsCa => CertificateCause::SignedByNoAuthority,
            WebpkiError::EmptyEkuExtension => CertificateCause::NotForServers,
            WebpkiError::NameConstraintViolation => CertificateCause::NamesNotPermitted,
            WebpkiError::PathLenConstraintViolated | WebpkiError::MaximumPathDepthExceeded => {
                CertificateCause::ChainTooLong
            }
            WebpkiError::UnsupportedCriticalExtension => CertificateCause::CriticalExtension,
            WebpkiError::UnsupportedSignatureAlgorithmContext(_)
            | WebpkiError::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                self.small_key().or_else(|| self.signature()).unwrap_or_else(|| self.unknown_authority())
            }
            WebpkiError::UnknownIssuer | WebpkiError::InvalidSignatureForPublicKey => self
                .small_key()
                .or_else(|| self.unusable_authority())
                .unwrap_or_else(|| self.unknown_authority()),
            error => CertificateCause::Unreadable(error.to_string()),
        }
    }

    /// Returns the certificates that the server sent besides its own, as far as they can be read.
    fn others(&self) -> impl Iterator<Item = X509Certificate<'_>> {
        let others = self.shown.others.iter();
        others.filter_map(|other| X509Certificate::from_der(other).ok().map(|(_, parsed)| parsed))
    }

    fn expired(&self) -> CertificateCause {
        let now = seconds(self.shown.now);
        let ended = |certificate: &X509Certificate<'_>| certificate.validity().not_after.timestamp() < now;
        let of_leaf = time(self.parsed.validity().not_after);
        let other = self.others().find(ended).filter(|_| !ended(self.parsed));
        CertificateCause::Expired(match other {
            Some(other) => affected(&other, time(other.validity().not_after)),
            None => AffectedCertificate { subject: None, time: of_leaf },
        })
    }

    fn not_yet_valid(&self) -> CertificateCause {
        let now = seconds(self.shown.now);
        let begins = |certificate: &X509Certificate<'_>| certificate.validity().not_before.timestamp() > now;
        let of_leaf = time(self.parsed.validity().not_before);
        let other = self.others().find(begins).filter(|_| !begins(self.parsed));
        CertificateCause::NotYetValid(match other {
            Some(other) => affected(&other, time(other.validity().not_before)),
            None => AffectedCertificate { subject: None, time: of_leaf },
        })
    }

    fn small_key(&self) -> Option<CertificateCause> {
        let is_small = |bits: &usize| *bits < 2048;
        let of_other = self.others().find_map(|other| {
            let bits = rsa_bits(&other).filter(is_small)?;
            Some(CertificateCause::KeyTooSmall { of: distinguished(other.subject()), bits })
        });
        of_other.or_else(|| {
            let issuer = self.last_issuer();
            let mut named = self.trusted.facts().filter(|(_, facts)| *facts.subject == issuer);
            named.find_map(|(_, facts)| {
                let bits = facts.rsa_bits.filter(is_small)?;
                Some(CertificateCause::KeyTooSmall { of: facts.subject.to_string(), bits })
            })
        })
    }

    fn signature(&self) -> Option<CertificateCause> {
        let unsupported = |certificate: &X509Certificate<'_>| {
            let algorithm = algorithm(&certificate.signature_algorithm.algorithm.to_id_string())?;
            Some(CertificateCause::SignatureAlgorithm { of: distinguished(certificate.subject()), algorithm })
        };
        unsupported(self.parsed).or_else(|| self.others().find_map(|other| unsupported(&other)))
    }

    /// Returns the authority that signed the chain, if it is a trusted one that is not used.
    fn unusable_authority(&self) -> Option<CertificateCause> {
        let leaf = EndEntityCert::try_from(self.shown.leaf).ok()?;
        self.trusted.facts().find_map(|(anchor, facts)| {
            let (valid, may_sign) = (facts.is_valid(self.shown.now), facts.may_sign());
            let unusable = !valid || !may_sign;
            let signed = || verify_to(self.trusted, std::slice::from_ref(anchor), self.shown, &leaf).is_ok();
            if !unusable || !signed() {
                return None;
            }
            let subject = facts.subject.to_string();
            Some(if may_sign {
                let time = facts.validity();
                CertificateCause::AuthorityNotValidNow(AffectedCertificate { subject: Some(subject), time })
            } else {
                CertificateCause::AuthorityMayNotSign { authority: subject }
            })
        })
    }

    fn unknown_authority(&self) -> CertificateCause {
        let issuer = self.last_issuer();
        let is_sent = self.others().any(|other| distinguished(other.subject()) == issuer);
        CertificateCause::UnknownAuthority(if self.trusted.anchors.is_empty() {
            MissingAuthority::NoneAtAll
        } else if self.parsed.issuer() == self.parsed.subject() {
            MissingAuthority::SelfSigned
        } else if self.trusted.facts().any(|(_, facts)| *facts.subject == issuer) {
            MissingAuthority::OtherKey(issuer)
        } else if is_sent {
            MissingAuthority::Sent(issuer)
        } else {
            MissingAuthority::NotSent(issuer)
        })
    }

    /// Returns the name of the authority with which the chain ends.
    fn last_issuer(&self) -> String {
        let others: Vec<_> = self.others().collect();
        let mut last = self.parsed;
        for _ in 0..others.len() {
            match others.iter().find(|other| other.subject() == last.issuer()) {
                Some(next) if next.issuer() != next.subject() => last = next,
                _ => break,
            }
        }
        distinguished(last.issuer())
    }
}

fn affected(certificate: &X509Certificate<'_>, time: String) -> AffectedCertificate {
    AffectedCertificate { subject: Some(distinguished(certificate.subject())), time }
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// Returns the name of a signature algorithm that is not accepted; none for those that are.
fn algorithm(oid: &str) -> Option<String> {
    const ACCEPTED: [&str; 8] = [
        "1.2.840.113549.1.1.10",
        "1.2.840.113549.1.1.11",
        "1.2.840.113549.1.1.12",
        "1.2.840.113549.1.1.13",
        "1.2.840.10045.4.3.2",
        "1.2.840.10045.4.3.3",
        "1.2.840.10045.4.3.4",
        "1.3.101.112",
    ];
    let name = match oid {
        "1.2.840.113549.1.1.4" => "MD5 with RSA",
        "1.2.840.113549.1.1.5" => "SHA-1 with RSA",
        "1.2.840.113549.1.1.14" => "SHA-224 with RSA",
        "1.2.840.10045.4.1" => "ECDSA with SHA-1",
        "1.2.840.10045.4.3.1" => "ECDSA with SHA-224",
        "1.2.840.10040.4.3" => "DSA with SHA-1",
        "1.3.101.113" => "Ed448",
        accepted if ACCEPTED.contains(&accepted) => return None,
        other => other,
    };
    Some(name.to_owned())
}

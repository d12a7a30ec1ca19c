//! Decides whether a server's certificate is accepted: webpki's rules, and Go's where webpki is
//! stricter or laxer without need.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, Error as WebpkiError, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::algorithms::SIGNATURES;
use super::certificate_failure::{CertificateCause, CertificateFailure};
use super::certificate_summary::CertificateSummary;
use super::chain_failure::ChainFailure;
use super::trusted_authorities::{TrustedAuthorities, is_for_servers, rsa_bits, signs_certificates};

/// Accepts certificates that a trusted authority signed, and those that are themselves configured
/// as trusted.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) trusted: Arc<TrustedAuthorities>,
}

/// Accepts every certificate, and every signature.
#[derive(Debug)]
pub(super) struct NoVerifier;

/// What a server shows.
pub(super) struct Shown<'a> {
    pub(super) leaf: &'a CertificateDer<'a>,
    pub(super) others: &'a [CertificateDer<'a>],
    pub(super) now: UnixTime,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = X509Certificate::from_der(leaf).map(|(_, parsed)| parsed);
        let verified = match &parsed {
            Ok(parsed) => self.verify(&Shown { leaf, others, now }, parsed, name),
            Err(error) => Err(CertificateCause::Unreadable(error.to_string())),
        };
        verified.map(|()| ServerCertVerified::assertion()).map_err(|cause| {
            let certificate = parsed.ok().as_ref().map(CertificateSummary::of);
            refused(CertificateFailure { cause, certificate })
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signed, &SIGNATURES)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &SIGNATURES)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SIGNATURES.supported_schemes()
    }
}

impl ServerCertVerifier for NoVerifier {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SIGNATURES.supported_schemes()
    }
}

impl Verifier {
    fn verify(
        &self,
        shown: &Shown<'_>,
        parsed: &X509Certificate<'_>,
        name: &ServerName<'_>,
    ) -> Result<(), CertificateCause> {
        let leaf = EndEntityCert::try_from(shown.leaf);
        let failure = |error| ChainFailure { shown, parsed, trusted: &self.trusted }.cause(error);
        if let Some(bits) = rsa_bits(parsed).filter(|bits| *bits < 2048) {
            let of = super::certificate_summary::distinguished(parsed.subject());
            return Err(CertificateCause::KeyTooSmall { of, bits });
        }
        let leaf = leaf.map_err(&failure)?;
        let chain = if self.trusted.has(shown.leaf) {
            verify_configured(shown, parsed)
        } else {
            self.verify_chain(shown, &leaf)
        };
        let named = leaf.verify_is_valid_for_subject_name(name).is_ok() || has_wildcard_for(parsed, name);
        match (chain, named) {
            (Err(error @ (WebpkiError::CertExpired { .. } | WebpkiError::CertNotValidYet { .. })), _) => {
                Err(failure(error))
            }
            (_, false) => Err(CertificateCause::OtherName { wanted: name.to_str().into_owned() }),
            (Err(error), true) => Err(failure(error)),
            (Ok(()), true) => Ok(()),
        }
    }

    fn verify_chain(&self, shown: &Shown<'_>, leaf: &EndEntityCert<'_>) -> Result<(), WebpkiError> {
        match self.trusted.usable(shown.now) {
            None => verify_to(&self.trusted, &self.trusted.anchors, shown, leaf),
            Some(usable) => verify_to(&self.trusted, &usable, shown, leaf),
        }
    }
}

/// Verifies the chain to one of these anchors.
pub(super) fn verify_to(
    trusted: &TrustedAuthorities,
    anchors: &[TrustAnchor<'_>],
    shown: &Shown<'_>,
    leaf: &EndEntityCert<'_>,
) -> Result<(), WebpkiError> {
    leaf.verify_for_usage(
        SIGNATURES.all,
        anchors,
        shown.others,
        shown.now,
        ForServers,
        None,
        Some(&|path| check_path(trusted, path)),
    )
    .map(|_| ())
}

/// Verifies a certificate that is itself configured as trusted: its signature says nothing more,
/// and it may be an authority's.
fn verify_configured(shown: &Shown<'_>, parsed: &X509Certificate<'_>) -> Result<(), WebpkiError> {
    let time = shown.now;
    let now = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let at = |seconds: i64| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds.max(0) as u64));
    let validity = parsed.validity();
    let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    if now < not_before {
        return Err(WebpkiError::CertNotValidYet { time, not_before: at(not_before) });
    }
    if now > not_after {
        return Err(WebpkiError::CertExpired { time, not_after: at(not_after) });
    }
    if is_for_servers(parsed) { Ok(()) } else { Err(WebpkiError::EmptyEkuExtension) }
}

/// Refuses a chain in which a certificate signs that may not sign certificates, or that is longer
/// than its root allows. webpki looks at CA:TRUE alone, and not at roots.
fn check_path(trusted: &TrustedAuthorities, path: &VerifiedPath<'_>) -> Result<(), WebpkiError> {
    if !trusted.allows(path.anchor(), path.intermediate_certificates().count()) {
        return Err(WebpkiError::PathLenConstraintViolated);
    }
    for certificate in path.intermediate_certificates() {
        let der = certificate.der();
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| WebpkiError::BadDer)?;
        if !signs_certificates(&parsed) {
            return Err(WebpkiError::EndEntityUsedAsCa);
        }
    }
    Ok(())
}

/// Returns whether a certificate is for all names of the domain of this one, where the domain is a
/// single label: `*.internal`. As Go does, and webpki does not.
fn has_wildcard_for(certificate: &X509Certificate<'_>, name: &ServerName<'_>) -> bool {
    let ServerName::DnsName(name) = name else { return false };
    let Some((_, domain)) = name.as_ref().trim_end_matches('.').split_once('.') else { return false };
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    !domain.contains('.')
        && names.iter().any(|name| match name {
            GeneralName::DNSName(name) => {
                name.strip_prefix("*.").is_some_and(|of| of.eq_ignore_ascii_case(domain))
            }
            _ => false,
        })
}

/// As in Go, a certificate for any use is for servers too.
struct ForServers;

impl ExtendedKeyUsageValidator for ForServers {
    fn validate(&self, uses: KeyPurposeIdIter<'_, '_>) -> Result<(), WebpkiError> {
        const SERVER: &[usize] = &[1, 3, 6, 1, 5, 5, 7, 3, 1];
        const ANY: &[usize] = &[2, 5, 29, 37, 0];
        let mut is_limited = false;
        for usage in uses {
            is_limited = true;
            let usage = usage?.to_decoded_oid();
            if usage == SERVER || usage == ANY {
                return Ok(());
            }
        }
        if is_limited { Err(WebpkiError::EmptyEkuExtension) } else { Ok(()) }
    }
}

fn refused(failure: CertificateFailure) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(failure))))
}

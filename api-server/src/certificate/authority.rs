//! Certificates that are made here: CAs, and serving certificates issued by them.

use std::time::SystemTime;

use coffer_provider::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use x509_parser::pem::Pem;

use super::rotation::{BACKDATED, CA_LIFE, SERVING_LIFE};

/// A certificate and its key, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: Secret,
}

/// What cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error("a certificate cannot be read")]
    Read,
}

/// When a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
}

/// A new CA. Its name holds the time: two of one name would be mistaken for each other.
pub(crate) fn new_ca(now: SystemTime) -> Result<Pair, AuthorityError> {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&format!("coffer-api-server-ca-{seconds}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + CA_LIFE).into();
    let key = KeyPair::generate()?;
    Ok(Pair { certificate: params.self_signed(&key)?.pem(), key: Secret::new(key.serialize_pem()) })
}

/// A serving certificate for these names.
pub(crate) fn new_serving(ca: &Pair, names: &[String], now: SystemTime) -> Result<Pair, AuthorityError> {
    let ca_key = KeyPair::from_pem(ca.key.expose_str().ok_or(AuthorityError::Read)?)?;
    let issuer = Issuer::from_ca_cert_pem(&ca.certificate, ca_key)?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = name(names.first().map_or("coffer-api-server", String::as_str));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + SERVING_LIFE).into();
    let key = KeyPair::generate()?;
    Ok(Pair { certificate: params.signed_by(&key, &issuer)?.pem(), key: Secret::new(key.serialize_pem()) })
}

/// When a PEM certificate is good.
pub(crate) fn validity(certificate: &str) -> Result<Validity, AuthorityError> {
    with_parsed(certificate, |certificate| {
        let at = |time: &x509_parser::time::ASN1Time| {
            let seconds = u64::try_from(time.timestamp()).unwrap_or_default();
            SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
        };
        let validity = certificate.validity();
        Validity { from: at(&validity.not_before), until: at(&validity.not_after) }
    })
}

/// Whether a certificate was issued in the name of this CA. CAs made here never share a name.
pub(crate) fn is_issued_by(certificate: &str, ca: &str) -> bool {
    let issuer = with_parsed(certificate, |certificate| certificate.issuer().as_raw().to_vec());
    let subject = with_parsed(ca, |ca| ca.subject().as_raw().to_vec());
    matches!((issuer, subject), (Ok(issuer), Ok(subject)) if issuer == subject)
}

/// Whether a certificate names exactly these DNS names.
pub(crate) fn has_names(certificate: &str, names: &[String]) -> bool {
    let found = with_parsed(certificate, |certificate| {
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.into_iter().flat_map(|names| names.value.general_names.iter());
        let dns = names.filter_map(|name| match name {
            x509_parser::extensions::GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        dns.collect::<Vec<_>>()
    });
    found.is_ok_and(|found| found == names)
}

fn with_parsed<T>(
    certificate: &str,
    read: impl FnOnce(&x509_parser::certificate::X509Certificate<'_>) -> T,
) -> Result<T, AuthorityError> {
    let pem = Pem::iter_from_buffer(certificate.as_bytes()).next();
    let pem = pem.and_then(Result::ok).ok_or(AuthorityError::Read)?;
    let parsed = pem.parse_x509().map_err(|_| AuthorityError::Read)?;
    Ok(read(&parsed))
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

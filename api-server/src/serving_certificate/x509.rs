//! X.509 certificates: issues CAs and serving certificates, and reads them again.

use std::time::{Duration, SystemTime};

use coffer_provider::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData,
};
use x509_parser::pem::Pem;

/// Lifetime of a CA.
pub(crate) const CA_LIFE: Duration = Duration::from_secs(365 * 86_400);

/// Lifetime of a serving certificate.
pub(crate) const SERVING_LIFE: Duration = Duration::from_secs(30 * 86_400);

/// Certificates are valid from this long before they are issued, since clocks differ.
pub(crate) const BACKDATED: Duration = Duration::from_secs(600);

/// A certificate and its key, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CertificateAndKey {
    pub(crate) certificate: String,
    pub(crate) key: Secret,
}

/// A certificate that cannot be issued or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum X509Error {
    #[error("a certificate cannot be issued: {0}")]
    Issue(#[from] rcgen::Error),
    #[error("a certificate cannot be read")]
    Unreadable,
}

/// The time for which a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
}

impl Validity {
    /// Returns whether a certificate is valid at `now`. It is not yet if the clock that it was made
    /// by was wrong.
    pub(crate) fn covers(&self, now: SystemTime) -> bool {
        self.from <= now && now < self.until
    }
}

/// Issues a CA. Its name has the time, since two CAs with one name would be mistaken for each
/// other.
pub(crate) fn new_ca(now: SystemTime) -> Result<CertificateAndKey, X509Error> {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&format!("coffer-api-server-ca-{seconds}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + CA_LIFE).into();
    let key = KeyPair::generate()?;
    Ok(CertificateAndKey {
        certificate: params.self_signed(&key)?.pem(),
        key: Secret::new(key.serialize_pem()),
    })
}

/// Issues a serving certificate for these DNS names.
pub(crate) fn new_serving(
    ca: &CertificateAndKey,
    names: &[String],
    now: SystemTime,
) -> Result<CertificateAndKey, X509Error> {
    let ca_key = KeyPair::from_pem(ca.key.expose_str().ok_or(X509Error::Unreadable)?)?;
    let issuer = Issuer::from_ca_cert_pem(&ca.certificate, ca_key)?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = name(names.first().map_or("coffer-api-server", String::as_str));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + SERVING_LIFE).into();
    let key = KeyPair::generate()?;
    Ok(CertificateAndKey {
        certificate: params.signed_by(&key, &issuer)?.pem(),
        key: Secret::new(key.serialize_pem()),
    })
}

/// Returns the time for which a PEM certificate is valid.
pub(crate) fn validity(certificate: &str) -> Result<Validity, X509Error> {
    with_parsed(certificate, |certificate| {
        let at = |time: &x509_parser::time::ASN1Time| {
            let seconds = u64::try_from(time.timestamp()).unwrap_or_default();
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
        };
        let validity = certificate.validity();
        Validity { from: at(&validity.not_before), until: at(&validity.not_after) }
    })
}

/// Returns whether a certificate has the name of this CA as its issuer. No two CAs issued here have
/// one name.
pub(crate) fn is_issued_by(certificate: &str, ca: &str) -> bool {
    let issuer = with_parsed(certificate, |certificate| certificate.issuer().as_raw().to_vec());
    let subject = with_parsed(ca, |ca| ca.subject().as_raw().to_vec());
    matches!((issuer, subject), (Ok(issuer), Ok(subject)) if issuer == subject)
}

/// Returns whether a certificate is for exactly these DNS names.
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

/// Returns whether a certificate is for its key.
pub(crate) fn belong_together(pair: &CertificateAndKey) -> bool {
    let key = pair.key.expose_str().and_then(|key| KeyPair::from_pem(key).ok());
    let certified = with_parsed(&pair.certificate, |certificate| certificate.public_key().raw.to_vec());
    matches!((key, certified), (Some(key), Ok(certified)) if key.subject_public_key_info() == certified)
}

fn with_parsed<T>(
    certificate: &str,
    read: impl FnOnce(&x509_parser::certificate::X509Certificate<'_>) -> T,
) -> Result<T, X509Error> {
    let pem = Pem::iter_from_buffer(certificate.as_bytes()).next();
    let pem = pem.and_then(Result::ok).ok_or(X509Error::Unreadable)?;
    let parsed = pem.parse_x509().map_err(|_| X509Error::Unreadable)?;
    Ok(read(&parsed))
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

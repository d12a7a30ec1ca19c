//! When CAs and serving certificates are renewed: a pure function of the time, so that tests can
//! pass years.
//!
//! A client that trusts only the old CA must never see a certificate of the new CA. So a new CA is
//! first announced: it is stored beside the old CA and written into the APIService. It issues
//! certificates a day later, when every client knows it. The old CA stays announced until it
//! expires.

use std::time::{Duration, SystemTime};

use super::x509::{self, BACKDATED, CertificateAndKey, Validity, X509Error};
use crate::server_tls::server_config;

const DAY: Duration = Duration::from_secs(86_400);

/// Time for which a new CA is announced before it issues certificates.
const ANNOUNCED_FOR: Duration = DAY;

/// Time for which the APIService trusts CAs that are not in the Secret, from when the serving
/// certificate was issued. If the Secret was deleted, other replicas serve with certificates of
/// those until they read it again.
const LOST_FOR: Duration = Duration::from_secs(3600);

/// CAs that are not in the Secret and that the APIService trusts, at most.
const MAX_LOST: usize = 8;

/// The CAs, the newest last, and the serving certificate issued by one of them.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct CertificateSet {
    pub(crate) authorities: Vec<CertificateAndKey>,
    pub(crate) serving: Option<CertificateAndKey>,
}

impl CertificateSet {
    /// Returns the certificates to use from `now` on, equal to these where none has to be renewed.
    /// A certificate that cannot be read is replaced.
    ///
    /// # Errors
    /// A certificate cannot be issued.
    pub(crate) fn next(&self, names: &[String], now: SystemTime) -> Result<Self, X509Error> {
        let mut authorities: Vec<(CertificateAndKey, Validity)> = self
            .authorities
            .iter()
            .filter_map(|pair| Some((pair.clone(), x509::validity(&pair.certificate).ok()?)))
            .filter(|(_, validity)| validity.covers(now))
            .collect();
        let newest = authorities.last().map(|(_, validity)| *validity);
        if newest.is_none_or(|validity| needs_renewal(validity, now)) {
            let pair = x509::new_ca(now)?;
            let validity = x509::validity(&pair.certificate)?;
            authorities.push((pair, validity));
        }
        let issuer = issuer(&authorities, now).ok_or(X509Error::Unreadable)?;
        let serving = match &self.serving {
            Some(serving) if is_current(serving, issuer, names, now) => serving.clone(),
            _ => x509::new_serving(issuer, names, now)?,
        };
        let authorities = authorities.into_iter().map(|(pair, _)| pair).collect();
        Ok(Self { authorities, serving: Some(serving) })
    }

    /// Returns the PEM bundle for the APIService to trust, which trusts `trusted` so far.
    pub(crate) fn announced(&self, trusted: &str, now: SystemTime) -> String {
        let is_own =
            |certificate: &str| self.authorities.iter().any(|own| own.certificate.trim() == certificate);
        let serving = self.serving.as_ref().and_then(|pair| x509::validity(&pair.certificate).ok());
        let lost: Vec<&str> = match serving {
            Some(serving) if now < serving.from + BACKDATED + LOST_FOR => {
                pem_certificates(trusted).filter(|certificate| !is_own(certificate)).collect()
            }
            _ => Vec::new(),
        };
        let kept = lost.iter().skip(lost.len().saturating_sub(MAX_LOST));
        kept.map(|certificate| format!("{certificate}\n")).chain([self.bundle()]).collect()
    }

    /// Returns all CAs in one PEM bundle.
    pub(crate) fn bundle(&self) -> String {
        self.authorities.iter().map(|pair| pair.certificate.as_str()).collect()
    }
}

/// Returns the CA that issues: the newest that was announced for long enough, or the oldest there
/// is.
fn issuer(authorities: &[(CertificateAndKey, Validity)], now: SystemTime) -> Option<&CertificateAndKey> {
    let is_announced = |validity: &Validity| validity.from + BACKDATED + ANNOUNCED_FOR <= now;
    let issuer =
        authorities.iter().rev().find(|(_, validity)| is_announced(validity)).or(authorities.first());
    issuer.map(|(pair, _)| pair)
}

fn is_current(
    serving: &CertificateAndKey,
    issuer: &CertificateAndKey,
    names: &[String],
    now: SystemTime,
) -> bool {
    x509::validity(&serving.certificate)
        .is_ok_and(|validity| validity.covers(now) && !needs_renewal(validity, now))
        && x509::is_issued_by(&serving.certificate, &issuer.certificate)
        && x509::has_names(&serving.certificate, names)
        && server_config(serving.certificate.as_bytes(), serving.key.expose()).is_ok()
}

/// Returns the certificates of a PEM bundle, each without space around it.
fn pem_certificates(bundle: &str) -> impl Iterator<Item = &str> {
    let blocks = bundle.split_inclusive("-----END CERTIFICATE-----").map(str::trim);
    blocks.filter(|block| block.starts_with("-----BEGIN CERTIFICATE-----"))
}

/// Returns whether two thirds of the time are over.
fn needs_renewal(validity: Validity, now: SystemTime) -> bool {
    let life = validity.until.duration_since(validity.from).unwrap_or_default();
    now >= validity.from + life * 2 / 3
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{ANNOUNCED_FOR, CertificateSet, DAY, LOST_FOR};
    use crate::server_tls::server_config;
    use crate::serving_certificate::x509::{CA_LIFE, SERVING_LIFE, is_issued_by};

    fn names() -> Vec<String> {
        vec!["coffer-api-server.coffer.svc".to_owned()]
    }

    fn next(certificates: &CertificateSet, now: SystemTime) -> CertificateSet {
        certificates.next(&names(), now).expect("certificates")
    }

    fn issuer(certificates: &CertificateSet) -> usize {
        let serving = certificates.serving.as_ref().expect("a serving certificate");
        let mut authorities = certificates.authorities.iter();
        let found = authorities.position(|ca| is_issued_by(&serving.certificate, &ca.certificate));
        found.expect("one of the CAs issued it")
    }

    #[test]
    fn the_first_certificates_serve_at_once_and_stay() {
        let now = SystemTime::now();
        let first = next(&CertificateSet::default(), now);
        assert_eq!((first.authorities.len(), issuer(&first)), (1, 0));
        let serving = first.serving.as_ref().expect("a serving certificate");
        server_config(serving.certificate.as_bytes(), serving.key.expose())
            .expect("a pair that can be served with");
        assert!(next(&first, now + DAY) == first);
        assert_eq!(first.bundle().matches("BEGIN CERTIFICATE").count(), 1);
    }

    #[test]
    fn a_serving_certificate_is_renewed_by_its_ca_before_it_expires() {
        let now = SystemTime::now();
        let first = next(&CertificateSet::default(), now);
        let later = next(&first, now + SERVING_LIFE * 2 / 3 + DAY);
        assert!(later.authorities == first.authorities);
        assert!(later.serving != first.serving);
    }

    #[test]
    fn a_new_ca_is_announced_before_it_issues_and_the_old_one_stays() {
        let now = SystemTime::now();
        let mut certificates = next(&CertificateSet::default(), now);
        let rotation = now + CA_LIFE * 2 / 3 + DAY;
        certificates = next(&certificates, rotation);
        assert_eq!((certificates.authorities.len(), issuer(&certificates)), (2, 0));
        assert_eq!(certificates.bundle().matches("BEGIN CERTIFICATE").count(), 2);
        certificates = next(&certificates, rotation + ANNOUNCED_FOR - Duration::from_secs(5));
        assert_eq!(issuer(&certificates), 0);
        certificates = next(&certificates, rotation + ANNOUNCED_FOR + Duration::from_secs(5));
        assert_eq!((certificates.authorities.len(), issuer(&certificates)), (2, 1));
        certificates = next(&certificates, now + CA_LIFE + DAY);
        assert_eq!((certificates.authorities.len(), issuer(&certificates)), (1, 0));
    }

    #[test]
    fn over_ten_years_no_client_sees_a_ca_that_was_not_announced() {
        let mut now = SystemTime::now();
        let mut certificates = next(&CertificateSet::default(), now);
        for _ in 0..(10 * 365) {
            now += DAY;
            let announced = certificates.bundle();
            certificates = next(&certificates, now);
            let issuer = &certificates.authorities[issuer(&certificates)].certificate;
            assert!(announced.contains(issuer.as_str()));
            assert!(certificates.authorities.len() <= 2);
        }
    }

    #[test]
    fn other_names_and_unreadable_certificates_lead_to_new_ones() {
        let now = SystemTime::now();
        let first = next(&CertificateSet::default(), now);
        let renamed = first.next(&["other.coffer.svc".to_owned()], now).expect("certificates");
        assert!(renamed.authorities == first.authorities && renamed.serving != first.serving);
        let mut mismatched = first.clone();
        if let (Some(serving), Some(other)) = (&mut mismatched.serving, renamed.serving) {
            serving.key = other.key;
        }
        assert!(next(&mismatched, now) != mismatched);
        let mut broken = first.clone();
        broken.authorities[0].certificate = "no certificate".to_owned();
        let repaired = next(&broken, now);
        assert_eq!((repaired.authorities.len(), issuer(&repaired)), (1, 0));
    }

    #[test]
    fn what_a_clock_that_was_ahead_left_is_replaced() {
        let now = SystemTime::now();
        let ahead = next(&CertificateSet::default(), now + CA_LIFE * 2);
        let replaced = next(&ahead, now);
        assert!(replaced.authorities != ahead.authorities && replaced.serving != ahead.serving);
        assert!(next(&replaced, now + DAY) == replaced);
    }

    #[test]
    fn a_ca_that_is_not_in_the_secret_stays_announced_for_an_hour() {
        let now = SystemTime::now();
        let lost = next(&CertificateSet::default(), now - DAY);
        let current = next(&CertificateSet::default(), now);
        let both = format!("{}{}", lost.bundle(), current.bundle());
        assert_eq!(current.announced(&lost.bundle(), now), both);
        assert_eq!(current.announced(&both, now), both);
        assert_eq!(current.announced(&both, now + LOST_FOR + Duration::from_secs(1)), current.bundle());
        assert_eq!(current.announced("no certificate", now), current.bundle());
    }
}

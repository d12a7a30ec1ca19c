//! What has to be done about the certificates at a moment: pure, so that years pass in a test at once.
//!
//! Whoever trusts only the old CA must never meet a certificate of the new one. So a new CA is first announced
//! (kept beside the old one, and patched into the APIService), and issues only once everybody has seen it; the old one
//! stays announced until it expires.

use std::time::{Duration, SystemTime};

use super::authority::{self, AuthorityError, Pair, Validity};
use crate::tls::server_config;

const DAY: Duration = Duration::from_secs(86_400);

/// How long a CA is good.
pub(crate) const CA_LIFE: Duration = Duration::from_secs(365 * 86_400);

/// How long a serving certificate is good.
pub(crate) const SERVING_LIFE: Duration = Duration::from_secs(30 * 86_400);

/// Certificates are good from a little before now on: clocks differ.
pub(crate) const BACKDATED: Duration = Duration::from_secs(600);

/// How long a new CA is announced before it issues.
const ANNOUNCED: Duration = DAY;

/// The CAs, the newest last, and the serving certificate.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Certificates {
    pub(crate) authorities: Vec<Pair>,
    pub(crate) serving: Option<Pair>,
}

impl Certificates {
    /// What these certificates have to become; equal to them where nothing has to be done. What cannot be read is
    /// made anew.
    ///
    /// # Errors
    /// A certificate cannot be made.
    pub(crate) fn next(&self, names: &[String], now: SystemTime) -> Result<Self, AuthorityError> {
        let mut authorities: Vec<(Pair, Validity)> = self
            .authorities
            .iter()
            .filter_map(|pair| Some((pair.clone(), authority::validity(&pair.certificate).ok()?)))
            .filter(|(_, validity)| now < validity.until)
            .collect();
        let newest = authorities.last().map(|(_, validity)| *validity);
        if newest.is_none_or(|validity| is_old(validity, now)) {
            let pair = authority::new_ca(now)?;
            let validity = authority::validity(&pair.certificate)?;
            authorities.push((pair, validity));
        }
        let issuer = issuer(&authorities, now).ok_or(AuthorityError::Read)?;
        let serving = match &self.serving {
            Some(serving) if is_current(serving, issuer, names, now) => serving.clone(),
            _ => authority::new_serving(issuer, names, now)?,
        };
        let authorities = authorities.into_iter().map(|(pair, _)| pair).collect();
        Ok(Self { authorities, serving: Some(serving) })
    }

    /// All CAs, in one PEM bundle: what the APIService trusts.
    pub(crate) fn bundle(&self) -> String {
        self.authorities.iter().map(|pair| pair.certificate.as_str()).collect()
    }
}

/// The newest CA that was announced long enough; the only one there is, however new.
fn issuer(authorities: &[(Pair, Validity)], now: SystemTime) -> Option<&Pair> {
    let known = |validity: &Validity| validity.from + BACKDATED + ANNOUNCED <= now;
    let issuer = authorities.iter().rev().find(|(_, validity)| known(validity)).or(authorities.first());
    issuer.map(|(pair, _)| pair)
}

fn is_current(serving: &Pair, issuer: &Pair, names: &[String], now: SystemTime) -> bool {
    authority::validity(&serving.certificate).is_ok_and(|validity| !is_old(validity, now))
        && authority::is_issued_by(&serving.certificate, &issuer.certificate)
        && authority::has_names(&serving.certificate, names)
        && server_config(serving.certificate.as_bytes(), serving.key.expose()).is_ok()
}

/// Whether two thirds of its time are over.
fn is_old(validity: Validity, now: SystemTime) -> bool {
    let life = validity.until.duration_since(validity.from).unwrap_or_default();
    now >= validity.from + life * 2 / 3
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{ANNOUNCED, CA_LIFE, Certificates, DAY, SERVING_LIFE};
    use crate::certificate::authority::is_issued_by;
    use crate::tls::server_config;

    fn names() -> Vec<String> {
        vec!["coffer-api-server.coffer.svc".to_owned()]
    }

    fn next(certificates: &Certificates, now: SystemTime) -> Certificates {
        certificates.next(&names(), now).expect("certificates")
    }

    fn issuer(certificates: &Certificates) -> usize {
        let serving = certificates.serving.as_ref().expect("a serving certificate");
        let mut authorities = certificates.authorities.iter();
        let found = authorities.position(|ca| is_issued_by(&serving.certificate, &ca.certificate));
        found.expect("one of the CAs issued it")
    }

    #[test]
    fn the_first_certificates_serve_at_once_and_stay() {
        let now = SystemTime::now();
        let first = next(&Certificates::default(), now);
        assert_eq!((first.authorities.len(), issuer(&first)), (1, 0));
        let serving = first.serving.as_ref().expect("a serving certificate");
        server_config(serving.certificate.as_bytes(), serving.key.expose())
            .expect("a pair that can be served with");
        assert!(next(&first, now + DAY) == first);
        assert_eq!(first.bundle().matches("BEGIN CERTIFICATE").count(), 1);
    }

    #[test]
    fn a_serving_certificate_is_renewed_by_its_ca_before_it_ends() {
        let now = SystemTime::now();
        let first = next(&Certificates::default(), now);
        let later = next(&first, now + SERVING_LIFE * 2 / 3 + DAY);
        assert!(later.authorities == first.authorities);
        assert!(later.serving != first.serving);
    }

    #[test]
    fn a_new_ca_is_announced_before_it_issues_and_the_old_one_stays() {
        let now = SystemTime::now();
        let mut certificates = next(&Certificates::default(), now);
        let rotation = now + CA_LIFE * 2 / 3 + DAY;
        certificates = next(&certificates, rotation);
        assert_eq!((certificates.authorities.len(), issuer(&certificates)), (2, 0));
        assert_eq!(certificates.bundle().matches("BEGIN CERTIFICATE").count(), 2);
        certificates = next(&certificates, rotation + ANNOUNCED - Duration::from_secs(5));
        assert_eq!(issuer(&certificates), 0);
        certificates = next(&certificates, rotation + ANNOUNCED + Duration::from_secs(5));
        assert_eq!((certificates.authorities.len(), issuer(&certificates)), (2, 1));
        certificates = next(&certificates, now + CA_LIFE + DAY);
        assert_eq!((certificates.authorities.len(), issuer(&certificates)), (1, 0));
    }

    #[test]
    fn over_ten_years_no_client_meets_a_ca_that_it_was_not_told_of() {
        let mut now = SystemTime::now();
        let mut certificates = next(&Certificates::default(), now);
        for _ in 0..(10 * 365) {
            now += DAY;
            let told = certificates.bundle();
            certificates = next(&certificates, now);
            let issuer = &certificates.authorities[issuer(&certificates)].certificate;
            assert!(told.contains(issuer.as_str()));
            assert!(certificates.authorities.len() <= 2);
        }
    }

    #[test]
    fn other_names_and_what_cannot_be_read_are_made_anew() {
        let now = SystemTime::now();
        let first = next(&Certificates::default(), now);
        let renamed = first.next(&["other.coffer.svc".to_owned()], now).expect("certificates");
        assert!(renamed.authorities == first.authorities && renamed.serving != first.serving);
        let mut mismatched = first.clone();
        if let (Some(serving), Some(other)) = (&mut mismatched.serving, renamed.serving) {
            serving.key = other.key;
        }
        assert!(next(&mismatched, now) != mismatched);
        let mut broken = first.clone();
        broken.authorities[0].certificate = "no certificate".to_owned();
        let mended = next(&broken, now);
        assert_eq!((mended.authorities.len(), issuer(&mended)), (1, 0));
    }
}

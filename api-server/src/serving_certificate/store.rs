//! The format in which a Secret holds the certificates.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use super::rotation::CertificateSet;
use super::x509::{CertificateAndKey, belong_together};

/// Serving certificate and key, named as in a `kubernetes.io/tls` Secret.
const SERVING: (&str, &str) = ("tls.crt", "tls.key");

/// All CAs, named as by cert-manager.
const BUNDLE: &str = "ca.crt";

/// CAs that are read, at most. The oldest is `ca-0.crt` with `ca-0.key`, and so on.
const MAX_CAS: usize = 8;

/// Reads the data of a Secret. A missing or broken certificate, and a CA with
/// another key, is left out, and replaced later.
pub(crate) fn read(data: &BTreeMap<String, ByteString>) -> CertificateSet {
    let text = |name: &str| data.get(name).and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
    let pair = |certificate: &str, key: &str| {
        let key = data.get(key)?;
        PrivateKeyDer::from_pem_slice(&key.0).ok()?;
        Some(CertificateAndKey {
            certificate: text(certificate)?,
            key: coffer_provider::Secret::new(key.0.clone()),
        })
    };
    CertificateSet {
        authorities: (0..MAX_CAS)
            .filter_map(|n| pair(&format!("ca-{n}.crt"), &format!("ca-{n}.key")))
            .filter(belong_together)
            .collect(),
        serving: pair(SERVING.0, SERVING.1),
    }
}

/// Returns the data for the Secret.
pub(crate) fn write(certificates: &CertificateSet) -> BTreeMap<String, ByteString> {
    let text = |text: &str| ByteString(text.as_bytes().to_vec());
    let mut data = BTreeMap::from([(BUNDLE.to_owned(), text(&certificates.bundle()))]);
    let mut put = |certificate: String, key: String, pair: &CertificateAndKey| {
        data.insert(certificate, text(&pair.certificate));
        data.insert(key, ByteString(pair.key.expose().to_vec()));
    };
    for (n, pair) in certificates.authorities.iter().enumerate() {
        put(format!("ca-{n}.crt"), format!("ca-{n}.key"), pair);
    }
    if let Some(serving) = &certificates.serving {
        put(SERVING.0.to_owned(), SERVING.1.to_owned(), serving);
    }
    data
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use k8s_openapi::ByteString;

    use super::{read, write};
    use crate::serving_certificate::rotation::CertificateSet;

    #[test]
    fn what_was_written_is_read_and_what_is_broken_is_left_out() {
        let names = ["a.b.svc".to_owned()];
        let certificates = CertificateSet::default().next(&names, SystemTime::now()).expect("certificates");
        let mut data = write(&certificates);
        assert!(read(&data) == certificates);
        data.insert("tls.key".to_owned(), ByteString(b"no key".to_vec()));
        assert!(read(&data).serving.is_none());
        data.insert("ca-0.key".to_owned(), data["tls.crt"].clone());
        assert!(read(&data) == CertificateSet::default());
        let other = CertificateSet::default().next(&names, SystemTime::now()).expect("certificates");
        data.insert("ca-0.key".to_owned(), write(&other)["ca-0.key"].clone());
        assert!(read(&data) == CertificateSet::default());
        data.remove("ca-0.key");
        assert!(read(&data) == CertificateSet::default());
    }
}

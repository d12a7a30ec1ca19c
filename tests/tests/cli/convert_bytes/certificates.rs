//! Files with certificates: each issue gives another one.

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// Returns the text with a placeholder for each certificate and key, except for the certificate of
/// the issuer.
pub(super) fn shape(text: &str, issuer: &str) -> String {
    let mut shape = String::new();
    let mut rest = text;
    while let Some((before, block)) = rest.split_once("-----BEGIN ") {
        let (label, body) = block.split_once("-----").unwrap();
        let end = format!("-----END {label}-----");
        let (body, after) = body.split_once(&end).unwrap();
        let pem = format!("-----BEGIN {label}-----{body}{end}");
        shape += before;
        shape += &if pem == issuer.trim() { pem } else { format!("<{label}>") };
        rest = after;
    }
    shape + rest
}

/// Asserts that the key in a file is that of the first certificate in it.
pub(super) fn assert_belong_together(text: &str) {
    let certificate = CertificateDer::pem_slice_iter(text.as_bytes()).next().unwrap().unwrap();
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).unwrap();
    CertifiedKey::from_der(vec![certificate], key, &ring::default_provider()).unwrap().keys_match().unwrap();
}

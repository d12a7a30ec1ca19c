//! The signatures and keys that TLS takes: those of ring, and with pure Rust what ring lacks and Go
//! has, the curve P-521 and ECDSA with SHA-512 on every curve.
//!
//! RSA keys under 2,048 bits, SHA-1 and suites with CBC are missing on purpose.

use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, KeyProvider, WebPkiSupportedAlgorithms, ring};
use rustls::sign::SigningKey;
use rustls::{Error, SignatureScheme};
use rustls_pki_types::{PrivateKeyDer, SignatureVerificationAlgorithm};
use webpki::ring as by_ring;

use super::client_key;
use super::ecdsa_verification::{P256_SHA512, P384_SHA512, P521_SHA256, P521_SHA384, P521_SHA512};
use super::p521_exchange::SECP521R1;

/// Returns the cryptography for all TLS connections.
pub fn crypto_provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| {
        let mut provider = ring::default_provider();
        provider.signature_verification_algorithms = SIGNATURES;
        provider.kx_groups.push(SECP521R1);
        provider.key_provider = &Keys;
        Arc::new(provider)
    }))
}

/// Loads private keys of every form and kind.
#[derive(Debug)]
struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        client_key::read(key.secret_der()).map_err(|problem| Error::General(problem.to_string()))
    }
}

/// The algorithms of signatures in certificates and handshakes.
pub(super) static SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        by_ring::ECDSA_P256_SHA256,
        by_ring::ECDSA_P256_SHA384,
        P256_SHA512,
        by_ring::ECDSA_P384_SHA256,
        by_ring::ECDSA_P384_SHA384,
        P384_SHA512,
        P521_SHA256,
        P521_SHA384,
        P521_SHA512,
        by_ring::ED25519,
        by_ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        by_ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        by_ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        by_ring::RSA_PKCS1_2048_8192_SHA256,
        by_ring::RSA_PKCS1_2048_8192_SHA384,
        by_ring::RSA_PKCS1_2048_8192_SHA512,
        by_ring::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
        by_ring::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
        by_ring::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    ],
    // In TLS 1.3 only the first of a line counts: the scheme fixes the curve.
    mapping: &[
        (SignatureScheme::ECDSA_NISTP384_SHA384, ECDSA_SHA384),
        (SignatureScheme::ECDSA_NISTP256_SHA256, ECDSA_SHA256),
        (SignatureScheme::ECDSA_NISTP521_SHA512, ECDSA_SHA512),
        (SignatureScheme::ED25519, &[by_ring::ED25519]),
        (SignatureScheme::RSA_PSS_SHA512, &[by_ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA384, &[by_ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA256, &[by_ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[by_ring::RSA_PKCS1_2048_8192_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[by_ring::RSA_PKCS1_2048_8192_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[by_ring::RSA_PKCS1_2048_8192_SHA256]),
    ],
};

type Algorithms = &'static [&'static dyn SignatureVerificationAlgorithm];

static ECDSA_SHA256: Algorithms = &[by_ring::ECDSA_P256_SHA256, by_ring::ECDSA_P384_SHA256, P521_SHA256];
static ECDSA_SHA384: Algorithms = &[by_ring::ECDSA_P384_SHA384, by_ring::ECDSA_P256_SHA384, P521_SHA384];
static ECDSA_SHA512: Algorithms = &[P521_SHA512, P384_SHA512, P256_SHA512];

//! ECDSA signatures that ring does not verify: on P-521, and with SHA-512 on other curves.

use std::fmt;

use ecdsa::signature::hazmat::PrehashVerifier;
use ecdsa::{Signature, VerifyingKey};
use p256::NistP256;
use p384::NistP384;
use p521::NistP521;
use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};

pub(super) static P256_SHA512: &dyn SignatureVerificationAlgorithm =
    &Ecdsa { key: alg_id::ECDSA_P256, signature: alg_id::ECDSA_SHA512, hash: &SHA512, verify: on_p256 };
pub(super) static P384_SHA512: &dyn SignatureVerificationAlgorithm =
    &Ecdsa { key: alg_id::ECDSA_P384, signature: alg_id::ECDSA_SHA512, hash: &SHA512, verify: on_p384 };
pub(super) static P521_SHA256: &dyn SignatureVerificationAlgorithm = &p521(alg_id::ECDSA_SHA256, &SHA256);
pub(super) static P521_SHA384: &dyn SignatureVerificationAlgorithm = &p521(alg_id::ECDSA_SHA384, &SHA384);
pub(super) static P521_SHA512: &dyn SignatureVerificationAlgorithm = &p521(alg_id::ECDSA_SHA512, &SHA512);

/// ECDSA on a curve with a hash.
struct Ecdsa {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    hash: &'static Algorithm,
    /// Verifies a signature, by the key's point and the hash.
    verify: Verify,
}

type Verify = fn(&[u8], &[u8], &[u8]) -> Result<(), ecdsa::Error>;

const fn p521(signature: AlgorithmIdentifier, hash: &'static Algorithm) -> Ecdsa {
    Ecdsa { key: alg_id::ECDSA_P521, signature, hash, verify: on_p521 }
}

impl SignatureVerificationAlgorithm for Ecdsa {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let hash = digest(self.hash, message);
        (self.verify)(key, hash.as_ref(), signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

impl fmt::Debug for Ecdsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ecdsa").field("key", &self.key).field("hash", &self.hash).finish()
    }
}

fn on_p256(key: &[u8], hash: &[u8], signature: &[u8]) -> Result<(), ecdsa::Error> {
    let signature = Signature::<NistP256>::from_der(signature)?;
    VerifyingKey::<NistP256>::from_sec1_bytes(key)?.verify_prehash(hash, &signature)
}

fn on_p384(key: &[u8], hash: &[u8], signature: &[u8]) -> Result<(), ecdsa::Error> {
    let signature = Signature::<NistP384>::from_der(signature)?;
    VerifyingKey::<NistP384>::from_sec1_bytes(key)?.verify_prehash(hash, &signature)
}

fn on_p521(key: &[u8], hash: &[u8], signature: &[u8]) -> Result<(), ecdsa::Error> {
    let signature = Signature::<NistP521>::from_der(signature)?;
    VerifyingKey::<NistP521>::from_sec1_bytes(key)?.verify_prehash(hash, &signature)
}

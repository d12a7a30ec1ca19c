//! Private keys of clients in every form that Go takes: PKCS #1, SEC 1 and PKCS #8, whatever the
//! label of the PEM block says.

use std::sync::Arc;

use p521::ecdsa::signature::Signer as _;
use p521::ecdsa::{DerSignature, SigningKey as P521Key};
use p521::elliptic_curve::sec1::ToSec1Point;
use rustls::crypto::ring::sign::{any_ecdsa_type, any_eddsa_type, any_supported_type};
use rustls::sign::{Signer, SigningKey, public_key_to_spki};
use rustls::{SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer, alg_id};
use zeroize::Zeroizing;

use super::der::{Element, bits};

/// Why a private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// It is an RSA key of too few bits.
    #[error("it is an RSA key of {0} bits: at least 2,048 are needed")]
    TooSmall(usize),
    /// It is an RSA key of too many bits.
    #[error("it is an RSA key of {0} bits: clients may have up to 4,096")]
    TooLarge(usize),
    /// It is an RSA key that ring does not take, such as one of three primes.
    #[error("it is an RSA key that cannot be used: it needs two primes and an exponent of 65,537 or more")]
    UnusualRsa,
    /// It is a key of a kind that TLS does not use here.
    #[error("it is a key of another kind: RSA, P-256, P-384, P-521 and Ed25519 can be used")]
    OtherKind,
    /// It is no key at all, or damaged.
    #[error("it is damaged, or no private key")]
    Unreadable,
}

const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const OID_EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const OID_P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const OID_ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// Reads a private key in DER.
///
/// # Errors
/// [`KeyProblem`], if it is no key that can be used.
pub(super) fn read(der: &[u8]) -> Result<Arc<dyn SigningKey>, KeyProblem> {
    let (version, rest) = Element::sequence(der).and_then(Element::integer).ok_or(KeyProblem::Unreadable)?;
    match Element::read(rest) {
        // PKCS #8: the algorithm
        Some((Element { tag: Element::SEQUENCE, content: algorithm }, rest)) => pkcs8(der, algorithm, rest),
        // PKCS #1: the modulus
        Some((Element { tag: Element::INTEGER, content: modulus }, _)) => rsa(der, modulus, version),
        // SEC 1: the number
        Some((Element { tag: Element::OCTETS, content: number }, rest)) => {
            let curve = Element::read(rest).and_then(|(parameters, _)| parameters.inner(Element::CONTEXT_0));
            let curve = curve.and_then(|curve| Some(Element::read(curve)?.0.content));
            elliptic(curve.ok_or(KeyProblem::OtherKind)?, number)
        }
        _ => Err(KeyProblem::Unreadable),
    }
}

fn pkcs8(der: &[u8], algorithm: &[u8], rest: &[u8]) -> Result<Arc<dyn SigningKey>, KeyProblem> {
    let (kind, parameters) = Element::read(algorithm).ok_or(KeyProblem::Unreadable)?;
    let (key, _) = Element::read(rest).ok_or(KeyProblem::Unreadable)?;
    match kind.content {
        OID_RSA => {
            let (version, numbers) =
                Element::sequence(key.content).and_then(Element::integer).ok_or(KeyProblem::Unreadable)?;
            let (modulus, _) = Element::read(numbers).ok_or(KeyProblem::Unreadable)?;
            rsa(key.content, modulus.content, version)
        }
        OID_EC => {
            let (curve, _) = Element::read(parameters).ok_or(KeyProblem::Unreadable)?;
            let numbers = Element::sequence(key.content).and_then(Element::integer);
            let number = numbers.and_then(|(_, rest)| Element::read(rest)).ok_or(KeyProblem::Unreadable)?;
            elliptic(curve.content, number.0.content)
        }
        OID_ED25519 => any_eddsa_type(&der.into()).map_err(|_| KeyProblem::Unreadable),
        _ => Err(KeyProblem::OtherKind),
    }
}

fn rsa(pkcs1: &[u8], modulus: &[u8], version: &[u8]) -> Result<Arc<dyn SigningKey>, KeyProblem> {
    let bits = bits(modulus);
    match bits {
        0..2048 => return Err(KeyProblem::TooSmall(bits)),
        4097.. => return Err(KeyProblem::TooLarge(bits)),
        _ if version != [0] => return Err(KeyProblem::UnusualRsa),
        _ => {}
    }
    any_supported_type(&PrivateKeyDer::Pkcs1(pkcs1.into())).map_err(|_| KeyProblem::UnusualRsa)
}

/// Returns the key of a curve. The public key is computed, since files need not have it.
fn elliptic(curve: &[u8], number: &[u8]) -> Result<Arc<dyn SigningKey>, KeyProblem> {
    let unreadable = |_| KeyProblem::Unreadable;
    match curve {
        OID_P256 => {
            let number = field(number, 32)?;
            let key = p256::SecretKey::from_slice(&number).map_err(unreadable)?;
            by_ring(&number, key.public_key().to_sec1_point(false).as_bytes())
        }
        OID_P384 => {
            let number = field(number, 48)?;
            let key = p384::SecretKey::from_slice(&number).map_err(unreadable)?;
            by_ring(&number, key.public_key().to_sec1_point(false).as_bytes())
        }
        OID_P521 => {
            let key = P521Key::from_slice(&field(number, 66)?).map_err(|_| KeyProblem::Unreadable)?;
            Ok(Arc::new(P521SigningKey(Arc::new(key))))
        }
        _ => Err(KeyProblem::OtherKind),
    }
}

/// Returns a number with exactly so many bytes. Some programs leave out zeros at its beginning, and
/// others write too many.
fn field(number: &[u8], bytes: usize) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let digits = &number[zeros..];
    let padding = bytes.checked_sub(digits.len()).ok_or(KeyProblem::Unreadable)?;
    let mut padded = Zeroizing::new(vec![0; bytes]);
    padded[padding..].copy_from_slice(digits);
    Ok(padded)
}

/// Hands a key to ring, which takes SEC 1 with the public key only.
fn by_ring(number: &[u8], public: &[u8]) -> Result<Arc<dyn SigningKey>, KeyProblem> {
    let length = |bytes: usize| u8::try_from(bytes).unwrap_or(u8::MAX);
    let bits = [&[0x03, length(public.len() + 1), 0x00], public].concat();
    let octets = [&[0x04, length(number.len())], number].concat();
    let inner = Zeroizing::new([&[0x02, 0x01, 0x01], &*octets, &[0xa1, length(bits.len())], &*bits].concat());
    let header: &[u8] = if inner.len() < 0x80 { &[0x30] } else { &[0x30, 0x81] };
    let sec1 = Zeroizing::new([header, &[length(inner.len())], &inner].concat());
    let _octets = Zeroizing::new(octets);
    any_ecdsa_type(&PrivateKeyDer::Sec1(sec1.as_slice().into())).map_err(|_| KeyProblem::Unreadable)
}

/// A key on P-521, which ring does not have.
struct P521SigningKey(Arc<P521Key>);

impl SigningKey for P521SigningKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let is_offered = offered.contains(&SignatureScheme::ECDSA_NISTP521_SHA512);
        is_offered.then(|| Box::new(Self(Arc::clone(&self.0))) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        let point = self.0.verifying_key().to_sec1_point(false);
        Some(public_key_to_spki(&alg_id::ECDSA_P521, point.as_bytes()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P521SigningKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signature: Result<DerSignature, _> = self.0.try_sign(message);
        let signature = signature.map_err(|_| rustls::Error::General("signing failed".to_owned()))?;
        Ok(signature.as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP521_SHA512
    }
}

impl std::fmt::Debug for P521SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("P521SigningKey")
    }
}

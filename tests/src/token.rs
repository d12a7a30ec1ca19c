//! Service account tokens, signed with a key of the test instead of the cluster's.

use std::time::{Duration, SystemTime};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

use crate::pod::TestPod;

/// A token issuer in place of the cluster's: signs with a new P-256 key.
pub struct TokenIssuer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

/// The audience and lifetime of a token.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The audience.
    pub audience: String,
    /// The lifetime, from the time of issue.
    pub lasts: Duration,
    /// How long ago the token was issued.
    pub age: Duration,
}

impl Default for TokenRequest {
    fn default() -> Self {
        Self { audience: "vault".to_owned(), lasts: Duration::from_secs(900), age: Duration::ZERO }
    }
}

impl TokenIssuer {
    /// Creates an issuer with a new key.
    ///
    /// # Panics
    /// If the system has no randomness.
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a new key");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("the key just made");
        Self { key, random }
    }

    /// Issues the pod's token for audience `vault`, valid for 15 minutes.
    pub fn token(&self, pod: &TestPod) -> String {
        self.token_with(pod, &TokenRequest::default())
    }

    /// Issues a token with these options.
    ///
    /// # Panics
    /// If the clock is before 1970.
    pub fn token_with(&self, pod: &TestPod, request: &TokenRequest) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
        let issued = now.saturating_sub(request.age);
        self.sign(&json!({
            "aud": [request.audience],
            "exp": (issued + request.lasts).as_secs(),
            "iat": issued.as_secs(),
            "nbf": issued.as_secs(),
            "iss": "https://kubernetes.default.svc.cluster.local",
            "jti": pod.uid,
            "kubernetes.io": {
                "namespace": pod.namespace,
                "pod": { "name": pod.name, "uid": pod.uid },
                "serviceaccount": { "name": pod.service_account, "uid": "0b1c2d3e-0000-4000-8000-000000000000" },
            },
            "sub": pod.subject(),
        }))
    }

    /// Returns the public key, in the form of Vault's `jwt_validation_pubkeys`.
    pub fn public_key_pem(&self) -> String {
        /// The DER prefix of an uncompressed P-256 point: SEQUENCE { { ecPublicKey, prime256v1 }
        /// BIT STRING }.
        const SPKI: [u8; 26] = [
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        let der = [&SPKI, self.key.public_key().as_ref()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(&der))
    }

    fn sign(&self, claims: &serde_json::Value) -> String {
        let header = json!({ "alg": "ES256", "kid": "test", "typ": "JWT" });
        let encode = |value: &serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let signature = self.key.sign(&self.random, signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

impl Default for TokenIssuer {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").finish_non_exhaustive()
    }
}

//! Key exchange on P-521, for servers that offer no other group. ring has none.

use p521::ecdh::diffie_hellman;
use p521::elliptic_curve::sec1::ToSec1Point;
use p521::{PublicKey, SecretKey};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved};
use zeroize::Zeroizing;

/// The group `secp521r1`.
pub(super) static SECP521R1: &dyn SupportedKxGroup = &Secp521r1;

#[derive(Debug)]
struct Secp521r1;

/// An exchange that the client began.
struct P521Exchange {
    secret: SecretKey,
    /// The public key, as an uncompressed point.
    public: Box<[u8]>,
}

impl SupportedKxGroup for Secp521r1 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = random_secret()?;
        let public = secret.public_key().to_sec1_point(false).as_bytes().into();
        Ok(Box::new(P521Exchange { secret, public }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

impl ActiveKeyExchange for P521Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        const UNCOMPRESSED: u8 = 4;
        let peer = Some(peer).filter(|peer| peer.first() == Some(&UNCOMPRESSED));
        let peer = peer.and_then(|peer| PublicKey::from_sec1_bytes(peer).ok());
        let peer = peer.ok_or(Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare))?;
        let shared = diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
        Ok(SharedSecret::from(&shared.raw_secret_bytes()[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

/// Returns a random secret key. Numbers that are no key are tried again, as FIPS 186-5
/// says in A.2.2.
fn random_secret() -> Result<SecretKey, Error> {
    let mut bytes = Zeroizing::new([0; 66]);
    loop {
        SystemRandom::new().fill(&mut bytes[..]).map_err(|_| GetRandomFailed)?;
        // a key has 521 bits
        bytes[0] &= 1;
        if let Ok(secret) = SecretKey::from_slice(&bytes[..]) {
            return Ok(secret);
        }
    }
}

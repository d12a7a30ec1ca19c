//! The client of one connection: who it is as far as TLS tells, and the place that its connection
//! has.
//!
//! Trust comes first, then room. Every connection begins in the lobby, where the newest wins. It
//! gets a place of its own once a certificate or a reviewed token has proved who the client is. No
//! place of one kind is ever taken from another.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use coffer_process::{Answering, LobbyPlace};
use coffer_shares::{Priority, Share, Shares};
use rustls_pki_types::CertificateDer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pace::Pace;

/// Connections of the front proxy, at most. kube-apiserver makes few, and one for each upgrade.
const FRONT_PROXY_PLACES: usize = 256;

/// Connections of users with client certificates, at most. One user alone gets half.
const CERTIFICATE_PLACES: usize = 96;

/// Connections on which a token was accepted, at most. One user alone gets half. Every pod has a
/// token, so these are apart from the others.
const TOKEN_PLACES: usize = 48;

/// What a client's certificate proves when the connection begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CertifiedClient {
    /// There is no certificate that is trusted.
    Unknown,
    /// The certificate is the front proxy's.
    FrontProxy,
    /// The certificate proves a user with this name.
    User(String),
}

/// The places of trusted clients.
pub(super) struct TrustedPlaces {
    front_proxy: Arc<Semaphore>,
    certificates: Shares,
    tokens: Shares,
}

/// A place of a trusted client, held until the connection ends.
#[derive(Debug)]
enum TrustedPlace {
    FrontProxy { _permit: OwnedSemaphorePermit },
    User { _share: Share },
}

/// The client of one connection.
pub(crate) struct Client {
    pub(crate) peer: IpAddr,
    /// The certificates that it presented, its own first.
    pub(crate) chain: Arc<[CertificateDer<'static>]>,
    lobby: LobbyPlace,
    places: Arc<TrustedPlaces>,
    trusted: OnceLock<TrustedPlace>,
    pace: Pace,
}

impl TrustedPlaces {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            front_proxy: Arc::new(Semaphore::new(FRONT_PROXY_PLACES)),
            certificates: Shares::new(CERTIFICATE_PLACES),
            tokens: Shares::new(TOKEN_PLACES),
        })
    }

    fn certified(&self, client: &CertifiedClient) -> Option<TrustedPlace> {
        match client {
            CertifiedClient::Unknown => None,
            CertifiedClient::FrontProxy => {
                let permit = Arc::clone(&self.front_proxy).try_acquire_owned().ok()?;
                Some(TrustedPlace::FrontProxy { _permit: permit })
            }
            CertifiedClient::User(name) => user_place(&self.certificates, name),
        }
    }
}

fn user_place(places: &Shares, user: &str) -> Option<TrustedPlace> {
    Some(TrustedPlace::User { _share: places.try_take(user, 1, Priority::Common)? })
}

impl Client {
    pub(super) fn new(
        peer: IpAddr,
        chain: Arc<[CertificateDer<'static>]>,
        lobby: LobbyPlace,
        places: Arc<TrustedPlaces>,
        pace: Pace,
    ) -> Self {
        Self { peer, chain, lobby, places, trusted: OnceLock::new(), pace }
    }

    /// Gives the connection a place of its own for what the certificate proves, if there is one.
    /// Otherwise it stays in the lobby.
    pub(super) fn certified(&self, client: &CertifiedClient) {
        self.enter(self.places.certified(client));
    }

    /// Gives the connection a place of its own, since a request on it had a token of this user. If
    /// there is none, the connection stays in the lobby.
    pub(crate) fn proved_by_token(&self, user: &str) {
        if !self.is_trusted() {
            self.enter(user_place(&self.places.tokens, user));
        }
    }

    /// Returns whether the connection has a place of its own.
    pub(super) fn is_trusted(&self) -> bool {
        self.trusted.get().is_some()
    }

    fn enter(&self, place: Option<TrustedPlace>) {
        let Some(place) = place else { return };
        if self.trusted.set(place).is_ok() {
            self.lobby.leave();
            self.pace.trust();
        }
    }

    /// Keeps the connection in the lobby while a request is being answered.
    pub(super) fn answering(&self) -> Answering<'_> {
        self.lobby.answering()
    }

    /// Waits until the connection's place in the lobby is another's.
    pub(super) async fn evicted(&self) {
        self.lobby.evicted().await;
    }
}

#[cfg(test)]
mod tests {
    use super::{CERTIFICATE_PLACES, CertifiedClient, FRONT_PROXY_PLACES, TrustedPlaces};

    #[test]
    fn users_take_no_place_of_the_front_proxy_and_not_all_of_their_own() {
        let places = TrustedPlaces::new();
        let user = |name: &str| places.certified(&CertifiedClient::User(name.to_owned()));
        let first: Vec<_> = (0..CERTIFICATE_PLACES).map_while(|_| user("jo")).collect();
        assert_eq!(first.len(), CERTIFICATE_PLACES / 2);
        assert!(user("al").is_some() && places.certified(&CertifiedClient::Unknown).is_none());
        let front_proxy = || places.certified(&CertifiedClient::FrontProxy);
        let proxy: Vec<_> = (0..=FRONT_PROXY_PLACES).map_while(|_| front_proxy()).collect();
        assert_eq!(proxy.len(), FRONT_PROXY_PLACES);
        drop((first, proxy));
        assert!(front_proxy().is_some() && user("jo").is_some());
    }
}

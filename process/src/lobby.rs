//! Places for connections whose clients are not trusted. All of them are always taken by whoever
//! wants to do harm, so the newest connection wins: for it, one that waits longest is closed.
//!
//! Of those that wait, the one that goes comes from the address that has most places. So a client
//! that connects once from an address of its own stays, whatever another one does.

mod listener;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub use listener::{LobbyListener, LobbySettings};

/// A fixed number of places.
#[derive(Debug)]
pub(crate) struct Lobby {
    places: usize,
    guests: Mutex<Guests>,
}

#[derive(Debug, Default)]
struct Guests {
    next: u64,
    /// In the order in which they came.
    present: BTreeMap<u64, Guest>,
}

#[derive(Debug)]
struct Guest {
    peer: IpAddr,
    /// Requests that are being answered. A connection with one is not closed.
    answering: usize,
    evicted: Arc<Notify>,
}

/// The place of one connection, until it is dropped or left.
#[derive(Debug)]
pub struct LobbyPlace {
    lobby: Arc<Lobby>,
    id: u64,
    evicted: Arc<Notify>,
}

/// Keeps a connection in its place while a request is being answered.
#[derive(Debug)]
pub struct Answering<'a>(&'a LobbyPlace);

impl Lobby {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { places, guests: Mutex::default() })
    }

    /// Returns a place for a connection from `peer`. Where all are taken, another connection loses
    /// its own. Returns none if all of them are answering requests.
    pub(crate) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<LobbyPlace> {
        let mut guests = self.guests();
        if guests.present.len() >= self.places {
            guests.evict_one()?;
        }
        let (id, evicted) = (guests.next, Arc::new(Notify::new()));
        guests.next += 1;
        let guest = Guest { peer: peer.to_canonical(), answering: 0, evicted: Arc::clone(&evicted) };
        guests.present.insert(id, guest);
        Some(LobbyPlace { lobby: Arc::clone(self), id, evicted })
    }

    /// Closes a connection as [`Self::enter`] does, for its descriptor. Returns whether there was
    /// one.
    pub(crate) fn evict_one(&self) -> bool {
        self.guests().evict_one().is_some()
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guests {
    fn evict_one(&mut self) -> Option<()> {
        let mut by_peer: HashMap<IpAddr, (usize, Option<u64>)> = HashMap::new();
        for (id, guest) in &self.present {
            let (count, oldest) = by_peer.entry(guest.peer).or_default();
            *count += 1;
            if guest.answering == 0 {
                oldest.get_or_insert(*id);
            }
        }
        let waiting = by_peer.into_values().filter_map(|(count, oldest)| Some((count, oldest?)));
        let (_, id) = waiting.max_by_key(|(count, oldest)| (*count, Reverse(*oldest)))?;
        self.present.remove(&id)?.evicted.notify_one();
        Some(())
    }
}

impl LobbyPlace {
    /// Waits until another connection gets this place.
    pub async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// Says that a request is being answered until the returned value is dropped.
    #[must_use]
    pub fn answering(&self) -> Answering<'_> {
        self.change_answering(|answering| answering + 1);
        Answering(self)
    }

    /// Leaves the place to others for good: the connection has one elsewhere.
    pub fn leave(&self) {
        self.lobby.guests().present.remove(&self.id);
    }

    fn change_answering(&self, change: impl Fn(usize) -> usize) {
        if let Some(guest) = self.lobby.guests().present.get_mut(&self.id) {
            guest.answering = change(guest.answering);
        }
    }
}

impl Drop for LobbyPlace {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.change_answering(|answering| answering.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt;

    use super::{Lobby, LobbyPlace};

    fn peer(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    fn is_evicted(place: &LobbyPlace) -> bool {
        place.evicted().now_or_never().is_some()
    }

    #[test]
    fn the_newest_connection_gets_the_place_of_the_one_that_waits_longest() {
        let lobby = Lobby::new(2);
        let places = [0, 1, 2].map(|_| lobby.enter(peer(1)).expect("a place"));
        assert_eq!(places.each_ref().map(is_evicted), [true, false, false]);
        drop(places);
        assert!(lobby.guests().present.is_empty());
    }

    #[test]
    fn a_connection_that_is_being_answered_stays() {
        let lobby = Lobby::new(2);
        let (first, second) =
            (lobby.enter(peer(1)).expect("a place"), lobby.enter(peer(1)).expect("a place"));
        let (answering, again) = (first.answering(), first.answering());
        let third = lobby.enter(peer(1)).expect("a place");
        assert_eq!([&first, &second, &third].map(is_evicted), [false, true, false]);
        let also = third.answering();
        assert!(lobby.enter(peer(1)).is_none(), "all of them are being answered");
        drop((answering, also));
        let fourth = lobby.enter(peer(1)).expect("the place of the third");
        assert_eq!([&first, &third, &fourth].map(is_evicted), [false, true, false]);
        drop(again);
        assert!(lobby.evict_one());
        assert!(is_evicted(&first));
    }

    #[test]
    fn the_address_with_most_places_loses_one() {
        let lobby = Lobby::new(4);
        let alone = lobby.enter(peer(1)).expect("a place");
        let crowd: Vec<_> = (0..50).map(|_| lobby.enter(peer(2)).expect("a place")).collect();
        assert!(!is_evicted(&alone));
        assert_eq!(crowd.iter().filter(|place| is_evicted(place)).count(), 47);
        let mapped = lobby.enter("::ffff:10.0.0.2".parse().expect("an address")).expect("a place");
        assert!(is_evicted(&crowd[47]) && !is_evicted(&alone) && !is_evicted(&mapped));
    }

    #[test]
    fn who_left_for_another_place_is_never_evicted() {
        let lobby = Lobby::new(1);
        let trusted = lobby.enter(peer(1)).expect("a place");
        trusted.leave();
        let next = lobby.enter(peer(1)).expect("a place");
        let _last = lobby.enter(peer(1)).expect("a place");
        assert!(!is_evicted(&trusted) && is_evicted(&next));
    }
}

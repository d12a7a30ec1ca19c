//! A TCP port whose connections begin in a lobby.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;
use tokio::time::sleep;

use super::{Lobby, LobbyPlace};
use crate::descriptor_reserve::{DescriptorReserve, is_out_of_descriptors};

/// Pause after a failed `accept` that nothing here can help.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Time between two log lines of one listener: whoever connects causes them.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Limits of a port.
#[derive(Debug, Clone, Copy)]
pub struct LobbySettings {
    /// Connections at once that are not trusted.
    pub places: usize,
    /// Bytes that the system keeps of what a client sent and nobody read, in each connection. The
    /// memory counts as this process's.
    pub receive_buffer: usize,
    /// Bytes that the system keeps of what a client did not read, in each connection.
    pub send_buffer: usize,
}

/// A listening port.
#[derive(Debug)]
pub struct LobbyListener {
    listener: TcpListener,
    lobby: Arc<Lobby>,
    reserve: DescriptorReserve,
    logged: Option<Instant>,
}

impl LobbyListener {
    /// Returns the port with a lobby. Connections inherit the sizes of the buffers.
    #[must_use]
    pub fn new(listener: TcpListener, settings: LobbySettings) -> Self {
        // a system that refuses has its own limits
        let _ = setsockopt(&listener, sockopt::RcvBuf, &settings.receive_buffer);
        let _ = setsockopt(&listener, sockopt::SndBuf, &settings.send_buffer);
        let lobby = Lobby::new(settings.places);
        Self { listener, lobby, reserve: DescriptorReserve::default(), logged: None }
    }

    /// Waits for the next connection, and returns it with its place.
    pub async fn accept(&mut self) -> (TcpStream, LobbyPlace) {
        self.reserve.restore(&self.listener);
        loop {
            // what was accepted or evicted before runs first: a request that is there already is
            // answered, and memory is freed
            yield_now().await;
            match self.listener.accept().await {
                Ok((stream, peer)) => match self.lobby.enter(peer.ip()) {
                    Some(place) => return (stream, place),
                    None if self.may_log() => {
                        tracing::warn!("a connection was refused: all others are being answered");
                    }
                    None => {}
                },
                Err(error) => self.recover(&error).await,
            }
        }
    }

    /// Makes the next `accept` possible: by the descriptor of a connection in the lobby, by the
    /// reserve, or by a pause.
    async fn recover(&mut self, error: &io::Error) {
        if self.may_log() {
            tracing::warn!(%error, "a connection could not be accepted");
        }
        if is_out_of_descriptors(error) && (self.lobby.evict_one() || self.reserve.give_up(error)) {
            return;
        }
        sleep(RETRY_PAUSE).await;
        self.reserve.restore(&self.listener);
    }

    fn may_log(&mut self) -> bool {
        let may = self.logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL);
        if may {
            self.logged = Some(Instant::now());
        }
        may
    }
}

//! The phases of a server from start to shutdown, and the signals that ask for its end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The phase that the process is in. Health probes and requests in progress follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not serving yet.
    Starting,
    /// Serving.
    Serving,
    /// Not ready any more; what is in progress goes on.
    Draining,
    /// What is in progress is answered now, with an error.
    Ending,
}

/// The phase of the process, for others to follow.
pub struct Lifecycle(watch::Sender<Phase>);

impl Lifecycle {
    /// Returns a lifecycle in [`Phase::Starting`].
    #[must_use]
    pub fn starting() -> Self {
        Self(watch::Sender::new(Phase::Starting))
    }

    /// Returns a receiver that sees the current phase and each later one.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Phase> {
        self.0.subscribe()
    }

    /// Changes the phase.
    pub fn enter(&self, phase: Phase) {
        if phase == Phase::Draining {
            tracing::info!("draining");
        }
        self.0.send_replace(phase);
    }
}

/// SIGTERM and SIGINT of this process.
pub struct TerminationSignals {
    terminate: Signal,
    interrupt: Signal,
}

/// The system lets the process wait for no signals.
#[derive(Debug, thiserror::Error)]
#[error("cannot wait for signals: {0}")]
pub struct SignalError(#[from] io::Error);

impl TerminationSignals {
    /// Listens for both signals from now on, in place of ending at once.
    ///
    /// # Errors
    /// The system refuses a signal handler.
    pub fn new() -> Result<Self, SignalError> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next of the two signals.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lifecycle, Phase};

    #[tokio::test]
    async fn every_subscriber_sees_the_phase() {
        let lifecycle = Lifecycle::starting();
        let mut early = lifecycle.subscribe();
        assert_eq!(*early.borrow(), Phase::Starting);
        lifecycle.enter(Phase::Draining);
        assert!(early.wait_for(|phase| *phase == Phase::Draining).await.is_ok());
        assert_eq!(*lifecycle.subscribe().borrow(), Phase::Draining);
    }
}

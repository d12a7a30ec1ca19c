//! A fake Vault in memory. It issues tokens, leases and certificates that end and are revoked as
//! Vault's do, and knows all that it has issued. It fails, hangs and answers late as told.

mod handler;
mod issued;
mod knowledge;
mod rules;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use self::issued::{IssuedItem, IssuedToken};
pub(super) use self::knowledge::{Mounted, REQUESTS};
pub(super) use self::rules::LONGEST_MOUNT;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    Login,
    Read,
    Issue,
    Renew,
    Revoke,
    Lookup,
}

/// How the fake answers, if not well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// An error with this status; nothing is executed.
    Status(u16),
    /// The request is executed, and the answer comes so much later.
    Late(Duration),
    /// The request is executed, and the connection closed without an answer.
    Lost,
    /// The request is executed, and no answer comes.
    Silent,
    /// Neither is the request executed, nor does an answer come.
    Stuck,
    /// The request is executed, and nothing is wrong any more.
    Over,
}

/// All that the fake has issued, and how it behaves.
#[derive(Default)]
pub(super) struct VaultState {
    pub(super) tokens: Vec<IssuedToken>,
    pub(super) items: Vec<IssuedItem>,
    /// What is wrong with requests for a purpose, or with all.
    pub(super) troubles: Vec<(Option<Purpose>, Trouble)>,
    /// Paths that the policies of new tokens deny.
    pub(super) denied: BTreeSet<String>,
    /// Pods that are gone, and of which the agent was told so.
    pub(super) known_gone: BTreeSet<String>,
    /// Since when the agent keeps leases; none while it cannot see the ends of pods.
    pub(super) kept_since: Option<Instant>,
    /// What the last good mount gave, by pod and volume.
    volumes: BTreeMap<(String, usize), BTreeSet<usize>>,
    /// The number of requests for each purpose.
    requests: BTreeMap<Purpose, usize>,
    /// What broke a rule.
    pub(super) violations: Vec<String>,
    /// The number of the agent that may connect. Requests over connections of others are not
    /// executed.
    agent: u64,
    /// Whether no request is executed, while an agent is killed.
    is_cut: bool,
}

/// The fake, as tests hold it.
#[derive(Clone, Default)]
pub(super) struct ModelVault(Arc<Mutex<VaultState>>);

impl ModelVault {
    /// Starts the fake at a unix socket.
    ///
    /// A unix socket and not TCP: what one end writes the other end can read at once, so that a
    /// paused clock never advances while a request is on its way.
    pub(super) fn start(socket: &Path) -> Self {
        let vault = Self::default();
        server::start(socket, vault.clone());
        vault
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, VaultState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Executes no request any more.
    pub(super) fn cut(&self) {
        self.lock().is_cut = true;
    }

    /// Executes the requests of the next agent, and none of the agents before.
    pub(super) fn accept_next_agent(&self) {
        let mut state = self.lock();
        state.is_cut = false;
        state.agent += 1;
    }
}

impl VaultState {
    /// Takes what broke a rule.
    pub(super) fn take_violations(&mut self) -> Vec<String> {
        std::mem::take(&mut self.violations)
    }

    /// Returns the number of requests for a purpose.
    pub(super) fn requests(&self, purpose: Purpose) -> usize {
        self.requests.get(&purpose).copied().unwrap_or_default()
    }
}

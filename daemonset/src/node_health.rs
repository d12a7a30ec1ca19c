//! What is wrong with the files of this node that the agent needs. The health pages show it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The faults of now, shared by those who watch the files and the health pages.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeHealth(Arc<Mutex<Faults>>);

/// A part of the node that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodePart {
    /// The socket of the driver and its directory.
    Socket,
    /// The state directory.
    StateDirectory,
}

/// A fault that the agent could not mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeFault {
    /// What is wrong, and what to do.
    pub(crate) reason: String,
    /// Whether a restart of the container can mend it. If so the agent is not alive, else it is
    /// only not ready.
    pub(crate) restart: bool,
}

#[derive(Debug, Default)]
struct Faults {
    socket: Option<NodeFault>,
    state_directory: Option<NodeFault>,
}

impl NodeHealth {
    /// Sets the fault of a part, or that it has none. Returns whether this is a change.
    pub(crate) fn set(&self, part: NodePart, fault: Option<NodeFault>) -> bool {
        let mut faults = self.lock();
        let known = match part {
            NodePart::Socket => &mut faults.socket,
            NodePart::StateDirectory => &mut faults.state_directory,
        };
        let is_change = *known != fault;
        *known = fault;
        is_change
    }

    /// Returns the reason why the agent should be started again.
    pub(crate) fn not_alive(&self) -> Option<String> {
        let faults = self.lock();
        let mut faults = [&faults.socket, &faults.state_directory].into_iter().flatten();
        faults.find(|fault| fault.restart).map(|fault| fault.reason.clone())
    }

    /// Returns the reason why the agent is not ready.
    pub(crate) fn not_ready(&self) -> Option<String> {
        let faults = self.lock();
        let mut faults = [&faults.socket, &faults.state_directory].into_iter().flatten();
        faults.next().map(|fault| fault.reason.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Faults> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

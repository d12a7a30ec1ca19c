//! Counters of the users of a session or token.

use std::sync::Arc;

use tokio::sync::watch;

/// A counter of users. Each user holds a [`UserGuard`].
#[derive(Default)]
pub(crate) struct Users(Arc<watch::Sender<usize>>);

/// A guard that counts as one user until dropped.
pub(crate) struct UserGuard(Arc<watch::Sender<usize>>);

impl Users {
    /// Adds a user.
    pub(crate) fn enter(&self) -> UserGuard {
        self.0.send_modify(|users| *users += 1);
        UserGuard(Arc::clone(&self.0))
    }

    /// Returns the number of users.
    pub(crate) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until there are no users.
    pub(crate) async fn wait_for_none(&self) {
        // the sender lives as long as this value, so the wait has no error
        let _ = self.0.subscribe().wait_for(|users| *users == 0).await;
    }
}

impl Drop for UserGuard {
    fn drop(&mut self) {
        self.0.send_modify(|users| *users -= 1);
    }
}

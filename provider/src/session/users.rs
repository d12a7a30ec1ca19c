//! Who uses a session or a token at this moment.

use std::sync::Arc;

use tokio::sync::watch;

/// The number of users of a value. Each user holds a [`UserGuard`].
#[derive(Default)]
pub(crate) struct Users(Arc<watch::Sender<usize>>);

/// One user, until dropped.
pub(crate) struct UserGuard(Arc<watch::Sender<usize>>);

impl Users {
    /// Adds a user.
    pub(crate) fn enter(&self) -> UserGuard {
        self.0.send_modify(|users| *users += 1);
        UserGuard(Arc::clone(&self.0))
    }

    /// Returns how many users there are.
    pub(crate) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until there is no user.
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

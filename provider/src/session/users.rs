//! Counters of the users of a session or token.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A counter of users. Each user holds a [`UserGuard`].
#[derive(Default)]
pub(crate) struct Users(Arc<UserCount>);

/// A guard that counts as one user until dropped.
pub(crate) struct UserGuard(Arc<UserCount>);

/// A `watch` channel would do too. There is a counter for each session and token, and a channel
/// takes ten times the memory.
#[derive(Default)]
struct UserCount {
    users: AtomicUsize,
    /// Notified when the last user leaves.
    left: Notify,
}

impl Users {
    /// Adds a user.
    pub(crate) fn enter(&self) -> UserGuard {
        self.0.users.fetch_add(1, Ordering::Relaxed);
        UserGuard(Arc::clone(&self.0))
    }

    /// Returns the number of users.
    pub(crate) fn count(&self) -> usize {
        self.0.users.load(Ordering::Acquire)
    }

    /// Waits until there are no users.
    pub(crate) async fn wait_for_none(&self) {
        loop {
            // before the count is read, so that no notification is missed
            let left = self.0.left.notified();
            if self.count() == 0 {
                return;
            }
            left.await;
        }
    }
}

impl Drop for UserGuard {
    fn drop(&mut self) {
        if self.0.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::Users;

    #[test]
    fn the_wait_ends_with_the_last_user() {
        let users = Users::default();
        let (first, second) = (users.enter(), users.enter());
        let mut wait = pin!(users.wait_for_none());
        let mut context = Context::from_waker(Waker::noop());
        drop(first);
        assert_eq!(users.count(), 1);
        assert!(wait.as_mut().poll(&mut context).is_pending());
        drop(second);
        assert_eq!(wait.as_mut().poll(&mut context), Poll::Ready(()));
    }
}

//! How much is answered at once: of all, and of one user, so that nobody else waits for one who asks too much.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::Failure;

/// The limits, and what goes on now.
pub(crate) struct Limits {
    all: usize,
    per_user: usize,
    now: Mutex<InFlight>,
}

#[derive(Default)]
struct InFlight {
    all: usize,
    of: HashMap<String, usize>,
}

/// A request that is being answered; dropped, it makes room for another.
pub(crate) struct Turn {
    limits: Arc<Limits>,
    user: String,
}

impl Limits {
    pub(crate) fn new(all: usize, per_user: usize) -> Arc<Self> {
        Arc::new(Self { all, per_user, now: Mutex::default() })
    }

    /// A turn, at once or not at all: a queue here would hold kube-apiserver's own seats.
    ///
    /// # Errors
    /// 429 with Retry-After.
    pub(crate) fn turn(self: &Arc<Self>, user: &str) -> Result<Turn, Failure> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.all >= self.all {
            return Err(Failure::too_many("too many requests are being answered; try again"));
        }
        let own = now.of.get(user).copied().unwrap_or(0);
        if own >= self.per_user {
            return Err(Failure::too_many(format!(
                "{own} requests of user {user:?} are being answered, no more than that at once; try again"
            )));
        }
        now.all += 1;
        now.of.insert(user.to_owned(), own + 1);
        Ok(Turn { limits: Arc::clone(self), user: user.to_owned() })
    }

    #[cfg(test)]
    fn in_flight(&self) -> usize {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut now = self.limits.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.all -= 1;
        if let Some(own) = now.of.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                now.of.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn one_user_leaves_room_for_another() {
        let limits = Limits::new(3, 2);
        let first = limits.turn("jo").expect("a turn");
        let _second = limits.turn("jo").expect("a turn");
        assert_eq!(limits.turn("jo").err().expect("no turn").code(), 429);
        let _other = limits.turn("al").expect("a turn");
        assert_eq!(limits.turn("eve").err().expect("no turn").code(), 429);
        drop(first);
        assert!(limits.turn("jo").is_ok());
        assert_eq!(limits.in_flight(), 2);
        assert_eq!(limits.now.lock().expect("a lock").of.len(), 2);
    }
}

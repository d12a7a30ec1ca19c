//! Limits on requests in flight: of all users, and of one user, so that nobody waits for one who
//! asks too much.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api_error::ApiError;

/// The limits, and the requests that are in flight.
pub(crate) struct RequestLimits {
    max_in_flight: usize,
    max_per_user: usize,
    in_flight: Mutex<InFlight>,
}

#[derive(Default)]
struct InFlight {
    all: usize,
    by_user: HashMap<String, usize>,
}

/// Counts a request as in flight until it is dropped.
pub(crate) struct RequestPermit {
    limits: Arc<RequestLimits>,
    user: String,
}

impl RequestLimits {
    pub(crate) fn new(max_in_flight: usize, max_per_user: usize) -> Arc<Self> {
        Arc::new(Self { max_in_flight, max_per_user, in_flight: Mutex::default() })
    }

    /// Returns a permit at once or not at all: a queue here would hold seats of kube-apiserver's
    /// own queues.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub(crate) fn permit(self: &Arc<Self>, user: &str) -> Result<RequestPermit, ApiError> {
        let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if in_flight.all >= self.max_in_flight {
            return Err(ApiError::too_many("too many requests are being answered; try again"));
        }
        let own = in_flight.by_user.get(user).copied().unwrap_or(0);
        if own >= self.max_per_user {
            return Err(ApiError::too_many(format!(
                "{own} requests of user {user:?} are being answered, no more than that at once; try again"
            )));
        }
        in_flight.all += 1;
        in_flight.by_user.insert(user.to_owned(), own + 1);
        Ok(RequestPermit { limits: Arc::clone(self), user: user.to_owned() })
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        let mut in_flight = self.limits.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        in_flight.all -= 1;
        if let Some(own) = in_flight.by_user.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                in_flight.by_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RequestLimits;

    #[test]
    fn one_user_leaves_room_for_another() {
        let limits = RequestLimits::new(3, 2);
        let first = limits.permit("jo").expect("a permit");
        let _second = limits.permit("jo").expect("a permit");
        assert_eq!(limits.permit("jo").err().expect("no permit").code(), 429);
        let _other = limits.permit("al").expect("a permit");
        assert_eq!(limits.permit("eve").err().expect("no permit").code(), 429);
        drop(first);
        assert!(limits.permit("jo").is_ok());
        assert_eq!(limits.count(), 2);
        assert_eq!(limits.in_flight.lock().expect("a lock").by_user.len(), 2);
    }
}

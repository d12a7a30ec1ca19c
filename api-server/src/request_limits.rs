//! Limits on requests in flight: of all users, of one user, and for the classes of one namespace,
//! so that nobody waits for one who asks too much.
//!
//! A request counts until its answer is sent, whether or not its client still waits.

use coffer_provider::HeldForAnswer;
use coffer_shares::{NeverFits, Priority, Share, Shares};

use crate::api_error::ApiError;

/// Reads that one user has in progress at one Vault, at most. Further ones wait for their turn.
const READS_OF_USER: usize = 8;

/// The same for the classes of one namespace, whoever reads them: a namespace has as many service
/// accounts as it wants.
const READS_OF_NAMESPACE: usize = 16;

/// The limits, and the requests that are in flight.
pub(crate) struct RequestLimits {
    max_per_user: usize,
    users: Shares,
    namespaces: Shares,
    user_turns: Shares,
    namespace_turns: Shares,
    encoding: Shares,
}

/// Counts a request as in flight until it is dropped.
pub(crate) struct RequestPermit {
    _user: Share,
    namespace: Option<Share>,
    _held: Option<HeldForAnswer>,
}

/// The turn of a read.
pub(crate) struct ReadTurn {
    _user: Share,
    _namespace: Share,
}

impl RequestPermit {
    /// Returns the permit with what the answer holds until it is sent.
    pub(crate) fn holding(self, held: Option<HeldForAnswer>) -> Self {
        Self { _held: held, ..self }
    }
}

impl RequestLimits {
    pub(crate) fn new(max_in_flight: usize, max_per_user: usize) -> Self {
        Self {
            max_per_user,
            users: Shares::new(max_in_flight),
            namespaces: Shares::new(max_in_flight),
            user_turns: Shares::for_each_tenant(READS_OF_USER),
            namespace_turns: Shares::for_each_tenant(READS_OF_NAMESPACE),
            // one of each user, and two of all
            encoding: Shares::new(2),
        }
    }

    /// Returns a permit at once or not at all: a queue here would hold seats of kube-apiserver's
    /// own queues. A user may have no more than is left for all others.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub(crate) fn permit(&self, user: &str) -> Result<RequestPermit, ApiError> {
        let own = self.users.taken_by(user);
        if own >= self.max_per_user {
            return Err(ApiError::too_many(format!(
                "{own} requests of user {user:?} are being answered, no more than that at once; try again"
            )));
        }
        let share = self.users.try_take(user, 1, Priority::Common);
        let share =
            share.ok_or_else(|| ApiError::too_many("too many requests are being answered; try again"))?;
        Ok(RequestPermit { _user: share, namespace: None, _held: None })
    }

    /// Counts the request for a namespace too, after its user was found to have a right there.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub(crate) fn count_namespace(
        &self,
        permit: &mut RequestPermit,
        namespace: &str,
    ) -> Result<(), ApiError> {
        permit.namespace = self.namespaces.try_take(namespace, 1, Priority::Common);
        if permit.namespace.is_none() {
            return Err(ApiError::too_many(format!(
                "too many requests for namespace {namespace:?} are being answered; try again"
            )));
        }
        Ok(())
    }

    /// Waits for the turn of a read from the Vault at `vault`.
    ///
    /// # Errors
    /// There are no turns at all.
    pub(crate) async fn turn(&self, user: &str, namespace: &str, vault: &str) -> Result<ReadTurn, NeverFits> {
        let (user, namespace) = (format!("{user} {vault}"), format!("{namespace} {vault}"));
        Ok(ReadTurn {
            _user: self.user_turns.take(&user, 1, Priority::Common).await?,
            _namespace: self.namespace_turns.take(&namespace, 1, Priority::Common).await?,
        })
    }

    /// Waits for the turn to encode a large answer, which takes the processor for a while.
    ///
    /// # Errors
    /// There are no turns at all.
    pub(crate) async fn encoding_turn(&self, user: &str) -> Result<Share, NeverFits> {
        self.encoding.take(user, 1, Priority::Common).await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::{READS_OF_NAMESPACE, READS_OF_USER, RequestLimits};

    #[test]
    fn one_user_leaves_room_for_another() {
        let limits = RequestLimits::new(8, 3);
        let permits = |user: &str| -> Vec<_> { (0..8).map_while(|_| limits.permit(user).ok()).collect() };
        let of_jo = permits("jo");
        assert_eq!(of_jo.len(), 3);
        let refusal = limits.permit("jo").err().expect("no permit");
        assert_eq!(refusal.code(), 429);
        assert!(refusal.message().contains("3 requests of user"), "{refusal}");
        let of_al = permits("al");
        assert_eq!(of_al.len(), 3);
        let of_eve = permits("eve");
        assert_eq!(of_eve.len(), 1, "no more than are left");
        assert_eq!(limits.permit("eve").err().expect("no permit").code(), 429);
        assert!(limits.permit("whoever comes next").is_ok());
        drop((of_jo, of_al, of_eve));
        assert_eq!(limits.users.taken(), 0);
    }

    #[test]
    fn the_users_of_one_namespace_leave_room_for_another() {
        let limits = RequestLimits::new(8, 3);
        let request = |user: &str, namespace: &str| {
            let mut permit = limits.permit(user)?;
            limits.count_namespace(&mut permit, namespace).map(|()| permit)
        };
        let _all: Vec<_> = ["a", "b", "c", "d"].map(|user| request(user, "theirs").expect("a permit")).into();
        assert_eq!(request("e", "theirs").err().expect("no permit").code(), 429);
        assert!(request("f", "another").is_ok());
    }

    #[test]
    fn reads_wait_for_their_own_and_no_others() {
        let limits = RequestLimits::new(200, 40);
        let turn = |user: &str, namespace: &str, vault: &str| {
            limits.turn(user, namespace, vault).now_or_never().map(|turn| turn.expect("a turn"))
        };
        let mut turns: Vec<_> = (0..READS_OF_USER).map(|_| turn("jo", "a", "v").expect("a turn")).collect();
        assert!(turn("jo", "b", "v").is_none());
        turns.push(turn("jo", "a", "another vault").expect("a turn"));
        turns.extend(
            (READS_OF_USER..READS_OF_NAMESPACE).map(|n| turn(&n.to_string(), "a", "v").expect("a turn")),
        );
        assert!(turn("al", "a", "v").is_none());
        assert!(turn("al", "b", "v").is_some());
        drop(turns);
        assert!(turn("jo", "a", "v").is_some());
    }
}

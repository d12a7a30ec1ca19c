//! What must hold at the end, when no fault has been made for a while.

use super::breach::{Breach, BreachKind};

/// What is counted after the quiet time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EndCounts {
    /// Living pods of the class with a user.
    pub(super) pods: usize,
    /// Leases of users in Vault.
    pub(super) leases: usize,
    /// Users in PostgreSQL.
    pub(super) users: usize,
    /// Requests for a user whose answer the agent did not get, by its log.
    pub(super) lost: usize,
    /// Users that the agent does not use, by its log.
    pub(super) unused: usize,
    /// Credentials that were replaced, and whose tokens have not ended yet.
    pub(super) replaced: usize,
    /// Users that came up while a fault kept Vault from storing their leases.
    pub(super) unleased: usize,
    /// Tokens of logins in Vault.
    pub(super) tokens: usize,
}

impl EndCounts {
    /// Judges the counts: each pod has one lease and one user. Beside them there are at most those
    /// of requests whose answer was lost, those that are not used or were replaced, and users
    /// without a lease.
    pub(super) fn judge(self) -> Vec<Breach> {
        let count = |subject: &str, found, least, most| {
            let kind = BreachKind::Count { found, least, most };
            let breach = Breach { subject: subject.to_owned(), file: String::new(), kind };
            (found < least || found > most).then_some(breach)
        };
        let beside = self.leases.saturating_sub(self.pods);
        let judged = [
            count(
                "leases in Vault at the end",
                self.leases,
                self.pods,
                self.pods + self.lost + self.unused + self.replaced,
            ),
            count(
                "users in PostgreSQL at the end",
                self.users,
                self.pods,
                self.pods + beside + self.unleased,
            ),
        ];
        judged.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_end_each_pod_has_one_lease_and_one_user() {
        let good = EndCounts { pods: 30, leases: 30, users: 30, ..EndCounts::default() };
        let subjects = |counts: EndCounts| -> Vec<_> {
            counts.judge().into_iter().map(|breach| breach.subject).collect()
        };
        let no_subjects: Vec<String> = Vec::new();
        assert_eq!(subjects(good), no_subjects);
        assert_eq!(subjects(EndCounts { leases: 31, users: 31, lost: 1, ..good }), no_subjects);
        assert_eq!(subjects(EndCounts { leases: 31, users: 31, unused: 1, ..good }), no_subjects);
        assert_eq!(subjects(EndCounts { users: 31, unleased: 1, ..good }), no_subjects);
        let leases = "leases in Vault at the end";
        let users = "users in PostgreSQL at the end";
        assert_eq!(subjects(EndCounts { leases: 31, users: 31, ..good }), [leases]);
        assert_eq!(subjects(EndCounts { leases: 29, users: 29, ..good }), [leases, users]);
        assert_eq!(subjects(EndCounts { users: 31, ..good }), [users]);
    }
}

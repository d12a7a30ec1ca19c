//! Leases that live as long as the pod: stored over a restart, renewed, and revoked when the pod is
//! gone.
//!
//! [`LeaseManager`] runs the background loop. [`Leases`] is shared with the read path, and says
//! whether leases are managed now. [`LeaseStore`] stores sessions, with the journal of requests
//! that may issue something.

mod boot_time;
#[cfg(fuzzing)]
mod fuzzing;
mod inventory;
mod journal;
mod manager;
mod pace;
mod record;
mod renew;
mod reports;
mod revoke;
mod schedule;
mod store;
mod turn;

#[cfg(fuzzing)]
pub use self::fuzzing::stored_session;
pub use inventory::{Entry, FailingMount, Inventory, InventorySource, Kind};
pub(crate) use journal::Journal;
pub(crate) use manager::Background;
pub use manager::{LeaseManager, LostRecords, PodEvent, PodEvents};
pub(crate) use pace::RenewalPace;
pub(crate) use reports::report_replaced;
pub(crate) use store::{LeaseStore, Leases};
pub use store::{StateStore, StoreError, StoredText};

#[cfg(test)]
pub(crate) mod tests;

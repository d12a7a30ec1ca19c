//! Leases that live as long as the pod: stored over a restart, renewed in time, revoked when the pod is gone.
//!
//! [`LeaseManager`] is the background loop. What it shares with reads is [`Leases`]: whether leases are kept at
//! this moment, and the journal of requests that may issue something.

mod boot_time;
mod inventory;
mod journal;
mod manager;
mod record;
mod renew;
mod revoke;
mod schedule;
mod store;
mod turn;

pub use inventory::{Entry, Inventory, InventorySource, Kind};
pub(crate) use journal::Journal;
pub(crate) use manager::Background;
pub use manager::{LeaseManager, PodEvent, PodEvents};
pub(crate) use store::{LeaseStore, Leases};
pub use store::{StateStore, StoreError};

#[cfg(test)]
mod tests;

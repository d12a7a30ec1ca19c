//! Divides a limited amount among tenants: bytes of memory, requests in progress, sessions. A
//! tenant is a namespace of Kubernetes, or a user of the API.
//!
//! **The rule.** A tenant may take more only while it then has no more than is left for all. A
//! tenant alone gets half. Of `n` tenants that want everything, each gets one part of `n + 1`, and
//! one part stays free. So whoever comes next always finds room, and nothing has to be taken back
//! from anybody. The rule is known from the buffers of network switches as dynamic thresholds
//! (Choudhury and Hahne, 1998, <https://doi.org/10.1109/90.664262>).
//!
//! **The reserve** is a part of the amount that only [`Priority::Reserved`] may take: requests to
//! the operator's own Vault.

mod pool;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use self::pool::{Grant, Pool, Waiting};

/// An amount that tenants share. Clones share the same amount.
#[derive(Clone)]
pub struct Shares(Arc<Mutex<Pool>>);

/// Who asks for a part of the amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// May not take the reserve.
    Common,
    /// May take the reserve too.
    Reserved,
}

/// The part that a tenant has taken. The part is free again when this value is dropped.
pub struct Share {
    shares: Shares,
    tenant: Arc<str>,
    amount: usize,
    priority: Priority,
}

/// The part is larger than one tenant can have at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than the {most} that one tenant can have")]
pub struct NeverFits {
    /// The most that one tenant can have at once.
    pub most: usize,
}

impl Shares {
    /// Returns `total` for tenants to share. One tenant alone can have half of the total.
    #[must_use]
    pub fn new(total: usize) -> Self {
        Self::of(Pool::new(total, 0, usize::MAX))
    }

    /// Returns `total` for tenants to share, of which `reserve` is for [`Priority::Reserved`].
    #[must_use]
    pub fn with_reserve(total: usize, reserve: usize) -> Self {
        Self::of(Pool::new(total, reserve, usize::MAX))
    }

    /// Returns an amount of which each tenant can have no more than `most`.
    #[must_use]
    pub fn for_each_tenant(most: usize) -> Self {
        Self::of(Pool::new(usize::MAX, 0, most))
    }

    fn of(pool: Pool) -> Self {
        Self(Arc::new(Mutex::new(pool)))
    }

    /// Takes a part at once. Returns none if the tenant may not have as much now.
    #[must_use]
    pub fn try_take(&self, tenant: &str, amount: usize, priority: Priority) -> Option<Share> {
        let tenant = self.lock().try_take(tenant, amount, priority)?;
        Some(Share { shares: self.clone(), tenant, amount, priority })
    }

    /// Takes a part as soon as the tenant may have as much. A tenant's own requests are served in
    /// their order. Tenants do not wait for each other: the one that has least comes first.
    ///
    /// # Errors
    /// [`NeverFits`], if the part is larger than one tenant can have at all.
    pub async fn take(&self, tenant: &str, amount: usize, priority: Priority) -> Result<Share, NeverFits> {
        let granted = {
            let mut pool = self.lock();
            let most = pool.most_of_one(priority);
            if amount > most {
                return Err(NeverFits { most });
            }
            if !pool.has_waiting(tenant)
                && let Some(tenant) = pool.try_take(tenant, amount, priority)
            {
                return Ok(Share { shares: self.clone(), tenant, amount, priority });
            }
            let (grant, granted) = oneshot::channel();
            pool.wait(tenant, Waiting { amount, priority, grant });
            granted
        };
        let share = granted.await;
        Ok(share.unwrap_or_else(|_| unreachable!("a waiting request is dropped only when granted")))
    }

    /// Returns how much a tenant has.
    #[must_use]
    pub fn taken_by(&self, tenant: &str) -> usize {
        self.lock().taken_by(tenant)
    }

    /// Returns how much all tenants have together.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.lock().taken()
    }

    /// Returns the most that one tenant can have, if no other has anything.
    #[must_use]
    pub fn most_of_one(&self, priority: Priority) -> usize {
        self.lock().most_of_one(priority)
    }

    /// Gives back a part, and grants what waits and fits now.
    fn give_back(&self, tenant: &str, amount: usize) {
        self.lock().give_back(tenant, amount);
        loop {
            let granted = self.lock().grant_next();
            let Some(Grant { tenant, waiting: Waiting { amount, priority, grant } }) = granted else {
                return;
            };
            let share = Share { shares: self.clone(), tenant, amount, priority };
            if let Err(abandoned) = grant.send(share) {
                // nobody waits any more; without recursion, however many are abandoned
                let (tenant, amount) = abandoned.defuse();
                self.lock().give_back(&tenant, amount);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Returns the amount.
    #[must_use]
    pub fn amount(&self) -> usize {
        self.amount
    }

    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Takes `more` in addition, at once. Returns false, and changes nothing, if the tenant may not
    /// have as much now.
    #[must_use]
    pub fn try_grow(&mut self, more: usize) -> bool {
        let taken = self.shares.lock().try_take(&self.tenant, more, self.priority).is_some();
        if taken {
            self.amount += more;
        }
        taken
    }

    /// Takes `more` in addition, as soon as the tenant may have as much.
    ///
    /// # Errors
    /// [`NeverFits`], if the part would be larger than one tenant can have at all.
    pub async fn grow(&mut self, more: usize) -> Result<(), NeverFits> {
        let most = self.shares.most_of_one(self.priority);
        if self.amount.saturating_add(more) > most {
            return Err(NeverFits { most });
        }
        let (_, amount) = self.shares.take(&self.tenant, more, self.priority).await?.defuse();
        self.amount += amount;
        Ok(())
    }

    /// Gives back what is more than `amount`.
    pub fn shrink_to(&mut self, amount: usize) {
        if let Some(less) = self.amount.checked_sub(amount).filter(|less| *less > 0) {
            self.amount = amount;
            self.shares.give_back(&self.tenant, less);
        }
    }

    /// Ends this value without giving anything back.
    fn defuse(mut self) -> (Arc<str>, usize) {
        (Arc::clone(&self.tenant), std::mem::take(&mut self.amount))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.shares.give_back(&self.tenant, self.amount);
        }
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("tenant", &self.tenant).field("amount", &self.amount).finish()
    }
}

#[cfg(test)]
mod tests;

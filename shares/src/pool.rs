//! The books of a shared amount: what each tenant has, and what waits.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::{Priority, Share};

/// An amount, and who has which part of it.
pub(crate) struct Pool {
    total: usize,
    reserve: usize,
    /// The most that one tenant can have.
    most: usize,
    taken: usize,
    tenants: HashMap<Arc<str>, Tenant>,
    /// The number of requests that wait.
    waiting: usize,
}

/// What one tenant has, and what it waits for. A tenant that has nothing and waits for nothing has
/// no entry.
#[derive(Default)]
struct Tenant {
    taken: usize,
    waiting: VecDeque<Waiting>,
}

/// A request that waits.
pub(crate) struct Waiting {
    pub(crate) amount: usize,
    pub(crate) priority: Priority,
    pub(crate) grant: oneshot::Sender<Share>,
}

/// A request that waited and has its part now.
pub(crate) struct Grant {
    pub(crate) tenant: Arc<str>,
    pub(crate) waiting: Waiting,
}

impl Pool {
    pub(crate) fn new(total: usize, reserve: usize, most: usize) -> Self {
        let reserve = reserve.min(total);
        Self { total, reserve, most, taken: 0, tenants: HashMap::new(), waiting: 0 }
    }

    /// Returns the most that one tenant can have, if no other has anything.
    pub(crate) fn most_of_one(&self, priority: Priority) -> usize {
        (self.limit(priority).div_ceil(2)).min(self.most)
    }

    pub(crate) fn taken_by(&self, tenant: &str) -> usize {
        self.tenants.get(tenant).map_or(0, |tenant| tenant.taken)
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    pub(crate) fn has_waiting(&self, tenant: &str) -> bool {
        self.waiting > 0 && self.tenants.get(tenant).is_some_and(|tenant| !tenant.waiting.is_empty())
    }

    /// Takes a part. Returns the tenant's name, which all its parts share; none if the tenant may
    /// not have as much now.
    pub(crate) fn try_take(&mut self, tenant: &str, amount: usize, priority: Priority) -> Option<Arc<str>> {
        if !self.fits(self.taken_by(tenant), amount, priority) {
            return None;
        }
        let name = match self.tenants.get_key_value(tenant) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(tenant),
        };
        self.tenants.entry(Arc::clone(&name)).or_default().taken += amount;
        self.taken += amount;
        Some(name)
    }

    pub(crate) fn wait(&mut self, tenant: &str, waiting: Waiting) {
        if !self.tenants.contains_key(tenant) {
            self.tenants.insert(Arc::from(tenant), Tenant::default());
        }
        if let Some(tenant) = self.tenants.get_mut(tenant) {
            tenant.waiting.push_back(waiting);
            self.waiting += 1;
        }
    }

    pub(crate) fn give_back(&mut self, tenant: &str, amount: usize) {
        self.taken -= amount;
        if let Some(entry) = self.tenants.get_mut(tenant) {
            entry.taken -= amount;
            if entry.taken == 0 && entry.waiting.is_empty() {
                self.tenants.remove(tenant);
            }
        }
    }

    /// Takes the part of the next request that waits and fits: of each tenant the oldest, and of
    /// these that of the tenant with the least. Requests that nobody waits for any more are
    /// forgotten.
    pub(crate) fn grant_next(&mut self) -> Option<Grant> {
        if self.waiting == 0 {
            return None;
        }
        self.forget_abandoned();
        let heads = self.tenants.iter().filter_map(|(name, tenant)| {
            let first = tenant.waiting.front()?;
            self.fits(tenant.taken, first.amount, first.priority).then_some((tenant.taken, name))
        });
        let name = heads.min().map(|(_, name)| Arc::clone(name))?;
        let tenant = self.tenants.get_mut(&name)?;
        let waiting = tenant.waiting.pop_front()?;
        tenant.taken += waiting.amount;
        self.taken += waiting.amount;
        self.waiting -= 1;
        Some(Grant { tenant: name, waiting })
    }

    fn forget_abandoned(&mut self) {
        let waiting = &mut self.waiting;
        self.tenants.retain(|_, tenant| {
            while tenant.waiting.front().is_some_and(|first| first.grant.is_closed()) {
                tenant.waiting.pop_front();
                *waiting -= 1;
            }
            tenant.taken > 0 || !tenant.waiting.is_empty()
        });
    }

    /// Returns whether a tenant may have `amount` in addition: it then has no more than is left.
    fn fits(&self, own: usize, amount: usize, priority: Priority) -> bool {
        let Some(own) = own.checked_add(amount).filter(|own| *own <= self.most) else { return false };
        let left = self.limit(priority).checked_sub(self.taken).and_then(|left| left.checked_sub(amount));
        // one more than is left: of an odd number one tenant can have the larger half
        left.is_some_and(|left| own <= left.saturating_add(1))
    }

    fn limit(&self, priority: Priority) -> usize {
        match priority {
            Priority::Common => self.total - self.reserve,
            Priority::Reserved => self.total,
        }
    }
}

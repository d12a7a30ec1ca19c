//! Answers that a session holds between reads, which spare requests to Vault.

use std::sync::Arc;

use coffer_vault::{Answer, RequestId};
use serde::{Deserialize, Serialize};

use crate::memory::HeldBytes;

/// The ID of a pod's volume: a digest of the mount path.
pub(crate) type VolumeId = u64;

/// The use of an answer, for the inventory: class, objects and path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AnswerUse {
    /// The SecretProviderClass.
    pub(crate) class: String,
    /// `objectName` of each file that comes from the answer.
    pub(crate) objects: Vec<String>,
    /// The path in Vault.
    pub(crate) path: String,
}

/// An answer that is held, with the term for which the answer is used.
pub(crate) struct HeldAnswer<T> {
    pub(crate) request: RequestId,
    pub(crate) about: AnswerUse,
    pub(crate) answer: Arc<Answer>,
    pub(crate) term: T,
    /// The volumes that use the answer.
    pub(crate) volumes: Vec<VolumeId>,
    /// The answer's place among the namespace's held answers.
    pub(crate) _bytes: HeldBytes,
}

/// The held answers of one kind, at most one per request.
pub(crate) struct AnswerList<T>(Vec<HeldAnswer<T>>);

impl<T> Default for AnswerList<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> AnswerList<T> {
    /// Returns the answer to a request.
    pub(crate) fn get(&self, request: RequestId) -> Option<&HeldAnswer<T>> {
        self.0.iter().find(|held| held.request == request)
    }

    /// Returns the answer to a request, mutable.
    pub(crate) fn get_mut(&mut self, request: RequestId) -> Option<&mut HeldAnswer<T>> {
        self.0.iter_mut().find(|held| held.request == request)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &HeldAnswer<T>> {
        self.0.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut HeldAnswer<T>> {
        self.0.iter_mut()
    }

    /// Adds an answer, and returns the old answer to the same request. The volumes of the old
    /// answer use the new one.
    pub(crate) fn put(&mut self, mut held: HeldAnswer<T>) -> Option<HeldAnswer<T>> {
        let at = self.0.iter().position(|other| other.request == held.request);
        let before = at.map(|at| self.0.swap_remove(at));
        for volume in before.iter().flat_map(|before| &before.volumes) {
            if !held.volumes.contains(volume) {
                held.volumes.push(*volume);
            }
        }
        self.0.push(held);
        before
    }

    /// Drops the answer to a request. Returns whether there was one.
    pub(crate) fn remove(&mut self, request: RequestId) -> bool {
        let at = self.0.iter().position(|held| held.request == request);
        at.map(|at| self.0.swap_remove(at)).is_some()
    }

    /// Drops all answers.
    pub(crate) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    /// Drops the answers that `picked` does not accept.
    pub(crate) fn retain(&mut self, picked: impl Fn(&HeldAnswer<T>) -> bool) {
        self.0.retain(picked);
    }

    /// Notes which answers a volume uses, and drops the answers that no volume uses. Returns
    /// whether anything changed.
    pub(crate) fn note_use(&mut self, volume: VolumeId, requests: &[RequestId]) -> bool {
        let mut changed = false;
        for held in &mut self.0 {
            let listed = held.volumes.contains(&volume);
            match (requests.contains(&held.request), listed) {
                (true, false) => held.volumes.push(volume),
                (false, true) => held.volumes.retain(|other| *other != volume),
                _ => continue,
            }
            changed = true;
        }
        self.0.retain(|held| !held.volumes.is_empty());
        changed
    }
}

impl<T> FromIterator<HeldAnswer<T>> for AnswerList<T> {
    fn from_iter<I: IntoIterator<Item = HeldAnswer<T>>>(answers: I) -> Self {
        Self(answers.into_iter().collect())
    }
}

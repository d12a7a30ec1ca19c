//! The volumes of this node: when each was last mounted well, and since when its mounts fail.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coffer_provider::{Error, ErrorKind, Pod, PodEvent};
use coffer_shares::{Priority, Share, Shares};
use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};

use crate::grpc_status::message;
use crate::shortened::shortened;

/// Memory of the table, in bytes. One namespace alone has half of it: some hundred volumes that
/// fail.
const MEMORY: usize = 1 << 20;

/// What is counted for an entry besides its texts, in bytes.
const ENTRY_BYTES: usize = 256;

/// Longest name that is kept, in bytes: Kubernetes' own limit.
const LONGEST_NAME: usize = 253;

/// Time without another mount after which a volume is forgotten whose pod is not on this node by
/// the list of its pods. The list may be late.
const UNLISTED: Duration = Duration::from_secs(60);

/// The same for a volume that fails, while the pods of this node are not known. kubelet mounts
/// again every two minutes or so, the driver at its interval of rotation.
const FORGOTTEN_FAILURE: Duration = Duration::from_secs(3600);

/// The same for a volume that is mounted.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// A volume of a pod, for the time of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodVolume {
    pub(crate) namespace: String,
    pub(crate) pod: Pod,
    /// The SecretProviderClass.
    pub(crate) class: String,
    /// The volume's target path.
    pub(crate) path: String,
    /// Whether the driver says that an earlier mount left files in the volume.
    pub(crate) has_files: bool,
}

/// What tells volumes apart: a digest of the pod's uid and the target path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct VolumeKey([u8; 16]);

/// A volume whose latest mount failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailingVolume {
    pub(crate) namespace: Arc<str>,
    pub(crate) pod: Arc<str>,
    pub(crate) pod_uid: Arc<str>,
    pub(crate) class: Arc<str>,
    /// Time since the first failure in the row.
    pub(crate) failing_for: Duration,
    /// Time since the last good mount; `None` if there was none. Counts from the start of this
    /// process where an earlier one mounted the volume.
    pub(crate) good_before: Option<Duration>,
    /// Kind and text of the latest failure. The text is that which the driver got.
    pub(crate) kind: ErrorKind,
    pub(crate) error: Arc<str>,
}

/// What a mount changed for its volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VolumeChange {
    /// Mounted well, as before, or for the first time.
    Mounted,
    /// Mounted well after failures.
    Recovered {
        /// Time since the first failure in the row.
        failed_for: Duration,
        /// Whether the volume had been mounted well before it failed.
        was_mounted: bool,
    },
    /// Not mounted.
    Failed {
        /// Whether the volume was mounted well before.
        was_mounted: bool,
    },
}

/// The table of volumes. It has a limited amount of memory, which namespaces share. A namespace
/// without room loses the volume that it mounted longest ago.
pub(crate) struct Volumes {
    shares: Shares,
    /// When this process started.
    started: Instant,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<VolumeKey, Entry>,
    /// Uids of the node's pods; `None` while they are not watched.
    pods: Option<HashSet<String>>,
}

struct Entry {
    namespace: Arc<str>,
    pod: Arc<str>,
    pod_uid: Arc<str>,
    class: Arc<str>,
    last_good: Option<Instant>,
    attempted: Instant,
    failure: Option<LatestFailure>,
    /// The memory of this entry.
    share: Share,
}

struct LatestFailure {
    since: Instant,
    kind: ErrorKind,
    error: Arc<str>,
}

impl PodVolume {
    /// Returns the key of the volume.
    pub(crate) fn key(&self) -> VolumeKey {
        let text = format!("{}\0{}", self.pod.uid, self.path);
        let mut key = [0; 16];
        key.copy_from_slice(&digest(&SHA256, text.as_bytes()).as_ref()[..16]);
        VolumeKey(key)
    }
}

impl fmt::Display for VolumeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl Default for Volumes {
    fn default() -> Self {
        Self { shares: Shares::new(MEMORY), started: Instant::now(), table: Mutex::default() }
    }
}

impl Volumes {
    /// Records how a mount ended. `was_mounted_before` is asked where a volume fails that this table
    /// does not know: whether an earlier process mounted it.
    pub(crate) fn record(
        &self,
        volume: &PodVolume,
        result: Result<(), &Error>,
        was_mounted_before: impl FnOnce() -> bool,
        now: Instant,
    ) -> VolumeChange {
        let (key, mut table) = (volume.key(), self.lock());
        let known = table.entries.remove(&key).filter(|entry| entry.is_kept(table.pods.as_ref(), now));
        let (last_good, since, class) = match known {
            Some(entry) => (entry.last_good, entry.failure.map(|failure| failure.since), Some(entry.class)),
            None if result.is_err() && was_mounted_before() => (Some(self.started), None, None),
            None => (None, None, None),
        };
        // driver 1.5 does not name the class when it rotates
        let class = class.filter(|_| volume.class.is_empty()).unwrap_or_else(|| name(&volume.class));
        let was_mounted = last_good.is_some();
        let change = match (result, since) {
            (Ok(()), None) => VolumeChange::Mounted,
            (Ok(()), Some(since)) => {
                VolumeChange::Recovered { failed_for: now.saturating_duration_since(since), was_mounted }
            }
            (Err(_), _) => VolumeChange::Failed { was_mounted },
        };
        let failure = result.err().map(|error| LatestFailure {
            since: since.unwrap_or(now),
            kind: error.kind,
            error: message(error).into(),
        });
        let last_good = if failure.is_none() { Some(now) } else { last_good };
        self.insert(&mut table, (key, volume, class), (last_good, failure), now);
        change
    }

    /// Returns a volume with the class of its first mount, if that is known: drivers up to 1.5 name
    /// no class when they rotate.
    pub(crate) fn with_known_class(&self, volume: PodVolume) -> PodVolume {
        let known = self.lock().entries.get(&volume.key()).map(|entry| Arc::clone(&entry.class));
        match known.filter(|class| !class.is_empty()) {
            Some(class) => PodVolume { class: class.as_ref().to_owned(), ..volume },
            None => volume,
        }
    }

    /// Returns the volumes whose latest mount failed, sorted by namespace, pod and class.
    pub(crate) fn failing(&self, now: Instant) -> Vec<FailingVolume> {
        let mut table = self.lock();
        table.forget(now);
        let mut failing: Vec<_> = table.entries.values().filter_map(|entry| entry.failing(now)).collect();
        failing.sort_by(|a, b| (&a.namespace, &a.pod, &a.class).cmp(&(&b.namespace, &b.pod, &b.class)));
        failing
    }

    /// Notes what happened to the pods of this node.
    pub(crate) fn note_pods(&self, event: &PodEvent, now: Instant) {
        let mut table = self.lock();
        match event {
            PodEvent::Listed(pods, _) => table.pods = Some(pods.clone()),
            PodEvent::Appeared(uid) => {
                if let Some(pods) = &mut table.pods {
                    pods.insert(uid.clone());
                }
            }
            PodEvent::Gone(uid) => {
                table.entries.retain(|_, entry| *entry.pod_uid != **uid);
                if let Some(pods) = &mut table.pods {
                    pods.remove(uid);
                }
            }
            PodEvent::Unwatchable(_) => table.pods = None,
        }
        table.forget(now);
    }

    /// Inserts an entry, in place of others of its namespace where these leave no room.
    fn insert(
        &self,
        table: &mut Table,
        (key, volume, class): (VolumeKey, &PodVolume, Arc<str>),
        (last_good, failure): (Option<Instant>, Option<LatestFailure>),
        now: Instant,
    ) {
        let (namespace, pod, pod_uid) =
            (name(&volume.namespace), name(&volume.pod.name), name(&volume.pod.uid));
        let texts = [&namespace, &pod, &pod_uid, &class].map(|text| text.len());
        let error = failure.as_ref().map_or(0, |failure| failure.error.len());
        let bytes = ENTRY_BYTES + texts.iter().sum::<usize>() + error;
        let share = loop {
            match self.shares.try_take(&namespace, bytes, Priority::Common) {
                Some(share) => break share,
                None if table.forget(now) || table.remove_oldest_of(&namespace) => {}
                None => return,
            }
        };
        let entry = Entry { namespace, pod, pod_uid, class, last_good, attempted: now, failure, share };
        table.entries.insert(key, entry);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(text: &str) -> Arc<str> {
    shortened(text.to_owned(), LONGEST_NAME).into()
}

impl Table {
    /// Forgets the volumes of pods that are gone. Returns whether there was one.
    fn forget(&mut self, now: Instant) -> bool {
        let (before, pods) = (self.entries.len(), self.pods.as_ref());
        self.entries.retain(|_, entry| entry.is_kept(pods, now));
        self.entries.len() < before
    }

    /// Forgets the volume of a namespace that it mounted longest ago. Returns whether there was one.
    fn remove_oldest_of(&mut self, namespace: &str) -> bool {
        let own = self.entries.iter().filter(|(_, entry)| entry.share.tenant() == namespace);
        let oldest = own.min_by_key(|(_, entry)| entry.attempted).map(|(key, _)| *key);
        oldest.and_then(|key| self.entries.remove(&key)).is_some()
    }
}

impl Entry {
    /// Returns whether the volume's pod is on this node, as far as that is known.
    fn is_kept(&self, pods: Option<&HashSet<String>>, now: Instant) -> bool {
        let longest = match pods {
            Some(pods) if pods.contains(&*self.pod_uid) => return true,
            Some(_) => UNLISTED,
            None if self.failure.is_some() => FORGOTTEN_FAILURE,
            None => FORGOTTEN,
        };
        now.saturating_duration_since(self.attempted) < longest
    }

    fn failing(&self, now: Instant) -> Option<FailingVolume> {
        let failure = self.failure.as_ref()?;
        Some(FailingVolume {
            namespace: Arc::clone(&self.namespace),
            pod: Arc::clone(&self.pod),
            pod_uid: Arc::clone(&self.pod_uid),
            class: Arc::clone(&self.class),
            failing_for: now.saturating_duration_since(failure.since),
            good_before: self.last_good.map(|good| now.saturating_duration_since(good)),
            kind: failure.kind,
            error: Arc::clone(&failure.error),
        })
    }
}

#[cfg(test)]
mod tests;

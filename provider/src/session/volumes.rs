//! The volumes of a session.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::answers::VolumeId;

/// The volumes that a session serves.
#[derive(Default)]
pub(super) struct Volumes(Mutex<VolumeLists>);

#[derive(Default)]
struct VolumeLists {
    /// Those that this process mounted with the session.
    mounted: Vec<VolumeId>,
    /// Those that have got files, from this process or the one before.
    with_files: Vec<VolumeId>,
}

impl Volumes {
    /// Returns the volumes of a restored session, none of which is mounted by this process yet.
    pub(super) fn restored(with_files: Vec<VolumeId>) -> Self {
        Self(Mutex::new(VolumeLists { mounted: Vec::new(), with_files }))
    }

    /// Notes that a volume is mounted. Returns whether it is new.
    pub(super) fn add(&self, volume: VolumeId) -> bool {
        add(&mut self.lock().mounted, volume)
    }

    /// Notes that a volume has got files. Returns whether this was not known.
    pub(super) fn note_files(&self, volume: VolumeId) -> bool {
        add(&mut self.lock().with_files, volume)
    }

    /// Removes a volume. Returns whether it has got files.
    pub(super) fn remove(&self, volume: VolumeId) -> bool {
        let mut lists = self.lock();
        lists.mounted.retain(|other| *other != volume);
        let before = lists.with_files.len();
        lists.with_files.retain(|other| *other != volume);
        lists.with_files.len() < before
    }

    /// Returns whether a volume is mounted.
    pub(super) fn any(&self) -> bool {
        !self.lock().mounted.is_empty()
    }

    /// Returns the volumes that have got files.
    pub(super) fn with_files(&self) -> Vec<VolumeId> {
        self.lock().with_files.clone()
    }

    fn lock(&self) -> MutexGuard<'_, VolumeLists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(volumes: &mut Vec<VolumeId>, volume: VolumeId) -> bool {
    let is_new = !volumes.contains(&volume);
    if is_new {
        volumes.push(volume);
    }
    is_new
}

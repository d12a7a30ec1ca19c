//! A state directory in memory. It outlives the agent, may be full, and may lose or damage records.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::{Secret, StateStore, StoreError, StoredText};

/// What is stored, on a disk that may be full.
#[derive(Default)]
pub(super) struct Disk {
    records: Mutex<BTreeMap<String, Stored>>,
    is_full: AtomicBool,
}

#[derive(Default)]
struct Stored {
    record: Option<Secret>,
    journal: Option<Secret>,
}

/// The way of one agent to the disk.
pub(super) struct AgentStore {
    disk: Arc<Disk>,
    /// Whether the agent is killed, and changes nothing any more.
    is_cut: AtomicBool,
}

impl Disk {
    pub(super) fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Cuts a record in half. Returns pod and role of its session; none if there is no record.
    pub(super) fn truncate_one(&self, number: usize) -> Option<(String, String)> {
        let mut records = self.lock();
        let at = number % records.len().max(1);
        let record = records.values_mut().nth(at)?.record.as_mut()?;
        let text = record.expose_str().expect("UTF-8").to_owned();
        *record = Secret::from(&text[..text.len() / 2]);
        let fields: Value = serde_json::from_str(&text).ok()?;
        let (pod, role) = (&fields["key"]["identity"]["pod"]["uid"], &fields["key"]["role"]);
        Some((pod.as_str()?.to_owned(), role.as_str()?.to_owned()))
    }

    /// Brings all records into the form of the release before: without the list of volumes, and
    /// with the journal in the record.
    pub(super) fn make_old(&self) {
        for stored in self.lock().values_mut() {
            let Some(text) = stored.record.as_ref().and_then(Secret::expose_str) else { continue };
            let Ok(mut fields) = serde_json::from_str::<Value>(text) else { continue };
            if let Some(fields) = fields.as_object_mut() {
                fields.remove("volumes_with_files");
            }
            if let Some(journal) = stored.journal.take() {
                fields["issuing"] = journal.expose_str().unwrap_or_default().lines().collect();
            }
            stored.record = Some(Secret::new(fields.to_string()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Stored>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AgentStore {
    pub(super) fn new(disk: &Arc<Disk>) -> Self {
        Self { disk: Arc::clone(disk), is_cut: AtomicBool::new(false) }
    }

    /// Changes nothing on the disk any more.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Stored>)) {
        if !self.is_cut.load(Ordering::Relaxed) {
            change(&mut self.disk.lock());
        }
    }

    fn write(&self, name: &str, change: impl FnOnce(&mut Stored)) -> Result<(), StoreError> {
        if self.disk.is_full() {
            let source = io::ErrorKind::StorageFull.into();
            return Err(StoreError { place: PathBuf::from("disk"), source });
        }
        self.change(|records| change(records.entry(name.to_owned()).or_default()));
        Ok(())
    }
}

impl StateStore for AgentStore {
    fn names(&self) -> Vec<String> {
        self.disk.lock().keys().cloned().collect()
    }

    fn contains(&self, name: &str) -> bool {
        self.disk.lock().contains_key(name)
    }

    fn load(&self, name: &str) -> Option<StoredText> {
        let records = self.disk.lock();
        let stored = records.get(name)?;
        Some(StoredText { record: stored.record.clone()?, journal: stored.journal.clone() })
    }

    fn save(&self, name: &str, record: &Secret) -> Result<(), StoreError> {
        self.write(name, |stored| stored.record = Some(record.clone()))
    }

    fn save_journal(&self, name: &str, journal: &Secret) -> Result<(), StoreError> {
        self.write(name, |stored| stored.journal = Some(journal.clone()))
    }

    fn remove_journal(&self, name: &str) {
        self.change(|records| {
            if let Some(stored) = records.get_mut(name) {
                stored.journal = None;
            }
        });
    }

    fn remove(&self, name: &str) {
        self.change(|records| drop(records.remove(name)));
    }

    fn set_aside(&self, name: &str, _: &dyn fmt::Display) {
        self.remove(name);
    }
}

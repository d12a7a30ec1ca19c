//! The fuzz target of stored sessions.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use coffer_vault::Secret;

use super::StoredText;
use super::record::{restore, write};
use crate::Clock;
use crate::memory::MemoryAccount;
use crate::session::Sessions;

/// A clock that stands still, three days after the boot.
struct FrozenClock(Instant);

impl Clock for FrozenClock {
    fn now(&self) -> Instant {
        self.0
    }

    fn time_of_day(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn since_boot(&self) -> Duration {
        Duration::from_secs(3 * 86_400)
    }
}

/// Restores a session from a record and a journal, in which each U+FFFD becomes the planted secret.
///
/// # Panics
/// If a restored session is written as another one, or an error repeats the record.
pub fn stored_session(record: &str, journal: &str, planted: &str) {
    let clock = Arc::new(FrozenClock(Instant::now()));
    let record = Secret::new(record.replace('\u{fffd}', planted));
    let Some(first) = restored(&record, Some(journal), &clock, planted) else { return };
    let Some(second) = restored(&first, None, &clock, planted) else { panic!("a record that was written") };
    assert_eq!(first.expose_str(), second.expose_str());
}

/// Returns the record of the session that a record holds; none if it cannot be read, or holds
/// nothing that lasts.
fn restored(
    record: &Secret,
    journal: Option<&str>,
    clock: &Arc<FrozenClock>,
    planted: &str,
) -> Option<Secret> {
    let sessions = Sessions::new(4, MemoryAccount::new(16 << 20), Arc::clone(clock) as Arc<dyn Clock>);
    let stored = StoredText { record: record.clone(), journal: journal.map(Secret::from) };
    match restore("r".to_owned(), &stored, &sessions, &**clock) {
        Ok(session) => write(&session, &**clock),
        Err(error) => {
            let said = format!("{error} {error:?}");
            assert!(!said.contains(planted), "{said}");
            None
        }
    }
}

//! A model of the state directory: an agent of its own process writes records, is killed at a
//! drawn system call, in the middle of a file, or finds the disk full; what is read afterwards is
//! compared with what it was told was stored.

mod agent;
mod foreign;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use coffer_provider::{Secret, StateStore};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof, proptest};
use serde::{Deserialize, Serialize};

use self::agent::{AgentProgress, run_agent};
use self::foreign::{Foreign, foreign};
use super::{StateDir, journal};

/// Cases of one run; each starts some processes.
const CASES: u32 = 48;

/// What every record and journal holds, and no other file may.
const MARK: &str = "planted-secret";

const NAMES: [&str; 3] = [
    "00112233445566778899aabbccddeeff",
    "ffeeddccbbaa99887766554433221100",
    "0123456789abcdef0123456789abcdef",
];

/// What the agent does with one of the names.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Action {
    name: usize,
    what: ActionKind,
}

/// Contents are drawn as sizes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum ActionKind {
    Save(usize),
    SaveJournal(usize),
    RemoveJournal,
    Remove,
}

/// How the life of an agent ends.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum LifeEnd {
    /// After its last action.
    Stopped,
    /// At this stop before or after a system call.
    KilledAtCall(usize),
    /// When a file grows beyond this size.
    KilledAtSize(u64),
    /// After its last action; no file may grow beyond this size.
    DiskFull(u64),
}

/// One life of an agent, and what somebody puts into the directory before it.
#[derive(Debug, Clone)]
struct Life {
    before: Vec<(usize, Foreign)>,
    actions: Vec<Action>,
    end: LifeEnd,
}

fn life() -> impl Strategy<Value = Life> {
    let size = || prop_oneof![0..100_usize, 0..9000_usize];
    let what = prop_oneof![
        4 => size().prop_map(ActionKind::Save),
        2 => size().prop_map(ActionKind::SaveJournal),
        1 => Just(ActionKind::RemoveJournal),
        2 => Just(ActionKind::Remove),
    ];
    let action = (0..NAMES.len(), what).prop_map(|(name, what)| Action { name, what });
    let end = prop_oneof![
        1 => Just(LifeEnd::Stopped),
        5 => (0..170_usize).prop_map(LifeEnd::KilledAtCall),
        2 => (0..9000_u64).prop_map(LifeEnd::KilledAtSize),
        2 => (0..9000_u64).prop_map(LifeEnd::DiskFull),
    ];
    (vec((0..NAMES.len(), foreign()), 0..3), vec(action, 1..8), end).prop_map(|(before, actions, end)| Life {
        before,
        actions,
        end,
    })
}

/// What may be stored under a name: the texts of the record and of the journal, as last told and,
/// after a crash, as asked for then.
#[derive(Debug, Clone, Default)]
struct ExpectedState {
    record: Vec<Option<String>>,
    journal: Vec<Option<String>>,
}

struct StateModel {
    place: tempfile::TempDir,
    path: PathBuf,
    /// The texts that are stored, by name.
    stored: BTreeMap<usize, (String, Option<String>)>,
    lives: usize,
}

impl StateModel {
    fn new() -> Self {
        let place = tempfile::tempdir_in("/dev/shm").expect("a directory on tmpfs");
        let path = place.path().join("state");
        fs::create_dir(&path).expect("a directory");
        fs::write(place.path().join("elsewhere"), "of someone").expect("written");
        Self { place, path, stored: BTreeMap::new(), lives: 0 }
    }

    fn live(&mut self, life: &Life) {
        for (name, foreign) in &life.before {
            if foreign.put(&self.path, NAMES[*name], &self.place.path().join("elsewhere")) {
                self.stored.remove(name);
            }
        }
        self.lives += 1;
        let progress = run_agent(&self.path, self.lives, &life.actions, life.end);
        let expected = self.expected(&life.actions, &progress);
        if matches!(life.end, LifeEnd::Stopped) {
            let all = progress.told.len() == life.actions.len() && progress.told.iter().all(|ok| *ok);
            assert!(all, "an action failed: {progress:?}");
        }
        self.stored = self.read(&expected);
        self.check_files();
    }

    /// Returns what may be stored after the actions of a life.
    fn expected(&self, actions: &[Action], progress: &AgentProgress) -> Vec<ExpectedState> {
        let known = |name: usize| {
            let (record, journal) = self.stored.get(&name).cloned().unzip();
            ExpectedState { record: vec![record], journal: vec![journal.flatten()] }
        };
        let mut all: Vec<ExpectedState> = (0..NAMES.len()).map(known).collect();
        for (n, action) in actions.iter().enumerate() {
            let expected = &mut all[action.name];
            let text = |size| Some(text(self.lives, n, action.name, size));
            let (record, journal) = match action.what {
                ActionKind::Save(size) => (Some(text(size)), None),
                ActionKind::SaveJournal(size) => (None, Some(text(size))),
                ActionKind::RemoveJournal => (None, Some(None)),
                ActionKind::Remove => (Some(None), Some(None)),
            };
            match progress.told.get(n) {
                Some(true) => {
                    record.into_iter().for_each(|record| expected.record = vec![record]);
                    journal.into_iter().for_each(|journal| expected.journal = vec![journal]);
                }
                // what failed has changed nothing
                Some(false) => {}
                None => {
                    expected.record.extend(record);
                    expected.journal.extend(journal);
                    break;
                }
            }
        }
        all
    }

    /// Returns what is stored, as the next agent finds it.
    fn read(&self, expected: &[ExpectedState]) -> BTreeMap<usize, (String, Option<String>)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let directory = runtime.block_on(StateDir::open(&self.path)).expect("the directory opens");
        let names = directory.names();
        let mut stored = BTreeMap::new();
        for (n, expected) in expected.iter().enumerate() {
            let text = |secret: Secret| secret.expose_str().map(str::to_owned).expect("a text");
            let loaded =
                names.iter().any(|name| name == NAMES[n]).then(|| directory.load(NAMES[n])).flatten();
            let loaded = loaded.map(|loaded| (text(loaded.record), loaded.journal.map(text)));
            let (record, journal) = loaded.clone().unzip();
            assert!(expected.record.contains(&record), "{n}: {record:?} is none of {:?}", expected.record);
            let journal = journal.flatten();
            let fits = loaded.is_none() || expected.journal.contains(&journal);
            assert!(fits, "{n}: {journal:?} is none of {:?}", expected.journal);
            stored.extend(loaded.map(|loaded| (n, loaded)));
        }
        stored
    }

    /// Checks that secrets are in the files of what is stored and nowhere else, and that only the
    /// owner may read them.
    fn check_files(&self) {
        let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode(&self.path), 0o700);
        assert_eq!(fs::read_to_string(self.place.path().join("elsewhere")).expect("the file"), "of someone");
        for entry in fs::read_dir(&self.path).expect("the directory").flatten() {
            let name = entry.file_name().into_string().expect("a name");
            let is_file = entry.file_type().expect("a type").is_file();
            if !is_file || name.ends_with(".damaged") || name == ".lock" {
                continue;
            }
            let bytes = fs::read(entry.path()).expect("a file");
            let has_secret = String::from_utf8_lossy(&bytes).contains(MARK);
            let stored = self.stored.iter().any(|(n, (_, with_journal))| {
                name == NAMES[*n] || with_journal.is_some() && name == journal(NAMES[*n])
            });
            assert!(stored || !has_secret, "{name} has a secret");
            assert!(!has_secret || mode(&entry.path()) == 0o600, "{name} can be read by others");
        }
    }
}

/// Returns what an action stores: no two actions store the same.
fn text(life: usize, action: usize, name: usize, size: usize) -> String {
    format!("{MARK} {} {life} {action}\n{}", NAMES[name], "x".repeat(size))
}

fn run(lives: &[Life]) {
    let mut model = StateModel::new();
    lives.iter().for_each(|life| model.live(life));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { CASES },
        max_shrink_iters: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_was_stored_is_read_after_any_end(lives in vec(life(), 1..5)) {
        run(&lives);
    }
}

//! The file with the policy, which is read again when it changes.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::{BadPolicy, Policy};
use crate::{BadText, ReadMetrics, decode_text};

/// Maximum size of the file, in bytes: that of a ConfigMap.
const MAX_BYTES: u64 = 1 << 20;

/// Time between two looks at the file.
const PAUSE: Duration = Duration::from_secs(2);

/// A policy in a file. The last good policy counts while the file cannot be used.
#[derive(Debug)]
pub struct PolicyFile {
    path: PathBuf,
    state: Mutex<PolicyState>,
}

#[derive(Debug)]
struct PolicyState {
    policy: Arc<Policy>,
    /// The text that was read last, good or not.
    text: Option<String>,
    /// What was said of the file last, if it cannot be used.
    problem: Option<String>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// The file cannot be read.
    #[error("the policy {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is no text.
    #[error("the policy {} cannot be read: {source}", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: BadText,
    },
    /// The file holds no policy.
    #[error("the policy {} is wrong: {source}", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// The mistake.
        source: BadPolicy,
    },
}

impl PolicyFile {
    /// Reads a policy from a file.
    ///
    /// # Errors
    /// [`PolicyFileError`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, PolicyFileError> {
        let path = path.into();
        let text = read(&path)?;
        let policy = Arc::new(parse(&path, &text)?);
        let state = Mutex::new(PolicyState { policy, text: Some(text), problem: None });
        Ok(Self { path, state })
    }

    /// Returns the policy that counts.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.lock().policy)
    }

    /// Reads the file again and again, and never ends.
    pub async fn follow(self: Arc<Self>, metrics: Arc<ReadMetrics>) {
        loop {
            sleep(PAUSE).await;
            metrics.policy_stale(!self.reload());
        }
    }

    /// Reads the file again if it changed. Returns whether the policy that counts is that of the
    /// file.
    fn reload(&self) -> bool {
        // by content: ConfigMaps are replaced by links, editors rename files, and times may not move
        let read = read(&self.path);
        let mut state = self.lock();
        let text = read.as_ref().ok();
        if text.is_some() && text == state.text.as_ref() {
            return state.problem.is_none();
        }
        let parsed = read.and_then(|text| {
            let parsed = parse(&self.path, &text);
            state.text = Some(text);
            parsed
        });
        match parsed {
            Ok(policy) => {
                tracing::info!(rules = policy.rules.len(), "the policy was reloaded");
                state.policy = Arc::new(policy);
                state.problem = None;
            }
            Err(error) => {
                if matches!(error, PolicyFileError::Unreadable { .. }) {
                    state.text = None;
                }
                let problem = error.to_string();
                if state.problem.as_ref() != Some(&problem) {
                    tracing::error!(%error, "the policy cannot be used, and the last good one counts");
                }
                state.problem = Some(problem);
            }
        }
        state.problem.is_none()
    }

    fn lock(&self) -> MutexGuard<'_, PolicyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Result<String, PolicyFileError> {
    let bytes = File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    });
    let bytes = bytes.map_err(|source| PolicyFileError::Unreadable { path: path.to_owned(), source })?;
    decode_text(&bytes).map_err(|source| PolicyFileError::NotText { path: path.to_owned(), source })
}

fn parse(path: &Path, text: &str) -> Result<Policy, PolicyFileError> {
    Policy::parse(text).map_err(|source| PolicyFileError::Bad { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::PolicyFile;

    #[test]
    fn the_last_good_policy_counts_until_the_file_is_good_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("policy.yaml");
        let write = |text: &str| fs::write(&path, text).expect("a file");
        let rules = |file: &PolicyFile| file.policy().rules.len();
        assert!(PolicyFile::open(&path).is_err());
        write("rules: [");
        assert!(PolicyFile::open(&path).is_err());

        write("rules: []");
        let file = PolicyFile::open(&path).expect("a policy");
        assert!(file.reload());
        write("rules: [{}]");
        assert!(file.reload());
        assert_eq!(rules(&file), 1);
        write("rules: [{}, {roles: x}]");
        assert!(!file.reload() && !file.reload());
        assert_eq!(rules(&file), 1);
        write("rules: [{}]");
        assert!(file.reload(), "the last good text is back");
        fs::write(&path, b"\xff\xfer\0u\0l\0e\0s\0:\0 \0[\0]\0").expect("a file in UTF-16");
        assert!(file.reload());
        assert_eq!(rules(&file), 0);
        write("rules: [{}]");
        assert!(file.reload());
        fs::remove_file(&path).expect("removed");
        assert!(!file.reload());
        assert_eq!(rules(&file), 1);
        write("rules: [{}]");
        assert!(file.reload());
    }

    #[test]
    fn a_config_map_that_is_replaced_by_its_link_is_read_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        for (version, text) in [("v1", "rules: []"), ("v2", "rules: [{}]")] {
            fs::create_dir(at(version)).expect("a directory");
            fs::write(at(version).join("policy.yaml"), text).expect("a file");
        }
        symlink("v1", at("data")).expect("a link");
        symlink("data/policy.yaml", at("policy.yaml")).expect("a link");
        let file = PolicyFile::open(at("policy.yaml")).expect("a policy");
        symlink("v2", at("next")).expect("a link");
        fs::rename(at("next"), at("data")).expect("renamed");
        assert!(file.reload());
        assert_eq!(file.policy().rules.len(), 1);
    }
}

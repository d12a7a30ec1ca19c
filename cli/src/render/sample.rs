//! Sample data: what Vault would answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use coffer_provider::{Answer, Secret};
use serde_json::value::RawValue;
use thiserror::Error;

/// The data of Vault's answers, by path.
pub(crate) struct SampleData {
    file: PathBuf,
    /// For each path the JSON of `data`, as it is written.
    data: BTreeMap<String, Box<RawValue>>,
}

/// Why the data cannot be used. No message has a value.
#[derive(Debug, Error)]
pub(crate) enum SampleError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is no JSON object.
    #[error(
        "{}: line {line}, column {column}: not a JSON object with the data of each path, such as \
         {{\"secret/data/app\": {{\"data\": {{\"user\": \"ada\"}}}}}}",
        file.display()
    )]
    NoObject {
        /// The file.
        file: PathBuf,
        /// The line of the mistake.
        line: usize,
        /// The column of the mistake.
        column: usize,
    },
    /// There is no data for a path.
    #[error("{}: there is nothing for {path:?}; it has {}", file.display(), list(known))]
    NoPath {
        /// The file.
        file: PathBuf,
        /// The path that is read.
        path: String,
        /// The paths that it has.
        known: Vec<String>,
    },
}

impl SampleData {
    /// Reads the data.
    ///
    /// # Errors
    /// [`SampleError`].
    pub(crate) fn read(file: &Path) -> Result<Self, SampleError> {
        let file = file.to_owned();
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(source) => return Err(SampleError::File { file, source }),
        };
        match serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(&text) {
            Ok(data) => {
                let below = |path: String| path.trim_matches('/').to_owned();
                Ok(Self { file, data: data.into_iter().map(|(path, data)| (below(path), data)).collect() })
            }
            Err(error) => Err(SampleError::NoObject { file, line: error.line(), column: error.column() }),
        }
    }

    /// Returns the answer with the data of a path.
    ///
    /// # Errors
    /// [`SampleError::NoPath`].
    pub(crate) fn answer(&self, path: &str) -> Result<Arc<Answer>, SampleError> {
        let data = self.data.get(path).ok_or_else(|| SampleError::NoPath {
            file: self.file.clone(),
            path: path.to_owned(),
            known: self.data.keys().cloned().collect(),
        })?;
        let data = match secret_of_kv_v2(path, data) {
            Some(secret) => format!(r#"{{"data":{secret},"metadata":{{"version":1}}}}"#),
            None => data.get().to_owned(),
        };
        let body = format!(
            r#"{{"request_id":"sample","lease_id":"","renewable":false,"lease_duration":0,"data":{data}}}"#
        );
        let answer =
            Answer::from_body(Secret::from(body.as_str())).unwrap_or_else(|| unreachable!("it is JSON"));
        Ok(Arc::new(answer))
    }
}

/// Returns the secret in the data of KV version 2, if the sample has it without the metadata that
/// Vault sends along.
fn secret_of_kv_v2<'a>(path: &str, data: &'a RawValue) -> Option<&'a RawValue> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(data.get()).ok()?;
    let secret = members.get("data").filter(|secret| secret.get().starts_with('{'))?;
    (members.len() == 1 && path.contains("/data/")).then_some(*secret)
}

fn list(known: &[String]) -> String {
    match known {
        [] => "nothing".to_owned(),
        known => known.iter().map(|path| format!("{path:?}")).collect::<Vec<_>>().join(", "),
    }
}

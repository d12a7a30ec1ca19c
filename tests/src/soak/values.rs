//! What was written into Vault, and when: each file can be judged by it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

/// The values that a secret of Vault had, in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct SecretHistory(Vec<WrittenValue>);

#[derive(Debug)]
struct WrittenValue {
    id: String,
    /// When Vault had it for sure; `None` if the answer to the write was lost.
    confirmed: Option<Duration>,
}

/// A value that a volume has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeldValue {
    /// Its place in the history.
    pub(super) index: usize,
    /// Since when Vault has had another one for sure.
    pub(super) superseded: Option<Duration>,
}

impl SecretHistory {
    /// Notes a value that is about to be written: from now on Vault may have it.
    pub(super) fn begin(&mut self, id: String) -> usize {
        self.0.push(WrittenValue { id, confirmed: None });
        self.0.len() - 1
    }

    /// Notes that Vault has the value.
    pub(super) fn confirm(&mut self, index: usize, now: Duration) {
        self.0[index].confirmed = Some(now);
    }

    /// Returns the newest value whose form `written` is the file's content.
    pub(super) fn find(&self, content: &[u8], written: impl Fn(&str) -> String) -> Option<HeldValue> {
        let found = self.0.iter().rposition(|value| written(&value.id).as_bytes() == content);
        found.map(|index| HeldValue { index, superseded: self.superseded(index) })
    }

    fn superseded(&self, index: usize) -> Option<Duration> {
        self.0[index + 1..].iter().filter_map(|value| value.confirmed).min()
    }
}

/// Returns the data of the secret with that value.
pub(super) fn data(id: &str) -> Value {
    json!({ "user": format!("u-{id}"), "password": format!("p-{id}") })
}

/// A way in which a value is written into a file.
pub(super) type WrittenForm = fn(&str) -> String;

/// Returns the files of a class that reads the whole secret, by name, with what makes their content
/// of the value.
pub(super) fn app_files() -> BTreeMap<&'static str, WrittenForm> {
    BTreeMap::from([
        ("user", (|id| format!("u-{id}")) as WrittenForm),
        ("password", |id| format!("p-{id}")),
        ("app.json", |id| format!("{{\"password\":\"p-{id}\",\"user\":\"u-{id}\"}}\n")),
        ("app.env", |id| format!("password='p-{id}'\nuser='u-{id}'\n")),
        ("app.conf", |id| format!("user is u-{id}, password is p-{id}\n")),
    ])
}

/// Returns the one file of the secret in classes with credentials.
pub(super) fn host_file() -> BTreeMap<&'static str, WrittenForm> {
    BTreeMap::from([("host", (|id| format!("u-{id}")) as WrittenForm)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_superseded_by_the_next_confirmed_one() {
        let mut history = SecretHistory::default();
        let at = Duration::from_secs;
        for (id, confirmed) in [("1", Some(1)), ("2", None), ("3", Some(30)), ("4", Some(40))] {
            let index = history.begin(id.to_owned());
            if let Some(confirmed) = confirmed {
                history.confirm(index, at(confirmed));
            }
        }
        let held = |content: &str| history.find(content.as_bytes(), |id| format!("u-{id}"));
        assert_eq!(held("u-1"), Some(HeldValue { index: 0, superseded: Some(at(30)) }));
        assert_eq!(held("u-2"), Some(HeldValue { index: 1, superseded: Some(at(30)) }));
        assert_eq!(held("u-4"), Some(HeldValue { index: 3, superseded: None }));
        assert_eq!((held("u-"), held("u-5"), held("")), (None, None, None));
    }
}

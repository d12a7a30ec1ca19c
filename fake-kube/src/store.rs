//! The objects and their history.

use http::{Method, Response};
use serde_json::{Value, json};
use url::Url;

use crate::{FakeBody, json_answer};

/// A write. Its position in the history is its resource version.
pub(crate) struct Change {
    pub(crate) path: String,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

/// All writes that there ever were. What is stored now follows from them.
#[derive(Default)]
pub(crate) struct Store {
    changes: Vec<Change>,
    /// The resource version before which nothing is known any more.
    forgotten: usize,
    /// Whether a watch of what is forgotten is refused, and not begun and ended by an event.
    pub(crate) refuses_forgotten: bool,
    /// Watches of an older generation have ended.
    pub(crate) watch_generation: u64,
    /// Watches of an older generation are silent.
    pub(crate) silent_generation: u64,
}

/// A request that is refused.
pub(crate) struct ApiFailure {
    code: u16,
    reason: &'static str,
}

const NOT_FOUND: ApiFailure = ApiFailure { code: 404, reason: "NotFound" };
const ALREADY_EXISTS: ApiFailure = ApiFailure { code: 409, reason: "AlreadyExists" };
const CONFLICT: ApiFailure = ApiFailure { code: 409, reason: "Conflict" };
const BAD_REQUEST: ApiFailure = ApiFailure { code: 400, reason: "BadRequest" };
pub(crate) const EXPIRED: ApiFailure = ApiFailure { code: 410, reason: "Expired" };

impl ApiFailure {
    pub(crate) fn drawn(code: u16) -> Self {
        Self { code, reason: "Drawn" }
    }

    /// Returns the object that says so.
    pub(crate) fn status(&self) -> Value {
        let Self { code, reason } = self;
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": reason, "reason": reason, "code": code})
    }

    pub(crate) fn answer(&self) -> Response<FakeBody> {
        json_answer(self.code, &self.status())
    }
}

impl Store {
    /// Answers every request but watches.
    pub(crate) fn answer(&mut self, method: &Method, url: &Url, body: &[u8]) -> Result<Value, ApiFailure> {
        let path = url.path();
        let sent = || serde_json::from_slice::<Value>(body).map_err(|_| BAD_REQUEST);
        match *method {
            Method::GET if is_collection(path) => self.list(url),
            Method::GET => self.object(path).cloned().ok_or(NOT_FOUND),
            Method::POST => self.create(path, sent()?),
            Method::PUT => self.replace(path, sent()?),
            Method::PATCH => self.patch(path, &sent()?),
            _ => Err(BAD_REQUEST),
        }
    }

    /// Returns the object at a path.
    pub(crate) fn object(&self, path: &str) -> Option<&Value> {
        self.object_at(path, self.version())
    }

    /// Returns every state of the object at a path.
    pub(crate) fn past_objects(&self, path: &str) -> impl Iterator<Item = &Value> {
        self.changes.iter().filter(move |change| change.path == path).filter_map(|c| c.after.as_ref())
    }

    /// Writes or deletes an object.
    pub(crate) fn put(&mut self, path: &str, object: Option<Value>) {
        match object {
            Some(object) => drop(self.write(path, object)),
            None => {
                if let Some(before) = self.object(path).cloned() {
                    self.changes.push(Change { path: path.to_owned(), before: Some(before), after: None });
                }
            }
        }
    }

    pub(crate) fn forget_changes(&mut self) {
        self.forgotten = self.version();
    }

    /// Returns the resource version of now.
    pub(crate) fn version(&self) -> usize {
        self.changes.len() + 1
    }

    /// Returns whether the changes after a resource version are not known any more.
    pub(crate) fn has_forgotten(&self, version: usize) -> bool {
        version < self.forgotten
    }

    /// Returns the changes after a resource version, each with its own version.
    ///
    /// # Errors
    /// They are forgotten.
    pub(crate) fn changes_since(&self, version: usize) -> Result<Vec<(usize, &Change)>, ApiFailure> {
        if self.has_forgotten(version) {
            return Err(EXPIRED);
        }
        let skipped = version.saturating_sub(1);
        Ok(self.changes.iter().enumerate().skip(skipped).map(|(n, change)| (n + 2, change)).collect())
    }

    fn object_at(&self, path: &str, version: usize) -> Option<&Value> {
        let known = &self.changes[..version - 1];
        known.iter().rev().find(|change| change.path == path)?.after.as_ref()
    }

    fn create(&mut self, collection: &str, object: Value) -> Result<Value, ApiFailure> {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).ok_or(BAD_REQUEST)?;
        let path = format!("{collection}/{name}");
        if self.object(&path).is_some() {
            return Err(ALREADY_EXISTS);
        }
        Ok(self.write(&path, object))
    }

    fn replace(&mut self, path: &str, object: Value) -> Result<Value, ApiFailure> {
        let current = self.object(path).ok_or(NOT_FOUND)?;
        refuse_outdated(&object, current)?;
        Ok(self.write(path, object))
    }

    fn patch(&mut self, path: &str, patch: &Value) -> Result<Value, ApiFailure> {
        let mut object = self.object(path).cloned().ok_or(NOT_FOUND)?;
        refuse_outdated(patch, &object)?;
        merge(&mut object, patch);
        Ok(self.write(path, object))
    }

    fn write(&mut self, path: &str, mut object: Value) -> Value {
        let before = self.object(path).cloned();
        let version = self.version() + 1;
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{version}"));
        }
        self.changes.push(Change { path: path.to_owned(), before, after: Some(object.clone()) });
        object
    }

    /// Lists a collection in pages of one moment.
    fn list(&self, url: &Url) -> Result<Value, ApiFailure> {
        let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
        let limit = parameter("limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
        // a token is the version and the number of objects that were sent
        let token = parameter("continue").and_then(|token| {
            let (version, sent) = token.split_once('-')?;
            Some((version.parse().ok()?, sent.parse().ok()?))
        });
        let (version, sent): (usize, usize) = token.unwrap_or((self.version(), 0));
        if self.has_forgotten(version) {
            return Err(EXPIRED);
        }
        let selector = parameter("fieldSelector").unwrap_or_default();
        let collection = format!("{}/", url.path());
        let mut paths: Vec<&str> = self.changes[..version - 1].iter().map(|change| &*change.path).collect();
        paths.sort_unstable();
        paths.dedup();
        let selected = paths.into_iter().filter(|path| path.starts_with(&collection));
        let selected = selected.filter_map(|path| self.object_at(path, version));
        let all: Vec<&Value> = selected.filter(|object| is_selected(object, &selector)).collect();
        let page: Vec<&Value> = all.iter().skip(sent).take(limit).copied().collect();
        let sent = sent + page.len();
        let next = if sent < all.len() { format!("{version}-{sent}") } else { String::new() };
        Ok(json!({"kind": "List", "apiVersion": "v1", "items": page,
            "metadata": {"resourceVersion": version.to_string(), "continue": next}}))
    }
}

/// Refuses what names another resource version than that of the object.
fn refuse_outdated(sent: &Value, current: &Value) -> Result<(), ApiFailure> {
    let version = |object: &Value| object.pointer("/metadata/resourceVersion").cloned();
    let is_outdated = version(sent).is_some_and(|sent| Some(sent) != version(current));
    if is_outdated { Err(CONFLICT) } else { Ok(()) }
}

/// Returns whether a path names a collection. Only pods are listed.
fn is_collection(path: &str) -> bool {
    path.ends_with("/pods")
}

/// Returns whether an object fits a field selector of `=` and `!=`.
pub(crate) fn is_selected(object: &Value, selector: &str) -> bool {
    selector.split(',').filter(|requirement| !requirement.is_empty()).all(|requirement| {
        let (field, wanted) = requirement.split_once('=').unwrap_or((requirement, ""));
        let pointer = format!("/{}", field.trim_end_matches('!').replace('.', "/"));
        let value = object.pointer(&pointer).and_then(Value::as_str).unwrap_or_default();
        (value == wanted) != field.ends_with('!')
    })
}

/// Applies a JSON merge patch (RFC 7386).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            target.as_object_mut().map(|object| object.remove(name));
        } else {
            merge(&mut target[name], value);
        }
    }
}

//! Vault's answers, prepared for rendering.

use std::borrow::Cow;
use std::sync::Arc;

use coffer_vault::json::JsonValue;
use coffer_vault::{Answer, Envelope};

use crate::class::Output;

/// An answer, prepared once for all objects with the same request.
pub(crate) struct Parsed<'a> {
    pub(super) answer: &'a Arc<Answer>,
    pub(super) envelope: Envelope<'a>,
    pub(super) data: Option<JsonValue<'a>>,
    /// The members of `data`.
    outer: Members<'a>,
    /// The members of the map `data` in `data`, if there is one.
    inner: Option<Members<'a>>,
}

/// The members of an object, sorted by key, so that each of many keys is found at once.
type Members<'a> = Vec<(Cow<'a, str>, JsonValue<'a>)>;

impl<'a> Parsed<'a> {
    pub(crate) fn new(answer: &'a Arc<Answer>) -> Self {
        let envelope = answer.envelope();
        let data = envelope.field("data");
        let outer = data.map(JsonValue::sorted_members).unwrap_or_default();
        let inner = member(&outer, "data").filter(|inner| inner.is_object()).map(JsonValue::sorted_members);
        Self { answer, envelope, data, outer, inner }
    }

    /// Returns the data: without the metadata of KV v2.
    pub(super) fn secret_data(&self) -> Option<JsonValue<'a>> {
        let data = if self.is_kv_v2() { member(&self.outer, "data") } else { self.data };
        data.filter(|data| !data.is_null())
    }

    /// Returns about how many bytes the files of an output will have, or more.
    pub(super) fn length(&self, output: &Output) -> usize {
        let value = match output {
            Output::Value { part, .. } | Output::Document { part, .. } | Output::Files { part, .. } => {
                part.key.as_ref().map_or(self.data, |key| self.select(key))
            }
            Output::Response | Output::Pem { .. } => self.data,
        };
        value.map_or(0, JsonValue::text_length)
    }

    /// Returns the value of a key. In a KV v2 answer the key is in the inner `data`. In other
    /// answers the key is in the outer `data`, else in a map there that is also called `data`.
    pub(super) fn select(&self, key: &str) -> Option<JsonValue<'a>> {
        let inner = || member(self.inner.as_ref()?, key);
        if self.is_kv_v2() { inner() } else { member(&self.outer, key).or_else(inner) }
    }

    /// Returns whether the answer is of KV v2, which has `data`, `metadata` with a version, and no
    /// other member.
    fn is_kv_v2(&self) -> bool {
        let metadata = member(&self.outer, "metadata");
        self.outer.len() == 2
            && member(&self.outer, "data").is_some()
            && metadata.is_some_and(|metadata| metadata.member("version").is_some())
    }
}

fn member<'a>(members: &Members<'a>, key: &str) -> Option<JsonValue<'a>> {
    let at = members.binary_search_by(|(name, _)| name.as_ref().cmp(key)).ok()?;
    Some(members[at].1)
}

//! Renders a file from an answer: selects the key, writes the value as Go does, and decodes the
//! value.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use coffer_shares::Share;
use coffer_vault::json::{JsonValue, write_string};
use coffer_vault::{Answer, Envelope, Secret};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};

use crate::class::{Encoding, Object};
use crate::digest::{Digest, digest};
use crate::go_json::{self, TooLong};
use crate::memory::TenantMemory;
use crate::{Error, ErrorKind};

/// The content of a file.
pub(crate) struct Rendered {
    pub(crate) contents: Secret,
    /// The range of `contents` from which the version is computed.
    pub(crate) hashed: Range<usize>,
}

/// An answer, prepared once for all objects with the same request.
pub(crate) struct Parsed<'a> {
    envelope: Envelope<'a>,
    data: Option<JsonValue<'a>>,
    /// The members of `data`.
    outer: Members<'a>,
    /// The members of the map `data` in `data`, if there is one.
    inner: Option<Members<'a>>,
}

/// The members of an object, sorted by key, so that each of many keys is found at once.
type Members<'a> = Vec<(Cow<'a, str>, JsonValue<'a>)>;

impl<'a> Parsed<'a> {
    pub(crate) fn new(answer: &'a Answer) -> Self {
        let envelope = answer.envelope();
        let data = envelope.field("data");
        let outer = data.map(JsonValue::sorted_members).unwrap_or_default();
        let inner = member(&outer, "data").filter(|inner| inner.is_object()).map(JsonValue::sorted_members);
        Self { envelope, data, outer, inner }
    }

    /// Returns about how many bytes the file of an object will have.
    pub(crate) fn length(&self, object: &Object) -> usize {
        let value = object.key.as_ref().map_or(self.data, |key| self.select(key));
        value.map_or(0, |value| value.raw().len())
    }

    /// Returns the value of a key. In a KV v2 answer the key is in the inner `data`. In other
    /// answers the key is in the outer `data`, else in a map there that is also called `data`.
    fn select(&self, key: &str) -> Option<JsonValue<'a>> {
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

/// Renders the file of an object, of at most `limit` bytes. `frames` are those of the session.
///
/// # Errors
/// [`ErrorKind::NotFound`], if the answer has no such key; [`ErrorKind::BadAnswer`], if the value
/// cannot be decoded; [`ErrorKind::TooLarge`], if the file is larger than allowed.
pub(crate) fn render(
    object: &Object,
    parsed: &Parsed<'_>,
    frames: &Frames,
    limit: usize,
) -> Result<Rendered, Error> {
    let rendered = match (parsed.data, &object.key) {
        (None, _) => Err(Error::new(ErrorKind::NotFound, "Vault's answer holds no data")),
        (Some(data), None) => whole(object, parsed, data, frames, limit),
        (Some(_), Some(key)) => value(parsed, key, limit)
            .and_then(|value| decode(value, object.encoding))
            .map(|contents| Rendered { hashed: 0..contents.len(), contents }),
    };
    rendered.map_err(|error| error.with_object(object.file.as_str()).with_path(&object.request.path))
}

/// Returns the value of `key`: a string as its text, any other value as JSON.
fn value(parsed: &Parsed<'_>, key: &str, limit: usize) -> Result<Secret, Error> {
    let raw = parsed.select(key).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("the secret has no key {key:?}"))
            .with_advice("Check secretKey")
    })?;
    match raw.string() {
        Some(text) => Ok(text),
        None => {
            let mut text = Secret::default();
            go_json::write(&mut text, raw, limit).map_err(too_long)?;
            Ok(text)
        }
    }
}

/// Decodes a value as Go does for the incumbent. Go's base64 decoder skips line breaks.
fn decode(value: Secret, encoding: Encoding) -> Result<Secret, Error> {
    let decoded = match encoding {
        Encoding::Utf8 => return Ok(value),
        Encoding::Base64 => {
            let mut text = value;
            if text.expose().iter().any(|b| matches!(b, b'\r' | b'\n')) {
                let mut kept = Secret::new(Vec::with_capacity(text.len()));
                text.expose().split(|b| matches!(b, b'\r' | b'\n')).for_each(|line| kept.push(line));
                text = kept;
            }
            BASE64.decode(text.expose())
        }
        Encoding::Hex => HEXLOWER_PERMISSIVE.decode(value.expose()),
    };
    let name = if encoding == Encoding::Hex { "hexadecimal" } else { "base64" };
    decoded.map(Secret::new).map_err(|_| {
        Error::new(ErrorKind::BadAnswer, format!("the value is not {name}"))
            .with_advice("Check secretKey and encoding")
    })
}

/// Renders a whole response, with the fields of the struct `Secret` of Vault's Go client in their
/// order.
fn whole(
    object: &Object,
    parsed: &Parsed<'_>,
    data: JsonValue<'_>,
    frames: &Frames,
    limit: usize,
) -> Result<Rendered, Error> {
    let mut text = Secret::default();
    go_json::write(&mut text, data, limit).map_err(too_long)?;
    let frame = frames.frame(object, &text, &parsed.envelope, limit)?;
    let mut contents = Secret::new(Vec::with_capacity(frame.before.len() + text.len() + frame.after.len()));
    contents.push(frame.before.expose());
    let from = contents.len();
    contents.push(text.expose());
    let hashed = from..contents.len();
    contents.push(frame.after.expose());
    Ok(Rendered { contents, hashed })
}

fn too_long(error: TooLong) -> Error {
    Error::new(ErrorKind::TooLarge, format!("the file is {error}"))
        .with_advice("Split the class, or raise the limit")
}

/// The JSON before and after the `data` of a whole response, which changes with every answer: the
/// request ID, for example.
#[derive(Clone)]
struct Frame {
    before: Secret,
    after: Secret,
}

/// The names of fields, each with the JSON that Go writes if the field is not set.
type Fields = &'static [(&'static str, &'static str)];

const BEFORE_DATA: Fields =
    &[("request_id", "\"\""), ("lease_id", "\"\""), ("lease_duration", "0"), ("renewable", "false")];

const AUTH: Fields = &[
    ("client_token", "\"\""),
    ("accessor", "\"\""),
    ("policies", "null"),
    ("token_policies", "null"),
    ("identity_policies", "null"),
    ("metadata", "null"),
    ("orphan", "false"),
    ("entity_id", "\"\""),
    ("lease_duration", "0"),
    ("renewable", "false"),
    ("mfa_requirement", "null"),
];

const WRAP_INFO: Fields = &[
    ("token", "\"\""),
    ("accessor", "\"\""),
    ("ttl", "0"),
    ("creation_time", "\"0001-01-01T00:00:00Z\""),
    ("creation_path", "\"\""),
    ("wrapped_accessor", "\"\""),
];

impl Frame {
    fn new(envelope: &Envelope<'_>, limit: usize) -> Result<Self, TooLong> {
        let mut before = Secret::from("{");
        write_fields(&mut before, BEFORE_DATA, limit, |name| envelope.field(name))?;
        before.push(b",\"data\":");
        Ok(Self { before, after: Self::after(envelope, limit)? })
    }

    fn after(envelope: &Envelope<'_>, limit: usize) -> Result<Secret, TooLong> {
        let mut after = Secret::from(",");
        write_fields(&mut after, &[("warnings", "null")], limit, |name| envelope.field(name))?;
        for (name, fields) in [("auth", AUTH), ("wrap_info", WRAP_INFO)] {
            if let Some(value) = envelope.field(name).filter(|value| value.is_object()) {
                after.push(format!(",{name:?}:{{").as_bytes());
                write_fields(&mut after, fields, limit, |field| value.member(field))?;
                after.push(b"}");
            }
        }
        if let Some(mount_type) = envelope.field("mount_type").filter(|text| text.raw() != "\"\"") {
            after.push(b",\"mount_type\":");
            go_json::write(&mut after, mount_type, limit)?;
        }
        after.push(b"}");
        Ok(after)
    }
}

fn write_fields<'a>(
    out: &mut Secret,
    fields: Fields,
    limit: usize,
    value: impl Fn(&str) -> Option<JsonValue<'a>>,
) -> Result<(), TooLong> {
    for (n, (name, unset)) in fields.iter().enumerate() {
        if n > 0 {
            out.push(b",");
        }
        write_string(out, name);
        out.push(b":");
        match value(name).filter(|value| value.raw() != "null") {
            Some(value) => go_json::write(out, value, limit)?,
            None => out.push(unset.as_bytes()),
        }
    }
    Ok(())
}

/// The last frame of each whole response of one session, so that a file has the same bytes while
/// its data does not change. The data itself is not stored, only a digest.
pub(crate) struct Frames {
    framed: Mutex<Vec<Framed>>,
    /// The memory for frames; without it none is stored.
    memory: Option<TenantMemory>,
}

struct Framed {
    object: Digest,
    data: Digest,
    frame: Frame,
    _memory: Share,
}

/// Maximum number of frames of one session, far more than a pod mounts.
const MAX_FRAMES: usize = 128;

/// Maximum size of a stored frame, in bytes.
const MAX_FRAME: usize = 4096;

impl Frames {
    /// Returns an empty list, whose frames take memory of this namespace.
    pub(crate) fn stored_in(memory: TenantMemory) -> Self {
        Self { framed: Mutex::default(), memory: Some(memory) }
    }

    /// Returns a list that stores no frames, for a single read.
    pub(crate) fn unstored() -> Self {
        Self { framed: Mutex::default(), memory: None }
    }

    /// Drops all frames.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// Returns the last frame of an object if the data is the same, else that of the new answer.
    fn frame(
        &self,
        object: &Object,
        data: &Secret,
        envelope: &Envelope<'_>,
        limit: usize,
    ) -> Result<Frame, Error> {
        let (object, data) = (digest(object.fingerprint.expose()), digest(data.expose()));
        let mut frames = self.lock();
        let last = frames.iter().position(|framed| framed.object == object);
        if let Some(framed) = last.map(|at| &frames[at]).filter(|framed| framed.data == data) {
            return Ok(framed.frame.clone());
        }
        let frame = Frame::new(envelope, limit).map_err(too_long)?;
        if let Some(at) = last {
            frames.swap_remove(at);
        }
        // a Vault token or a wrapping token in the answer must always be the new one
        let issues = envelope.field("auth").is_some() || envelope.field("wrap_info").is_some();
        let bytes = frame.before.capacity() + frame.after.capacity() + size_of::<Framed>();
        if !issues
            && bytes <= MAX_FRAME
            && frames.len() < MAX_FRAMES
            && let Some(memory) = self.memory.as_ref().and_then(|memory| memory.take(bytes))
        {
            frames.push(Framed { object, data, frame: frame.clone(), _memory: memory });
        }
        Ok(frame)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Framed>> {
        self.framed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;

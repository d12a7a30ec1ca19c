//! What is around the `data` of a whole response: it changes with every answer, and is kept while
//! the data is the same.

use std::sync::{Mutex, MutexGuard, PoisonError};

use coffer_shares::Share;
use coffer_vault::json::{JsonValue, write_string};
use coffer_vault::{Envelope, Secret};

use super::too_long;
use crate::Error;
use crate::class::Object;
use crate::digest::{Digest, digest};
use crate::go_json::{self, TooLong};
use crate::memory::TenantMemory;

/// The JSON before and after the `data` of a whole response, which changes with every answer: the
/// request ID, for example.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) before: Secret,
    pub(super) after: Secret,
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
    memory: Share,
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

    /// Returns the memory that is charged for frames, in bytes.
    pub(crate) fn charged_bytes(&self) -> usize {
        self.lock().iter().map(|framed| framed.memory.amount()).sum()
    }

    /// Drops all frames.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// Returns the last frame of an object if the data is the same, else that of the new answer.
    pub(super) fn frame(
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
            frames.push(Framed { object, data, frame: frame.clone(), memory });
        }
        Ok(frame)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Framed>> {
        self.framed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

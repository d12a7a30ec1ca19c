//! A response becomes a file: select the key, write it as Go would, decode.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use serde_json::value::RawValue;

use crate::class::{Encoding, Object};
use crate::go_json::{self, BadJson, RawObject};
use crate::vault::{Answer, Envelope};
use crate::{Error, ErrorKind, Secret};

/// A file's bytes, and which of them its version is made from.
pub(crate) struct Rendered {
    pub(crate) contents: Secret,
    pub(crate) hashed: Range<usize>,
}

/// Renders an object's file. `earlier` holds what the same objects were rendered from before.
///
/// # Errors
/// `NotFound` where the key is not in the response, `BadAnswer` where its value does not decode.
pub(crate) fn render(object: &Object, answer: &Answer, earlier: &Earlier) -> Result<Rendered, Error> {
    let envelope = answer.envelope();
    let rendered = match &object.key {
        Some(key) => value(&envelope, key)
            .and_then(|value| decode(value, object.encoding))
            .map(|contents| Rendered { hashed: 0..contents.len(), contents }),
        None => whole(object, &envelope, earlier),
    };
    rendered.map_err(|error| error.with_object(object.file.as_str()).with_path(&object.request.path))
}

/// The value at `key`, a string plainly, anything else as JSON.
fn value(envelope: &Envelope<'_>, key: &str) -> Result<Secret, Error> {
    let data = envelope.field("data").and_then(go_json::object);
    let data = data.ok_or_else(|| Error::new(ErrorKind::NotFound, "Vault's answer holds no data"))?;
    let raw = select(&data, key).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("the secret has no key {key:?}"))
            .with_advice("Check secretKey")
    })?;
    match go_json::string(raw) {
        Some(text) => Ok(text),
        None => {
            let mut json = Secret::default();
            go_json::write(&mut json, raw).map_err(unreadable)?;
            Ok(json)
        }
    }
}

/// Finds a key: in the inner data of a KV v2 answer, else in the data itself, and only then in a map that
/// happens to be called `data`.
fn select<'a>(data: &RawObject<'a>, key: &str) -> Option<&'a RawValue> {
    let inner = data.get("data").copied().and_then(go_json::object);
    if is_kv_v2(data) {
        return inner?.get(key).copied();
    }
    data.get(key).copied().or_else(|| inner?.get(key).copied())
}

/// KV v2 answers `data` and `metadata` with the version in it, and nothing else.
fn is_kv_v2(data: &RawObject<'_>) -> bool {
    let metadata = data.get("metadata").copied().and_then(go_json::object);
    data.len() == 2
        && data.contains_key("data")
        && metadata.is_some_and(|metadata| metadata.contains_key("version"))
}

/// Decodes a value as the incumbent does: Go's decoders, the base64 one of which skips line breaks.
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

/// The whole response in the order of the Vault client's `Secret`, `data` in the middle.
fn whole(object: &Object, envelope: &Envelope<'_>, earlier: &Earlier) -> Result<Rendered, Error> {
    let mut data = Secret::default();
    match envelope.field("data") {
        Some(raw) => go_json::write(&mut data, raw).map_err(unreadable)?,
        None => data.push(b"null"),
    }
    let frame = earlier.frame(object, &data, || Frame::new(envelope))?;
    let mut contents = Secret::new(Vec::with_capacity(frame.before.len() + data.len() + frame.after.len()));
    contents.push(frame.before.expose());
    let from = contents.len();
    contents.push(data.expose());
    let hashed = from..contents.len();
    contents.push(frame.after.expose());
    Ok(Rendered { contents, hashed })
}

fn unreadable(error: BadJson) -> Error {
    Error::new(ErrorKind::BadAnswer, format!("Vault's answer is {error}"))
}

/// What stands around the `data` of a whole response; it changes with every request.
#[derive(Clone)]
struct Frame {
    before: Secret,
    after: Secret,
}

/// Fields of an answer with what Go writes where they are not set; those without are left out then.
type Fields = &'static [(&'static str, Option<&'static str>)];

const BEFORE_DATA: Fields = &[
    ("request_id", Some("\"\"")),
    ("lease_id", Some("\"\"")),
    ("lease_duration", Some("0")),
    ("renewable", Some("false")),
];

const AUTH: Fields = &[
    ("client_token", Some("\"\"")),
    ("accessor", Some("\"\"")),
    ("policies", Some("null")),
    ("token_policies", Some("null")),
    ("identity_policies", Some("null")),
    ("metadata", Some("null")),
    ("orphan", Some("false")),
    ("entity_id", Some("\"\"")),
    ("lease_duration", Some("0")),
    ("renewable", Some("false")),
    ("mfa_requirement", Some("null")),
];

const WRAP_INFO: Fields = &[
    ("token", Some("\"\"")),
    ("accessor", Some("\"\"")),
    ("ttl", Some("0")),
    ("creation_time", Some("\"0001-01-01T00:00:00Z\"")),
    ("creation_path", Some("\"\"")),
    ("wrapped_accessor", Some("\"\"")),
];

impl Frame {
    fn new(envelope: &Envelope<'_>) -> Result<Self, Error> {
        let mut before = Secret::from("{");
        write_fields(&mut before, BEFORE_DATA, |name| envelope.field(name)).map_err(unreadable)?;
        before.push(b",\"data\":");
        let after = Self::after(envelope).map_err(unreadable)?;
        Ok(Self { before, after })
    }

    fn after(envelope: &Envelope<'_>) -> Result<Secret, BadJson> {
        let mut after = Secret::from(",");
        write_fields(&mut after, &[("warnings", Some("null"))], |name| envelope.field(name))?;
        for (name, fields) in [("auth", AUTH), ("wrap_info", WRAP_INFO)] {
            if let Some(members) = envelope.field(name).and_then(go_json::object) {
                after.push(format!(",{name:?}:{{").as_bytes());
                write_fields(&mut after, fields, |field| members.get(field).copied())?;
                after.push(b"}");
            }
        }
        if let Some(mount_type) = envelope.field("mount_type").filter(|text| text.get() != "\"\"") {
            after.push(b",\"mount_type\":");
            go_json::write(&mut after, mount_type)?;
        }
        after.push(b"}");
        Ok(after)
    }
}

fn write_fields<'a>(
    out: &mut Secret,
    fields: Fields,
    value: impl Fn(&str) -> Option<&'a RawValue>,
) -> Result<(), BadJson> {
    for (n, (name, unset)) in fields.iter().enumerate() {
        if n > 0 {
            out.push(b",");
        }
        go_json::write_string(out, name);
        out.push(b":");
        match (value(name).filter(|value| value.get() != "null"), unset) {
            (Some(value), _) => go_json::write(out, value)?,
            (None, unset) => out.push(unset.unwrap_or("null").as_bytes()),
        }
    }
    Ok(())
}

/// What whole responses of one identity were framed with, so that a file whose data did not change keeps its
/// bytes. It holds no data, only a digest of it.
#[derive(Default)]
pub(crate) struct Earlier(Mutex<Vec<([u8; SHA256_OUTPUT_LEN], Frame)>>);

/// Frames kept for one identity, far above what a pod mounts.
const MAX_FRAMES: usize = 128;

impl Earlier {
    fn frame(
        &self,
        object: &Object,
        data: &Secret,
        new: impl FnOnce() -> Result<Frame, Error>,
    ) -> Result<Frame, Error> {
        let mut context = Context::new(&SHA256);
        context.update(object.fingerprint.expose());
        context.update(data.expose());
        let mut digest = [0; SHA256_OUTPUT_LEN];
        digest.copy_from_slice(context.finish().as_ref());

        let mut frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, frame)) = frames.iter().find(|(known, _)| *known == digest) {
            return Ok(frame.clone());
        }
        let frame = new()?;
        if frames.len() == MAX_FRAMES {
            frames.remove(0);
        }
        frames.push((digest, frame.clone()));
        Ok(frame)
    }
}

#[cfg(test)]
mod tests;

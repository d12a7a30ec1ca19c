//! The parameter `objects`: a list in YAML, flow YAML or JSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{Budget, Spanned};

use super::{Encoding, FilePath, Object, mode, request_path};
use crate::plan::{Method, Request};
use crate::{Error, Secret, go_json};

/// Objects of one class, at most.
const MAX_OBJECTS: usize = 1000;

/// Longest `secretPath`, in bytes.
const MAX_PATH: usize = 4096;

const FIELDS: [&str; 7] =
    ["objectName", "secretPath", "secretKey", "method", "secretArgs", "filePermission", "encoding"];

/// Parses the list; the second value is what looks like a mistake and is none.
///
/// # Errors
/// `InvalidClass`, naming the object and the line within `objects`.
pub(super) fn parse(text: &str) -> Result<(Vec<Object>, Vec<String>), Error> {
    let raw: Option<Vec<RawObject>> =
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| unreadable(&error))?;
    let raw = raw.unwrap_or_default();
    if raw.is_empty() {
        return Err(Error::class("parameter \"objects\" lists no object: there is nothing to mount"));
    }
    if raw.len() > MAX_OBJECTS {
        return Err(Error::class(format!(
            "parameter \"objects\" lists {} objects, more than {MAX_OBJECTS}",
            raw.len()
        )));
    }
    let mut warnings = Vec::new();
    let mut objects: Vec<(Object, u64)> = Vec::with_capacity(raw.len());
    for (n, raw) in raw.into_iter().enumerate() {
        let line = raw.line;
        let named = raw.name();
        let object = raw.check(&mut warnings).map_err(|(line, reason)| {
            let error = Error::class(format!("parameter \"objects\", line {line}: {reason}"));
            match &named {
                Some(name) => error.with_object(name),
                None => {
                    Error { message: format!("{} (object {} of the list)", error.message, n + 1), ..error }
                }
            }
        })?;
        objects.push((object, line));
    }
    check_collisions(&objects)?;
    Ok((objects.into_iter().map(|(object, _)| object).collect(), warnings))
}

/// No two objects may want one file, nor one a file where the other needs a directory.
fn check_collisions(objects: &[(Object, u64)]) -> Result<(), Error> {
    let mut sorted: Vec<_> = objects.iter().map(|(object, line)| (&object.file, *line)).collect();
    sorted.sort();
    let taken = |at: usize, reason: String| {
        let (file, line) = sorted[at];
        Error::class(format!("parameter \"objects\", line {line}: {reason}")).with_object(file.as_str())
    };
    for at in 1..sorted.len() {
        let (file, first) = sorted[at - 1];
        if file == sorted[at].0 {
            return Err(taken(
                at,
                format!("line {first} has the same objectName: two objects would be one file"),
            ));
        }
    }
    for (at, (file, _)) in sorted.iter().enumerate() {
        let above = |(other, _): &(&FilePath, u64)| other.is_above(file);
        if let Some((other, first)) = sorted[..at].iter().find(|other| above(other)) {
            return Err(taken(
                at,
                format!(
                    "line {first} makes {other:?} a file, this one needs it as a directory",
                    other = other.as_str()
                ),
            ));
        }
    }
    Ok(())
}

/// A class is written by a tenant and parsed at every mount: tight limits, no alias bombs.
fn options() -> serde_saphyr::Options {
    let mut budget = Budget::default();
    budget.max_aliases = 256;
    budget.max_anchors = 64;
    budget.max_depth = 32;
    budget.max_nodes = 50_000;
    budget.max_events = 200_000;
    budget.max_total_scalar_bytes = 1 << 20;
    let mut options = serde_saphyr::Options::default();
    options.budget = Some(budget);
    options.alias_limits.max_total_replayed_events = 10_000;
    options.with_snippet = false;
    // as Go's yaml.v3 reads arguments: NO is a country, 0644 is octal
    options.strict_booleans = true;
    options.legacy_octal_numbers = true;
    options
}

/// The parser's own words, without the text that it was reading: arguments may be secret.
fn unreadable(error: &serde_saphyr::Error) -> Error {
    let line = error.location().map(|at| format!(", line {}", at.line())).unwrap_or_default();
    let mut reason = error.without_snippet().to_string();
    reason = reason.lines().next().unwrap_or_default().trim().to_owned();
    if let Some((before, _)) = reason.split_once(" at line ") {
        reason.truncate(before.len());
    }
    Error::class(format!("parameter \"objects\"{line}: not a list of objects in YAML or JSON: {reason}"))
}

/// One entry of the list as it was written, with the lines of its fields.
struct RawObject {
    line: u64,
    text: [Option<(u64, String)>; FIELDS.len()],
    arguments: Option<Value>,
    unknown: Vec<(u64, String)>,
}

type Refusal = (u64, String);

impl RawObject {
    fn field(&self, name: &str) -> Option<(u64, &str)> {
        let at = FIELDS.iter().position(|field| *field == name)?;
        self.text[at].as_ref().map(|(line, text)| (*line, text.as_str()))
    }

    /// The object's name for messages, shortened.
    fn name(&self) -> Option<String> {
        let (_, name) = self.field("objectName").filter(|(_, name)| !name.is_empty())?;
        Some(name.chars().take(80).collect())
    }

    fn check(self, warnings: &mut Vec<String>) -> Result<Object, Refusal> {
        let text = |name| self.field(name).map_or("", |(_, text)| text);
        let refuse = |name: &str, reason: &str| {
            let line = self.field(name).map_or(self.line, |(line, _)| line);
            (line, format!("{name} {reason}"))
        };
        let file = FilePath::parse(text("objectName")).map_err(|reason| refuse("objectName", reason))?;
        if text("secretPath").is_empty() {
            return Err(refuse("secretPath", "is missing"));
        }
        if text("secretPath").len() > MAX_PATH {
            return Err(refuse("secretPath", "is longer than 4096 bytes"));
        }
        let path = request_path::parse(text("secretPath")).map_err(|reason| refuse("secretPath", &reason))?;
        let method = Method::parse(text("method")).ok_or_else(|| {
            refuse("method", &format!("{:?} is none of GET, LIST, POST and PUT", text("method")))
        })?;
        let mode = match text("filePermission") {
            "" => None,
            mode => mode::parse(mode).map_err(|reason| refuse("filePermission", reason))?,
        };
        let encoding = parse_encoding(text("encoding")).ok_or_else(|| {
            refuse("encoding", &format!("{:?} is none of utf-8, base64 and hex", text("encoding")))
        })?;
        let key = Some(text("secretKey").to_owned()).filter(|key| !key.is_empty());
        if key.is_none() && encoding != Encoding::Utf8 {
            let reason =
                "needs a secretKey: the whole response is JSON, which decodes as neither base64 nor hex";
            return Err(refuse("encoding", reason));
        }
        let arguments = self.arguments.as_ref().map(json);
        for (line, field) in self.unknown.iter().take(super::MAX_WARNINGS.saturating_sub(warnings.len())) {
            let what = super::unknown_field("field", field, &FIELDS);
            warnings.push(format!("object {file:?}, line {line}: {what}", file = file.as_str()));
        }
        if arguments.is_some() && !method.has_body() {
            warnings.push(format!(
                "object {file:?}: secretArgs are not sent with {method}: Vault reads none there",
                file = file.as_str(),
                method = method.as_str()
            ));
        }
        Ok(Object {
            fingerprint: self.fingerprint(mode, arguments.as_ref()),
            request: Request {
                method,
                path: path.path,
                query: path.query,
                body: arguments.filter(|_| method.has_body()),
            },
            file,
            key,
            mode,
            encoding,
        })
    }

    /// The object as the incumbent's Go struct prints as JSON, field for field.
    fn fingerprint(&self, mode: Option<u32>, arguments: Option<&Secret>) -> Secret {
        let mut out = Secret::default();
        for (n, (go_name, field)) in [
            ("ObjectName", "objectName"),
            ("SecretPath", "secretPath"),
            ("SecretKey", "secretKey"),
            ("Method", "method"),
            ("SecretArgs", "secretArgs"),
            ("FilePermission", "filePermission"),
            ("Encoding", "encoding"),
        ]
        .into_iter()
        .enumerate()
        {
            out.push(if n == 0 { b"{" } else { b"," });
            go_json::write_string(&mut out, go_name);
            out.push(b":");
            match field {
                "secretArgs" => out.push(arguments.map_or(b"null", Secret::expose)),
                "filePermission" => out.push(mode.unwrap_or(0).to_string().as_bytes()),
                _ => go_json::write_string(&mut out, self.field(field).map_or("", |(_, text)| text)),
            }
        }
        out.push(b"}");
        out
    }
}

fn parse_encoding(text: &str) -> Option<Encoding> {
    match text.to_ascii_lowercase().as_str() {
        "" | "utf-8" => Some(Encoding::Utf8),
        "base64" => Some(Encoding::Base64),
        "hex" => Some(Encoding::Hex),
        _ => None,
    }
}

fn json(value: &Value) -> Secret {
    let mut out = Secret::default();
    go_json::write_value(&mut out, value);
    out
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = RawObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with objectName and secretPath")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject, A::Error> {
                let mut object =
                    RawObject { line: 0, text: Default::default(), arguments: None, unknown: Vec::new() };
                while let Some(name) = map.next_key::<Spanned<String>>()? {
                    let line = name.referenced.line();
                    object.line = if object.line == 0 { line } else { object.line };
                    match FIELDS.iter().position(|field| *field == name.value) {
                        Some(_) if name.value == "secretArgs" => {
                            object.arguments = arguments(map.next_value()?)?;
                        }
                        Some(at) => {
                            object.text[at] = map.next_value::<Option<String>>()?.map(|text| (line, text));
                        }
                        None => {
                            map.next_value::<IgnoredAny>()?;
                            object.unknown.push((line, name.value));
                        }
                    }
                }
                Ok(object)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// `secretArgs` are a map, as Vault's API takes its arguments by name.
fn arguments<E: serde::de::Error>(value: Value) -> Result<Option<Value>, E> {
    match value {
        Value::Null => Ok(None),
        Value::Object(_) => Ok(Some(value)),
        _ => Err(E::custom("secretArgs is no map of names to values")),
    }
}

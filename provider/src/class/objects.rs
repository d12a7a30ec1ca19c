//! The parameter `objects`: a list in YAML, flow YAML or JSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{Budget, Spanned};

use super::request_path::{self, RequestPath};
use super::{Encoding, FilePath, Finding, Findings, Object, Position, mode};
use crate::plan::{Method, Request};
use crate::{Secret, go_json};

/// Objects of one class, at most.
const MAX_OBJECTS: usize = 1000;

/// Longest `secretPath`, in bytes.
const MAX_PATH: usize = 4096;

pub(super) const FIELDS: [&str; 7] =
    ["objectName", "secretPath", "secretKey", "method", "secretArgs", "filePermission", "encoding"];

/// Parses the list: the objects without a mistake, and the names of all.
pub(super) fn parse(
    text: &str,
    found: &mut Findings,
    max_warnings: usize,
) -> (Vec<Object>, Vec<(String, Position)>) {
    let Some(raw) = found.take(read(text)) else {
        return Default::default();
    };
    let (mut objects, mut names, mut files) = (Vec::with_capacity(raw.len()), Vec::new(), Vec::new());
    for (n, raw) in raw.iter().enumerate() {
        names.extend(raw.text("objectName").map(|name| (name.to_owned(), raw.at)));
        let mut check = Check { raw, number: n + 1, found, max_warnings };
        let file = check.file();
        let object = check.object(file.as_ref());
        files.extend(file.map(|file| (file, raw.at)));
        objects.extend(object);
    }
    check_collisions(files, found);
    (objects, names)
}

fn read(text: &str) -> Result<Vec<RawObject>, Finding> {
    let raw: Option<Vec<RawObject>> =
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| unreadable(&error))?;
    let raw = raw.unwrap_or_default();
    let refused = |message: String| Err(Finding::of("objects", format!("parameter \"objects\" {message}")));
    match raw.len() {
        0 => refused("lists no object: there is nothing to mount".to_owned()),
        1..=MAX_OBJECTS => Ok(raw),
        many => refused(format!("lists {many} objects, more than {MAX_OBJECTS}")),
    }
}

/// No two objects may want one file, nor one a file where the other needs a directory.
fn check_collisions(mut files: Vec<(FilePath, Position)>, found: &mut Findings) {
    files.sort();
    let mut refuse = |(file, at): &(FilePath, Position), message| {
        let object = Some(shortened(file.as_str()));
        found.mistakes.push(Finding { object, ..Finding::of("objects", message).at(Some(*at)) });
    };
    for pair in files.windows(2) {
        let [(first, Position { line, .. }), second] = pair else { continue };
        if *first == second.0 {
            refuse(second, format!("line {line} has the same objectName: two objects would be one file"));
        }
    }
    for (at, file) in files.iter().enumerate() {
        let above = files[..at].iter().find(|(other, _)| other.is_above(&file.0));
        if let Some((other, Position { line, .. })) = above {
            refuse(
                file,
                format!(
                    "line {line} makes {other:?} a file, this one needs it as a directory",
                    other = other.as_str()
                ),
            );
        }
    }
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
fn unreadable(error: &serde_saphyr::Error) -> Finding {
    let mut reason = error.without_snippet().to_string();
    reason = reason.lines().next().unwrap_or_default().trim().to_owned();
    if let Some((before, _)) = reason.split_once(" at line ") {
        reason.truncate(before.len());
    }
    let message = format!("not a list of objects in YAML or JSON: {reason}");
    match error.location() {
        Some(at) => Finding::of("objects", message).at(Some(Position::of(at))),
        None => Finding::of("objects", format!("parameter \"objects\": {message}")),
    }
}

/// A name for messages.
fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}

/// One entry of the list as it was written, with the places of its fields.
struct RawObject {
    at: Position,
    text: [Option<(Position, String)>; FIELDS.len()],
    arguments: Option<(Position, Value)>,
    unknown: Vec<(Position, String)>,
}

/// One entry under examination.
struct Check<'a> {
    raw: &'a RawObject,
    /// Its place in the list, from 1.
    number: usize,
    found: &'a mut Findings,
    max_warnings: usize,
}

impl Check<'_> {
    fn file(&mut self) -> Option<FilePath> {
        let parsed = FilePath::parse(self.raw.text("objectName").unwrap_or_default());
        self.take("objectName", parsed.map_err(ToOwned::to_owned))
    }

    fn object(&mut self, file: Option<&FilePath>) -> Option<Object> {
        let raw = self.raw;
        let path = self.take("secretPath", raw.path());
        let method = self.take("method", raw.method());
        let mode = self.take("filePermission", raw.mode());
        let encoding = self.take("encoding", raw.encoding());
        let arguments = self.take("secretArgs", raw.arguments());
        self.warn_of_unknown_fields();
        let (file, path, method, mode, encoding, arguments) =
            (file?.clone(), path?, method?, mode?, encoding?, arguments?);
        if let Some((at, _)) = raw.arguments.as_ref().filter(|_| !method.has_body()) {
            let method = method.as_str();
            self.warn(*at, format!("secretArgs are not sent with {method}: Vault reads none there"));
        }
        Some(Object {
            fingerprint: raw.fingerprint(mode, arguments.as_ref()),
            request: Request {
                method,
                path: path.path,
                query: path.query,
                body: arguments.filter(|_| method.has_body()),
            },
            file,
            key: raw.text("secretKey").map(ToOwned::to_owned),
            mode,
            encoding,
        })
    }

    fn warn_of_unknown_fields(&mut self) {
        let room = self.max_warnings.saturating_sub(self.found.warnings.len());
        for (at, field) in self.raw.unknown.iter().take(room) {
            self.warn(*at, super::unknown_field("field", field, &FIELDS));
        }
    }

    fn warn(&mut self, at: Position, message: String) {
        if self.found.warnings.len() < self.max_warnings {
            let warning = self.finding(at, message);
            self.found.warnings.push(warning);
        }
    }

    /// The field's value, or nothing and one mistake more.
    fn take<T>(&mut self, field: &str, parsed: Result<T, String>) -> Option<T> {
        let at = self.raw.field(field).map_or(self.raw.at, |(at, _)| at);
        let parsed = parsed.map_err(|reason| self.finding(at, format!("{field} {reason}")));
        self.found.take(parsed)
    }

    fn finding(&self, at: Position, message: String) -> Finding {
        let finding = Finding::of("objects", message).at(Some(at));
        match self.raw.text("objectName") {
            Some(name) => Finding { object: Some(shortened(name)), ..finding },
            None => Finding {
                message: format!("{} (object {} of the list)", finding.message, self.number),
                ..finding
            },
        }
    }
}

impl RawObject {
    fn field(&self, name: &str) -> Option<(Position, &str)> {
        if let Some((at, _)) = self.arguments.as_ref().filter(|_| name == "secretArgs") {
            return Some((*at, ""));
        }
        let at = FIELDS.iter().position(|field| *field == name)?;
        self.text[at].as_ref().map(|(at, text)| (*at, text.as_str()))
    }

    /// The field's text; an empty one counts as none.
    fn text(&self, name: &str) -> Option<&str> {
        self.field(name).map(|(_, text)| text).filter(|text| !text.is_empty())
    }

    fn path(&self) -> Result<RequestPath, String> {
        match self.text("secretPath") {
            None => Err("is missing".to_owned()),
            Some(path) if path.len() > MAX_PATH => Err("is longer than 4096 bytes".to_owned()),
            Some(path) => request_path::parse(path),
        }
    }

    fn method(&self) -> Result<Method, String> {
        let text = self.text("method").unwrap_or_default();
        Method::parse(text).ok_or_else(|| format!("{text:?} is none of GET, LIST, POST and PUT"))
    }

    fn mode(&self) -> Result<Option<u32>, String> {
        self.text("filePermission").map_or(Ok(None), |text| mode::parse(text).map_err(ToOwned::to_owned))
    }

    fn encoding(&self) -> Result<Encoding, String> {
        let text = self.text("encoding").unwrap_or_default();
        let encoding =
            parse_encoding(text).ok_or_else(|| format!("{text:?} is none of utf-8, base64 and hex"))?;
        if self.text("secretKey").is_none() && encoding != Encoding::Utf8 {
            return Err(
                "needs a secretKey: the whole response is JSON, which decodes as neither base64 nor hex"
                    .to_owned(),
            );
        }
        Ok(encoding)
    }

    /// `secretArgs` are a map, as Vault's API takes its arguments by name.
    fn arguments(&self) -> Result<Option<Secret>, String> {
        match &self.arguments {
            None => Ok(None),
            Some((_, value @ Value::Object(_))) => Ok(Some(json(value))),
            Some(_) => Err("is no map of names to values".to_owned()),
        }
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
                _ => go_json::write_string(&mut out, self.text(field).unwrap_or_default()),
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
                let mut object = RawObject {
                    at: Position::NONE,
                    text: Default::default(),
                    arguments: None,
                    unknown: Vec::new(),
                };
                while let Some(name) = map.next_key::<Spanned<String>>()? {
                    let at = Position::of(name.referenced);
                    object.at = if object.at == Position::NONE { at } else { object.at };
                    match FIELDS.iter().position(|field| *field == name.value) {
                        Some(_) if name.value == "secretArgs" => {
                            object.arguments = map.next_value::<Option<Value>>()?.map(|value| (at, value));
                        }
                        Some(n) => {
                            object.text[n] = map.next_value::<Option<String>>()?.map(|text| (at, text));
                        }
                        None => {
                            map.next_value::<IgnoredAny>()?;
                            object.unknown.push((at, name.value));
                        }
                    }
                }
                Ok(object)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

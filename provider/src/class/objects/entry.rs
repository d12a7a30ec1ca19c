//! One entry of the list `objects`.

use std::fmt;
use std::sync::Arc;

use coffer_vault::json::write_string;
use coffer_vault::{Method, Request};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::{FIELDS, shortened};
use crate::class::request_path::{self, RequestPath};
use crate::class::{Encoding, FilePath, Finding, Findings, Object, Position, mode, unknown_field};
use crate::{Secret, go_json};

/// Longest `secretPath`, in bytes.
const MAX_PATH: usize = 4096;

/// One entry of the list as it was written, with the places of its fields.
pub(super) struct RawObject {
    pub(super) at: Position,
    text: [Option<(Position, String)>; FIELDS.len()],
    arguments: Option<(Position, Value)>,
    unknown: Vec<(Position, String)>,
}

/// One entry under examination.
pub(super) struct Check<'a> {
    pub(super) raw: &'a RawObject,
    /// Its place in the list, from 1.
    pub(super) number: usize,
    pub(super) found: &'a mut Findings,
    pub(super) max_warnings: usize,
}

impl Check<'_> {
    pub(super) fn file(&mut self) -> Option<FilePath> {
        let parsed = FilePath::parse(self.raw.text("objectName").unwrap_or_default());
        self.take("objectName", parsed.map_err(ToOwned::to_owned))
    }

    pub(super) fn object(&mut self, file: Option<&FilePath>) -> Option<Object> {
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
            request: Arc::new(Request {
                method,
                path: path.path,
                query: path.query,
                body: arguments.filter(|_| method.has_body()),
            }),
            file,
            key: raw.text("secretKey").map(ToOwned::to_owned),
            mode,
            encoding,
        })
    }

    fn warn_of_unknown_fields(&mut self) {
        let room = self.max_warnings.saturating_sub(self.found.warnings.len());
        for (at, field) in self.raw.unknown.iter().take(room) {
            self.warn(*at, unknown_field("field", field, &FIELDS));
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
    pub(super) fn text(&self, name: &str) -> Option<&str> {
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
            write_string(&mut out, go_name);
            out.push(b":");
            match field {
                "secretArgs" => out.push(arguments.map_or(b"null", Secret::expose)),
                "filePermission" => out.push(mode.unwrap_or(0).to_string().as_bytes()),
                _ => write_string(&mut out, self.text(field).unwrap_or_default()),
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

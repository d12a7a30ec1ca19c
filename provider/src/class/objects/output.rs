//! Checks the fields that say what is made of an answer, alone and together.

use super::fields::{FieldValue, ObjectFields};
use crate::class::json_pointer::{BadJsonPointer, JsonPointer};
use crate::class::key_filter::KeyFilter;
use crate::class::output::{DocumentFormat, Encoding, Output, Part};
use crate::glob::BadGlob;

/// The names of the formats, for messages.
const FORMATS: &str = "response, json, yaml, dotenv, shell, properties, pem and files";

/// Maximum number of patterns in one list.
const MAX_PATTERNS: usize = 64;

/// Why a field is refused. Each message continues a sentence that begins with the name of the field.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadOutput {
    #[error("{0:?} is none of {FORMATS}")]
    Format(String),
    #[error("{0:?} is none of utf-8, base64 and hex")]
    Encoding(String),
    #[error("needs a secretKey: the whole response is JSON, which decodes as neither base64 nor hex")]
    EncodingOfResponse,
    #[error("goes with one value or with format: files, not with format: {0}")]
    EncodingOfDocument(&'static str),
    #[error(
        "goes with formats that take several keys (json, yaml, dotenv, shell, properties, files), not with {0}"
    )]
    NoKeys(&'static str),
    #[error("response is the whole response: leave out {0}, or use format: json")]
    PartOfResponse(&'static str),
    #[error("is a list, which goes with format: pem only. To take several keys, use include")]
    ListOfKeys,
    #[error("{0}")]
    Keys(&'static str),
    #[error("pem needs a secretKey: the key of a certificate or a private key, or a list of keys")]
    PemWithoutKey,
    #[error("goes with one secretKey, not with a list")]
    PointerOfList,
    #[error(transparent)]
    Pointer(#[from] BadJsonPointer),
    #[error("has more than {MAX_PATTERNS} patterns")]
    TooManyPatterns,
    #[error("has a pattern that {0}")]
    Pattern(BadGlob),
    #[error("has the key {0:?}, which is no file name")]
    KeyIsNoFile(String),
}

/// The mistakes of fields, by name.
type Mistakes = Vec<(&'static str, BadOutput)>;

/// Returns whether the object makes a file for each key, so that its `objectName` is a directory.
pub(super) fn is_directory(fields: &ObjectFields) -> bool {
    fields.text("format") == Some("files")
}

/// The fields that say what is made of an answer.
pub(super) struct OutputFields<'a> {
    format: Option<&'a str>,
    keys: Vec<&'a str>,
    has_list_of_keys: bool,
    pointer: Option<&'a str>,
    include: Option<&'a [String]>,
    exclude: Option<&'a [String]>,
    encoding: Option<&'a str>,
}

impl<'a> OutputFields<'a> {
    pub(super) fn of(fields: &'a ObjectFields) -> Self {
        let list = |name| match fields.value(name) {
            Some(FieldValue::List(texts)) => Some(texts.as_slice()),
            _ => None,
        };
        let listed = list("secretKey");
        Self {
            format: fields.text("format"),
            keys: match listed {
                Some(keys) => keys.iter().map(String::as_str).collect(),
                None => fields.text("secretKey").into_iter().collect(),
            },
            has_list_of_keys: listed.is_some(),
            pointer: fields.text("jsonPointer"),
            include: list("include"),
            exclude: list("exclude"),
            encoding: fields.text("encoding"),
        }
    }

    /// Returns the output, or the mistakes in the fields.
    pub(super) fn parse(self) -> (Option<Output>, Mistakes) {
        let mut mistakes = Mistakes::new();
        let pointer = self.pointer.map(JsonPointer::parse).transpose();
        let pointer = take(pointer, "jsonPointer", &mut mistakes);
        let encoding = take(self.encoding(), "encoding", &mut mistakes);
        let filter = KeyFilter::parse(self.include, self.exclude)
            .map_err(|(field, bad)| mistakes.push((field, BadOutput::Pattern(bad))));
        self.check_lists(&mut mistakes);
        let format = self.format.unwrap_or(if self.is_part() { "value" } else { "response" });
        self.check_format(format, encoding, &mut mistakes);
        let (Some(pointer), Some(encoding), Ok(keys)) = (pointer, encoding, filter) else {
            return (None, mistakes);
        };
        if !mistakes.is_empty() {
            return (None, mistakes);
        }
        let key = self.keys.first().map(|key| (*key).to_owned());
        let format = match format {
            "response" => return (Some(Output::Response), mistakes),
            "value" => return (Some(Output::Value { part: Part { key, pointer }, encoding }), mistakes),
            "files" => {
                return (Some(Output::Files { part: Part { key, pointer }, keys, encoding }), mistakes);
            }
            "json" => DocumentFormat::Json,
            "yaml" => DocumentFormat::Yaml,
            "dotenv" => DocumentFormat::Dotenv,
            "shell" => DocumentFormat::Shell,
            "properties" => DocumentFormat::Properties,
            _ => return (Some(self.pem(pointer)), mistakes),
        };
        (Some(Output::Document { format, part: Part { key, pointer }, keys }), mistakes)
    }

    fn pem(&self, pointer: Option<JsonPointer>) -> Output {
        let mut keys = self.keys.iter().map(|key| (*key).to_owned());
        if self.has_list_of_keys {
            Output::Pem { keys: keys.collect(), part: Part { key: None, pointer } }
        } else {
            Output::Pem { keys: Vec::new(), part: Part { key: keys.next(), pointer } }
        }
    }

    /// Returns whether the object takes a part of the data.
    fn is_part(&self) -> bool {
        !self.keys.is_empty() || self.pointer.is_some()
    }

    fn encoding(&self) -> Result<Encoding, BadOutput> {
        match self.encoding.map(str::to_ascii_lowercase).as_deref() {
            None | Some("utf-8") => Ok(Encoding::Utf8),
            Some("base64") => Ok(Encoding::Base64),
            Some("hex") => Ok(Encoding::Hex),
            Some(_) => Err(BadOutput::Encoding(self.encoding.unwrap_or_default().to_owned())),
        }
    }

    /// Checks the lists by themselves.
    fn check_lists(&self, mistakes: &mut Mistakes) {
        for (field, list) in [("include", self.include), ("exclude", self.exclude)] {
            if list.is_some_and(|list| list.len() > MAX_PATTERNS) {
                mistakes.push((field, BadOutput::TooManyPatterns));
            }
        }
        if self.has_list_of_keys {
            let mut sorted = self.keys.clone();
            sorted.sort_unstable();
            let problem = if sorted.is_empty() {
                "is an empty list"
            } else if sorted[0].is_empty() {
                "has an empty key"
            } else if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
                "names a key twice"
            } else if sorted.len() > MAX_PATTERNS {
                "has more than 64 keys"
            } else {
                return;
            };
            mistakes.push(("secretKey", BadOutput::Keys(problem)));
        }
    }

    /// Checks which fields go with the format. `value` stands for one value, which has no format.
    fn check_format(&self, format: &str, encoding: Option<Encoding>, mistakes: &mut Mistakes) {
        let mut refuse = |field, bad| mistakes.push((field, bad));
        let name = match format {
            "value" => "one value",
            "response" => "response",
            "json" => "json",
            "yaml" => "yaml",
            "dotenv" => "dotenv",
            "shell" => "shell",
            "properties" => "properties",
            "pem" => "pem",
            "files" => "files",
            other => return refuse("format", BadOutput::Format(other.to_owned())),
        };
        if self.has_list_of_keys && format != "pem" {
            refuse("secretKey", BadOutput::ListOfKeys);
        }
        if format == "pem" && !self.is_part() && !self.has_list_of_keys {
            refuse("format", BadOutput::PemWithoutKey);
        }
        if format == "pem" && self.has_list_of_keys && self.pointer.is_some() {
            refuse("jsonPointer", BadOutput::PointerOfList);
        }
        if format == "response" {
            let part =
                if self.keys.is_empty() { self.pointer.map(|_| "jsonPointer") } else { Some("secretKey") };
            if let Some(part) = part {
                refuse("format", BadOutput::PartOfResponse(part));
            }
        }
        if matches!(format, "value" | "response" | "pem") {
            for (field, list) in [("include", self.include), ("exclude", self.exclude)] {
                if list.is_some() {
                    refuse(field, BadOutput::NoKeys(name));
                }
            }
        }
        match (format, encoding) {
            (_, None) | ("value" | "files", _) => {}
            // the incumbent takes it, and it changes nothing
            ("response", Some(Encoding::Utf8)) if self.format.is_none() => {}
            ("response", _) if self.encoding.is_some() => refuse("encoding", BadOutput::EncodingOfResponse),
            _ if self.encoding.is_some() => refuse("encoding", BadOutput::EncodingOfDocument(name)),
            _ => {}
        }
    }
}

fn take<T>(
    parsed: Result<T, impl Into<BadOutput>>,
    field: &'static str,
    mistakes: &mut Mistakes,
) -> Option<T> {
    parsed.map_err(|bad| mistakes.push((field, bad.into()))).ok()
}

//! Checks one entry of the list `objects`, field by field.

use std::sync::Arc;

use coffer_vault::{Method, Request, Secret};
use serde_json::Value;

use super::boolean::{NoBoolean, boolean};
use super::fields::{FIELDS, ObjectFields};
use super::fingerprint::fingerprint;
use super::output::{BadOutput, OutputFields, is_directory};
use super::shape::{ARGUMENTS, kind_of};
use super::shortened;
use super::template::{self, BadTemplate, is_template};
use crate::class::file_path::{BadFilePath, FilePath};
use crate::class::finding::{Finding, Findings, Position};
use crate::class::mode::{self, BadMode};
use crate::class::object::{Object, Source};
use crate::class::output::Output;
use crate::class::place::Place;
use crate::class::request_path::{self, BadSecretPath, RequestPath};
use crate::class::template::ObjectTemplate;
use crate::class::unknown;
use crate::go_json::write_value;

/// Longest `secretPath`, in bytes.
const MAX_PATH_BYTES: usize = 4096;

/// One entry, and where its mistakes are recorded.
pub(super) struct ObjectCheck<'a> {
    pub(super) fields: &'a ObjectFields,
    /// The entry's place in the list, from 1.
    pub(super) number: usize,
    pub(super) found: &'a mut Findings,
    pub(super) max_warnings: usize,
}

/// Why a field is refused. Each message continues a sentence that begins with the name of the
/// field.
#[derive(Debug, thiserror::Error)]
enum BadField {
    #[error("is missing")]
    Missing,
    #[error("is longer than {MAX_PATH_BYTES} bytes")]
    PathTooLong,
    #[error("{0:?} is none of GET, LIST, POST and PUT")]
    Method(String),
    #[error(transparent)]
    NoBoolean(#[from] NoBoolean),
    #[error("goes with GET and LIST only: a {0} issues something, which is there or an error")]
    OptionalIssue(&'static str),
    #[error("is {0}, where {ARGUMENTS} is expected")]
    ArgumentsNotAMap(&'static str),
    #[error(transparent)]
    File(#[from] BadFilePath),
    #[error(transparent)]
    Path(#[from] BadSecretPath),
    #[error(transparent)]
    Mode(#[from] BadMode),
    #[error(transparent)]
    Output(#[from] BadOutput),
    #[error(transparent)]
    Template(#[from] BadTemplate),
}

impl ObjectCheck<'_> {
    /// Checks `objectName`.
    pub(super) fn place(&mut self) -> Option<Place> {
        let name = self.fields.text("objectName").unwrap_or_default();
        let place = if is_directory(self.fields) {
            Place::parse_directory(name)
        } else {
            FilePath::parse(name).map(Place::File)
        };
        self.take("objectName", place)
    }

    /// Checks all other fields, and returns the object if there is no mistake in it.
    pub(super) fn object(&mut self, place: Option<&Place>) -> Option<Object> {
        let fields = self.fields;
        self.warn_of_unknown_fields();
        let mode = self.take("filePermission", fields.text("filePermission").map_or(Ok(None), mode::parse));
        let source = match is_template(fields) {
            true => self.template().map(Source::Template),
            false => self.answer(place),
        };
        let is_optional = self.take("optional", optional(fields, source.as_ref()));
        let (place, mode, source, is_optional) = (place?.clone(), mode?, source?, is_optional?);
        Some(Object { fingerprint: fingerprint(fields, mode), place, source, mode, is_optional })
    }

    fn template(&mut self) -> Option<ObjectTemplate> {
        template::parse(self.fields).map_err(|mistakes| self.add(mistakes)).ok()
    }

    fn answer(&mut self, place: Option<&Place>) -> Option<Source> {
        let fields = self.fields;
        let path = self.take("secretPath", path(fields));
        let method = self.take("method", method(fields));
        let output = self.output();
        let arguments = self.take("secretArgs", arguments(fields));
        self.add(template::without_template(fields));
        let (path, method, output, arguments) = (path?, method?, output?, arguments?);
        if !self.key_files(place?, &output) {
            return None;
        }
        if let Some((at, _)) = fields.arguments.as_ref().filter(|_| !method.has_body()) {
            let method = method.as_str();
            self.warn(*at, format!("secretArgs are not sent with {method}: Vault reads none there"));
        }
        let body = arguments.filter(|_| method.has_body());
        let request = Request { method, path: path.path, query: path.query, body };
        Some(Source::Answer { request: Arc::new(request), output })
    }

    /// Checks the names of the files whose keys are known beforehand.
    fn key_files(&mut self, place: &Place, output: &Output) -> bool {
        let Output::Files { keys, .. } = output else { return true };
        let bad = keys.needed().find(|key| place.file_of_key(key).is_err());
        let bad = bad.map(|key| BadOutput::KeyIsNoFile(key.to_owned()));
        bad.is_none_or(|bad| self.take::<()>("include", Err(bad)).is_some())
    }

    fn output(&mut self) -> Option<Output> {
        let (outputs, mistakes) = OutputFields::of(self.fields).parse();
        self.add(mistakes);
        outputs
    }

    fn add(&mut self, mistakes: Vec<(&'static str, impl Into<BadField>)>) {
        for (field, bad) in mistakes {
            self.take::<()>(field, Err(bad));
        }
    }

    fn warn_of_unknown_fields(&mut self) {
        let left = self.max_warnings.saturating_sub(self.found.warnings.len());
        for (at, field) in self.fields.unknown.iter().take(left) {
            self.warn(*at, unknown::warning("field", field, &FIELDS));
        }
    }

    fn warn(&mut self, at: Position, message: String) {
        if self.found.warnings.len() < self.max_warnings {
            let warning = self.finding(at, message);
            self.found.warnings.push(warning);
        }
    }

    /// Returns the field's value, or records the mistake in the field.
    fn take<T>(&mut self, field: &str, parsed: Result<T, impl Into<BadField>>) -> Option<T> {
        let parsed = parsed.map_err(|bad| {
            let bad: BadField = bad.into();
            self.finding(self.fields.position(field), format!("{field} {bad}"))
        });
        self.found.take(parsed)
    }

    fn finding(&self, at: Position, message: String) -> Finding {
        let finding = Finding::of("objects", message).at(Some(at));
        match self.fields.text("objectName") {
            Some(name) => Finding { object: Some(shortened(name)), ..finding },
            None => Finding {
                message: format!("{} (object {} of the list)", finding.message, self.number),
                ..finding
            },
        }
    }
}

fn path(fields: &ObjectFields) -> Result<RequestPath, BadField> {
    match fields.text("secretPath") {
        None => Err(BadField::Missing),
        Some(path) if path.len() > MAX_PATH_BYTES => Err(BadField::PathTooLong),
        Some(path) => Ok(request_path::parse(path)?),
    }
}

fn method(fields: &ObjectFields) -> Result<Method, BadField> {
    let text = fields.text("method").unwrap_or_default();
    Method::parse(text).ok_or_else(|| BadField::Method(text.to_owned()))
}

fn optional(fields: &ObjectFields, source: Option<&Source>) -> Result<bool, BadField> {
    let is_optional = boolean(fields, "optional", false)?;
    let requests = source.map(Source::requests).unwrap_or_default();
    match requests.iter().find(|request| is_optional && request.method.has_body()) {
        Some(request) => Err(BadField::OptionalIssue(request.method.as_str())),
        None => Ok(is_optional),
    }
}

/// Returns `secretArgs` as JSON: a map, since Vault's API takes arguments by name.
fn arguments(fields: &ObjectFields) -> Result<Option<Secret>, BadField> {
    match &fields.arguments {
        None => Ok(None),
        Some((_, value @ Value::Object(_))) => Ok(Some(json(value))),
        Some((_, other)) => Err(BadField::ArgumentsNotAMap(kind_of(other))),
    }
}

fn json(value: &Value) -> Secret {
    let mut out = Secret::default();
    write_value(&mut out, value);
    out
}

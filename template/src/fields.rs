//! Fields of secrets and keys of maps: `.Data.data.password`.

use std::sync::Arc;

use coffer_vault::Answer;
use coffer_vault::json::JsonValue;

use crate::budget::{BYTES_PER_STEP, MemoryMeter};
use crate::render_fault::RenderProblem;
use crate::value::{Bytes, JsonPart, TemplateValue};

/// The fields of a secret, in the order of the struct of consul-template.
pub(crate) const SECRET_FIELDS: [&str; 8] =
    ["RequestID", "LeaseID", "LeaseDuration", "Renewable", "Data", "Warnings", "Auth", "WrapInfo"];

/// The fields of a login.
pub(crate) const AUTH_FIELDS: [&str; 6] =
    ["ClientToken", "Accessor", "Policies", "Metadata", "LeaseDuration", "Renewable"];

/// The fields of a certificate.
pub(crate) const CERTIFICATE_FIELDS: [&str; 4] = ["Cert", "Key", "CA", "CAChain"];

/// Members of a map that are looked at in one step.
const MEMBERS_PER_STEP: usize = 16;

/// Finds fields, and counts the steps that it takes.
pub(crate) struct FieldReader<'a> {
    pub(crate) meter: &'a Arc<MemoryMeter>,
    pub(crate) error_on_missing_key: bool,
    pub(crate) steps: usize,
}

impl FieldReader<'_> {
    /// Returns a field of a value.
    pub(crate) fn field(&mut self, of: &TemplateValue, name: &str) -> Result<TemplateValue, RenderProblem> {
        let no_field = || RenderProblem::NoField { name: name.to_owned(), found: of.words() };
        match of {
            TemplateValue::Missing if self.error_on_missing_key => {
                Err(RenderProblem::MissingKey(name.to_owned()))
            }
            TemplateValue::Missing => Ok(TemplateValue::Missing),
            TemplateValue::NilMap { of_texts: false } => self.missing(name, TemplateValue::Nil),
            TemplateValue::Json(part) if part.get().is_object() => match self.member(part, name) {
                Some(member) => self.read(&member),
                None => self.missing(name, TemplateValue::Nil),
            },
            TemplateValue::TextMap(part) => match self.member(part, name) {
                Some(member) => self.read(&member),
                None => self.missing_text(name),
            },
            TemplateValue::NilMap { of_texts: true } => self.missing_text(name),
            TemplateValue::Secret(answer) => self.secret_field(answer, name)?.ok_or_else(no_field),
            TemplateValue::Auth(part) => self.auth_field(part, name)?.ok_or_else(no_field),
            TemplateValue::Certificate(texts) => match name {
                "Data" => Ok(of.clone()),
                "Cert" => Ok(TemplateValue::Text(texts.certificate.clone())),
                "Key" => Ok(TemplateValue::Text(texts.key.clone())),
                "CA" => Ok(TemplateValue::Text(texts.authority.clone())),
                "CAChain" => Ok(TemplateValue::Texts(texts.chain.clone())),
                _ => Err(no_field()),
            },
            _ => Err(no_field()),
        }
    }

    fn missing(&self, name: &str, zero: TemplateValue) -> Result<TemplateValue, RenderProblem> {
        if self.error_on_missing_key { Err(RenderProblem::MissingKey(name.to_owned())) } else { Ok(zero) }
    }

    fn missing_text(&self, name: &str) -> Result<TemplateValue, RenderProblem> {
        self.missing(name, TemplateValue::Text(Bytes::copy(b"", self.meter)?))
    }

    /// Returns the member of a map.
    pub(crate) fn member(&mut self, map: &JsonPart, name: &str) -> Option<JsonPart> {
        let object = map.get();
        let mut found = None;
        let mut members = 0;
        for (key, value) in object.members() {
            members += 1;
            if key == name {
                found = Some(value.handle());
            }
        }
        self.steps += members / MEMBERS_PER_STEP;
        Some(map.at(found?))
    }

    /// Returns a value of JSON, and counts its bytes.
    pub(crate) fn read(&mut self, part: &JsonPart) -> Result<TemplateValue, RenderProblem> {
        let value = part.get();
        if !value.is_object() && !value.is_array() {
            self.steps += value.raw().len() / BYTES_PER_STEP;
        }
        part.value(self.meter)
    }

    /// Returns a field of a secret; none if the struct has no such field.
    pub(crate) fn secret_field(
        &mut self,
        answer: &Arc<Answer>,
        name: &str,
    ) -> Result<Option<TemplateValue>, RenderProblem> {
        let envelope = answer.envelope();
        let whole = JsonPart::of_answer(answer);
        let part = |field: &str| envelope.field(field).map(|value| whole.at(value.handle()));
        Ok(Some(match name {
            "RequestID" => self.text(envelope.field("request_id"))?,
            "LeaseID" => self.text(envelope.field("lease_id"))?,
            "LeaseDuration" => whole_number(envelope.field("lease_duration")),
            "Renewable" => truth(envelope.field("renewable")),
            "Data" => match part("data") {
                Some(data) if data.get().members().next().is_some() => TemplateValue::Json(data),
                _ => TemplateValue::NilMap { of_texts: false },
            },
            "Warnings" => TemplateValue::texts(envelope.field("warnings"), self.meter)?,
            "Auth" => part("auth").map_or(TemplateValue::NilPointer, TemplateValue::Auth),
            "WrapInfo" if envelope.field("wrap_info").is_some() => {
                return Err(RenderProblem::Unsupported("a wrapped answer"));
            }
            "WrapInfo" => TemplateValue::NilPointer,
            _ => return Ok(None),
        }))
    }

    /// Returns a field of a login; none if the struct has no such field.
    pub(crate) fn auth_field(
        &mut self,
        auth: &JsonPart,
        name: &str,
    ) -> Result<Option<TemplateValue>, RenderProblem> {
        let field = |name: &str| auth.get().member(name);
        Ok(Some(match name {
            "ClientToken" => self.text(field("client_token"))?,
            "Accessor" => self.text(field("accessor"))?,
            "Policies" => TemplateValue::texts(field("policies"), self.meter)?,
            "Metadata" => match field("metadata").filter(|map| map.members().next().is_some()) {
                Some(map) => TemplateValue::TextMap(auth.at(map.handle())),
                None => TemplateValue::NilMap { of_texts: true },
            },
            "LeaseDuration" => whole_number(field("lease_duration")),
            "Renewable" => truth(field("renewable")),
            _ => return Ok(None),
        }))
    }

    fn text(&self, value: Option<JsonValue<'_>>) -> Result<TemplateValue, RenderProblem> {
        let text = value.and_then(JsonValue::string).unwrap_or_default();
        Bytes::copy(text.expose(), self.meter).map(TemplateValue::Text)
    }
}

fn whole_number(value: Option<JsonValue<'_>>) -> TemplateValue {
    TemplateValue::Whole(value.and_then(|value| value.raw().parse().ok()).unwrap_or(0))
}

fn truth(value: Option<JsonValue<'_>>) -> TemplateValue {
    TemplateValue::Bool(value.is_some_and(|value| value.raw() == "true"))
}

//! The values that a template works with. Texts are bytes, wiped when they are not used any more.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use coffer_vault::json::{JsonHandle, JsonText, JsonValue};
use coffer_vault::{Answer, Secret};

use crate::budget::{MAX_ITEMS, MAX_VALUE, MemoryMeter, MeteredMemory, Sink};
use crate::certificate::CertificateTexts;
use crate::render_fault::RenderProblem;

/// A value, of the kinds that Go has with consul-template.
#[derive(Clone)]
pub(crate) enum TemplateValue {
    /// Nothing, which Go prints as `<no value>`.
    Missing,
    /// `null` of JSON, or `nil`.
    Nil,
    /// A part of an answer that is not there, such as `.Auth`.
    NilPointer,
    Bool(bool),
    Whole(i64),
    Float(f64),
    Text(Bytes),
    /// A number of Vault, with the digits that Vault sent.
    Number(Bytes),
    /// A list of texts.
    Texts(Texts),
    /// A map with texts as values.
    TextMap(JsonPart),
    /// A map or list of JSON.
    Json(JsonPart),
    /// `.Data` of an answer without data, or `.Metadata` of a login without any.
    NilMap {
        /// Whether its values would be texts.
        of_texts: bool,
    },
    /// What `secret` returns.
    Secret(Arc<Answer>),
    /// `.Auth` of it.
    Auth(JsonPart),
    /// What `pkiCert` returns.
    Certificate(Arc<CertificateTexts>),
}

/// A part of a buffer.
#[derive(Clone)]
pub(crate) struct Bytes {
    buffer: Arc<Buffer>,
    start: usize,
    end: usize,
}

struct Buffer {
    bytes: Secret,
    _memory: MeteredMemory,
}

/// Texts in one buffer.
#[derive(Clone)]
pub(crate) struct Texts {
    all: Bytes,
    places: Arc<(Vec<Range<u32>>, MeteredMemory)>,
    /// Whether Go has a nil slice, which becomes `null` in JSON.
    pub(crate) is_nil: bool,
}

/// A value in a JSON text.
#[derive(Clone)]
pub(crate) struct JsonPart {
    document: Arc<JsonDocument>,
    place: JsonHandle,
}

enum JsonDocument {
    Answer(Arc<Answer>),
    /// What `parseJSON` made. Its numbers are floats.
    Parsed(JsonText, #[expect(dead_code, reason = "given back when it is dropped")] MeteredMemory),
}

impl Bytes {
    /// Returns the bytes that were written.
    pub(crate) fn written(sink: Sink) -> Self {
        let (bytes, memory) = sink.into_parts();
        let end = bytes.len();
        Self { buffer: Arc::new(Buffer { bytes, _memory: memory }), start: 0, end }
    }

    /// Returns a copy of bytes.
    pub(crate) fn copy(bytes: &[u8], meter: &Arc<MemoryMeter>) -> Result<Self, RenderProblem> {
        let mut sink = Sink::value(meter)?;
        sink.push(bytes)?;
        Ok(Self::written(sink))
    }

    pub(crate) fn get(&self) -> &[u8] {
        &self.buffer.bytes.expose()[self.start..self.end]
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Returns a part of the bytes, without a copy.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        Self {
            buffer: Arc::clone(&self.buffer),
            start: self.start + range.start,
            end: self.start + range.end,
        }
    }
}

impl Texts {
    /// Returns texts that are parts of `all`.
    pub(crate) fn new(
        all: Bytes,
        places: Vec<Range<u32>>,
        meter: &Arc<MemoryMeter>,
    ) -> Result<Self, RenderProblem> {
        let memory = meter.take(places.capacity() * size_of::<Range<u32>>())?;
        Ok(Self { all, places: Arc::new((places, memory)), is_nil: false })
    }

    /// Returns a nil slice of Go.
    pub(crate) fn nil(meter: &Arc<MemoryMeter>) -> Result<Self, RenderProblem> {
        let none = Self::new(Bytes::copy(b"", meter)?, Vec::new(), meter)?;
        Ok(Self { is_nil: true, ..none })
    }

    /// Returns the texts of a JSON array. What is no text is left out.
    fn of_json(array: JsonValue<'_>, meter: &Arc<MemoryMeter>) -> Result<Self, RenderProblem> {
        let mut sink = Sink::value(meter)?;
        let mut places = Vec::new();
        for text in array.items().filter_map(JsonValue::string) {
            sink.count_item()?;
            let start = sink.len();
            sink.push(text.expose())?;
            places.push(place(start)..place(sink.len()));
        }
        let is_nil = places.is_empty();
        Ok(Self { is_nil, ..Self::new(Bytes::written(sink), places, meter)? })
    }

    pub(crate) fn len(&self) -> usize {
        self.places.0.len()
    }

    pub(crate) fn text(&self, n: usize) -> Option<Bytes> {
        let range = self.places.0.get(n)?;
        Some(self.all.part(range.start as usize..range.end as usize))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let all = self.all.get();
        self.places.0.iter().map(|range| &all[range.start as usize..range.end as usize])
    }
}

impl JsonPart {
    /// Returns the whole body of an answer.
    pub(crate) fn of_answer(answer: &Arc<Answer>) -> Self {
        let document = JsonDocument::Answer(Arc::clone(answer));
        Self { place: answer.root().handle(), document: Arc::new(document) }
    }

    /// Returns what `parseJSON` makes.
    pub(crate) fn parsed(text: JsonText, memory: MeteredMemory) -> Self {
        let place = text.root().handle();
        Self { place, document: Arc::new(JsonDocument::Parsed(text, memory)) }
    }

    pub(crate) fn get(&self) -> JsonValue<'_> {
        match &*self.document {
            JsonDocument::Answer(answer) => answer.value(self.place),
            JsonDocument::Parsed(text, _) => text.value(self.place),
        }
    }

    /// Returns another value of the same text.
    pub(crate) fn at(&self, place: JsonHandle) -> Self {
        Self { document: Arc::clone(&self.document), place }
    }

    /// Returns whether numbers in it are floats.
    pub(crate) fn has_floats(&self) -> bool {
        matches!(&*self.document, JsonDocument::Parsed(..))
    }

    /// Returns the value as the template sees it.
    pub(crate) fn value(&self, meter: &Arc<MemoryMeter>) -> Result<TemplateValue, RenderProblem> {
        let value = self.get();
        if value.is_object() || value.is_array() {
            return Ok(TemplateValue::Json(self.clone()));
        }
        if value.is_string() {
            // the raw text is at least as long as the value
            if value.raw().len() > 6 * MAX_VALUE {
                return Err(RenderProblem::ValueSize(MAX_VALUE));
            }
            let text = value.string().unwrap_or_default();
            return Bytes::copy(text.expose(), meter).map(TemplateValue::Text);
        }
        Ok(match value.raw() {
            "true" => TemplateValue::Bool(true),
            "false" => TemplateValue::Bool(false),
            "null" => TemplateValue::Nil,
            digits if self.has_floats() => {
                TemplateValue::Float(digits.parse().map_err(|_| RenderProblem::Json)?)
            }
            digits => TemplateValue::Number(Bytes::copy(digits.as_bytes(), meter)?),
        })
    }
}

impl TemplateValue {
    /// Returns what Go calls the value inside an interface: of `null` nothing is left.
    pub(crate) fn unwrapped(self) -> Self {
        match self {
            Self::Nil => Self::Missing,
            other => other,
        }
    }

    /// Returns whether the value counts as true in `if`, `and` and the like.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Missing | Self::Nil | Self::NilPointer | Self::NilMap { .. } => false,
            Self::Bool(truth) => *truth,
            Self::Whole(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(bytes) | Self::Number(bytes) => bytes.len() > 0,
            Self::Texts(texts) => texts.len() > 0,
            Self::TextMap(part) | Self::Json(part) => {
                part.get().members().next().is_some() || part.get().items().next().is_some()
            }
            Self::Secret(_) | Self::Auth(_) | Self::Certificate(_) => true,
        }
    }

    /// Returns what the value is, in words.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::Missing | Self::Nil => "no value",
            Self::NilPointer => "a part that the answer does not have",
            Self::Bool(_) => "a boolean",
            Self::Whole(_) => "a whole number",
            Self::Float(_) => "a float",
            Self::Text(_) => "a text",
            Self::Number(_) => "a number of Vault",
            Self::Texts(_) => "a list of texts",
            Self::TextMap(_) | Self::NilMap { .. } => "a map",
            Self::Json(part) if part.get().is_object() => "a map",
            Self::Json(_) => "a list",
            Self::Secret(_) => "a secret",
            Self::Auth(_) => "the login of an answer",
            Self::Certificate(_) => "a certificate",
        }
    }

    /// Returns the texts of a JSON array as `[]string` of Go.
    pub(crate) fn texts(
        array: Option<JsonValue<'_>>,
        meter: &Arc<MemoryMeter>,
    ) -> Result<Self, RenderProblem> {
        match array {
            Some(array) => Texts::of_json(array, meter).map(Self::Texts),
            None => Texts::nil(meter).map(Self::Texts),
        }
    }
}

/// Returns a place in a buffer, which is far shorter than 4 GiB.
pub(crate) fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Returns the members of a map of JSON, sorted by key.
///
/// # Errors
/// [`RenderProblem::TooManyItems`].
pub(crate) fn sorted_members(
    object: JsonValue<'_>,
) -> Result<Vec<(Cow<'_, str>, JsonValue<'_>)>, RenderProblem> {
    if object.members().nth(MAX_ITEMS).is_some() {
        return Err(RenderProblem::TooManyItems);
    }
    Ok(object.sorted_members())
}

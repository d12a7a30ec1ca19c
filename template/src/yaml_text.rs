//! Writes values as `gopkg.in/yaml.v2` (2.4.0) does, which consul-template uses.

mod order;
mod scalars;
mod styles;
mod tags;

use crate::base64;
use crate::budget::Sink;
use crate::composite::Composite;
use crate::fields::FieldReader;
use crate::float::{FloatForm, float_text};
use crate::render_fault::RenderProblem;
use crate::value::TemplateValue;

use self::order::sort_keys;
use self::scalars::Emitter;
use self::tags::is_plain_text;

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum YamlPosition {
    Root,
    Item,
    Member,
}

/// Appends a value, without a line break at the end.
pub(crate) fn write_yaml(
    sink: &mut Sink,
    reader: &mut FieldReader<'_>,
    value: &TemplateValue,
) -> Result<(), RenderProblem> {
    let mut whole = sink.sibling()?;
    YamlValueWriter { emitter: Emitter::new(&mut whole) }.node(reader, value, YamlPosition::Root)?;
    // Go takes all white space of Unicode off both ends
    let text = std::str::from_utf8(whole.bytes())
        .map_err(|_| RenderProblem::Unsupported("YAML that is not UTF-8"))?;
    sink.push(text.trim().as_bytes())
}

struct YamlValueWriter<'s> {
    emitter: Emitter<'s>,
}

impl YamlValueWriter<'_> {
    fn node(
        &mut self,
        reader: &mut FieldReader<'_>,
        value: &TemplateValue,
        position: YamlPosition,
    ) -> Result<(), RenderProblem> {
        self.emitter.sink.count_item()?;
        match value {
            TemplateValue::Missing | TemplateValue::Nil | TemplateValue::NilPointer => {
                self.emitter.plain_word("null")
            }
            TemplateValue::Bool(truth) => self.emitter.plain_word(if *truth { "true" } else { "false" }),
            TemplateValue::Whole(number) => self.emitter.plain_word(&number.to_string()),
            TemplateValue::Float(float) => {
                self.emitter.plain_word(&float_text(*float, FloatForm::Shorter, None))
            }
            TemplateValue::Number(digits) => self.number(digits.get()),
            TemplateValue::Text(text) => self.text(text.get()),
            value if value.composite() == Some(Composite::List) => self.list(reader, value, position),
            value => self.map(reader, value),
        }
    }

    fn number(&mut self, digits: &[u8]) -> Result<(), RenderProblem> {
        let text = std::str::from_utf8(digits).unwrap_or_default();
        if let Ok(whole) = text.parse::<i64>() {
            return self.emitter.plain_word(&whole.to_string());
        }
        match text.parse::<f64>().ok().filter(|float| float.is_finite()) {
            Some(float) => self.emitter.plain_word(&float_text(float, FloatForm::Shorter, None)),
            None => self.text(digits),
        }
    }

    fn text(&mut self, text: &[u8]) -> Result<(), RenderProblem> {
        match std::str::from_utf8(text) {
            Ok(text) => self.emitter.text(text, is_plain_text(text), false),
            Err(_) => self.binary(text),
        }
    }

    /// Writes bytes that are not UTF-8 in base64, with the tag `!!binary`.
    fn binary(&mut self, bytes: &[u8]) -> Result<(), RenderProblem> {
        const LINE: usize = 70;

        let mut encoded = self.emitter.sink.sibling()?;
        base64::encode(&mut encoded, bytes)?;
        let mut lines = self.emitter.sink.sibling()?;
        for line in encoded.bytes().chunks(LINE) {
            lines.push(line)?;
            if encoded.len() >= LINE {
                lines.push(b"\n")?;
            }
        }
        self.emitter.tag("!!binary")?;
        let text = std::str::from_utf8(lines.bytes()).unwrap_or_default();
        self.emitter.text(text, true, false)
    }

    fn list(
        &mut self,
        reader: &mut FieldReader<'_>,
        value: &TemplateValue,
        position: YamlPosition,
    ) -> Result<(), RenderProblem> {
        if value.length(reader)? == Some(0) {
            return self.emitter.indicator("[]", true, false, false);
        }
        let outside = self.emitter.open(position == YamlPosition::Member && !self.emitter.is_indented());
        value.each(reader, &mut |reader, _, _, item| {
            self.emitter.begin_line()?;
            self.emitter.indicator("-", true, false, true)?;
            self.node(reader, &item, YamlPosition::Item)
        })?;
        self.emitter.close(outside);
        Ok(())
    }

    fn map(&mut self, reader: &mut FieldReader<'_>, value: &TemplateValue) -> Result<(), RenderProblem> {
        let is_struct = value.composite() == Some(Composite::Struct);
        let mut members = Vec::new();
        value.each(reader, &mut |_, _, key, member| {
            let key = if is_struct { key.to_lowercase() } else { key.to_owned() };
            members.push((key, member));
            Ok(())
        })?;
        if members.is_empty() {
            return self.emitter.indicator("{}", true, false, false);
        }
        if !is_struct {
            sort_keys(&mut members)?;
        }
        let outside = self.emitter.open(false);
        for (key, member) in &members {
            self.emitter.begin_line()?;
            let is_plain = is_plain_text(key);
            if self.emitter.is_simple_key(key) {
                self.emitter.text(key, is_plain, true)?;
                self.emitter.indicator(":", false, false, false)?;
            } else {
                self.emitter.indicator("?", true, false, true)?;
                self.emitter.text(key, is_plain, false)?;
                self.emitter.begin_line()?;
                self.emitter.indicator(":", true, false, true)?;
            }
            self.node(reader, member, YamlPosition::Member)?;
        }
        self.emitter.close(outside);
        Ok(())
    }
}

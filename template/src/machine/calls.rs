//! Calls of functions.

use super::Rendering;
use crate::budget::{BYTES_PER_STEP, Sink};
use crate::compare::{equal, ordered};
use crate::fields::FieldReader;
use crate::functions::{Parameter, TemplateFunction};
use crate::json_text::{JsonForm, write_json};
use crate::print::Printer;
use crate::render_fault::RenderProblem;
use crate::value::{Bytes, TemplateValue, Texts};
use crate::yaml_text::write_yaml;
use crate::{base64, texts};

/// The arguments of a call, of the types that its function takes.
struct Arguments(Vec<TemplateValue>);

impl Arguments {
    fn any(&self, n: usize) -> &TemplateValue {
        self.0.get(n).unwrap_or(&TemplateValue::Missing)
    }

    fn text(&self, n: usize) -> &[u8] {
        match self.any(n) {
            TemplateValue::Text(text) => text.get(),
            _ => b"",
        }
    }
}

impl Rendering<'_> {
    /// Replaces the arguments on the stack by the result of a function.
    pub(super) fn call(
        &mut self,
        function: TemplateFunction,
        arguments: usize,
        is_piped: bool,
    ) -> Result<(), RenderProblem> {
        let mut values = self.stack.split_off(self.stack.len().saturating_sub(arguments));
        if is_piped {
            values.push(self.pop());
        }
        let signature = function.signature();
        for (n, value) in values.iter_mut().enumerate() {
            self.check(function, signature.parameter(n), value)?;
        }
        let result = self.result(function, &Arguments(values))?;
        self.stack.push(result);
        Ok(())
    }

    /// Checks that a function takes a value.
    fn check(
        &self,
        function: TemplateFunction,
        parameter: Parameter,
        value: &mut TemplateValue,
    ) -> Result<(), RenderProblem> {
        if parameter == Parameter::Texts && matches!(value, TemplateValue::Missing) {
            *value = TemplateValue::Texts(Texts::nil(&self.meter)?);
        }
        let fits = match parameter {
            Parameter::Any => true,
            Parameter::Text => matches!(value, TemplateValue::Text(_)),
            Parameter::Whole => matches!(value, TemplateValue::Whole(_)),
            Parameter::Texts => matches!(value, TemplateValue::Texts(_)),
        };
        let (function, wants) = (function.name(), parameter.words());
        if fits { Ok(()) } else { Err(RenderProblem::Argument { function, wants, found: value.words() }) }
    }

    fn result(
        &mut self,
        function: TemplateFunction,
        arguments: &Arguments,
    ) -> Result<TemplateValue, RenderProblem> {
        use TemplateFunction as F;

        let all = &arguments.0[..];
        let name = function.name();
        match function {
            F::Not => Ok(TemplateValue::Bool(!arguments.any(0).is_true())),
            F::Eq | F::Ne => {
                let read = all.iter().map(text_length).sum::<usize>();
                self.count(read / BYTES_PER_STEP)?;
                let equal = equal(name, arguments.any(0), all.get(1..).unwrap_or_default())?;
                Ok(TemplateValue::Bool(equal == (function == F::Eq)))
            }
            F::Lt | F::Le | F::Gt | F::Ge => {
                self.count(text_length(arguments.any(0)) / BYTES_PER_STEP)?;
                ordered(name, arguments.any(0), arguments.any(1)).map(TemplateValue::Bool)
            }
            F::Len => {
                let length = self.read(|reader| arguments.any(0).length(reader))?;
                let found = arguments.any(0).words();
                let wants = "a text, list or map";
                let length = length.ok_or(RenderProblem::Argument { function: name, wants, found })?;
                Ok(TemplateValue::Whole(i64::try_from(length).unwrap_or(i64::MAX)))
            }
            F::Index => self.read(|reader| index(reader, all)),
            F::Contains => {
                let bytes = text_length(arguments.any(1));
                let items = match arguments.any(1) {
                    TemplateValue::Texts(texts) => texts.len(),
                    TemplateValue::Json(part) => part.get().raw().len() / BYTES_PER_STEP,
                    _ => 0,
                };
                self.count(bytes / BYTES_PER_STEP + items)?;
                texts::contains(arguments.any(0), arguments.any(1)).map(TemplateValue::Bool)
            }
            F::Split => self.split(arguments),
            F::ParseJson => {
                self.count(arguments.text(0).len() / BYTES_PER_STEP)?;
                texts::parse_json(arguments.text(0), &self.meter)
            }
            F::Trim | F::TrimSpace => {
                let TemplateValue::Text(text) = arguments.any(all.len() - 1) else {
                    return Ok(TemplateValue::Missing);
                };
                self.count(text.len() / BYTES_PER_STEP)?;
                let trimmed = match function {
                    F::Trim => texts::trim(arguments.text(0), text)?,
                    _ => texts::trim_space(text),
                };
                Ok(TemplateValue::Text(trimmed))
            }
            _ => self.written(function, arguments),
        }
    }

    fn split(&mut self, arguments: &Arguments) -> Result<TemplateValue, RenderProblem> {
        let TemplateValue::Text(text) = arguments.any(1) else { return Ok(TemplateValue::Missing) };
        self.count(text.len() / BYTES_PER_STEP)?;
        let texts = texts::split(arguments.text(0), text, &self.meter)?;
        self.count(texts.len())?;
        Ok(TemplateValue::Texts(texts))
    }

    /// Returns the text that a function writes.
    fn written(
        &mut self,
        function: TemplateFunction,
        arguments: &Arguments,
    ) -> Result<TemplateValue, RenderProblem> {
        let mut sink = Sink::value(&self.meter)?;
        let error_on_missing_key = self.options.error_on_missing_key;
        let mut reader = FieldReader { meter: &self.meter, error_on_missing_key, steps: 0 };
        let written = write(function, arguments, &mut sink, &mut reader);
        let steps = reader.steps + sink.steps();
        self.count(steps)?;
        written?;
        Ok(TemplateValue::Text(Bytes::written(sink)))
    }
}

fn write(
    function: TemplateFunction,
    arguments: &Arguments,
    sink: &mut Sink,
    reader: &mut FieldReader<'_>,
) -> Result<(), RenderProblem> {
    use TemplateFunction as F;

    let json = |escapes_html, is_pretty| JsonForm { escapes_html, is_pretty };
    let value = arguments.any(0);
    match function {
        F::Print => Printer { sink, reader }.print(&arguments.0),
        F::Println => Printer { sink, reader }.println(&arguments.0),
        F::Printf => {
            let values = arguments.0.get(1..).unwrap_or_default();
            Printer { sink, reader }.printf(arguments.text(0), values)
        }
        F::ToJson => write_json(sink, reader, value, json(true, false), 0),
        F::ToJsonPretty => write_json(sink, reader, value, json(true, true), 0),
        F::ToUnescapedJson => write_json(sink, reader, value, json(false, false), 0),
        F::ToUnescapedJsonPretty => write_json(sink, reader, value, json(false, true), 0),
        F::ToYaml => write_yaml(sink, reader, value),
        F::Base64Decode => {
            sink.count_read(arguments.text(0).len());
            base64::decode(sink, arguments.text(0))
        }
        F::Base64Encode => base64::encode(sink, arguments.text(0)),
        F::ReplaceAll => texts::replace_all(sink, arguments.text(0), arguments.text(1), arguments.text(2)),
        F::ToUpper => texts::change_case(sink, arguments.text(0), true),
        F::ToLower => texts::change_case(sink, arguments.text(0), false),
        F::Join => match arguments.any(1) {
            TemplateValue::Texts(list) => texts::join(sink, arguments.text(0), list),
            _ => Ok(()),
        },
        F::Indent => match value {
            TemplateValue::Whole(spaces) => texts::indent(sink, *spaces, arguments.text(1)),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn text_length(value: &TemplateValue) -> usize {
    match value {
        TemplateValue::Text(text) | TemplateValue::Number(text) => text.len(),
        _ => 0,
    }
}

/// `index`: the value of a map or list that the keys lead to.
fn index(reader: &mut FieldReader<'_>, arguments: &[TemplateValue]) -> Result<TemplateValue, RenderProblem> {
    let [of, keys @ ..] = arguments else { return Ok(TemplateValue::Missing) };
    let wrong = |wants, found: &TemplateValue| {
        Err(RenderProblem::Argument { function: "index", wants, found: found.words() })
    };
    let mut value = of.clone();
    if matches!(value, TemplateValue::Missing | TemplateValue::Nil) {
        return wrong("a map or list", &value);
    }
    for key in keys {
        value = match (&value, key) {
            (TemplateValue::Json(part), TemplateValue::Whole(n)) if part.get().is_array() => {
                let n = usize::try_from(*n).map_err(|_| RenderProblem::NoItem)?;
                let item = part.get().items().nth(n).ok_or(RenderProblem::NoItem)?;
                reader.steps += n / 16;
                reader.read(&part.at(item.handle()))?
            }
            (TemplateValue::Texts(texts), TemplateValue::Whole(n)) => {
                let text = usize::try_from(*n).ok().and_then(|n| texts.text(n));
                text.map(TemplateValue::Text).ok_or(RenderProblem::NoItem)?
            }
            (TemplateValue::NilMap { of_texts: false }, TemplateValue::Text(_)) => TemplateValue::Nil,
            (TemplateValue::NilMap { of_texts: true }, TemplateValue::Text(_)) => {
                TemplateValue::Text(Bytes::copy(b"", reader.meter)?)
            }
            (TemplateValue::Json(part), TemplateValue::Text(name)) if part.get().is_object() => {
                let name = std::str::from_utf8(name.get()).ok();
                match name.and_then(|name| reader.member(part, name)) {
                    Some(member) => reader.read(&member)?,
                    None => TemplateValue::Nil,
                }
            }
            (TemplateValue::TextMap(part), TemplateValue::Text(name)) => {
                let name = std::str::from_utf8(name.get()).ok();
                match name.and_then(|name| reader.member(part, name)) {
                    Some(member) => reader.read(&member)?,
                    None => TemplateValue::Text(Bytes::copy(b"", reader.meter)?),
                }
            }
            (TemplateValue::Text(_) | TemplateValue::Number(_), TemplateValue::Whole(_)) => {
                return Err(RenderProblem::Unsupported("a byte of a text by its index"));
            }
            (of, _) if of.composite().is_none() => return wrong("a map or list", of),
            (_, key) => return wrong("keys of maps and indexes of lists", key),
        };
    }
    Ok(value)
}

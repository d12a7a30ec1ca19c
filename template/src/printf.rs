//! `printf`: formats as Go's `fmt.Sprintf` does.

use crate::print::{PrintForm, Printer, type_name};
use crate::render_fault::RenderProblem;
use crate::value::TemplateValue;

/// Maximum width and precision. Go has the same.
const MAX_WIDTH: usize = 1_000_000;

impl Printer<'_, '_, '_> {
    /// Prints arguments by a format.
    pub(crate) fn printf(&mut self, format: &[u8], arguments: &[TemplateValue]) -> Result<(), RenderProblem> {
        let format = std::str::from_utf8(format)
            .map_err(|_| RenderProblem::Unsupported("a format that is not UTF-8"))?;
        let mut rest = format;
        let mut arguments = arguments.iter();
        while let Some((plain, directive)) = rest.split_once('%') {
            self.sink.push(plain.as_bytes())?;
            let (form, after) = form(directive)?;
            rest = after;
            let Some(form) = form else {
                self.sink.push(b"%!(NOVERB)")?;
                break;
            };
            if form.verb == '%' {
                self.sink.push(b"%")?;
                continue;
            }
            match arguments.next() {
                Some(argument) => self.argument(argument, form)?,
                None => self.sink.push(format!("%!{}(MISSING)", form.verb).as_bytes())?,
            }
        }
        self.sink.push(rest.as_bytes())?;
        self.extra(arguments.as_slice())
    }

    /// Prints arguments that no verb takes.
    fn extra(&mut self, arguments: &[TemplateValue]) -> Result<(), RenderProblem> {
        if arguments.is_empty() {
            return Ok(());
        }
        self.sink.push(b"%!(EXTRA ")?;
        for (n, argument) in arguments.iter().enumerate() {
            if n > 0 {
                self.sink.push(b", ")?;
            }
            self.sink.push(type_name(argument)?.as_bytes())?;
            if !matches!(argument, TemplateValue::Missing | TemplateValue::Nil) {
                self.sink.push(b"=")?;
                self.argument(argument, PrintForm::of('v'))?;
            }
        }
        self.sink.push(b")")
    }
}

/// Returns the form that follows a `%`, and the rest of the format; no form if the verb is missing.
fn form(directive: &str) -> Result<(Option<PrintForm>, &str), RenderProblem> {
    let mut form = PrintForm::of('v');
    let mut rest = directive;
    loop {
        let Some(flag) = rest.chars().next() else { return Ok((None, "")) };
        match flag {
            '#' => form.sharp = true,
            '0' => form.zero = true,
            '+' => form.plus = true,
            '-' => form.minus = true,
            ' ' => form.space = true,
            _ => break,
        }
        rest = &rest[1..];
    }
    (form.width, rest) = number(rest)?;
    // a point at the end of the format is taken for the verb
    if let Some(precision) = rest.strip_prefix('.').filter(|precision| !precision.is_empty()) {
        let (digits, after) = number(precision)?;
        form.precision = Some(digits.unwrap_or(0));
        rest = after;
    }
    let Some(verb) = rest.chars().next() else { return Ok((None, "")) };
    form.verb = verb;
    match verb {
        '[' | '*' => return Err(RenderProblem::Unsupported("[ or * in a format")),
        'w' | 'p' => return Err(RenderProblem::Unsupported("%w or %p")),
        'v' if form.sharp => return Err(RenderProblem::Unsupported("%#v")),
        'v' => {
            form.names = form.plus;
            form.plus = false;
        }
        _ => {}
    }
    Ok((Some(form), &rest[verb.len_utf8()..]))
}

fn number(text: &str) -> Result<(Option<usize>, &str), RenderProblem> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &text[..text.len() - rest.len()];
    if digits.is_empty() {
        return Ok((None, rest));
    }
    let number = digits.parse().ok().filter(|number| *number <= MAX_WIDTH);
    number.map(|number| (Some(number), rest)).ok_or(RenderProblem::Unsupported("a width over 1000000"))
}

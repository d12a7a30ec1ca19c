//! Prints texts, numbers and booleans with flags, width and precision.

use super::PrintForm;
use crate::budget::Sink;
use crate::float::{FloatForm, float_text};
use crate::quote::{quote, quote_character};
use crate::render_fault::RenderProblem;

/// A value without others in it, while it is printed. Its functions return whether the verb fits.
pub(super) struct Leaf<'s> {
    pub(super) sink: &'s mut Sink,
    pub(super) form: PrintForm,
}

/// Maximum precision of floats. Go's longest has 1,074 digits.
const MAX_PRECISION: usize = 1100;

impl Leaf<'_> {
    pub(super) fn bool(&mut self, truth: bool) -> Result<bool, RenderProblem> {
        if !matches!(self.form.verb, 't' | 'v') {
            return Ok(false);
        }
        self.padded(if truth { b"true" } else { b"false" })?;
        Ok(true)
    }

    pub(super) fn string(&mut self, text: &[u8]) -> Result<bool, RenderProblem> {
        match self.form.verb {
            'v' | 's' => self.text(text)?,
            'x' | 'X' => self.hexadecimal(text)?,
            'q' if self.form.sharp => return Err(RenderProblem::Unsupported("%#q")),
            'q' => {
                let kept = self.truncated(text);
                let ascii = self.form.plus;
                self.made(|sink| quote(sink, kept, ascii))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Prints a text, cut to the precision.
    pub(super) fn text(&mut self, text: &[u8]) -> Result<(), RenderProblem> {
        let kept = self.truncated(text);
        self.padded(kept)
    }

    /// Returns the first characters of a text, as many as the precision says.
    fn truncated<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.form.precision else { return text };
        let mut end = 0;
        for _ in 0..precision {
            match character_length(&text[end..]) {
                0 => break,
                length => end += length,
            }
        }
        &text[..end]
    }

    /// Prints bytes, padded to the width.
    pub(super) fn padded(&mut self, text: &[u8]) -> Result<(), RenderProblem> {
        let Some(width) = self.form.width.filter(|width| *width > 0) else { return self.sink.push(text) };
        self.sink.count_read(text.len());
        let padding = width.saturating_sub(characters(text));
        if self.form.minus {
            self.sink.push(text)?;
            return self.sink.fill(b' ', padding);
        }
        self.sink.fill(if self.form.zero { b'0' } else { b' ' }, padding)?;
        self.sink.push(text)
    }

    /// Prints what `make` appends, padded to the width.
    fn made(
        &mut self,
        make: impl FnOnce(&mut Sink) -> Result<(), RenderProblem>,
    ) -> Result<(), RenderProblem> {
        if self.form.width.is_none() {
            return make(self.sink);
        }
        let mut made = self.sink.sibling()?;
        make(&mut made)?;
        self.padded(made.bytes())
    }

    fn hexadecimal(&mut self, text: &[u8]) -> Result<(), RenderProblem> {
        let is_upper = self.form.verb == 'X';
        let text = &text[..self.form.precision.map_or(text.len(), |precision| precision.min(text.len()))];
        let (sharp, space) = (self.form.sharp, self.form.space);
        let per_byte = 2 + if sharp && space { 2 } else { 0 } + usize::from(space);
        let around = if text.is_empty() { 0 } else { 2 * usize::from(sharp && !space) };
        let length = (text.len() * per_byte).saturating_sub(usize::from(space && !text.is_empty())) + around;
        let padding = self.form.width.unwrap_or(0).saturating_sub(length);
        let pad = if self.form.zero && !self.form.minus { b'0' } else { b' ' };
        if !self.form.minus || text.is_empty() {
            self.sink.fill(pad, padding)?;
        }
        let prefix: &[u8] = if is_upper { b"0X" } else { b"0x" };
        let digits: &[u8; 16] = if is_upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
        for (n, byte) in text.iter().enumerate() {
            if n > 0 && space {
                self.sink.push(b" ")?;
            }
            if sharp && (n == 0 || space) {
                self.sink.push(prefix)?;
            }
            self.sink.push(&[digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]])?;
        }
        if self.form.minus && !text.is_empty() {
            self.sink.fill(pad, padding)?;
        }
        Ok(())
    }

    pub(super) fn whole(&mut self, number: i64) -> Result<bool, RenderProblem> {
        let size = number.unsigned_abs();
        let (digits, prefix) = match self.form.verb {
            'v' | 'd' => (size.to_string(), ""),
            'b' => (format!("{size:b}"), "0b"),
            'o' => (format!("{size:o}"), if size == 0 { "" } else { "0" }),
            'O' => (format!("{size:o}"), "0o"),
            'x' => (format!("{size:x}"), "0x"),
            'X' => (format!("{size:X}"), "0X"),
            'c' | 'q' => {
                let code = u32::try_from(number).ok().and_then(char::from_u32);
                self.code(code.unwrap_or(char::REPLACEMENT_CHARACTER))?;
                return Ok(true);
            }
            'U' => return Err(RenderProblem::Unsupported("%U")),
            _ => return Ok(false),
        };
        self.digits(number < 0, digits, prefix)?;
        Ok(true)
    }

    fn code(&mut self, c: char) -> Result<(), RenderProblem> {
        if self.form.verb == 'c' {
            return self.padded(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        let ascii = self.form.plus;
        self.made(|sink| quote_character(sink, c, ascii))
    }

    fn digits(&mut self, is_negative: bool, digits: String, prefix: &str) -> Result<(), RenderProblem> {
        let form = self.form;
        let sign = match (is_negative, form.plus, form.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let zeros = match (form.precision, form.width) {
            (Some(0), _) if digits == "0" => return self.sink.fill(b' ', form.width.unwrap_or(0)),
            (Some(precision), _) => precision,
            (None, Some(width)) if form.zero && !form.minus => width.saturating_sub(sign.len()),
            _ => 0,
        };
        let filled = zeros.saturating_sub(digits.len());
        // an octal number with zeros before it has its prefix already
        let is_octal_filled = form.verb == 'o' && filled > 0;
        let has_prefix = (form.sharp && form.verb != 'd' && !is_octal_filled) || form.verb == 'O';
        let has_sharp_octal = form.verb == 'O' && form.sharp && !digits.starts_with('0') && filled == 0;
        let prefix = if has_prefix { prefix } else { "" };
        let octal = if has_sharp_octal { "0" } else { "" };
        let length = sign.len() + prefix.len() + octal.len() + filled + digits.len();
        let padding = form.width.unwrap_or(0).saturating_sub(length);
        if !form.minus {
            self.sink.fill(b' ', padding)?;
        }
        self.sink.push(sign.as_bytes())?;
        self.sink.push(prefix.as_bytes())?;
        self.sink.push(octal.as_bytes())?;
        self.sink.fill(b'0', filled)?;
        self.sink.push(digits.as_bytes())?;
        if form.minus { self.sink.fill(b' ', padding) } else { Ok(()) }
    }

    pub(super) fn float(&mut self, float: f64) -> Result<bool, RenderProblem> {
        let form = self.form;
        let (shape, default) = match form.verb {
            'v' | 'g' | 'G' => (FloatForm::Shorter, None),
            'e' | 'E' => (FloatForm::Exponent, Some(6)),
            'f' | 'F' => (FloatForm::Plain, Some(6)),
            'b' | 'x' | 'X' => return Err(RenderProblem::Unsupported("a float in this base")),
            _ => return Ok(false),
        };
        if form.sharp || form.precision.is_some_and(|precision| precision > MAX_PRECISION) {
            return Err(RenderProblem::Unsupported("# or so many digits of a float"));
        }
        let mut text = float_text(float.abs(), shape, form.precision.or(default));
        if matches!(form.verb, 'E' | 'G') {
            text.make_ascii_uppercase();
        }
        let sign = match (float.is_sign_negative(), form.plus, form.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        if form.zero && !form.minus {
            let length = sign.len() + text.len();
            self.sink.push(sign.as_bytes())?;
            self.sink.fill(b'0', form.width.unwrap_or(0).saturating_sub(length))?;
            self.sink.push(text.as_bytes())?;
        } else {
            self.padded(format!("{sign}{text}").as_bytes())?;
        }
        Ok(true)
    }
}

/// Returns the number of characters. A byte that is not UTF-8 counts as one.
fn characters(text: &[u8]) -> usize {
    text.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len()).sum()
}

/// Returns the length of the first character, in bytes.
pub(crate) fn character_length(text: &[u8]) -> usize {
    let first = &text[..text.len().min(4)];
    first.utf8_chunks().next().map_or(0, |chunk| chunk.valid().chars().next().map_or(1, char::len_utf8))
}

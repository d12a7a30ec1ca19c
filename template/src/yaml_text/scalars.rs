//! Texts and indicators, with the state that decides about spaces and line breaks (`emitterc.go`).

use super::styles::{TextStyle, is_break, is_printable, style};
use crate::budget::Sink;
use crate::render_fault::RenderProblem;

/// The width beyond which a text with spaces is folded.
const WIDTH: usize = 80;

/// Levels are indented by this many spaces.
const INDENT: usize = 2;

/// Writes YAML.
pub(super) struct Emitter<'s> {
    pub(super) sink: &'s mut Sink,
    column: usize,
    /// The indentation of the current level; none outside all levels.
    indent: Option<usize>,
    /// Whether the last character was a space or line break.
    whitespace: bool,
    /// Whether the line has nothing but indentation and indicators.
    indention: bool,
}

impl<'s> Emitter<'s> {
    pub(super) fn new(sink: &'s mut Sink) -> Self {
        Self { sink, column: 0, indent: None, whitespace: true, indention: true }
    }

    pub(super) fn is_indented(&self) -> bool {
        self.indention
    }

    /// Opens a level, and returns the indentation outside it.
    pub(super) fn open(&mut self, is_indentless: bool) -> Option<usize> {
        let outside = self.indent;
        self.indent = match outside {
            None => Some(0),
            Some(indent) if is_indentless => Some(indent),
            Some(indent) => Some(indent + INDENT),
        };
        outside
    }

    pub(super) fn close(&mut self, outside: Option<usize>) {
        self.indent = outside;
    }

    /// Begins a line at the current indentation, unless one has just begun.
    pub(super) fn begin_line(&mut self) -> Result<(), RenderProblem> {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break()?;
        }
        let spaces = indent.saturating_sub(self.column);
        self.sink.fill(b' ', spaces)?;
        self.column += spaces;
        self.whitespace = true;
        self.indention = true;
        Ok(())
    }

    pub(super) fn indicator(
        &mut self,
        indicator: &str,
        needs_space: bool,
        is_space: bool,
        is_indention: bool,
    ) -> Result<(), RenderProblem> {
        if needs_space && !self.whitespace {
            self.put(' ')?;
        }
        for c in indicator.chars() {
            self.put(c)?;
        }
        self.whitespace = is_space;
        self.indention = self.indention && is_indention;
        Ok(())
    }

    pub(super) fn tag(&mut self, tag: &str) -> Result<(), RenderProblem> {
        self.indicator(tag, true, false, false)
    }

    /// Writes a word that needs no quotes.
    pub(super) fn plain_word(&mut self, word: &str) -> Result<(), RenderProblem> {
        self.text(word, true, false)
    }

    /// Returns whether a key can stand before a colon.
    pub(super) fn is_simple_key(&self, key: &str) -> bool {
        !key.contains(is_break) && key.len() <= 128
    }

    /// Writes a text. `is_plain_text` says that it would be read as a text without quotes.
    pub(super) fn text(
        &mut self,
        text: &str,
        is_plain_text: bool,
        is_simple_key: bool,
    ) -> Result<(), RenderProblem> {
        let style = style(text, is_plain_text, is_simple_key);
        let outside = self.indent;
        self.indent = Some(outside.map_or(INDENT, |indent| indent + INDENT));
        match style {
            TextStyle::Plain => self.plain(text, !is_simple_key)?,
            TextStyle::Single => self.single(text, !is_simple_key)?,
            TextStyle::Double => self.double(text, !is_simple_key)?,
            TextStyle::Literal => self.literal(text)?,
        }
        self.indent = outside;
        Ok(())
    }

    fn put(&mut self, c: char) -> Result<(), RenderProblem> {
        self.column += 1;
        self.sink.push(c.encode_utf8(&mut [0; 4]).as_bytes())
    }

    fn line_break(&mut self) -> Result<(), RenderProblem> {
        self.column = 0;
        self.sink.push(b"\n")
    }

    /// Writes a line break of the text.
    fn own_break(&mut self, c: char) -> Result<(), RenderProblem> {
        self.put(c)?;
        self.column = 0;
        self.indention = true;
        Ok(())
    }

    fn plain(&mut self, text: &str, allows_breaks: bool) -> Result<(), RenderProblem> {
        if !self.whitespace {
            self.put(' ')?;
        }
        let mut follows_space = false;
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            let folds = c == ' '
                && allows_breaks
                && !follows_space
                && self.column > WIDTH
                && rest.peek() != Some(&' ');
            if folds {
                self.begin_line()?;
            } else {
                self.put(c)?;
            }
            follows_space = c == ' ';
            if !follows_space {
                self.indention = false;
            }
        }
        self.whitespace = false;
        self.indention = false;
        Ok(())
    }

    fn single(&mut self, text: &str, allows_breaks: bool) -> Result<(), RenderProblem> {
        self.indicator("'", true, false, false)?;
        let (mut follows_space, mut follows_break) = (false, false);
        let mut rest = text.char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            let next = rest.peek().map(|(_, c)| *c);
            if c == ' ' {
                let is_inside = at > 0 && next.is_some();
                if allows_breaks && !follows_space && self.column > WIDTH && is_inside && next != Some(' ') {
                    self.begin_line()?;
                } else {
                    self.put(c)?;
                }
                follows_space = true;
            } else if is_break(c) {
                if !follows_break && c == '\n' {
                    self.line_break()?;
                }
                self.own_break(c)?;
                follows_break = true;
            } else {
                if follows_break {
                    self.begin_line()?;
                }
                if c == '\'' {
                    self.put(c)?;
                }
                self.put(c)?;
                self.indention = false;
                (follows_space, follows_break) = (false, false);
            }
        }
        self.indicator("'", false, false, false)
    }

    fn double(&mut self, text: &str, allows_breaks: bool) -> Result<(), RenderProblem> {
        self.indicator("\"", true, false, false)?;
        // a byte order mark at the beginning makes Go escape everything
        let escapes_all = text.starts_with('\u{feff}');
        let mut follows_space = false;
        let mut rest = text.char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            let next = rest.peek().map(|(_, c)| *c);
            if escapes_all || !is_printable(c) || is_break(c) || matches!(c, '"' | '\\') {
                self.escape(c)?;
                follows_space = false;
            } else if c == ' ' {
                let is_inside = at > 0 && next.is_some();
                if allows_breaks && !follows_space && self.column > WIDTH && is_inside {
                    self.begin_line()?;
                    if next == Some(' ') {
                        self.put('\\')?;
                    }
                } else {
                    self.put(c)?;
                }
                follows_space = true;
            } else {
                self.put(c)?;
                follows_space = false;
            }
        }
        self.indicator("\"", false, false, false)
    }

    fn escape(&mut self, c: char) -> Result<(), RenderProblem> {
        let code = u32::from(c);
        let escape = match c {
            '\0' => "0".to_owned(),
            '\u{7}' => "a".to_owned(),
            '\u{8}' => "b".to_owned(),
            '\t' => "t".to_owned(),
            '\n' => "n".to_owned(),
            '\u{b}' => "v".to_owned(),
            '\u{c}' => "f".to_owned(),
            '\r' => "r".to_owned(),
            '\u{1b}' => "e".to_owned(),
            '"' | '\\' => c.to_string(),
            '\u{85}' => "N".to_owned(),
            '\u{a0}' => "_".to_owned(),
            '\u{2028}' => "L".to_owned(),
            '\u{2029}' => "P".to_owned(),
            _ if code <= 0xff => format!("x{code:02X}"),
            _ if code <= 0xffff => format!("u{code:04X}"),
            _ => format!("U{code:08X}"),
        };
        self.put('\\')?;
        escape.chars().try_for_each(|c| self.put(c))
    }

    fn literal(&mut self, text: &str) -> Result<(), RenderProblem> {
        self.indicator("|", true, false, false)?;
        if text.starts_with(' ') || text.starts_with(is_break) {
            self.indicator("2", false, false, false)?;
        }
        let mut ends = text.chars().rev();
        match (ends.next().is_some_and(is_break), ends.next()) {
            (false, _) => self.indicator("-", false, false, false)?,
            (true, None) => self.indicator("+", false, false, false)?,
            (true, Some(c)) if is_break(c) => self.indicator("+", false, false, false)?,
            _ => {}
        }
        self.line_break()?;
        self.indention = true;
        self.whitespace = true;
        let mut follows_break = true;
        for c in text.chars() {
            if is_break(c) {
                self.own_break(c)?;
                follows_break = true;
            } else {
                if follows_break {
                    self.begin_line()?;
                }
                self.put(c)?;
                self.indention = false;
                follows_break = false;
            }
        }
        Ok(())
    }
}

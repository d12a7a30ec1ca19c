//! Divides a template's text into lexemes, as Go's `text/template/parse` does
//! (<https://go.dev/src/text/template/parse/lex.go>).

use crate::alphabet::is_name_character;
use crate::delimiters::Delimiters;
use crate::fault::{Located, TemplateProblem};

/// A part of the text, with the byte where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lexeme<'a> {
    pub(crate) at: usize,
    pub(crate) kind: LexemeKind,
    /// The text; for a string or character with its quotes, for a field with its point.
    pub(crate) text: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LexemeKind {
    /// Text outside actions.
    Outside,
    LeftDelimiter,
    RightDelimiter,
    Space,
    Assign,
    Declare,
    Comma,
    Pipe,
    LeftParenthesis,
    RightParenthesis,
    /// `"…"`
    Quoted,
    /// `…` in backquotes.
    Raw,
    /// `'c'`
    Character,
    Number,
    Dot,
    /// `.name`
    Field,
    /// `$name`, or `$`.
    Variable,
    /// A function, a keyword, `true` or `false`.
    Word,
    /// A printable character that has no meaning here.
    Other,
    End,
}

/// Gives one lexeme after the other.
pub(crate) struct Lexer<'a> {
    text: &'a str,
    delimiters: &'a Delimiters,
    at: usize,
    is_inside: bool,
    parentheses: usize,
}

type Lexed<'a> = Result<Lexeme<'a>, Located>;

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str, delimiters: &'a Delimiters) -> Self {
        Self { text, delimiters, at: 0, is_inside: false, parentheses: 0 }
    }

    /// Returns the next lexeme; at the end of the text [`LexemeKind::End`], again and again.
    pub(crate) fn lexeme(&mut self) -> Lexed<'a> {
        if self.is_inside { self.inside() } else { self.outside() }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn next(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Returns the next `length` bytes as a lexeme.
    fn take(&mut self, kind: LexemeKind, length: usize) -> Lexeme<'a> {
        let (at, text) = (self.at, &self.text[self.at..self.at + length]);
        self.at += length;
        Lexeme { at, kind, text }
    }

    fn outside(&mut self) -> Lexed<'a> {
        loop {
            let rest = self.rest();
            let Some(length) = rest.find(&self.delimiters.left) else {
                let kind = if rest.is_empty() { LexemeKind::End } else { LexemeKind::Outside };
                return Ok(self.take(kind, rest.len()));
            };
            let action = &rest[length + self.delimiters.left.len()..];
            if length > 0 {
                let kept = if trims_left(action) { trim_end(&rest[..length]) } else { &rest[..length] };
                let lexeme = self.take(LexemeKind::Outside, kept.len());
                self.at += length - kept.len();
                if !kept.is_empty() {
                    return Ok(lexeme);
                }
            }
            let after_marker = if trims_left(action) { &action[2..] } else { action };
            if !after_marker.starts_with("/*") {
                let delimiter = self.take(LexemeKind::LeftDelimiter, self.delimiters.left.len());
                self.at += action.len() - after_marker.len();
                self.is_inside = true;
                self.parentheses = 0;
                return Ok(delimiter);
            }
            self.comment(rest.len() - length - after_marker.len())?;
        }
    }

    /// Skips a comment, whose `/*` is `offset` bytes further.
    fn comment(&mut self, offset: usize) -> Result<(), Located> {
        let begin = self.at;
        self.at += offset + 2;
        let Some(length) = self.rest().find("*/") else {
            return Err(TemplateProblem::UnclosedComment.at(begin));
        };
        self.at += length + 2;
        let Some(is_trimming) = self.right_delimiter() else {
            return Err(TemplateProblem::CommentWithMore.at(self.at));
        };
        self.skip_right_delimiter(is_trimming);
        Ok(())
    }

    /// Returns whether a right delimiter is next, and if so, whether it trims.
    fn right_delimiter(&self) -> Option<bool> {
        let rest = self.rest();
        if trims_right(rest) && rest[2..].starts_with(&self.delimiters.right) {
            return Some(true);
        }
        rest.starts_with(&self.delimiters.right).then_some(false)
    }

    fn skip_right_delimiter(&mut self, is_trimming: bool) -> Lexeme<'a> {
        self.at += if is_trimming { 2 } else { 0 };
        let delimiter = self.take(LexemeKind::RightDelimiter, self.delimiters.right.len());
        if is_trimming {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(is_space).len();
        }
        delimiter
    }

    fn inside(&mut self) -> Lexed<'a> {
        use LexemeKind::{Assign, Comma, Declare, LeftParenthesis, Other, Pipe, RightParenthesis};

        if let Some(is_trimming) = self.right_delimiter() {
            if self.parentheses > 0 {
                return Err(TemplateProblem::UnclosedParenthesis.at(self.at));
            }
            self.is_inside = false;
            return Ok(self.skip_right_delimiter(is_trimming));
        }
        let Some(c) = self.next() else {
            return Err(TemplateProblem::UnclosedAction.at(self.at));
        };
        Ok(match c {
            c if is_space(c) => return Ok(self.space()),
            '=' => self.take(Assign, 1),
            ':' if self.rest().starts_with(":=") => self.take(Declare, 2),
            ':' => return Err(TemplateProblem::ColonAlone.at(self.at)),
            '|' => self.take(Pipe, 1),
            '"' => return self.quoted(LexemeKind::Quoted, '"'),
            '\'' => return self.quoted(LexemeKind::Character, '\''),
            '`' => return self.raw(),
            '$' => return self.name(LexemeKind::Variable, 1),
            '.' if !self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => return self.field(),
            '.' | '+' | '-' | '0'..='9' => return self.number(),
            '(' => {
                self.parentheses += 1;
                self.take(LeftParenthesis, 1)
            }
            ')' => {
                let left = self.parentheses.checked_sub(1);
                self.parentheses = left.ok_or(TemplateProblem::ParenthesisNotOpened.at(self.at))?;
                self.take(RightParenthesis, 1)
            }
            ',' => self.take(Comma, 1),
            c if is_name_character(c) => return self.name(LexemeKind::Word, 0),
            c if c.is_ascii_graphic() => self.take(Other, 1),
            c => return Err(TemplateProblem::Character(c).at(self.at)),
        })
    }

    /// Takes white space, of which the last may belong to a right delimiter that trims.
    fn space(&mut self) -> Lexeme<'a> {
        let rest = self.rest();
        let length = rest.len() - rest.trim_start_matches(is_space).len();
        let is_before_marker = rest[length..].starts_with('-')
            && rest[length + 1..].starts_with(&self.delimiters.right)
            && length > 1;
        self.take(LexemeKind::Space, if is_before_marker { length - 1 } else { length })
    }

    fn field(&mut self) -> Lexed<'a> {
        let is_dot = self.ends_name(&self.rest()[1..]);
        if is_dot { Ok(self.take(LexemeKind::Dot, 1)) } else { self.name(LexemeKind::Field, 1) }
    }

    /// Takes a name that follows `prefix` bytes.
    fn name(&mut self, kind: LexemeKind, prefix: usize) -> Lexed<'a> {
        let rest = self.rest();
        let after = rest[prefix..].trim_start_matches(is_name_character);
        if !self.ends_name(after) {
            let c = after.chars().next().unwrap_or_default();
            return Err(TemplateProblem::CharacterInName(c).at(self.text.len() - after.len()));
        }
        Ok(self.take(kind, rest.len() - after.len()))
    }

    /// Returns whether a name may end before this text.
    fn ends_name(&self, after: &str) -> bool {
        after.is_empty()
            || after.starts_with(is_space)
            || after.starts_with(['.', ',', '|', ':', ')', '('])
            || after.starts_with(&self.delimiters.right)
    }

    /// Takes a string or character, whose escapes are read later.
    fn quoted(&mut self, kind: LexemeKind, quote: char) -> Lexed<'a> {
        let rest = self.rest();
        let mut is_escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                c if c == quote => return Ok(self.take(kind, at + 1)),
                _ => {}
            }
        }
        Err(TemplateProblem::UnclosedQuote(quote).at(self.at))
    }

    fn raw(&mut self) -> Lexed<'a> {
        match self.rest()[1..].find('`') {
            Some(length) => Ok(self.take(LexemeKind::Raw, length + 2)),
            None => Err(TemplateProblem::UnclosedQuote('`').at(self.at)),
        }
    }

    /// Takes what looks like a number. Whether it is one is found when it is read.
    fn number(&mut self) -> Lexed<'a> {
        let length = number_length(self.rest());
        let after = &self.rest()[length..];
        if after.starts_with(is_name_character) || after.starts_with(['+', '-']) {
            return Err(TemplateProblem::Number.at(self.at));
        }
        Ok(self.take(LexemeKind::Number, length))
    }
}

/// Returns the length of what looks like a number.
fn number_length(text: &str) -> usize {
    let signless = text.strip_prefix(['+', '-']).unwrap_or(text);
    let prefix = signless.as_bytes().get(..2).unwrap_or_default();
    let (mut rest, digits, exponent): (&str, fn(char) -> bool, &[char]) = match prefix {
        b"0x" | b"0X" => (&signless[2..], |c| c.is_ascii_hexdigit() || c == '_', &['p', 'P']),
        b"0o" | b"0O" => (&signless[2..], |c| matches!(c, '0'..='7' | '_'), &[]),
        b"0b" | b"0B" => (&signless[2..], |c| matches!(c, '0' | '1' | '_'), &[]),
        _ => (signless, is_decimal, &['e', 'E']),
    };
    rest = rest.trim_start_matches(digits);
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(digits);
    }
    if let Some(power) = rest.strip_prefix(exponent) {
        rest = power.strip_prefix(['+', '-']).unwrap_or(power).trim_start_matches(is_decimal);
    }
    rest = rest.strip_prefix('i').unwrap_or(rest);
    text.len() - rest.len()
}

fn is_decimal(c: char) -> bool {
    c.is_ascii_digit() || c == '_'
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn trim_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// Returns whether what follows a left delimiter begins with a trim marker.
fn trims_left(action: &str) -> bool {
    action.strip_prefix('-').is_some_and(|rest| rest.starts_with(is_space))
}

/// Returns whether a text begins with the trim marker of a right delimiter.
fn trims_right(text: &str) -> bool {
    text.starts_with(is_space) && text[1..].starts_with('-')
}

//! The grammar of label selectors, with the cases of kube-apiserver's own parser: words such as `in`
//! may be keys, and an empty value may stand in a list.

use std::collections::BTreeSet;

use super::label::{LabelCondition, LabelTerm};
use super::label_syntax::{LabelToken, is_key, is_value, tokens};
use super::{LabelCause, shortened};

/// A parser of one selector.
pub(super) struct LabelParser<'a> {
    tokens: Vec<LabelToken<'a>>,
    position: usize,
}

impl<'a> LabelParser<'a> {
    /// Parses a label selector.
    ///
    /// # Errors
    /// The text is none, or a key or value is none that a label can have.
    pub(super) fn parse(text: &'a str) -> Result<Vec<LabelTerm>, LabelCause> {
        let mut parser = Self { tokens: tokens(text), position: 0 };
        let mut terms = Vec::new();
        if parser.peek() == LabelToken::End {
            return Ok(terms);
        }
        loop {
            terms.push(parser.term()?);
            match parser.next() {
                LabelToken::End => return Ok(terms),
                LabelToken::Symbol(",") => {}
                other => return Err(unexpected(other, "',' or end of string")),
            }
        }
    }

    fn peek(&self) -> LabelToken<'a> {
        self.tokens.get(self.position).copied().unwrap_or(LabelToken::End)
    }

    fn next(&mut self) -> LabelToken<'a> {
        let token = self.peek();
        self.position += 1;
        token
    }

    fn term(&mut self) -> Result<LabelTerm, LabelCause> {
        let is_absent = self.take("!");
        let key = match self.next() {
            LabelToken::Word(key) if is_key(key) => key,
            LabelToken::Word(key) => return Err(LabelCause::Key(shortened(key))),
            other if is_absent => return Err(unexpected(other, "identifier")),
            other => return Err(unexpected(other, "!, identifier, or end of string")),
        };
        let condition = match self.peek() {
            _ if is_absent => LabelCondition::DoesNotExist,
            LabelToken::End | LabelToken::Symbol(",") => LabelCondition::Exists,
            _ => self.condition()?,
        };
        Ok(LabelTerm { key: key.to_owned(), condition })
    }

    fn condition(&mut self) -> Result<LabelCondition, LabelCause> {
        match self.next() {
            LabelToken::Word("in") => Ok(LabelCondition::In(self.values()?)),
            LabelToken::Word("notin") => Ok(LabelCondition::NotIn(self.values()?)),
            LabelToken::Symbol("=" | "==") => Ok(LabelCondition::In([self.value()?].into())),
            LabelToken::Symbol("!=") => Ok(LabelCondition::NotIn([self.value()?].into())),
            LabelToken::Symbol(">") => Ok(LabelCondition::GreaterThan(self.number()?)),
            LabelToken::Symbol("<") => Ok(LabelCondition::LessThan(self.number()?)),
            other => Err(unexpected(other, "in, notin, =, ==, !=, > or <")),
        }
    }

    fn number(&mut self) -> Result<i64, LabelCause> {
        let value = self.value()?;
        value.parse().map_err(|_| LabelCause::NotAnInteger(shortened(&value)))
    }

    /// Parses the value after an operator. It may be empty.
    fn value(&mut self) -> Result<String, LabelCause> {
        match self.peek() {
            LabelToken::End | LabelToken::Symbol(",") => Ok(String::new()),
            LabelToken::Word(value) => {
                self.position += 1;
                checked(value)
            }
            other => Err(unexpected(other, "identifier")),
        }
    }

    /// Parses a list of values in brackets. An empty place in it is the empty value.
    fn values(&mut self) -> Result<BTreeSet<String>, LabelCause> {
        match self.next() {
            LabelToken::Symbol("(") => {}
            other => return Err(unexpected(other, "'('")),
        }
        let mut values = BTreeSet::new();
        if self.take(")") {
            values.insert(String::new());
            return Ok(values);
        }
        loop {
            match self.next() {
                LabelToken::Word(value) => {
                    values.insert(checked(value)?);
                    if self.take(")") {
                        return Ok(values);
                    }
                    if self.peek() != LabelToken::Symbol(",") {
                        return Err(unexpected(self.peek(), "',' or ')'"));
                    }
                }
                LabelToken::Symbol(",") => {
                    let ends = self.take(")");
                    if ends || values.is_empty() || self.peek() == LabelToken::Symbol(",") {
                        values.insert(String::new());
                    }
                    if ends {
                        return Ok(values);
                    }
                }
                other => return Err(unexpected(other, "',' or identifier")),
            }
        }
    }

    /// Takes this symbol, if it is next.
    fn take(&mut self, symbol: &str) -> bool {
        let is_next = self.peek() == LabelToken::Symbol(symbol);
        if is_next {
            self.position += 1;
        }
        is_next
    }
}

fn checked(value: &str) -> Result<String, LabelCause> {
    if is_value(value) { Ok(value.to_owned()) } else { Err(LabelCause::Value(shortened(value))) }
}

fn unexpected(found: LabelToken<'_>, expected: &'static str) -> LabelCause {
    LabelCause::Unexpected { found: shortened(found.text()), expected }
}

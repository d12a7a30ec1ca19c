//! The index of a JSON text, made in one pass while the text arrives. Nothing is copied, and
//! nothing is read twice, however deep the values are.

use super::value::JsonValue;

/// Maximum number of values in a text, keys of objects included.
pub(crate) const MAX_VALUES: usize = 200_000;

/// Maximum nesting depth. Go's own limit is 10,000; secrets nest far less than this.
pub(crate) const MAX_DEPTH: usize = 66;

/// Memory of the index for each value, in bytes: a vector that grows has up to twice what it holds.
pub(crate) const BYTES_PER_VALUE: usize = 2 * size_of::<Node>();

/// The places of all values in a JSON text, in the order in which they begin.
#[derive(Debug, Default)]
pub(crate) struct JsonIndex(Vec<Node>);

/// One value, or the key of a member.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// The place of the first byte in the text.
    pub(super) start: u32,
    /// The place behind the last byte.
    pub(super) end: u32,
    /// The node behind this one and all that is in it.
    pub(super) next: u32,
}

/// A text that has no index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotIndexed {
    /// The text is not JSON.
    NotJson,
    /// The text nests deeper than [`MAX_DEPTH`].
    TooDeep,
    /// The text has more than [`MAX_VALUES`] values.
    TooManyValues,
}

/// Makes the index of a text that arrives in pieces.
#[derive(Debug)]
pub(crate) struct JsonIndexer {
    nodes: Vec<Node>,
    /// The objects and arrays that are not closed yet.
    open: Vec<u32>,
    expected: Expected,
    token: Token,
    /// How far the text is indexed.
    at: usize,
    /// How far the text is known to be UTF-8.
    valid: usize,
}

/// What may come next, besides white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Value,
    /// A value or the end of the array.
    FirstItem,
    /// A key or the end of the object.
    FirstKey,
    Key,
    Colon,
    /// A comma or the end of the object or array.
    Comma,
    End,
}

/// The token that the indexer is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    None,
    /// A string.
    Text,
    /// A string, after a backslash.
    Escape,
    /// A string, with this many hexadecimal digits to come.
    Hex(u8),
    /// A number, `true`, `false` or `null`.
    Scalar,
}

impl JsonIndex {
    /// Returns the index of a whole text.
    ///
    /// # Errors
    /// [`NotIndexed`].
    pub(crate) fn of(text: &[u8]) -> Result<Self, NotIndexed> {
        let mut indexer = JsonIndexer::new();
        indexer.advance(text)?;
        indexer.finish(text)
    }

    /// Returns the number of values, keys included.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the value that the text is. `text` is the text of this index.
    pub(crate) fn root<'a>(&'a self, text: &'a [u8]) -> JsonValue<'a> {
        JsonValue::root(text, &self.0)
    }
}

impl JsonIndexer {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            open: Vec::new(),
            expected: Expected::Value,
            token: Token::None,
            at: 0,
            valid: 0,
        }
    }

    /// Returns the number of values so far.
    pub(crate) fn values(&self) -> usize {
        self.nodes.len()
    }

    /// Indexes what has arrived since the last call. `text` is all that has arrived.
    ///
    /// # Errors
    /// [`NotIndexed`], as soon as it is known.
    pub(crate) fn advance(&mut self, text: &[u8]) -> Result<(), NotIndexed> {
        self.validate(text)?;
        while let Some(&byte) = text.get(self.at) {
            match self.token {
                Token::None => self.begin(byte, text)?,
                Token::Text => self.text(text)?,
                Token::Escape => self.escape(byte)?,
                Token::Hex(more) => self.hex(byte, more)?,
                Token::Scalar => match byte {
                    b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'+' | b'-' => self.at += 1,
                    _ => self.end_scalar(text)?,
                },
            }
        }
        Ok(())
    }

    /// Returns the index of the whole text.
    ///
    /// # Errors
    /// [`NotIndexed`], if the text has not ended.
    pub(crate) fn finish(mut self, text: &[u8]) -> Result<JsonIndex, NotIndexed> {
        if self.token == Token::Scalar {
            self.end_scalar(text)?;
        }
        if self.expected != Expected::End || self.valid < text.len() {
            return Err(NotIndexed::NotJson);
        }
        self.nodes.shrink_to_fit();
        Ok(JsonIndex(self.nodes))
    }

    /// Checks that the text is UTF-8. A character whose end has not arrived is checked later.
    fn validate(&mut self, text: &[u8]) -> Result<(), NotIndexed> {
        match std::str::from_utf8(&text[self.valid..]) {
            Ok(_) => self.valid = text.len(),
            Err(error) if error.error_len().is_none() => self.valid += error.valid_up_to(),
            Err(_) => return Err(NotIndexed::NotJson),
        }
        Ok(())
    }

    /// Takes a byte between tokens.
    fn begin(&mut self, byte: u8, text: &[u8]) -> Result<(), NotIndexed> {
        use Expected::{Colon, Comma, FirstItem, FirstKey, Key, Value};

        match (byte, self.expected) {
            (b' ' | b'\t' | b'\n' | b'\r', _) => {}
            (b'{', Value | FirstItem) => self.open(FirstKey)?,
            (b'[', Value | FirstItem) => self.open(FirstItem)?,
            (b'"', Value | FirstItem | FirstKey | Key) => {
                self.push()?;
                self.token = Token::Text;
            }
            (b'-' | b'0'..=b'9' | b't' | b'f' | b'n', Value | FirstItem) => {
                self.push()?;
                self.token = Token::Scalar;
            }
            (b':', Colon) => self.expected = Value,
            (b',', Comma) => self.expected = if self.opened(text) == Some(b'{') { Key } else { Value },
            (b'}', Comma | FirstKey) if self.opened(text) == Some(b'{') => return self.close(),
            (b']', Comma | FirstItem) if self.opened(text) == Some(b'[') => return self.close(),
            _ => return Err(NotIndexed::NotJson),
        }
        self.at += 1;
        Ok(())
    }

    /// Skips the plain part of a string.
    fn text(&mut self, text: &[u8]) -> Result<(), NotIndexed> {
        let rest = &text[self.at..];
        let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
        let Some(plain) = plain else {
            self.at = text.len();
            return Ok(());
        };
        self.at += plain + 1;
        match rest[plain] {
            b'"' => self.end_token(),
            b'\\' => self.token = Token::Escape,
            _ => return Err(NotIndexed::NotJson),
        }
        Ok(())
    }

    fn escape(&mut self, byte: u8) -> Result<(), NotIndexed> {
        self.token = match byte {
            b'u' => Token::Hex(4),
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Token::Text,
            _ => return Err(NotIndexed::NotJson),
        };
        self.at += 1;
        Ok(())
    }

    fn hex(&mut self, byte: u8, more: u8) -> Result<(), NotIndexed> {
        if !byte.is_ascii_hexdigit() {
            return Err(NotIndexed::NotJson);
        }
        self.token = if more == 1 { Token::Text } else { Token::Hex(more - 1) };
        self.at += 1;
        Ok(())
    }

    fn end_scalar(&mut self, text: &[u8]) -> Result<(), NotIndexed> {
        let start = self.nodes.last().map_or(0, |node| node.start as usize);
        if !is_scalar(&text[start..self.at]) {
            return Err(NotIndexed::NotJson);
        }
        self.end_token();
        Ok(())
    }

    /// Ends the string or scalar that began last.
    fn end_token(&mut self) {
        self.token = Token::None;
        let last = self.nodes.len() - 1;
        self.end_value(last);
        if self.expected == Expected::FirstKey || self.expected == Expected::Key {
            self.expected = Expected::Colon;
        } else {
            self.expect_after_value();
        }
    }

    fn open(&mut self, inside: Expected) -> Result<(), NotIndexed> {
        if self.open.len() >= MAX_DEPTH {
            return Err(NotIndexed::TooDeep);
        }
        self.open.push(place(self.nodes.len()));
        self.push()?;
        self.expected = inside;
        Ok(())
    }

    fn close(&mut self) -> Result<(), NotIndexed> {
        let opened = self.open.pop().ok_or(NotIndexed::NotJson)?;
        self.at += 1;
        self.end_value(opened as usize);
        self.expect_after_value();
        Ok(())
    }

    fn push(&mut self) -> Result<(), NotIndexed> {
        if self.nodes.len() >= MAX_VALUES {
            return Err(NotIndexed::TooManyValues);
        }
        self.nodes.push(Node { start: place(self.at), end: 0, next: 0 });
        Ok(())
    }

    fn end_value(&mut self, node: usize) {
        let next = place(self.nodes.len());
        self.nodes[node] = Node { end: place(self.at), next, ..self.nodes[node] };
    }

    fn expect_after_value(&mut self) {
        self.expected = if self.open.is_empty() { Expected::End } else { Expected::Comma };
    }

    /// Returns the bracket of the innermost object or array that is open.
    fn opened(&self, text: &[u8]) -> Option<u8> {
        let node = self.nodes[*self.open.last()? as usize];
        text.get(node.start as usize).copied()
    }
}

/// Returns a place as it is stored. Texts are shorter than 4 GiB by far.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Returns whether a text is a number, `true`, `false` or `null`
/// (<https://www.rfc-editor.org/rfc/rfc8259#section-6>).
fn is_scalar(text: &[u8]) -> bool {
    if matches!(text, b"true" | b"false" | b"null") {
        return true;
    }
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(unsigned);
    if whole == 0 || (whole > 1 && unsigned[0] == b'0') {
        return false;
    }
    let mut rest = &unsigned[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let places = digits(fraction);
        if places == 0 {
            return false;
        }
        rest = &fraction[places..];
    }
    if let Some((b'e' | b'E', exponent)) = rest.split_first() {
        let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests;

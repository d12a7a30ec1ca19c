//! A value in an indexed JSON text.

use std::borrow::Cow;

use super::index::Node;
use crate::Secret;

/// A value in a JSON text. A copy costs nothing, and all text is borrowed.
#[derive(Debug, Clone, Copy)]
pub struct JsonValue<'a> {
    text: &'a [u8],
    nodes: &'a [Node],
    at: usize,
}

/// What is kept of a [`JsonValue`] while nothing is borrowed. It belongs to one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonHandle(u32);

impl<'a> JsonValue<'a> {
    pub(super) fn root(text: &'a [u8], nodes: &'a [Node]) -> Self {
        Self { text, nodes, at: 0 }
    }

    /// Returns the value whose handle this is. It is a value of the same text.
    pub(crate) fn of_handle(self, handle: JsonHandle) -> Self {
        Self { at: handle.0 as usize, ..self }
    }

    /// Returns the handle of the value.
    #[must_use]
    pub fn handle(self) -> JsonHandle {
        JsonHandle(u32::try_from(self.at).unwrap_or(u32::MAX))
    }

    /// Returns the JSON text of the value.
    #[must_use]
    pub fn raw(self) -> &'a str {
        let node = self.nodes.get(self.at);
        let bytes = node.map(|node| &self.text[node.start as usize..node.end as usize]);
        std::str::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
    }

    /// Returns the place of the value in memory, which tells it from every other value.
    #[must_use]
    pub fn place(self) -> usize {
        let start = self.nodes.get(self.at).map_or(0, |node| node.start as usize);
        self.text.as_ptr() as usize + start
    }

    /// Returns the length of the value's JSON text, in bytes, without looking at the text.
    #[must_use]
    pub fn text_length(self) -> usize {
        self.nodes.get(self.at).map_or(0, |node| (node.end - node.start) as usize)
    }

    /// Returns whether the value is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.first_byte() == Some(b'n')
    }

    /// Returns whether the value is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.first_byte() == Some(b'{')
    }

    /// Returns whether the value is an array.
    #[must_use]
    pub fn is_array(self) -> bool {
        self.first_byte() == Some(b'[')
    }

    /// Returns whether the value is a string.
    #[must_use]
    pub fn is_string(self) -> bool {
        self.first_byte() == Some(b'"')
    }

    /// Returns the member of an object with this key, of several the last; none if there is none,
    /// or the value is not an object. The time is linear in the number of members.
    #[must_use]
    pub fn member(self, key: &str) -> Option<Self> {
        self.members().filter(|(name, _)| name == key).last().map(|(_, value)| value)
    }

    /// Returns key and value of each member of an object, in the order of the text; nothing if the
    /// value is not an object.
    pub fn members(self) -> impl Iterator<Item = (Cow<'a, str>, Self)> {
        let mut children = self.children().take_while(move |_| self.is_object());
        std::iter::from_fn(move || Some((key(children.next()?.raw()), children.next()?)))
    }

    /// Returns key and value of each member, sorted by key. Of members with the same key the last
    /// counts.
    #[must_use]
    pub fn sorted_members(self) -> Vec<(Cow<'a, str>, Self)> {
        let mut members: Vec<_> = self.members().collect();
        members.reverse();
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        members.dedup_by(|(later, _), (earlier, _)| later == earlier);
        members
    }

    /// Returns the items of an array; nothing if the value is not an array.
    pub fn items(self) -> impl Iterator<Item = Self> {
        self.children().take_while(move |_| self.is_array())
    }

    /// Returns the text of a string; none if the value is not a string.
    #[must_use]
    pub fn string(self) -> Option<Secret> {
        self.is_string().then(|| unescaped(self.raw()))
    }

    /// Returns the values directly inside, keys included.
    fn children(self) -> impl Iterator<Item = Self> {
        let end = self.nodes.get(self.at).map_or(0, |node| node.next as usize);
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            let child = self.nodes.get(at).filter(|_| at < end)?;
            let value = Self { at, ..self };
            at = child.next as usize;
            Some(value)
        })
    }

    fn first_byte(self) -> Option<u8> {
        self.text.get(self.nodes.get(self.at)?.start as usize).copied()
    }
}

/// Returns the text of a key.
fn key(raw: &str) -> Cow<'_, str> {
    let inside = &raw[1..raw.len() - 1];
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    Cow::Owned(unescaped(raw).expose_str().unwrap_or_default().to_owned())
}

/// Returns the text of a JSON string. No copy is left behind that is not wiped, and the time is
/// linear. A surrogate that stands alone becomes U+FFFD, as with Go's `encoding/json`.
fn unescaped(raw: &str) -> Secret {
    let mut rest = &raw[1..raw.len() - 1];
    let mut text = Secret::new(Vec::with_capacity(rest.len()));
    while let Some(at) = rest.find('\\') {
        text.push(&rest.as_bytes()[..at]);
        let (c, length) = escape(&rest[at..]);
        text.push(c.encode_utf8(&mut [0; 4]).as_bytes());
        rest = rest.get(at + length..).unwrap_or_default();
    }
    text.push(rest.as_bytes());
    text
}

/// Returns the character of an escape at the beginning of a text, and the length of the escape.
fn escape(text: &str) -> (char, usize) {
    let simple = match text.as_bytes().get(1) {
        Some(b'u') => return unicode(text),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(other) => char::from(*other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (simple, 2)
}

/// Returns the character of `\uXXXX`, or of two of them that are a pair of surrogates.
fn unicode(text: &str) -> (char, usize) {
    let unit = |at: usize| u32::from_str_radix(text.get(at..at + 4)?, 16).ok();
    let first = unit(2).unwrap_or(u32::MAX);
    let low = unit(8).filter(|_| text.get(6..8) == Some("\\u")).and_then(|low| low.checked_sub(0xdc00));
    match low.filter(|low| (0xd800..0xdc00).contains(&first) && *low < 0x400) {
        Some(low) => (character(0x10000 + ((first - 0xd800) << 10) + low), 12),
        None => (character(first), 6),
    }
}

fn character(code: u32) -> char {
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::unescaped;
    use crate::json::index::JsonIndex;

    fn unescape(raw: &str) -> String {
        String::from_utf8(unescaped(raw).into_bytes()).expect("UTF-8")
    }

    #[test]
    fn members_items_and_strings_are_found() {
        let text = br#"{"a":[1,"x",{"b":null}],"\u0061":2,"c":{"d":"\ud83d\ude00\n"}}"#;
        let index = JsonIndex::of(text).expect("JSON");
        let root = index.root(text);
        assert_eq!(root.member("a").expect("a member").raw(), "2");
        let smile = root.member("c").and_then(|c| c.member("d")).and_then(|d| d.string());
        assert_eq!(smile.expect("a string").expose_str(), Some("😀\n"));
        let sorted: Vec<_> =
            root.sorted_members().into_iter().map(|(key, value)| (key, value.raw())).collect();
        assert_eq!(sorted[0], ("a".into(), "2"));
        assert_eq!(sorted.len(), 2);
        let first = root.members().next().expect("a member").1;
        assert_eq!(first.items().map(|item| item.raw()).collect::<Vec<_>>(), ["1", "\"x\"", "{\"b\":null}"]);
        assert!(root.items().next().is_none() && first.members().next().is_none());
    }

    #[test]
    fn a_surrogate_alone_is_replaced_as_go_does() {
        for (raw, text) in [
            (r#""\ud83d""#, "\u{fffd}"),
            (r#""\ude00""#, "\u{fffd}"),
            (r#""\ud83dx""#, "\u{fffd}x"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        ] {
            assert_eq!(unescape(raw), text, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn strings_are_read_as_serde_json_does(text in any::<String>()) {
            let raw = serde_json::to_string(&text).expect("JSON");
            prop_assert_eq!(unescape(&raw), text.clone());
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(unescape(&format!("\"{escaped}\"")), text);
        }
    }
}

//! The documents of a manifest, each parsed by itself so that errors name the right line.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Visitor},
};
use serde_saphyr::{Options, UserMessageFormatter};

/// One document of a file.
pub(super) struct Document<'a> {
    text: &'a str,
    /// How many lines of the file are before it.
    lines_before: usize,
}

/// The documents of the text. In YAML no line of content may begin with the mark between them.
pub(super) fn split(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let mut start = 0;
    let mut at = 0;
    let mut lines_before = 0;
    for (line, content) in text.split_inclusive('\n').enumerate() {
        if at > start && is_mark(content) {
            documents.push(Document { text: &text[start..at], lines_before });
            start = at;
            lines_before = line;
        }
        at += content.len();
    }
    documents.push(Document { text: &text[start..], lines_before });
    documents
}

fn is_mark(line: &str) -> bool {
    let rest = line.strip_prefix("---");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

impl Document<'_> {
    /// The document's value, or what is wrong and in which line of the file.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, String> {
        let text = "\n".repeat(self.lines_before) + self.text;
        if self.text.trim_start().starts_with('{') {
            serde_json::from_str(&text).map_err(|error| error.to_string())
        } else {
            serde_saphyr::from_str_with_options(&text, options())
                .map_err(|error| error.render_with_formatter(&UserMessageFormatter))
        }
    }
}

fn options() -> Options {
    serde_saphyr::options! { with_snippet: false }
}

/// A string that is written as one: Kubernetes takes no number or boolean for it either.
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl Visitor<'_> for Written {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string (in quotes)")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Written)
    }
}

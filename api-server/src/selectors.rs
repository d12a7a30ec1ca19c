//! Field and label selectors of lists, read as kube-apiserver reads them
//! (<https://github.com/kubernetes/apimachinery>, `pkg/fields` and `pkg/labels`).

mod field;
mod label;
mod label_parser;
mod label_syntax;
#[cfg(test)]
mod tests;

pub(crate) use self::field::FieldSelector;
pub(crate) use self::label::LabelSelector;

/// A selector that is refused, as kube-apiserver refuses it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectorError {
    #[error("field selector {selector:?}: {cause}")]
    Field { selector: String, cause: FieldCause },
    #[error("label selector {selector:?}: {cause}")]
    Label { selector: String, cause: LabelCause },
}

/// Why a field selector is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FieldCause {
    #[error("can't understand {0:?}")]
    NoTerm(String),
    #[error("{0:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")]
    UnknownField(String),
    #[error(
        "invalid escape sequence in {0:?}: a backslash comes before a comma, an equals sign or a backslash"
    )]
    Escape(String),
    #[error("a comma or an equals sign in {0:?} needs a backslash before it")]
    Unescaped(String),
}

/// Why a label selector is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LabelCause {
    #[error("found {found:?}, expected: {expected}")]
    Unexpected { found: String, expected: &'static str },
    #[error(
        "{0:?} is no label's key: an optional DNS prefix and a slash, and a name of at most 63 letters, digits, \
             '-', '_' and '.', with a letter or digit at both ends"
    )]
    Key(String),
    #[error(
        "{0:?} is no label's value: at most 63 letters, digits, '-', '_' and '.', with a letter or digit at \
             both ends"
    )]
    Value(String),
    #[error("{0:?} is no integer, which > and < compare with")]
    NotAnInteger(String),
}

/// Shortens a text for a message.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

//! What goes wrong while a template is rendered.

use crate::place::TemplatePlace;

/// A fault while a template is rendered, with the place in the template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct RenderFault {
    /// The place of the action or function.
    pub place: TemplatePlace,
    /// What went wrong.
    #[source]
    pub problem: RenderProblem,
}

/// What went wrong. Messages name keys that the template has, functions and kinds of values, never
/// a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderProblem {
    /// The steps are used up.
    #[error("the template takes more than {0} steps")]
    Steps(usize),
    /// The file is too large.
    #[error("the file is larger than {0} bytes")]
    Output(usize),
    /// The values in use take too much memory.
    #[error("the values of the template take more than {0} bytes at one time")]
    Memory(usize),
    /// A function made a value that is too large.
    #[error("a value is larger than {0} bytes")]
    ValueSize(usize),
    /// A function went through too many values.
    #[error("a map or list has more than {} values", crate::MAX_ITEMS)]
    TooManyItems,
    /// A key is missing.
    #[error("there is no key {0}")]
    MissingKey(String),
    /// A field of something that has none.
    #[error("there is no field {name} in {found}")]
    NoField {
        /// The field.
        name: String,
        /// What has no fields, or not this one.
        found: &'static str,
    },
    /// An argument of a kind that the function does not take.
    #[error("{function} takes {wants}, not {found}")]
    Argument {
        /// The function.
        function: &'static str,
        /// What it takes.
        wants: &'static str,
        /// What it got.
        found: &'static str,
    },
    /// Values that cannot be compared.
    #[error("{function} cannot compare {one} with {other}")]
    Compare {
        /// The function.
        function: &'static str,
        /// The first value.
        one: &'static str,
        /// The other value.
        other: &'static str,
    },
    /// A value that cannot be gone through.
    #[error("range takes a list, map or whole number, not {0}")]
    Range(&'static str),
    /// An index that is no item of the list.
    #[error("the list has no item with this index")]
    NoItem,
    /// A text that is not base64.
    #[error("the text is not base64")]
    Base64,
    /// A text that is not JSON.
    #[error("the text is not JSON that parseJSON can read")]
    Json,
    /// The answer to `pkiCert` has something that is no certificate.
    #[error("the answer has no certificate that can be read")]
    Certificate,
    /// Something that Go can do and Coffer does not.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// No answer was given for a request of the template.
    #[error("there is no answer for this secret")]
    NoAnswer,
}

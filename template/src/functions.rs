//! The functions of templates: those of Go, and those of consul-template.

/// A function that a template may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the functions")]
pub enum TemplateFunction {
    And,
    Or,
    Not,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Len,
    Index,
    Print,
    Printf,
    Println,
    Secret,
    PkiCert,
    ToJson,
    ToJsonPretty,
    ToUnescapedJson,
    ToUnescapedJsonPretty,
    ToYaml,
    Base64Decode,
    Base64Encode,
    Contains,
    ReplaceAll,
    Trim,
    TrimSpace,
    ToUpper,
    ToLower,
    Split,
    Join,
    Indent,
    ParseJson,
}

/// What a function takes in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parameter {
    Any,
    Text,
    Whole,
    Texts,
}

/// What a function takes.
pub(crate) struct Signature {
    /// The first parameters.
    pub(crate) fixed: &'static [Parameter],
    /// The type of any number of further arguments.
    pub(crate) more: Option<Parameter>,
    /// The same in words.
    pub(crate) words: &'static str,
}

const ANY: &[Parameter] = &[Parameter::Any];
const TWO: &[Parameter] = &[Parameter::Any, Parameter::Any];
const TEXT: &[Parameter] = &[Parameter::Text];
const TEXTS: &[Parameter] = &[Parameter::Text, Parameter::Text];

/// Every function with its name.
pub(crate) const FUNCTIONS: &[(&str, TemplateFunction)] = {
    use TemplateFunction as F;
    &[
        ("and", F::And),
        ("or", F::Or),
        ("not", F::Not),
        ("eq", F::Eq),
        ("ne", F::Ne),
        ("lt", F::Lt),
        ("le", F::Le),
        ("gt", F::Gt),
        ("ge", F::Ge),
        ("len", F::Len),
        ("index", F::Index),
        ("print", F::Print),
        ("printf", F::Printf),
        ("println", F::Println),
        ("secret", F::Secret),
        ("pkiCert", F::PkiCert),
        ("toJSON", F::ToJson),
        ("toJSONPretty", F::ToJsonPretty),
        ("toUnescapedJSON", F::ToUnescapedJson),
        ("toUnescapedJSONPretty", F::ToUnescapedJsonPretty),
        ("toYAML", F::ToYaml),
        ("base64Decode", F::Base64Decode),
        ("base64Encode", F::Base64Encode),
        ("contains", F::Contains),
        ("replaceAll", F::ReplaceAll),
        ("trim", F::Trim),
        ("trimSpace", F::TrimSpace),
        ("toUpper", F::ToUpper),
        ("toLower", F::ToLower),
        ("split", F::Split),
        ("join", F::Join),
        ("indent", F::Indent),
        ("parseJSON", F::ParseJson),
    ]
};

impl TemplateFunction {
    /// Returns the function of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
    }

    /// Returns the function's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        FUNCTIONS.iter().find(|(_, function)| *function == self).map_or("", |(name, _)| name)
    }

    pub(crate) fn signature(self) -> Signature {
        let (fixed, more, words) = match self {
            Self::And | Self::Or => (ANY, Some(Parameter::Any), "one argument or more"),
            Self::Index => (ANY, Some(Parameter::Any), "a map or list, and keys"),
            Self::Eq => (TWO, Some(Parameter::Any), "two arguments or more"),
            Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge => (TWO, None, "two arguments"),
            Self::Not | Self::Len => (ANY, None, "one argument"),
            Self::Print | Self::Println => (&[][..], Some(Parameter::Any), "any arguments"),
            Self::Printf => (TEXT, Some(Parameter::Any), "a format and arguments"),
            Self::Secret | Self::PkiCert => (TEXT, Some(Parameter::Text), "a path and \"key=value\" texts"),
            Self::ToJson
            | Self::ToJsonPretty
            | Self::ToUnescapedJson
            | Self::ToUnescapedJsonPretty
            | Self::ToYaml => (ANY, None, "one argument"),
            Self::Base64Decode
            | Self::Base64Encode
            | Self::TrimSpace
            | Self::ToUpper
            | Self::ToLower
            | Self::ParseJson => (TEXT, None, "one text"),
            Self::Contains => (TWO, None, "what is looked for, and a text or list"),
            Self::ReplaceAll => {
                (&[Parameter::Text; 3][..], None, "the text to replace, the replacement, and a text")
            }
            Self::Trim => (TEXTS, None, "the characters to trim, and a text"),
            Self::Split => (TEXTS, None, "a separator, and a text"),
            Self::Join => {
                (&[Parameter::Text, Parameter::Texts][..], None, "a separator, and a list of texts")
            }
            Self::Indent => {
                (&[Parameter::Whole, Parameter::Text][..], None, "a number of spaces, and a text")
            }
        };
        Signature { fixed, more, words }
    }
}

impl Signature {
    /// Returns whether the function takes this many arguments.
    pub(crate) fn takes(&self, arguments: usize) -> bool {
        match self.more {
            Some(_) => arguments >= self.fixed.len(),
            None => arguments == self.fixed.len(),
        }
    }

    /// Returns the parameter of the argument with this index.
    pub(crate) fn parameter(&self, n: usize) -> Parameter {
        self.fixed.get(n).copied().or(self.more).unwrap_or(Parameter::Any)
    }
}

impl Parameter {
    /// Returns what the parameter takes, in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::Text => "a text",
            Self::Whole => "a whole number",
            Self::Texts => "a list of texts, as split gives it",
        }
    }
}

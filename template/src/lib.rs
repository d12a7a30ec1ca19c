//! Templates of Vault's secrets: the part of Go's `text/template` and of consul-template's
//! functions that users of the Agent Injector write.
//!
//! A template's text is a tenant's, and its values are secrets. So the text is limited, its
//! requests are known before anything is read, and rendering takes no more time and memory than
//! its budget. No message has a byte of a secret.

mod alphabet;
mod base64;
mod budget;
mod certificate;
mod code;
mod compare;
mod composite;
mod delimiters;
mod fault;
mod fields;
mod float;
mod functions;
#[cfg(fuzzing)]
pub mod fuzzing;
mod json_text;
mod lexer;
mod literal;
mod machine;
mod parser;
mod place;
mod print;
mod printf;
mod quote;
mod refused;
mod render_fault;
mod request;
mod template;
mod texts;
pub mod tree;
mod value;
mod yaml_text;

pub use budget::{MAX_ITEMS, MAX_VALUE, TemplateBudget};
pub use delimiters::{BadDelimiter, Delimiters};
pub use fault::{TemplateFault, TemplateProblem};
pub use functions::TemplateFunction;
pub use machine::{Progress, RenderOptions, Rendering};
pub use place::TemplatePlace;
pub use render_fault::{RenderFault, RenderProblem};
pub use request::{BadRequest, TemplateAction, TemplateRequest};
pub use template::Template;

/// Maximum length of a template's text, in bytes.
pub const MAX_TEXT: usize = 64 << 10;

/// Maximum depth of blocks and parentheses.
pub const MAX_DEPTH: usize = 64;

/// Maximum number of different requests of one template.
pub const MAX_REQUESTS: usize = 64;

/// Maximum number of arguments of one call.
pub const MAX_ARGUMENTS: usize = 255;

/// Returns the tree of a template's text. What [`Template::parse`] checks besides is not checked.
///
/// # Errors
/// [`TemplateFault`].
pub fn parse_tree(text: &str, delimiters: &Delimiters) -> Result<Vec<tree::TemplateNode>, TemplateFault> {
    parser::parse(text, delimiters).map_err(|located| located.fault(text))
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;

//! Templates of objects, with what they ask Vault for.

use std::sync::Arc;

use coffer_template::Template;
use coffer_vault::Request;

/// The template of an object.
#[derive(Debug)]
pub struct ObjectTemplate {
    /// The template.
    pub template: Template,
    /// What it asks Vault for, in the order of [`Template::requests`].
    pub requests: Vec<Arc<Request>>,
    /// Whether a missing key is an error. Else Go's `<no value>` stands for it.
    pub error_on_missing_key: bool,
}

//! Renders objects from sample answers instead of Vault's.

use std::sync::Arc;

use coffer_vault::{Answer, MAX_BODY, Secret};

use crate::Error;
use crate::class::Object;
use crate::render::{FilesBudget, Frames, Parsed, RenderContext, TemplateSteps, render};

/// A file without version and mode.
#[derive(Debug)]
pub struct RenderedFile {
    /// The path in the volume.
    pub path: String,
    /// The content.
    pub contents: Secret,
}

/// Returns the files that an object makes of these answers, which are those to the requests of its
/// source, in the same order.
///
/// # Errors
/// [`Error`], as a mount would have it.
pub fn render_sample(object: &Object, answers: &[Arc<Answer>]) -> Result<Vec<RenderedFile>, Error> {
    let parsed: Vec<Parsed<'_>> = answers.iter().map(Parsed::new).collect();
    let budget = FilesBudget::new(MAX_BODY, TemplateSteps::All);
    let frames = Frames::unstored();
    let context = RenderContext { frames: &frames, budget: &budget, limit: MAX_BODY };
    let files = render(object, &parsed.iter().collect::<Vec<_>>(), &context)?;
    Ok(files.into_iter().map(|file| RenderedFile { path: file.path, contents: file.contents }).collect())
}

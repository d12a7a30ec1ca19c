//! `--template`: renders the text of a template.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use coffer_provider::{RenderedFile, decode_text};
use coffer_template::{BadDelimiter, Delimiters, RenderFault, RenderOptions, Template, TemplateFault};
use thiserror::Error;

use super::RenderError;
use super::sample::SampleData;
use crate::args::RenderArgs;

/// Why a template gives no file.
#[derive(Debug, Error)]
pub(crate) enum TemplateFileError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is no text.
    #[error("{}: {source}", file.display())]
    NoText {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: coffer_provider::BadText,
    },
    /// A delimiter cannot be used.
    #[error(transparent)]
    Delimiter(#[from] BadDelimiter),
    /// The template has a mistake.
    #[error("{}:{}:{}: {}", file.display(), fault.place.line, fault.place.column, fault.problem)]
    Mistake {
        /// The file.
        file: PathBuf,
        /// The mistake.
        fault: TemplateFault,
    },
    /// The data does not fit the template, or the template takes too much.
    #[error("{}:{}:{}: {}", file.display(), fault.place.line, fault.place.column, fault.problem)]
    Rendering {
        /// The file.
        file: PathBuf,
        /// What went wrong.
        fault: RenderFault,
    },
}

impl TemplateFileError {
    /// Returns whether the file could not even be read.
    pub(super) fn is_unreadable(&self) -> bool {
        matches!(self, Self::File { .. })
    }
}

/// Returns the file that a template makes of sample data.
pub(super) fn render(
    path: &Path,
    args: &RenderArgs,
    sample: &SampleData,
) -> Result<RenderedFile, RenderError> {
    let (file, text) = read(path)?;
    let delimiter = |text: &Option<String>| text.clone().unwrap_or_default();
    let delimiters = Delimiters::new(&delimiter(&args.left_delimiter), &delimiter(&args.right_delimiter))
        .map_err(TemplateFileError::from)?;
    let template = Template::parse(&text, &delimiters)
        .map_err(|fault| TemplateFileError::Mistake { file: file.clone(), fault })?;
    let answers = template.requests().iter().map(|request| sample.answer(&request.path));
    let answers = answers.collect::<Result<Vec<_>, _>>()?;
    let options =
        RenderOptions { error_on_missing_key: !args.allow_missing_keys, ..RenderOptions::default() };
    let contents = template
        .render(answers, options)
        .map_err(|fault| TemplateFileError::Rendering { file: file.clone(), fault })?;
    Ok(RenderedFile { path: file.display().to_string(), contents })
}

/// Returns a file's name as it is shown, and its text.
fn read(path: &Path) -> Result<(PathBuf, String), TemplateFileError> {
    let is_input = path.as_os_str() == "-";
    let file = if is_input { PathBuf::from("standard input") } else { path.to_owned() };
    let mut bytes = Vec::new();
    let read =
        if is_input { io::stdin().read_to_end(&mut bytes).map(|_| bytes) } else { std::fs::read(path) };
    let bytes = read.map_err(|source| TemplateFileError::File { file: file.clone(), source })?;
    match decode_text(&bytes) {
        Ok(text) => Ok((file, text)),
        Err(source) => Err(TemplateFileError::NoText { file, source }),
    }
}

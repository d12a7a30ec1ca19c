//! A template that is parsed and checked.

use std::sync::Arc;

use coffer_vault::{Answer, Secret};

use crate::code::{Code, Operation, compile};
use crate::delimiters::Delimiters;
use crate::fault::TemplateFault;
use crate::machine::{RenderOptions, Rendering};
use crate::parser::parse;
use crate::place::TemplatePlace;
use crate::render_fault::RenderFault;
use crate::request::TemplateRequest;

/// A template.
#[derive(Debug)]
pub struct Template {
    /// The text, for the places of faults.
    pub(crate) text: String,
    pub(crate) code: Code,
}

impl Template {
    /// Parses and checks a template's text. Whatever Go would refuse only when it gets there, such
    /// as a wrong number of arguments, is refused here.
    ///
    /// # Errors
    /// [`TemplateFault`], for the first mistake.
    pub fn parse(text: &str, delimiters: &Delimiters) -> Result<Self, TemplateFault> {
        let code = parse(text, delimiters).and_then(|nodes| compile(&nodes));
        let code = code.map_err(|located| located.fault(text))?;
        Ok(Self { text: text.to_owned(), code })
    }

    /// Returns what the template asks Vault for, each distinct request once, in the order of the
    /// text. All of it is asked, even in a block that may not be written.
    #[must_use]
    pub fn requests(&self) -> &[TemplateRequest] {
        &self.code.requests
    }

    /// Returns the place of a request in the text.
    #[must_use]
    pub fn place(&self, request: &TemplateRequest) -> TemplatePlace {
        TemplatePlace::of(&self.text, request.at)
    }

    /// Returns about how much memory the template takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let operations = self.code.operations.capacity() * (size_of::<Operation>() + size_of::<u32>());
        // constants and names are parts of the text, each in a buffer of its own
        let parts = (self.code.constants.capacity() + self.code.names.capacity()) * 64;
        operations + parts + 3 * self.text.len()
    }

    /// Begins to render the template. `answers` are those to [`Self::requests`], in the same order.
    ///
    /// # Errors
    /// [`RenderFault`], if an answer is missing.
    pub fn begin(
        &self,
        answers: Vec<Arc<Answer>>,
        options: RenderOptions,
    ) -> Result<Rendering<'_>, RenderFault> {
        let begun = Rendering::new(self, answers, options);
        begun.map_err(|problem| RenderFault { place: TemplatePlace { line: 1, column: 1 }, problem })
    }

    /// Renders the template in one go.
    ///
    /// # Errors
    /// [`RenderFault`].
    pub fn render(&self, answers: Vec<Arc<Answer>>, options: RenderOptions) -> Result<Secret, RenderFault> {
        let mut rendering = self.begin(answers, options)?;
        rendering.run(usize::MAX)?;
        Ok(rendering.into_output())
    }
}

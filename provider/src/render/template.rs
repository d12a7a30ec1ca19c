//! The file of a template.

use std::sync::Arc;

use coffer_template::{RenderFault, RenderOptions, RenderProblem, TemplateBudget};

use super::parsed::Parsed;
use super::{RenderContext, Rendered};
use crate::class::{Object, ObjectTemplate};
use crate::{Error, ErrorKind};

/// Returns the file of a template over these answers, which are in the order of its requests.
///
/// # Errors
/// [`ErrorKind::NotFound`], if a key is missing; [`ErrorKind::TooLarge`], if the file or the work
/// is too much; [`ErrorKind::BadAnswer`], if the values do not fit the template.
pub(super) fn of_template(
    object: &Object,
    template: &ObjectTemplate,
    answers: &[&Parsed<'_>],
    context: &RenderContext<'_>,
) -> Result<Rendered, Error> {
    let answers = answers.iter().map(|parsed| Arc::clone(parsed.answer)).collect();
    let usual = TemplateBudget::default();
    let budget = TemplateBudget {
        steps: usual.steps.min(context.budget.template_steps()),
        output: usual.output.min(context.limit),
        ..usual
    };
    let options = RenderOptions { error_on_missing_key: template.error_on_missing_key, budget };
    let mut rendering = template.template.begin(answers, options).map_err(|fault| error(&fault))?;
    let run = rendering.run(usize::MAX);
    context.budget.count_template_steps(rendering.steps());
    run.map_err(|fault| error(&fault))?;
    Ok(Rendered::new(object.name(), rendering.into_output()))
}

fn error(fault: &RenderFault) -> Error {
    let (kind, advice) = match &fault.problem {
        RenderProblem::MissingKey(_) => {
            (ErrorKind::NotFound, "Check the key, or set errorOnMissingKey: false for Go's <no value>")
        }
        RenderProblem::Steps(_)
        | RenderProblem::Output(_)
        | RenderProblem::Memory(_)
        | RenderProblem::ValueSize(_)
        | RenderProblem::TooManyItems => (ErrorKind::TooLarge, "Split the template"),
        _ => (ErrorKind::BadAnswer, "coffer render shows what a template gives"),
    };
    Error::new(kind, format!("template, {fault}")).with_advice(advice)
}

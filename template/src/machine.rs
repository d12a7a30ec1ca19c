//! Renders a template: carries out its operations, a slice at a time.

mod calls;
mod ranges;

use std::sync::Arc;

use coffer_vault::{Answer, Secret};

use self::ranges::OpenItems;
use crate::Template;
use crate::budget::{BYTES_PER_STEP, MemoryMeter, Sink, TemplateBudget};
use crate::certificate::certificate_texts;
use crate::code::{ConstantValue, Operation};
use crate::fields::FieldReader;
use crate::place::TemplatePlace;
use crate::print::Printer;
use crate::render_fault::{RenderFault, RenderProblem};
use crate::request::TemplateAction;
use crate::value::{Bytes, TemplateValue, Texts};

/// How a template is rendered.
#[derive(Debug, Clone, Copy)]
pub struct RenderOptions {
    /// Whether a key that a map does not have is a fault. Without it, Go's `<no value>` is written.
    pub error_on_missing_key: bool,
    /// The limits.
    pub budget: TemplateBudget,
}

/// How far a rendering is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do.
    Unfinished,
    /// The file is complete.
    Finished,
}

/// A rendering that is not complete.
pub struct Rendering<'t> {
    template: &'t Template,
    answers: Vec<Arc<Answer>>,
    options: RenderOptions,
    meter: Arc<MemoryMeter>,
    output: Sink,
    /// The next operation.
    next: usize,
    steps: usize,
    stack: Vec<TemplateValue>,
    variables: Vec<TemplateValue>,
    /// The values of `.`, the current one last.
    dots: Vec<TemplateValue>,
    ranges: Vec<OpenItems>,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self { error_on_missing_key: true, budget: TemplateBudget::default() }
    }
}

impl<'t> Rendering<'t> {
    pub(crate) fn new(
        template: &'t Template,
        answers: Vec<Arc<Answer>>,
        options: RenderOptions,
    ) -> Result<Self, RenderProblem> {
        Ok(Self {
            template,
            answers,
            options,
            meter: MemoryMeter::new(options.budget.memory),
            output: Sink::output(options.budget.output)?,
            next: 0,
            steps: 0,
            stack: Vec::new(),
            variables: vec![TemplateValue::Missing],
            dots: vec![TemplateValue::Missing],
            ranges: Vec::new(),
        })
    }

    /// Works for about this many steps, or to the end. One operation may take more steps: at most
    /// those of a value of the maximum size.
    ///
    /// # Errors
    /// [`RenderFault`], after which the rendering is over.
    pub fn run(&mut self, steps: usize) -> Result<Progress, RenderFault> {
        let until = self.steps.saturating_add(steps);
        while self.steps < until {
            let at = self.next;
            let Some(operation) = self.template.code.operations.get(at) else {
                return Ok(Progress::Finished);
            };
            self.next += 1;
            let done = self.carry_out(operation).and_then(|()| self.count(1));
            done.map_err(|problem| self.fault(at, problem))?;
        }
        let is_finished = self.next >= self.template.code.operations.len();
        Ok(if is_finished { Progress::Finished } else { Progress::Unfinished })
    }

    /// Returns the number of steps so far.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Returns the file.
    #[must_use]
    pub fn into_output(self) -> Secret {
        self.output.into_parts().0
    }

    fn fault(&self, operation: usize, problem: RenderProblem) -> RenderFault {
        let at = self.template.code.places.get(operation).map_or(0, |at| *at as usize);
        RenderFault { place: TemplatePlace::of(&self.template.text, at), problem }
    }

    fn count(&mut self, steps: usize) -> Result<(), RenderProblem> {
        self.steps += steps;
        let limit = self.options.budget.steps;
        if self.steps > limit { Err(RenderProblem::Steps(limit)) } else { Ok(()) }
    }

    fn carry_out(&mut self, operation: &Operation) -> Result<(), RenderProblem> {
        match operation {
            Operation::Literal(range) => {
                let text = &self.template.code.literal[range.start as usize..range.end as usize];
                self.output.push(text.as_bytes())?;
                self.count(text.len() / BYTES_PER_STEP)?;
            }
            Operation::Constant(n) => {
                let value = self.constant(&self.template.code.constants[*n as usize])?;
                self.stack.push(value);
            }
            Operation::Dot => {
                let dot = self.dots.last().cloned().unwrap_or(TemplateValue::Missing);
                self.stack.push(dot);
            }
            Operation::Variable(slot) => {
                let value = self.variables.get(*slot as usize).cloned();
                self.stack.push(value.unwrap_or(TemplateValue::Missing));
            }
            Operation::Field(name) => {
                let value = self.pop();
                let name = &self.template.code.names[*name as usize];
                let field = self.read(|reader| reader.field(&value, name))?;
                self.stack.push(field);
            }
            Operation::Call { function, arguments, is_piped } => {
                self.call(*function, usize::from(*arguments), *is_piped)?;
            }
            Operation::Answer(n) => self.answer(*n as usize)?,
            Operation::Decide { or, target } => {
                if self.stack.last().is_some_and(TemplateValue::is_true) == *or {
                    self.next = *target as usize;
                } else {
                    self.pop();
                }
            }
            Operation::DropBelow => {
                let value = self.pop();
                self.pop();
                self.stack.push(value);
            }
            Operation::Unwrap => {
                let value = self.pop().unwrapped();
                self.stack.push(value);
            }
            Operation::Print => self.print()?,
            Operation::Pop => drop(self.pop()),
            Operation::Store(slot) => {
                let value = self.stack.last().cloned().unwrap_or(TemplateValue::Missing);
                self.set_variable(*slot, value);
            }
            Operation::JumpUnless(target) => {
                if !self.pop().is_true() {
                    self.next = *target as usize;
                }
            }
            Operation::With(target) => {
                let value = self.pop();
                if value.is_true() {
                    self.dots.push(value);
                } else {
                    self.next = *target as usize;
                }
            }
            Operation::Dots(depth) => self.dots.truncate(*depth as usize + 1),
            Operation::Range { key, item, otherwise } => self.begin_range(*key, *item, *otherwise)?,
            Operation::Next(end) => self.next_item(*end)?,
            Operation::EndRange => drop(self.ranges.pop()),
            Operation::Forget(known) => self.variables.truncate(*known as usize),
            Operation::Jump(target) => self.next = *target as usize,
        }
        Ok(())
    }

    fn pop(&mut self) -> TemplateValue {
        self.stack.pop().unwrap_or(TemplateValue::Missing)
    }

    fn set_variable(&mut self, slot: u32, value: TemplateValue) {
        let slot = slot as usize;
        if self.variables.len() <= slot {
            self.variables.resize(slot + 1, TemplateValue::Missing);
        }
        self.variables[slot] = value;
    }

    /// Reads fields or values, and counts the steps.
    fn read<T>(
        &mut self,
        read: impl FnOnce(&mut FieldReader<'_>) -> Result<T, RenderProblem>,
    ) -> Result<T, RenderProblem> {
        let error_on_missing_key = self.options.error_on_missing_key;
        let mut reader = FieldReader { meter: &self.meter, error_on_missing_key, steps: 0 };
        let value = read(&mut reader);
        let steps = reader.steps;
        self.count(steps)?;
        value
    }

    fn constant(&mut self, constant: &ConstantValue) -> Result<TemplateValue, RenderProblem> {
        Ok(match constant {
            ConstantValue::Text(text) => {
                self.count(text.len() / BYTES_PER_STEP)?;
                TemplateValue::Text(Bytes::copy(text, &self.meter)?)
            }
            ConstantValue::Whole(number) => TemplateValue::Whole(*number),
            ConstantValue::Float(float) => TemplateValue::Float(*float),
            ConstantValue::Bool(truth) => TemplateValue::Bool(*truth),
            ConstantValue::Nil => TemplateValue::Nil,
            ConstantValue::NoTexts => TemplateValue::Texts(Texts::nil(&self.meter)?),
        })
    }

    fn answer(&mut self, n: usize) -> Result<(), RenderProblem> {
        let answer = self.answers.get(n).ok_or(RenderProblem::NoAnswer)?;
        let is_certificate =
            self.template.code.requests.get(n).is_some_and(|r| r.action == TemplateAction::Certificate);
        let value = if is_certificate {
            let texts = certificate_texts(answer, &self.meter)?;
            TemplateValue::Certificate(Arc::new(texts))
        } else {
            TemplateValue::Secret(Arc::clone(answer))
        };
        let steps = if is_certificate { answer.body().len() } else { 0 };
        self.stack.push(value);
        self.count(steps)
    }

    fn print(&mut self) -> Result<(), RenderProblem> {
        let value = self.pop();
        let error_on_missing_key = self.options.error_on_missing_key;
        let mut reader = FieldReader { meter: &self.meter, error_on_missing_key, steps: 0 };
        self.output.begin_items();
        let before = self.output.steps();
        Printer { sink: &mut self.output, reader: &mut reader }.action(&value)?;
        let steps = reader.steps + self.output.steps().saturating_sub(before);
        self.count(steps)
    }
}

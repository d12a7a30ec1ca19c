//! The operations of a template. A machine with a stack carries them out one by one, so that a
//! rendering can stop after any of them and go on later.

mod pipelines;

use std::ops::Range;

use crate::fault::{Located, TemplateProblem};
use crate::functions::TemplateFunction;
use crate::refused::shown;
use crate::request::TemplateRequest;
use crate::tree::{Conditional, Pipeline, RangeLoop, TemplateNode};

/// One operation. Targets are indexes of operations.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operation {
    /// Writes a part of the literal text.
    Literal(Range<u32>),
    /// Pushes a constant.
    Constant(u32),
    /// Pushes the value of `.`.
    Dot,
    /// Pushes a variable.
    Variable(u32),
    /// Replaces the top value by its field.
    Field(u32),
    /// Calls a function with the top values; a piped one is below the others, and comes last.
    Call {
        function: TemplateFunction,
        arguments: u8,
        is_piped: bool,
    },
    /// Pushes the answer to a request.
    Answer(u32),
    /// Jumps if the top value decides `or` or `and`; else pops it.
    Decide {
        or: bool,
        target: u32,
    },
    /// Removes the value below the top one.
    DropBelow,
    /// Replaces `null` by no value.
    Unwrap,
    /// Pops a value and writes it.
    Print,
    Pop,
    /// Copies the top value to a variable.
    Store(u32),
    /// Pops a value; jumps if it is false.
    JumpUnless(u32),
    /// Pops a value; makes it `.`, or jumps if it is false.
    With(u32),
    /// Restores `.` to what it was at this depth.
    Dots(u32),
    /// Pops a value and goes through it; jumps if there is no item.
    Range {
        key: Option<u32>,
        item: Option<u32>,
        otherwise: u32,
    },
    /// Makes the next item `.`; jumps if there is none.
    Next(u32),
    /// Ends the innermost range.
    EndRange,
    /// Drops all variables but this many.
    Forget(u32),
    Jump(u32),
}

/// A value that the text has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ConstantValue {
    Text(Vec<u8>),
    Whole(i64),
    Float(f64),
    Bool(bool),
    Nil,
    /// `nil` where a list of texts is expected.
    NoTexts,
}

/// What a template does.
#[derive(Debug, Default)]
pub(crate) struct Code {
    pub(crate) operations: Vec<Operation>,
    /// Where in the text each operation is.
    pub(crate) places: Vec<u32>,
    pub(crate) constants: Vec<ConstantValue>,
    pub(crate) names: Vec<String>,
    pub(crate) literal: String,
    pub(crate) requests: Vec<TemplateRequest>,
}

/// Returns the operations of a tree.
pub(crate) fn compile(nodes: &[TemplateNode]) -> Result<Code, Located> {
    let mut compiler =
        Compiler { code: Code::default(), variables: vec![String::new()], dots: 0, ranges: Vec::new() };
    compiler.body(nodes)?;
    Ok(compiler.code)
}

pub(super) struct Compiler {
    pub(super) code: Code,
    /// The variables that are known, by their places.
    pub(super) variables: Vec<String>,
    /// How many values of `.` are below the current one.
    dots: u32,
    ranges: Vec<OpenRange>,
}

/// A range whose body is compiled, or what is written if it has no items.
struct OpenRange {
    /// Whether it is the `else` of the range. A `break` in it ends the range, as in the body; but a
    /// `continue` belongs to the range outside.
    is_otherwise: bool,
    /// The depth of `.` outside.
    dots: u32,
    breaks: Vec<usize>,
    continues: Vec<usize>,
}

impl OpenRange {
    fn new(dots: u32, is_otherwise: bool) -> Self {
        Self { is_otherwise, dots, breaks: Vec::new(), continues: Vec::new() }
    }
}

/// A target that is set later.
const LATER: u32 = u32::MAX;

impl Compiler {
    pub(super) fn push(&mut self, operation: Operation, at: usize) -> usize {
        self.code.operations.push(operation);
        self.code.places.push(small(at));
        self.code.operations.len() - 1
    }

    pub(super) fn here(&self) -> u32 {
        small(self.code.operations.len())
    }

    /// Sets the target of a jump to the next operation.
    pub(super) fn land(&mut self, jump: usize) {
        let here = self.here();
        match &mut self.code.operations[jump] {
            Operation::Decide { target, .. }
            | Operation::JumpUnless(target)
            | Operation::With(target)
            | Operation::Range { otherwise: target, .. }
            | Operation::Next(target)
            | Operation::Jump(target) => *target = here,
            _ => {}
        }
    }

    fn body(&mut self, nodes: &[TemplateNode]) -> Result<(), Located> {
        for node in nodes {
            match node {
                TemplateNode::Text(text) => {
                    let start = small(self.code.literal.len());
                    self.code.literal.push_str(text);
                    let end = small(self.code.literal.len());
                    self.push(Operation::Literal(start..end), self.last_place());
                }
                TemplateNode::Action(pipeline) => {
                    self.pipeline(pipeline)?;
                    let is_printed = pipeline.variables.is_empty();
                    self.push(if is_printed { Operation::Print } else { Operation::Pop }, pipeline.at);
                }
                TemplateNode::If(conditional) => self.conditional(conditional, Operation::JumpUnless)?,
                TemplateNode::With(conditional) => self.conditional(conditional, Operation::With)?,
                TemplateNode::Range(range) => self.range(range)?,
                TemplateNode::Break(at) => self.leave(*at, true),
                TemplateNode::Continue(at) => self.leave(*at, false),
            }
        }
        Ok(())
    }

    fn conditional(&mut self, node: &Conditional, test: fn(u32) -> Operation) -> Result<(), Located> {
        let known = self.variables.len();
        let mut ends = Vec::new();
        for branch in &node.branches {
            self.pipeline(&branch.pipeline)?;
            let operation = test(LATER);
            let sets_dot = matches!(operation, Operation::With(_));
            let jump = self.push(operation, branch.pipeline.at);
            let inside = self.variables.len();
            self.dots += u32::from(sets_dot);
            self.body(&branch.body)?;
            if sets_dot {
                self.dots -= 1;
                self.push(Operation::Dots(self.dots), branch.pipeline.at);
            }
            self.variables.truncate(inside);
            ends.push(self.push(Operation::Jump(LATER), branch.pipeline.at));
            self.land(jump);
        }
        if let Some(otherwise) = &node.otherwise {
            self.body(otherwise)?;
        }
        for end in ends {
            self.land(end);
        }
        self.forget(known);
        Ok(())
    }

    fn range(&mut self, node: &RangeLoop) -> Result<(), Located> {
        let at = node.pipeline.at;
        let known = self.variables.len();
        let slots = self.pipeline(&node.pipeline)?;
        let (key, item) = match slots[..] {
            [key, item] => (Some(key), Some(item)),
            [item] => (None, Some(item)),
            _ => (None, None),
        };
        let begin = self.push(Operation::Range { key, item, otherwise: LATER }, at);
        let next = self.push(Operation::Next(LATER), at);
        let inside = self.variables.len();
        self.ranges.push(OpenRange::new(self.dots, false));
        self.dots += 1;
        self.body(&node.body)?;
        self.dots -= 1;
        let Some(open) = self.ranges.pop() else { return Ok(()) };
        for jump in open.continues {
            self.land(jump);
        }
        self.push(Operation::Dots(self.dots), at);
        self.forget(inside);
        self.push(Operation::Jump(small(next)), at);
        self.land(next);
        for jump in open.breaks {
            self.land(jump);
        }
        self.push(Operation::EndRange, at);
        let end = self.push(Operation::Jump(LATER), at);
        self.land(begin);
        if let Some(otherwise) = &node.otherwise {
            self.ranges.push(OpenRange::new(self.dots, true));
            self.body(otherwise)?;
            let breaks = self.ranges.pop().map(|range| range.breaks).unwrap_or_default();
            for jump in breaks {
                self.land(jump);
            }
        }
        self.land(end);
        self.forget(known);
        Ok(())
    }

    /// Leaves the innermost range, or its current item.
    fn leave(&mut self, at: usize, is_break: bool) {
        let Some(n) = self.ranges.iter().rposition(|range| is_break || !range.is_otherwise) else { return };
        self.push(Operation::Dots(self.ranges[n].dots), at);
        let jump = self.push(Operation::Jump(LATER), at);
        let range = &mut self.ranges[n];
        if is_break { range.breaks.push(jump) } else { range.continues.push(jump) }
    }

    fn forget(&mut self, known: usize) {
        self.variables.truncate(known);
        self.push(Operation::Forget(small(known)), self.last_place());
    }

    /// Returns where the last operation is, for one that has no place of its own.
    fn last_place(&self) -> usize {
        self.code.places.last().map_or(0, |at| *at as usize)
    }

    /// Returns the place of a variable.
    pub(super) fn variable(&self, name: &str, at: usize) -> Result<u32, Located> {
        let slot = self.variables.iter().rposition(|known| known == name);
        slot.map(small).ok_or_else(|| TemplateProblem::UnknownVariable(shown(name)).at(at))
    }

    /// Sets the variables of a pipeline to the top value, and returns their places.
    pub(super) fn store(&mut self, pipeline: &Pipeline) -> Result<Vec<u32>, Located> {
        let mut slots = Vec::new();
        for name in &pipeline.variables {
            let slot = if pipeline.declares {
                self.variables.push(name.clone());
                small(self.variables.len() - 1)
            } else {
                self.variable(name, pipeline.at)?
            };
            self.push(Operation::Store(slot), pipeline.at);
            slots.push(slot);
        }
        Ok(slots)
    }
}

/// Returns an index as it is stored. A template has no more bytes than fit.
pub(super) fn small(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

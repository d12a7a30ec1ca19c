//! The tree of a template: what its text says, before anything is checked against the functions.
//!
//! The tree nests at most [`MAX_DEPTH`](crate::MAX_DEPTH) levels, so functions over it may call
//! themselves. `at` is the byte in the template's text where a part begins;
//! [`TemplatePlace::of`](crate::TemplatePlace::of) turns it into line and column.

use crate::functions::TemplateFunction;

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum TemplateNode {
    /// Text outside actions, without what trim markers take away.
    Text(String),
    /// `{{ pipeline }}`: its value is written, unless it sets a variable.
    Action(Pipeline),
    /// `{{ if }} … {{ else if }} … {{ else }} … {{ end }}`.
    If(Conditional),
    /// `{{ with }} … {{ else with }} … {{ else }} … {{ end }}`.
    With(Conditional),
    /// `{{ range }} … {{ else }} … {{ end }}`.
    Range(RangeLoop),
    /// `{{ break }}`, at this byte.
    Break(usize),
    /// `{{ continue }}`, at this byte.
    Continue(usize),
}

/// Bodies, of which the first is written whose pipeline's value is true.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditional {
    /// The bodies with their pipelines; at least one.
    pub branches: Vec<Branch>,
    /// What is written if no pipeline's value is true.
    pub otherwise: Option<Vec<TemplateNode>>,
}

/// A body with its condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// The condition. Its variables are known up to the `end` of the whole.
    pub pipeline: Pipeline,
    /// What is written.
    pub body: Vec<TemplateNode>,
}

/// A body that is written for each item of a value.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeLoop {
    /// The value, and the variables that get key and item.
    pub pipeline: Pipeline,
    /// What is written for each item.
    pub body: Vec<TemplateNode>,
    /// What is written if there is no item.
    pub otherwise: Option<Vec<TemplateNode>>,
}

/// Commands, of which each gets the value of the one before as its last argument.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Where it begins.
    pub at: usize,
    /// The variables that get the value, without `$`: at most one, or two in a range.
    pub variables: Vec<String>,
    /// Whether the variables are new (`:=`), not set (`=`).
    pub declares: bool,
    /// The commands; at least one.
    pub commands: Vec<PipelineCommand>,
}

/// A value, or a function with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineCommand {
    /// Where it begins.
    pub at: usize,
    /// The operands; at least one. If the first is a function, the others are its arguments.
    pub operands: Vec<Operand>,
}

/// A value or function in a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Operand {
    /// Where it begins.
    pub at: usize,
    /// What it is.
    pub kind: OperandKind,
}

/// What an operand is.
#[derive(Debug, Clone, PartialEq)]
pub enum OperandKind {
    /// `.`
    Dot,
    /// `nil`
    Nil,
    /// `true` or `false`
    Bool(bool),
    /// A number, or a character as its code.
    Number(NumberLiteral),
    /// The bytes of a string in quotes or backquotes.
    Text(Vec<u8>),
    /// `.Data.key`, with the names without points.
    Field(Vec<String>),
    /// `$name.field`; the name is empty for `$`.
    Variable(String, Vec<String>),
    /// A function.
    Function(TemplateFunction),
    /// `( pipeline )`
    Pipeline(Box<Pipeline>),
    /// `( pipeline ).field`, or a function with fields.
    Chain(Box<Operand>, Vec<String>),
}

/// A number in a template.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberLiteral {
    /// The number, if it is whole.
    pub whole: Option<i64>,
    /// The number.
    pub float: f64,
    /// Whether it is a float where nothing asks for a whole number: `1.0` is one, `1` is not.
    pub is_float: bool,
}

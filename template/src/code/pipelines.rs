//! The operations of pipelines, commands and operands.

use super::{Compiler, ConstantValue, Operation, small};
use crate::fault::{Located, TemplateProblem};
use crate::functions::{Parameter, TemplateFunction};
use crate::request::TemplateRequest;
use crate::tree::{NumberLiteral, Operand, OperandKind, Pipeline, PipelineCommand};
use crate::{MAX_ARGUMENTS, MAX_REQUESTS};

impl Compiler {
    /// Pushes the value of a pipeline, and sets its variables, whose places are returned.
    pub(super) fn pipeline(&mut self, pipeline: &Pipeline) -> Result<Vec<u32>, Located> {
        for (n, command) in pipeline.commands.iter().enumerate() {
            self.command(command, n > 0)?;
            self.push(Operation::Unwrap, command.at);
        }
        self.store(pipeline)
    }

    fn command(&mut self, command: &PipelineCommand, is_piped: bool) -> Result<(), Located> {
        let [first, arguments @ ..] = &command.operands[..] else { return Ok(()) };
        match &first.kind {
            OperandKind::Function(function) => self.call(*function, first.at, arguments, is_piped),
            _ => self.operand(first, Parameter::Any, ""),
        }
    }

    fn call(
        &mut self,
        function: TemplateFunction,
        at: usize,
        arguments: &[Operand],
        is_piped: bool,
    ) -> Result<(), Located> {
        let signature = function.signature();
        let found = arguments.len() + usize::from(is_piped);
        if !signature.takes(found) || found > MAX_ARGUMENTS {
            let (function, wants) = (function.name(), signature.words);
            return Err(TemplateProblem::ArgumentCount { function, wants, found }.at(at));
        }
        match function {
            TemplateFunction::Secret | TemplateFunction::PkiCert => {
                self.request(function, at, arguments, is_piped)
            }
            TemplateFunction::And | TemplateFunction::Or => {
                self.decide(function == TemplateFunction::Or, at, arguments, is_piped)
            }
            _ => {
                for (n, argument) in arguments.iter().enumerate() {
                    self.operand(argument, signature.parameter(n), function.name())?;
                }
                let arguments = u8::try_from(arguments.len()).unwrap_or(u8::MAX);
                self.push(Operation::Call { function, arguments, is_piped }, at);
                Ok(())
            }
        }
    }

    /// Compiles `and` and `or`: the first value that decides is the result, else the last.
    fn decide(&mut self, or: bool, at: usize, arguments: &[Operand], is_piped: bool) -> Result<(), Located> {
        let mut jumps = Vec::new();
        for (n, argument) in arguments.iter().enumerate() {
            self.operand(argument, Parameter::Any, if or { "or" } else { "and" })?;
            if is_piped || n + 1 < arguments.len() {
                jumps.push(self.push(Operation::Decide { or, target: u32::MAX }, argument.at));
            }
        }
        // without a decision the piped value, which lies below, is the result
        let end = is_piped.then(|| self.push(Operation::Jump(u32::MAX), at));
        for jump in jumps {
            self.land(jump);
        }
        if let Some(end) = end {
            self.push(Operation::DropBelow, at);
            self.land(end);
        }
        Ok(())
    }

    fn request(
        &mut self,
        function: TemplateFunction,
        at: usize,
        arguments: &[Operand],
        is_piped: bool,
    ) -> Result<(), Located> {
        let not_literal = |at: usize| TemplateProblem::NotLiteral(function.name()).at(at);
        if is_piped {
            return Err(not_literal(at));
        }
        let mut texts = Vec::new();
        for argument in arguments {
            match &argument.kind {
                OperandKind::Text(text) => texts.push(text.as_slice()),
                _ => return Err(not_literal(argument.at)),
            }
        }
        let is_certificate = function == TemplateFunction::PkiCert;
        let request = TemplateRequest::new(is_certificate, &texts, at)
            .map_err(|bad| TemplateProblem::Request(bad).at(at))?;
        let requests = &mut self.code.requests;
        let known = requests.iter().position(|known| known.is_same(&request));
        let index = known.unwrap_or(requests.len());
        if known.is_none() {
            requests.push(request);
        }
        if requests.len() > MAX_REQUESTS {
            return Err(TemplateProblem::TooManyRequests.at(at));
        }
        self.push(Operation::Answer(small(index)), at);
        Ok(())
    }

    /// Pushes the value of an operand, for a parameter of a function.
    fn operand(
        &mut self,
        operand: &Operand,
        parameter: Parameter,
        function: &'static str,
    ) -> Result<(), Located> {
        let at = operand.at;
        let constant = match &operand.kind {
            OperandKind::Dot => {
                self.push(Operation::Dot, at);
                return Ok(());
            }
            OperandKind::Field(names) => {
                self.push(Operation::Dot, at);
                return self.fields(names, at);
            }
            OperandKind::Variable(name, names) => {
                let slot = self.variable(name, at)?;
                self.push(Operation::Variable(slot), at);
                return self.fields(names, at);
            }
            OperandKind::Function(function) => return self.call(*function, at, &[], false),
            OperandKind::Pipeline(pipeline) => return self.inner_pipeline(pipeline),
            OperandKind::Chain(of, names) => {
                self.operand(of, Parameter::Any, function)?;
                return self.fields(names, at);
            }
            OperandKind::Nil => match parameter {
                Parameter::Any => Some(ConstantValue::Nil),
                Parameter::Texts => Some(ConstantValue::NoTexts),
                _ => None,
            },
            OperandKind::Bool(truth) => match parameter {
                Parameter::Any => Some(ConstantValue::Bool(*truth)),
                _ => None,
            },
            OperandKind::Text(text) => match parameter {
                Parameter::Any | Parameter::Text => Some(ConstantValue::Text(text.clone())),
                _ => None,
            },
            OperandKind::Number(number) => number_constant(*number, parameter),
        };
        let wants = parameter.words();
        let constant = constant.ok_or_else(|| TemplateProblem::ArgumentType { function, wants }.at(at))?;
        self.code.constants.push(constant);
        self.push(Operation::Constant(small(self.code.constants.len() - 1)), at);
        Ok(())
    }

    fn inner_pipeline(&mut self, pipeline: &Pipeline) -> Result<(), Located> {
        if !pipeline.variables.is_empty() {
            return Err(TemplateProblem::VariableInParentheses.at(pipeline.at));
        }
        self.pipeline(pipeline)?;
        Ok(())
    }

    fn fields(&mut self, names: &[String], at: usize) -> Result<(), Located> {
        for name in names {
            self.code.names.push(name.clone());
            self.push(Operation::Field(small(self.code.names.len() - 1)), at);
        }
        Ok(())
    }
}

fn number_constant(number: NumberLiteral, parameter: Parameter) -> Option<ConstantValue> {
    match parameter {
        Parameter::Any if number.is_float => Some(ConstantValue::Float(number.float)),
        Parameter::Any | Parameter::Whole => number.whole.map(ConstantValue::Whole),
        _ => None,
    }
}

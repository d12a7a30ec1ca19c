//! Pipelines, commands and operands.

use super::{Parser, unexpected};
use crate::fault::{Located, TemplateProblem};
use crate::lexer::{Lexeme, LexemeKind};
use crate::literal;
use crate::refused::function;
use crate::tree::{Operand, OperandKind, Pipeline, PipelineCommand};

/// Words that begin no operand.
const KEYWORDS: [&str; 9] = ["if", "with", "range", "else", "end", "break", "continue", "define", "block"];

impl<'a> Parser<'a> {
    /// Takes a pipeline and the lexeme that ends it.
    pub(super) fn pipeline(&mut self, context: &'static str, end: LexemeKind) -> Result<Pipeline, Located> {
        let first = self.next_not_space()?;
        self.put_back(first);
        let mut pipeline =
            Pipeline { at: first.at, variables: Vec::new(), declares: false, commands: Vec::new() };
        if first.kind == LexemeKind::Variable {
            self.variables(&mut pipeline, context)?;
        }
        loop {
            let lexeme = self.next_not_space()?;
            if lexeme.kind == end {
                check(&pipeline, context, lexeme.at)?;
                return Ok(pipeline);
            }
            if !begins_operand(lexeme) {
                return Err(unexpected(lexeme, context));
            }
            self.put_back(lexeme);
            pipeline.commands.push(self.command(lexeme.at)?);
        }
    }

    /// Takes the variables before `:=` or `=`. The next lexeme is a variable.
    fn variables(&mut self, pipeline: &mut Pipeline, context: &'static str) -> Result<(), Located> {
        loop {
            let variable = self.next_not_space()?;
            let after = self.next()?;
            let next = if after.kind == LexemeKind::Space { self.next_not_space()? } else { after };
            match next.kind {
                LexemeKind::Assign | LexemeKind::Declare => {
                    pipeline.variables.push(variable.text[1..].to_owned());
                    pipeline.declares = next.kind == LexemeKind::Declare;
                    return Ok(());
                }
                LexemeKind::Comma => {
                    pipeline.variables.push(variable.text[1..].to_owned());
                    if context != "range" || pipeline.variables.len() > 1 {
                        return Err(TemplateProblem::TooManyVariables.at(next.at));
                    }
                    let second = self.next_not_space()?;
                    self.put_back(second);
                    if second.kind != LexemeKind::Variable {
                        return Err(TemplateProblem::RangeVariables.at(second.at));
                    }
                }
                // a value, not a variable that is set; with a comma before it, Go takes it for both
                _ if pipeline.variables.is_empty() => {
                    self.put_back(next);
                    if after.kind == LexemeKind::Space {
                        self.put_back(after);
                    }
                    self.put_back(variable);
                    return Ok(());
                }
                _ => return Err(TemplateProblem::RangeVariables.at(next.at)),
            }
        }
    }

    /// Takes a command, and the `|` behind it.
    fn command(&mut self, at: usize) -> Result<PipelineCommand, Located> {
        let mut operands = Vec::new();
        loop {
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            let lexeme = self.next()?;
            match lexeme.kind {
                LexemeKind::Space => {}
                LexemeKind::RightDelimiter | LexemeKind::RightParenthesis => {
                    self.put_back(lexeme);
                    break;
                }
                LexemeKind::Pipe => break,
                _ => return Err(unexpected(lexeme, "a command")),
            }
        }
        if operands.is_empty() {
            return Err(TemplateProblem::NoValue("the command").at(at));
        }
        Ok(PipelineCommand { at, operands })
    }

    /// Takes an operand with its fields; none if the next lexeme begins none.
    fn operand(&mut self) -> Result<Option<Operand>, Located> {
        let Some(mut operand) = self.term()? else { return Ok(None) };
        let mut names = Vec::new();
        loop {
            let lexeme = self.next()?;
            if lexeme.kind != LexemeKind::Field {
                self.put_back(lexeme);
                break;
            }
            names.push(lexeme.text[1..].to_owned());
        }
        if names.is_empty() {
            return Ok(Some(operand));
        }
        match &mut operand.kind {
            OperandKind::Field(fields) | OperandKind::Variable(_, fields) => fields.append(&mut names),
            OperandKind::Function(_) | OperandKind::Pipeline(_) => {
                let at = operand.at;
                operand = Operand { at, kind: OperandKind::Chain(Box::new(operand), names) };
            }
            _ => return Err(TemplateProblem::FieldOfLiteral.at(operand.at)),
        }
        Ok(Some(operand))
    }

    fn term(&mut self) -> Result<Option<Operand>, Located> {
        let lexeme = self.next_not_space()?;
        let at = lexeme.at;
        let kind = match lexeme.kind {
            LexemeKind::Word if !begins_operand(lexeme) => Ok(None),
            LexemeKind::Word => word(lexeme.text).map(Some),
            LexemeKind::Dot => Ok(Some(OperandKind::Dot)),
            LexemeKind::Field => Ok(Some(OperandKind::Field(vec![lexeme.text[1..].to_owned()]))),
            LexemeKind::Variable => Ok(Some(OperandKind::Variable(lexeme.text[1..].to_owned(), Vec::new()))),
            LexemeKind::Quoted | LexemeKind::Raw => {
                literal::text(lexeme.text).map(|text| Some(OperandKind::Text(text)))
            }
            LexemeKind::Character => {
                literal::character(lexeme.text).map(|number| Some(OperandKind::Number(number)))
            }
            LexemeKind::Number => {
                literal::number(lexeme.text).map(|number| Some(OperandKind::Number(number)))
            }
            LexemeKind::LeftParenthesis => {
                self.descend(at)?;
                let inside = self.pipeline("parentheses", LexemeKind::RightParenthesis)?;
                self.depth -= 1;
                Ok(Some(OperandKind::Pipeline(Box::new(inside))))
            }
            _ => Ok(None),
        };
        match kind.map_err(|problem| problem.at(at))? {
            Some(kind) => Ok(Some(Operand { at, kind })),
            None => {
                self.put_back(lexeme);
                Ok(None)
            }
        }
    }
}

fn word(text: &str) -> Result<OperandKind, TemplateProblem> {
    Ok(match text {
        "true" => OperandKind::Bool(true),
        "false" => OperandKind::Bool(false),
        "nil" => OperandKind::Nil,
        name => OperandKind::Function(function(name)?),
    })
}

fn begins_operand(lexeme: Lexeme<'_>) -> bool {
    match lexeme.kind {
        LexemeKind::Word => lexeme.text != "template" && !KEYWORDS.contains(&lexeme.text),
        LexemeKind::Dot
        | LexemeKind::Field
        | LexemeKind::Variable
        | LexemeKind::Quoted
        | LexemeKind::Raw
        | LexemeKind::Character
        | LexemeKind::Number
        | LexemeKind::LeftParenthesis => true,
        _ => false,
    }
}

/// Checks that a pipeline has commands, and that the later ones can take an argument.
fn check(pipeline: &Pipeline, context: &'static str, end: usize) -> Result<(), Located> {
    if pipeline.commands.is_empty() {
        return Err(TemplateProblem::NoValue(context).at(end));
    }
    for command in &pipeline.commands[1..] {
        if !matches!(command.operands[0].kind, OperandKind::Function(_)) {
            return Err(TemplateProblem::NotAFunction.at(command.at));
        }
    }
    for command in &pipeline.commands {
        let [first, others @ ..] = &command.operands[..] else { continue };
        match (&first.kind, others) {
            (OperandKind::Nil, _) => return Err(TemplateProblem::NilAlone.at(first.at)),
            (OperandKind::Function(_), _) | (_, []) => {}
            (_, [argument, ..]) => return Err(TemplateProblem::ArgumentToValue.at(argument.at)),
        }
    }
    Ok(())
}

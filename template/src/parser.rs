//! Makes the tree of a template, as Go's `text/template/parse` does
//! (<https://go.dev/src/text/template/parse/parse.go>).
//!
//! The parser is our own. The crate `gotmpl` (0.6.1) was looked at: its texts are UTF-8, so that
//! `"\xff"` cannot be written; it nests a long `else if` chain; it brings its own evaluator, which
//! has no budget; and functions that Coffer refuses would have to be found in a second pass.

mod pipelines;

use crate::delimiters::Delimiters;
use crate::fault::{Located, TemplateProblem};
use crate::lexer::{Lexeme, LexemeKind, Lexer};
use crate::refused::{refused, shown};
use crate::tree::{Branch, Conditional, RangeLoop, TemplateNode};
use crate::{MAX_DEPTH, MAX_TEXT};

/// Returns the tree of a template's text.
pub(crate) fn parse(text: &str, delimiters: &Delimiters) -> Result<Vec<TemplateNode>, Located> {
    if text.len() > MAX_TEXT {
        return Err(TemplateProblem::TooLong.at(MAX_TEXT));
    }
    let mut parser =
        Parser { lexer: Lexer::new(text, delimiters), put_back: Vec::new(), depth: 0, ranges: 0 };
    let (nodes, end) = parser.body()?;
    match end {
        BodyEnd::Text => Ok(nodes),
        BodyEnd::End { at } => Err(TemplateProblem::NoBlock("end").at(at)),
        BodyEnd::Else { at, .. } => Err(TemplateProblem::NoBlock("else").at(at)),
    }
}

pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    /// Lexemes that were looked at, the next one last.
    put_back: Vec<Lexeme<'a>>,
    /// How many blocks and parentheses are open.
    depth: usize,
    /// How many bodies of ranges are open.
    ranges: usize,
}

/// What ends a body.
enum BodyEnd {
    /// The end of the template.
    Text,
    End {
        at: usize,
    },
    /// `else`, perhaps with the `if` or `with` behind it, which is read already.
    Else {
        at: usize,
        keyword: Option<&'static str>,
    },
}

/// A node, or the end of the body that it would be in.
enum BodyPart {
    Node(TemplateNode),
    End(BodyEnd),
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Result<Lexeme<'a>, Located> {
        match self.put_back.pop() {
            Some(lexeme) => Ok(lexeme),
            None => self.lexer.lexeme(),
        }
    }

    fn next_not_space(&mut self) -> Result<Lexeme<'a>, Located> {
        loop {
            let lexeme = self.next()?;
            if lexeme.kind != LexemeKind::Space {
                return Ok(lexeme);
            }
        }
    }

    fn put_back(&mut self, lexeme: Lexeme<'a>) {
        self.put_back.push(lexeme);
    }

    /// Opens a block or parenthesis.
    fn descend(&mut self, at: usize) -> Result<(), Located> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(TemplateProblem::TooDeep.at(at)) } else { Ok(()) }
    }

    /// Takes nodes up to an `end`, an `else` or the end of the text.
    fn body(&mut self) -> Result<(Vec<TemplateNode>, BodyEnd), Located> {
        let mut nodes = Vec::new();
        loop {
            let lexeme = self.next()?;
            match lexeme.kind {
                LexemeKind::Outside => nodes.push(TemplateNode::Text(lexeme.text.to_owned())),
                LexemeKind::LeftDelimiter => match self.action()? {
                    BodyPart::Node(node) => nodes.push(node),
                    BodyPart::End(end) => return Ok((nodes, end)),
                },
                _ => return Ok((nodes, BodyEnd::Text)),
            }
        }
    }

    fn action(&mut self) -> Result<BodyPart, Located> {
        let first = self.next_not_space()?;
        let at = first.at;
        let keyword = if first.kind == LexemeKind::Word { first.text } else { "" };
        let node = match keyword {
            "if" => TemplateNode::If(self.conditional(at, "if")?),
            "with" => TemplateNode::With(self.conditional(at, "with")?),
            "range" => TemplateNode::Range(self.range(at)?),
            "break" => {
                self.leaves_range(at, "break")?;
                TemplateNode::Break(at)
            }
            "continue" => {
                self.leaves_range(at, "continue")?;
                TemplateNode::Continue(at)
            }
            "end" => {
                self.right_delimiter("end")?;
                return Ok(BodyPart::End(BodyEnd::End { at }));
            }
            "else" => return Ok(BodyPart::End(self.else_action(at)?)),
            "define" | "block" | "template" => return Err(refused(keyword).at(at)),
            _ => {
                self.put_back(first);
                TemplateNode::Action(self.pipeline("an action", LexemeKind::RightDelimiter)?)
            }
        };
        Ok(BodyPart::Node(node))
    }

    fn leaves_range(&mut self, at: usize, keyword: &'static str) -> Result<(), Located> {
        self.right_delimiter(keyword)?;
        if self.ranges == 0 { Err(TemplateProblem::OutsideRange(keyword).at(at)) } else { Ok(()) }
    }

    fn else_action(&mut self, at: usize) -> Result<BodyEnd, Located> {
        let next = self.next_not_space()?;
        let keyword = match (next.kind, next.text) {
            (LexemeKind::Word, "if") => Some("if"),
            (LexemeKind::Word, "with") => Some("with"),
            _ => {
                self.put_back(next);
                self.right_delimiter("else")?;
                None
            }
        };
        Ok(BodyEnd::Else { at, keyword })
    }

    fn right_delimiter(&mut self, context: &'static str) -> Result<(), Located> {
        let next = self.next_not_space()?;
        if next.kind == LexemeKind::RightDelimiter { Ok(()) } else { Err(unexpected(next, context)) }
    }

    /// Takes what follows `if` or `with`, up to its `end`.
    fn conditional(&mut self, at: usize, keyword: &'static str) -> Result<Conditional, Located> {
        self.descend(at)?;
        let mut branches = Vec::new();
        let otherwise = loop {
            let pipeline = self.pipeline(keyword, LexemeKind::RightDelimiter)?;
            let (body, end) = self.body()?;
            branches.push(Branch { pipeline, body });
            match end {
                BodyEnd::Else { keyword: Some(next), .. } if next == keyword => {}
                end => break self.otherwise(at, keyword, end)?,
            }
        };
        self.depth -= 1;
        Ok(Conditional { branches, otherwise })
    }

    fn range(&mut self, at: usize) -> Result<RangeLoop, Located> {
        self.descend(at)?;
        let pipeline = self.pipeline("range", LexemeKind::RightDelimiter)?;
        self.ranges += 1;
        let (body, end) = self.body()?;
        self.ranges -= 1;
        let otherwise = self.otherwise(at, "range", end)?;
        self.depth -= 1;
        Ok(RangeLoop { pipeline, body, otherwise })
    }

    /// Takes the body of an `else`, if the last body ended with one, up to `end`.
    fn otherwise(
        &mut self,
        at: usize,
        block: &'static str,
        end: BodyEnd,
    ) -> Result<Option<Vec<TemplateNode>>, Located> {
        match end {
            BodyEnd::End { .. } => Ok(None),
            BodyEnd::Text => Err(TemplateProblem::NoEnd(block).at(at)),
            BodyEnd::Else { at, keyword: Some(keyword) } => {
                let found = format!("else {keyword}");
                Err(TemplateProblem::Unexpected { found, context: block }.at(at))
            }
            BodyEnd::Else { keyword: None, .. } => match self.body()? {
                (body, BodyEnd::End { .. }) => Ok(Some(body)),
                (_, BodyEnd::Text) => Err(TemplateProblem::NoEnd(block).at(at)),
                (_, BodyEnd::Else { at, .. }) => {
                    Err(TemplateProblem::Unexpected { found: "a second else".to_owned(), context: block }
                        .at(at))
                }
            },
        }
    }
}

/// Returns the problem that a lexeme is where it cannot be.
fn unexpected(found: Lexeme<'_>, context: &'static str) -> Located {
    let name = match found.kind {
        LexemeKind::End => return TemplateProblem::UnclosedAction.at(found.at),
        LexemeKind::RightDelimiter => "the end of the action".to_owned(),
        LexemeKind::Quoted | LexemeKind::Raw => "a text".to_owned(),
        LexemeKind::Character | LexemeKind::Number => "a number".to_owned(),
        _ => shown(found.text),
    };
    TemplateProblem::Unexpected { found: name, context }.at(found.at)
}

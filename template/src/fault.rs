//! What is wrong with a template's text.

use crate::place::TemplatePlace;
use crate::request::BadRequest;

/// A mistake in a template, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct TemplateFault {
    /// Where the mistake is.
    pub place: TemplatePlace,
    /// What is wrong there.
    #[source]
    pub problem: TemplateProblem,
}

/// What is wrong with a template. Of the text, messages repeat names alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateProblem {
    /// The text is too long.
    #[error("the template has more than {} bytes", crate::MAX_TEXT)]
    TooLong,
    /// Blocks or parentheses nest too deep.
    #[error("blocks and parentheses nest deeper than {} levels", crate::MAX_DEPTH)]
    TooDeep,
    /// An action has no right delimiter.
    #[error("the action is not closed")]
    UnclosedAction,
    /// A comment does not end.
    #[error("the comment is not closed by */")]
    UnclosedComment,
    /// Something follows a comment.
    #[error("the action must end right after the comment's */")]
    CommentWithMore,
    /// A parenthesis is open at the end of an action.
    #[error("a parenthesis is not closed before the action ends")]
    UnclosedParenthesis,
    /// A parenthesis is closed that is not open.
    #[error("this parenthesis closes none")]
    ParenthesisNotOpened,
    /// A colon without `=`.
    #[error("a variable is declared by :=")]
    ColonAlone,
    /// A string or character does not end in its line.
    #[error("the text in {0} is not closed")]
    UnclosedQuote(char),
    /// A character that no action may have.
    #[error("the character {0:?} cannot be in an action")]
    Character(char),
    /// A character that cannot follow or be in a name.
    #[error("the character {0:?} cannot be in a name, or follow it")]
    CharacterInName(char),
    /// An escape that Go does not know.
    #[error("a backslash is not followed by an escape of Go")]
    Escape,
    /// A text in single quotes that is not one character.
    #[error("single quotes enclose one character; write texts in double quotes")]
    CharacterLiteral,
    /// What begins like a number, and is none.
    #[error("this is not a number")]
    Number,
    /// A kind of number that templates of Coffer do not have.
    #[error("complex numbers and hexadecimal fractions are not supported")]
    NumberForm,
    /// A number that has no 64 bits.
    #[error("the number does not fit into 64 bits")]
    NumberRange,
    /// Something that cannot stand here.
    #[error("{found} cannot stand here, in {context}")]
    Unexpected {
        /// What was found.
        found: String,
        /// Where it is.
        context: &'static str,
    },
    /// A block without `end`.
    #[error("{0} has no {{{{ end }}}}")]
    NoEnd(&'static str),
    /// `end` or `else` outside a block.
    #[error("{0} belongs to no block")]
    NoBlock(&'static str),
    /// A pipeline without a command.
    #[error("{0} has no value")]
    NoValue(&'static str),
    /// A field of a number, text or the like.
    #[error("a literal or . has no field; write . once")]
    FieldOfLiteral,
    /// A later command of a pipeline that takes no argument.
    #[error("what follows | must be a function")]
    NotAFunction,
    /// Arguments for something that is no function.
    #[error("only a function takes arguments")]
    ArgumentToValue,
    /// `nil` as a command.
    #[error("nil can only be an argument")]
    NilAlone,
    /// More variables than the action may have.
    #[error("only a range has two variables, and none has more")]
    TooManyVariables,
    /// A comma after a variable without another variable.
    #[error("a range has variables alone before := or =")]
    RangeVariables,
    /// `break` or `continue` outside a range.
    #[error("{0} is outside a range")]
    OutsideRange(&'static str),
    /// A variable that is not declared.
    #[error("the variable ${0} is not declared here")]
    UnknownVariable(String),
    /// A variable that is declared or set between parentheses.
    #[error("a variable cannot be declared or set between parentheses; do it in an action of its own")]
    VariableInParentheses,
    /// A keyword or function of Go or consul-template that Coffer does not have.
    #[error("{name} is not supported: {advice}")]
    Refused {
        /// The name.
        name: String,
        /// What to use.
        advice: &'static str,
    },
    /// A function that nobody has.
    #[error("there is no function {name}{}", nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default())]
    UnknownFunction {
        /// The name.
        name: String,
        /// The function with the most similar name.
        nearest: Option<&'static str>,
    },
    /// A function gets too many or too few arguments.
    #[error("{function} takes {wants}; here it has {found}")]
    ArgumentCount {
        /// The function.
        function: &'static str,
        /// What it takes.
        wants: &'static str,
        /// How many there are, with the piped one.
        found: usize,
    },
    /// A literal of a type that a function does not take.
    #[error("{function} takes {wants} here")]
    ArgumentType {
        /// The function.
        function: &'static str,
        /// What it takes.
        wants: &'static str,
    },
    /// `secret` or `pkiCert` with an argument that is not a text in quotes.
    #[error("{0} takes texts in quotes alone, since it is asked before the template is written")]
    NotLiteral(&'static str),
    /// A request that cannot be made.
    #[error(transparent)]
    Request(#[from] BadRequest),
    /// More requests than a template may make.
    #[error("the template asks for more than {} secrets", crate::MAX_REQUESTS)]
    TooManyRequests,
}

/// A problem with the byte where it is.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) at: usize,
    pub(crate) problem: TemplateProblem,
}

impl TemplateProblem {
    pub(crate) fn at(self, at: usize) -> Located {
        Located { at, problem: self }
    }
}

impl Located {
    /// Returns the fault in this text.
    pub(crate) fn fault(self, text: &str) -> TemplateFault {
        TemplateFault { place: TemplatePlace::of(text, self.at), problem: self.problem }
    }
}

//! What is wrong with a class, or looks wrong, and where.

use std::fmt;

use crate::Error;

/// One mistake in a class, or one thing that looks like a mistake and is taken all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The parameter concerned, under the name that the class has for it.
    pub parameter: String,
    /// Where in the parameter's text, in `objects` alone.
    pub position: Option<Position>,
    /// `objectName` of the object concerned, shortened.
    pub object: Option<String>,
    /// What is wrong, on one line, without the object and the line.
    pub message: String,
}

/// A place in a text; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The character in it.
    pub column: u64,
}

/// Everything that was found in a class.
#[derive(Debug, Default)]
pub struct Findings {
    /// What makes the class unusable.
    pub mistakes: Vec<Finding>,
    /// What looks like a mistake and is none, for the incumbent takes it.
    pub warnings: Vec<Finding>,
}

impl Finding {
    pub(super) fn of(parameter: &str, message: impl Into<String>) -> Self {
        Self { parameter: parameter.to_owned(), position: None, object: None, message: message.into() }
    }

    pub(super) fn at(mut self, position: Option<Position>) -> Self {
        self.position = position;
        self
    }
}

impl Findings {
    /// The value, or nothing and one mistake more.
    pub(super) fn take<T>(&mut self, result: Result<T, Finding>) -> Option<T> {
        result.map_err(|mistake| self.mistakes.push(mistake)).ok()
    }
}

impl Position {
    /// Before anything was read.
    pub(super) const NONE: Self = Self { line: 0, column: 0 };

    pub(super) fn of(location: serde_saphyr::Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// As a line of a log.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(object) = &self.object {
            write!(f, "object {object:?}")?;
            if let Some(position) = &self.position {
                write!(f, ", line {}", position.line)?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl From<Finding> for Error {
    fn from(finding: Finding) -> Self {
        let Finding { parameter, position, object, message } = finding;
        let error = Self::class(match position {
            Some(Position { line, .. }) => format!("parameter {parameter:?}, line {line}: {message}"),
            None => message,
        });
        match object {
            Some(object) => error.with_object(&object),
            None => error,
        }
    }
}

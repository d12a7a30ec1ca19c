//! Mistakes and warnings found in a class, and their positions.

use std::fmt;

use serde_saphyr::Location;

use crate::Error;

/// One mistake or one warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The name of the parameter, as the class spells it.
    pub parameter: String,
    /// The position in the parameter's text; only `objects` has positions.
    pub position: Option<Position>,
    /// The `objectName` of the object, shortened.
    pub object: Option<String>,
    /// What is wrong, on one line, without the object's name and the position.
    pub message: String,
}

/// A position in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: u64,
    /// The character in the line, from 1.
    pub column: u64,
}

/// All mistakes and warnings found in a class.
#[derive(Debug, Default)]
pub struct Findings {
    /// Mistakes: a class with one is refused.
    pub mistakes: Vec<Finding>,
    /// What looks like a mistake but is accepted, since the incumbent accepts it too.
    pub warnings: Vec<Finding>,
}

impl Finding {
    /// Returns a finding of a parameter, without position and object.
    pub(super) fn of(parameter: &str, message: impl Into<String>) -> Self {
        Self { parameter: parameter.to_owned(), position: None, object: None, message: message.into() }
    }

    /// Sets the position.
    pub(super) fn at(mut self, position: Option<Position>) -> Self {
        self.position = position;
        self
    }
}

impl Findings {
    /// Returns the value, or adds the mistake and returns nothing.
    pub(super) fn take<T>(&mut self, result: Result<T, Finding>) -> Option<T> {
        result.map_err(|mistake| self.mistakes.push(mistake)).ok()
    }
}

impl Position {
    /// No position: nothing was read yet.
    pub(super) const NONE: Self = Self { line: 0, column: 0 };

    /// Converts the YAML parser's location.
    pub(super) fn of(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// Prints the finding as a line of a log.
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
            Some(Position { line, column }) => {
                format!("parameter {parameter:?}, line {line}, column {column}: {message}")
            }
            None => message,
        });
        match object {
            Some(object) => error.with_object(&object),
            None => error,
        }
    }
}

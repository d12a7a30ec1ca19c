//! What became of an annotation.

use serde::Serialize;

/// What became of an annotation, or of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ConvertOutcome {
    /// The class or the pod says the same.
    CarriedOver,
    /// A template became a shorter object, with the same bytes unless the value is a list or a map.
    Simplified,
    /// It was taken away, and nothing is lost.
    NothingToDo,
    /// Somebody has to decide or do something.
    NeedsPerson,
    /// Something may be else than was intended.
    Warning,
}

impl ConvertOutcome {
    /// Returns the outcome in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::CarriedOver => "carried over",
            Self::Simplified => "simplified",
            Self::NothingToDo => "nothing to do",
            Self::NeedsPerson => "needs a person",
            Self::Warning => "warning",
        }
    }
}

//! The fuzz targets of manifests. They are compiled for `cargo fuzz` alone.

use crate::convert::fuzzing;
use crate::manifest::{classes_and_titles, document};

/// Reads a file of manifests, as `check` does, and converts it.
///
/// # Panics
/// If what was converted cannot be read, or is converted once more.
pub fn manifests(file: &[u8]) {
    if let Ok(text) = document::text(file) {
        let read = classes_and_titles(&text);
        if let Err(fault) = &read {
            let lines = text.split(['\n', '\r']).count() as u64;
            assert!(
                fault.at.is_none_or(|at| at.line >= 1 && at.line <= lines + 1),
                "{:?} of {lines}",
                fault.at
            );
        }
        let parts: String = document::split(&text).iter().map(|document| document.text()).collect();
        assert_eq!(parts, text, "the documents are the text");
    }
    fuzzing::file(file);
}

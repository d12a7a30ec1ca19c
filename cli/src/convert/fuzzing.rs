//! Converts files, for the fuzz target alone.

use super::ConvertContext;
use super::conversion::ClassNames;
use super::file::{convert, take_names};
use super::report::ConvertReport;
use crate::manifest::files::ManifestFile;
use crate::manifest::{classes_and_titles, document};

/// Converts a file, and what comes of it again.
pub(crate) fn file(bytes: &[u8]) {
    let (text, report) = converted(bytes);
    let Some(text) = text else { return };
    if report.converted == 0 {
        let same = document::text(bytes).is_ok_and(|before| before == text);
        assert!(same, "nothing was converted, and the text changed");
        return;
    }
    // keys that are written twice are a mistake elsewhere
    if document::text(bytes).is_ok_and(|before| classes_and_titles(&before).is_ok()) {
        let read = classes_and_titles(&text);
        assert!(
            read.is_ok_and(|(classes, _)| !classes.is_empty()),
            "what was converted cannot be read:\n{text}"
        );
    }
    let (again, report) = converted(text.as_bytes());
    assert!(again.is_some(), "what was converted is not read:\n{text}\n{}", report.text());
    assert_eq!(report.converted, 0, "what was converted is converted again:\n{text}");
}

fn converted(bytes: &[u8]) -> (Option<String>, ConvertReport) {
    let file = ManifestFile { name: "a.yaml".to_owned(), relative: "a.yaml".into(), bytes: bytes.to_vec() };
    let mut context =
        ConvertContext { names: ClassNames::default(), provider: None, live: None, failures: Vec::new() };
    let mut report = ConvertReport::default();
    take_names(&file, &mut context.names);
    let converted = convert(&file, &mut context, &mut report);
    assert!(!report.text().is_empty());
    (converted.map(|file| file.text), report)
}

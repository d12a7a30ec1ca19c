//! The parameter `objects`: a list in YAML, flow YAML or JSON.

mod entry;

use serde_saphyr::Budget;

use self::entry::{Check, RawObject};
use super::{FilePath, Finding, Findings, Object, Position};

/// Objects of one class, at most.
const MAX_OBJECTS: usize = 1000;

pub(super) const FIELDS: [&str; 7] =
    ["objectName", "secretPath", "secretKey", "method", "secretArgs", "filePermission", "encoding"];

/// Parses the list: the objects without a mistake, and the names of all.
pub(super) fn parse(
    text: &str,
    found: &mut Findings,
    max_warnings: usize,
) -> (Vec<Object>, Vec<(String, Position)>) {
    let Some(raw) = found.take(read(text)) else {
        return Default::default();
    };
    let (mut objects, mut names, mut files) = (Vec::with_capacity(raw.len()), Vec::new(), Vec::new());
    for (n, raw) in raw.iter().enumerate() {
        names.extend(raw.text("objectName").map(|name| (name.to_owned(), raw.at)));
        let mut check = Check { raw, number: n + 1, found, max_warnings };
        let file = check.file();
        let object = check.object(file.as_ref());
        files.extend(file.map(|file| (file, raw.at)));
        objects.extend(object);
    }
    check_collisions(files, found);
    (objects, names)
}

fn read(text: &str) -> Result<Vec<RawObject>, Finding> {
    let raw: Option<Vec<RawObject>> =
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| unreadable(&error))?;
    let raw = raw.unwrap_or_default();
    let refused = |message: String| Err(Finding::of("objects", format!("parameter \"objects\" {message}")));
    match raw.len() {
        0 => refused("lists no object: there is nothing to mount".to_owned()),
        1..=MAX_OBJECTS => Ok(raw),
        many => refused(format!("lists {many} objects, more than {MAX_OBJECTS}")),
    }
}

/// No two objects may want one file, nor one a file where the other needs a directory.
fn check_collisions(mut files: Vec<(FilePath, Position)>, found: &mut Findings) {
    files.sort();
    let mut refuse = |(file, at): &(FilePath, Position), message| {
        let object = Some(shortened(file.as_str()));
        found.mistakes.push(Finding { object, ..Finding::of("objects", message).at(Some(*at)) });
    };
    for pair in files.windows(2) {
        let [(first, Position { line, .. }), second] = pair else { continue };
        if *first == second.0 {
            refuse(second, format!("line {line} has the same objectName: two objects would be one file"));
        }
    }
    for (at, file) in files.iter().enumerate() {
        let above = files[..at].iter().find(|(other, _)| other.is_above(&file.0));
        if let Some((other, Position { line, .. })) = above {
            refuse(
                file,
                format!(
                    "line {line} makes {other:?} a file, this one needs it as a directory",
                    other = other.as_str()
                ),
            );
        }
    }
}

/// A class is written by a tenant and parsed at every mount: tight limits, no alias bombs.
fn options() -> serde_saphyr::Options {
    let mut budget = Budget::default();
    budget.max_aliases = 256;
    budget.max_anchors = 64;
    budget.max_depth = 32;
    budget.max_nodes = 50_000;
    budget.max_events = 200_000;
    budget.max_total_scalar_bytes = 1 << 20;
    let mut options = serde_saphyr::Options::default();
    options.budget = Some(budget);
    options.alias_limits.max_total_replayed_events = 10_000;
    options.with_snippet = false;
    // as Go's yaml.v3 reads arguments: NO is a country, 0644 is octal
    options.strict_booleans = true;
    options.legacy_octal_numbers = true;
    options
}

/// The parser's own words, without the text that it was reading: arguments may be secret.
fn unreadable(error: &serde_saphyr::Error) -> Finding {
    let mut reason = error.without_snippet().to_string();
    reason = reason.lines().next().unwrap_or_default().trim().to_owned();
    if let Some((before, _)) = reason.split_once(" at line ") {
        reason.truncate(before.len());
    }
    let message = format!("not a list of objects in YAML or JSON: {reason}");
    match error.location() {
        Some(at) => Finding::of("objects", message).at(Some(Position::of(at))),
        None => Finding::of("objects", format!("parameter \"objects\": {message}")),
    }
}

/// A name for messages.
fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}

//! The parameter `objects`: a list in YAML, flow YAML or JSON.

mod check;
pub(super) mod fields;
mod shape;

use serde_saphyr::{Budget, Options};

use self::check::ObjectCheck;
use self::fields::ObjectFields;
use super::file_path::FilePath;
use super::finding::{Finding, Findings, Position};
use super::object::Object;

/// Maximum number of objects of one class.
const MAX_OBJECTS: usize = 1000;

/// Parses the list. Returns the objects without a mistake, and the names of all objects with the
/// position of each; mistakes and warnings are added to `found`.
pub(super) fn parse(
    text: &str,
    found: &mut Findings,
    max_warnings: usize,
) -> (Vec<Object>, Vec<(String, Position)>) {
    let list = match read(text) {
        Ok(list) => list,
        Err(mistakes) => {
            found.mistakes.extend(mistakes);
            return Default::default();
        }
    };
    let (mut objects, mut names, mut files) = (Vec::with_capacity(list.len()), Vec::new(), Vec::new());
    for (n, fields) in list.iter().enumerate() {
        names.extend(fields.text("objectName").map(|name| (name.to_owned(), fields.at)));
        let mut check = ObjectCheck { fields, number: n + 1, found, max_warnings };
        let file = check.file();
        let object = check.object(file.as_ref());
        files.extend(file.map(|file| (file, fields.at)));
        objects.extend(object);
    }
    check_collisions(files, found);
    (objects, names)
}

fn read(text: &str) -> Result<Vec<ObjectFields>, Vec<Finding>> {
    let options = options();
    let read: Result<Option<Vec<ObjectFields>>, _> =
        serde_saphyr::from_str_with_options(text, options.clone());
    let list = read.map_err(|error| {
        let mistakes = shape::type_mistakes(text, &options);
        if mistakes.is_empty() { vec![unreadable(&error)] } else { mistakes }
    })?;
    let list = list.unwrap_or_default();
    let refused =
        |message: String| Err(vec![Finding::of("objects", format!("parameter \"objects\" {message}"))]);
    match list.len() {
        0 => refused("lists no object: there is nothing to mount".to_owned()),
        1..=MAX_OBJECTS => Ok(list),
        many => refused(format!("lists {many} objects, more than {MAX_OBJECTS}")),
    }
}

/// Refuses two objects with the same file, and a file in whose place another object needs a
/// directory.
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

/// Returns the parser's limits. They are tight, because a tenant writes the class: no alias bombs.
fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_aliases = 256;
    budget.max_anchors = 64;
    budget.max_depth = 32;
    budget.max_nodes = 50_000;
    budget.max_events = 200_000;
    budget.max_total_scalar_bytes = 1 << 20;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.alias_limits.max_total_replayed_events = 10_000;
    options.with_snippet = false;
    // as Go's yaml.v3 reads secretArgs: NO is a string, 0644 is octal
    options.strict_booleans = true;
    options.legacy_octal_numbers = true;
    options
}

/// Returns the parser's own message without the text that was parsed, since `secretArgs` may be
/// secret.
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

/// Shortens a name for messages.
fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}

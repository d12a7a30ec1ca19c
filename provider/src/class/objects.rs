//! The parameter `objects`: a list in YAML, flow YAML or JSON.

mod boolean;
mod check;
pub(super) mod fields;
mod fingerprint;
#[cfg(fuzzing)]
mod fuzzing;
mod output;
mod shape;
mod template;

use serde::de::DeserializeSeed;
use serde_saphyr::{Budget, Options};

use self::check::ObjectCheck;
use self::fields::{ObjectFields, ObjectsSeed};
#[cfg(fuzzing)]
pub use self::fuzzing::printed_objects;
use super::file_path::FilePath;
use super::finding::{Finding, Findings, Position};
use super::object::{Object, Source};
use super::output::Output;
use super::place::Place;

/// Maximum number of objects of one class.
const MAX_OBJECTS: usize = 1000;

/// Maximum number of requests of one class.
const MAX_REQUESTS: usize = 1000;

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
    let (mut objects, mut names, mut places) = (Vec::with_capacity(list.len()), Vec::new(), Vec::new());
    for (n, fields) in list.iter().enumerate() {
        names.extend(fields.text("objectName").map(|name| (name.to_owned(), fields.at)));
        let mut check = ObjectCheck { fields, number: n + 1, found, max_warnings };
        let place = check.place();
        let object = check.object(place.as_ref());
        places.extend(place.map(|place| (place, fields.at)));
        places.extend(object.iter().flat_map(known_files).map(|file| (Place::File(file), fields.at)));
        objects.extend(object);
    }
    check_collisions(places, found);
    let requests: usize = objects.iter().map(|object| object.source.requests().len()).sum();
    if requests > MAX_REQUESTS {
        let message = format!(
            "parameter \"objects\" makes {requests} requests, more than {MAX_REQUESTS}: split the class"
        );
        found.mistakes.push(Finding::of("objects", message));
    }
    (objects, names)
}

/// Returns the files of an object in whose place is a directory, if its keys are known beforehand.
fn known_files(object: &Object) -> Vec<FilePath> {
    match &object.source {
        Source::Answer { output: Output::Files { keys, .. }, .. } if keys.is_literal() => {
            keys.needed().filter_map(|key| object.place.file_of_key(key).ok()).collect()
        }
        _ => Vec::new(),
    }
}

fn read(text: &str) -> Result<Vec<ObjectFields>, Vec<Finding>> {
    let options = options();
    let list = read_with(text, &options, &[]).or_else(|error| {
        // most classes are read once: none of their keys is a list
        let lists = shape::lists_of_keys(text, &options);
        let read = if lists.is_empty() { Err(error) } else { read_with(text, &options, &lists) };
        read.map_err(|error| {
            let mistakes = shape::type_mistakes(text, &options, &lists);
            if mistakes.is_empty() { vec![unreadable(&error)] } else { mistakes }
        })
    })?;
    let refused =
        |message: String| Err(vec![Finding::of("objects", format!("parameter \"objects\" {message}"))]);
    match list.len() {
        0 => refused("lists no object: there is nothing to mount".to_owned()),
        1..=MAX_OBJECTS => Ok(list),
        many => refused(format!("lists {many} objects, more than {MAX_OBJECTS}")),
    }
}

/// Reads the list. `lists_of_keys` are the positions of the fields `secretKey` that are lists.
fn read_with(
    text: &str,
    options: &Options,
    lists_of_keys: &[Position],
) -> Result<Vec<ObjectFields>, serde_saphyr::Error> {
    serde_saphyr::with_deserializer_from_str_with_options(text, options.clone(), |deserializer| {
        ObjectsSeed { lists_of_keys }.deserialize(deserializer)
    })
}

/// Refuses two objects with the same file, and a file in whose place another object needs a
/// directory. Of objects whose keys are files only the directory is known here.
fn check_collisions(mut places: Vec<(Place, Position)>, found: &mut Findings) {
    places.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
    let mut refuse = |(place, at): &(Place, Position), message| {
        let object = Some(shortened(place.as_str()));
        found.mistakes.push(Finding { object, ..Finding::of("objects", message).at(Some(*at)) });
    };
    for pair in places.windows(2) {
        let [(first, Position { line, .. }), second] = pair else { continue };
        if first.as_str() != second.0.as_str() {
            continue;
        }
        match (first, &second.0) {
            (Place::File(_), Place::File(_)) => {
                refuse(second, format!("line {line} has the same objectName: two objects would be one file"));
            }
            (Place::File(_), _) | (_, Place::File(_)) => {
                refuse(
                    second,
                    format!("line {line} has the same objectName, and one of the two is a directory"),
                );
            }
            _ => {}
        }
    }
    for (at, (place, position)) in places.iter().enumerate() {
        let above = places[..at].iter().find_map(|(other, at)| match other {
            Place::File(file) if place.path().is_some_and(|path| file.is_above(path)) => Some((file, at)),
            _ => None,
        });
        if let Some((file, Position { line, .. })) = above {
            let message = format!(
                "line {line} makes {file:?} a file, this one needs it as a directory",
                file = file.as_str()
            );
            refuse(&(place.clone(), *position), message);
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

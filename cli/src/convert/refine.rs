//! Makes the objects of a class right and short: paths of KV version 2, and keys in place of
//! templates.

use super::ConvertContext;
use super::class::{ConvertedClass, ObjectSource};
use super::injection::InjectionNote;
use super::live::Pod;
use super::outcome::ConvertOutcome;
use super::template_text::{TemplateReads, is_versioned};

/// Refines the objects of a class, and says what became of them. `full` returns the full name of an
/// annotation.
pub(super) fn refine(
    class: &mut ConvertedClass,
    pod: &Pod<'_>,
    context: &mut ConvertContext<'_>,
    full: &dyn Fn(&str) -> String,
) -> Vec<InjectionNote> {
    let mut notes = Vec::new();
    for n in 0..class.objects.len() {
        let object = &class.objects[n];
        let annotation = full(&object.annotation);
        let mut note = |outcome, message| {
            notes.push(InjectionNote { annotation: annotation.clone(), outcome, message });
        };
        let ObjectSource::Template(mut template) = object.source.clone() else { continue };
        let Some(reads) = template.reads() else { continue };
        // from the end, so that the places of the others stay
        for path in reads.paths.iter().rev().filter(|path| !is_versioned(&path.path)) {
            match context.versioned_path(class, pod, &path.path) {
                Asked::Right => {}
                Asked::Other(new) if template.replace_path(path, &new) => {
                    let message =
                        format!("{} is of KV version 2: the class reads {new}, as the agent did", path.path);
                    note(ConvertOutcome::CarriedOver, message);
                }
                Asked::Other(new) => {
                    note(
                        ConvertOutcome::NeedsPerson,
                        format!("{} is of KV version 2: write {new} in the template", path.path),
                    );
                }
                Asked::Unknown => {
                    if let Some(message) = doubt(&path.path, &reads) {
                        note(ConvertOutcome::Warning, message);
                    }
                }
            }
        }
        template.error_on_missing_key |= !reads.names_keys;
        let simple = template.simplified();
        if let Some(ObjectSource::Key { path, key, .. }) = &simple {
            let missing = if template.error_on_missing_key { "" } else { MISSING };
            note(
                ConvertOutcome::Simplified,
                format!(
                    "secretKey {key:?} of {path}, with the same bytes unless the value is a list or a map{missing}"
                ),
            );
        }
        class.objects[n].source = simple.unwrap_or(ObjectSource::Template(template));
    }
    notes
}

const MISSING: &str =
    "; if the key is missing, the mount fails, where the injector wrote \"<no value>\" into the file";

/// What is known of a path without `data/`.
pub(super) enum Asked {
    /// The path is right as it is.
    Right,
    /// The engine is KV version 2, where the path is this one.
    Other(String),
    /// Nobody was asked, or the answer does not say.
    Unknown,
}

/// Returns what to say of a path that may be of KV version 2.
fn doubt(path: &str, reads: &TemplateReads) -> Option<String> {
    let (engine, rest) = path.split_once('/')?;
    let reason = if reads.is_versioned {
        "the template reads .Data.data"
    } else if matches!(engine, "secret" | "kv") {
        "the engine may be KV version 2"
    } else {
        return None;
    };
    Some(format!(
        "{reason}, and the path {path} has no data/, which the agent added: with --live it is looked up; else write \
         {engine}/data/{rest} if that is the path"
    ))
}

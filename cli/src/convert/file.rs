//! The conversion of one file of manifests.

use std::path::PathBuf;

use super::ConvertContext;
use super::class::ConvertedClass;
use super::conversion::ClassNames;
use super::document::{self, ConvertedDocument};
use super::outcome::ConvertOutcome;
use super::patch::WorkloadPatch;
use super::report::{ConvertFinding, ConvertReport};
use super::workload::objects;
use super::yaml::source::SourceNode;
use super::yaml::value::PlainValue;
use super::yaml::write::json;
use crate::manifest::document::{YamlDocument, split, text as decoded};
use crate::manifest::files::ManifestFile;

/// A file after its conversion.
pub(super) struct ConvertedFile {
    /// The file's name, as it is shown.
    pub(super) name: String,
    /// The path below the directory of all that is written.
    pub(super) path: PathBuf,
    /// The whole file, with the classes.
    pub(super) text: String,
    /// Classes and patches of the workloads that were converted.
    pub(super) patches: Vec<WorkloadPatch>,
}

/// Takes the names of the classes that a file has already.
pub(super) fn take_names(file: &ManifestFile, names: &mut ClassNames) {
    let Ok(text) = decoded(&file.bytes) else { return };
    for document in split(&text) {
        let source = SourceNode::parse(document.text()).ok().flatten();
        let Some(value) = source.and_then(|source| source.value().ok()) else { continue };
        for object in objects(&value) {
            let text = |path: &[&str]| object.at(path)?.text();
            if text(&["kind"]) == Some("SecretProviderClass") {
                names.take(text(&["metadata", "namespace"]), text(&["metadata", "name"]).unwrap_or_default());
            }
        }
    }
}

/// Converts a file. What cannot be read is in the report, and left out if the whole file cannot.
pub(super) fn convert(
    file: &ManifestFile,
    context: &mut ConvertContext<'_>,
    report: &mut ConvertReport,
) -> Option<ConvertedFile> {
    let finding = |outcome, at, message| ConvertFinding {
        outcome,
        file: Some(file.name.clone()),
        at,
        namespace: None,
        workload: None,
        annotation: None,
        message,
    };
    let text = match decoded(&file.bytes) {
        Ok(text) => text,
        Err(fault) => {
            report.findings.push(finding(ConvertOutcome::NeedsPerson, fault.at, fault.message));
            return None;
        }
    };
    let documents = split(&text);
    let (mut out, mut patches, mut is_readable) = (String::new(), Vec::new(), true);
    for document in &documents {
        match document::convert(document.text(), context) {
            Ok(Some(converted)) => {
                let added = findings(&converted, document, &file.name, report);
                report.findings.extend(added);
                patches.extend(converted.workloads.iter().filter_map(WorkloadPatch::of));
                out.push_str(&with_classes(&converted, documents.len() == 1));
            }
            Ok(None) => out.push_str(document.text()),
            Err(error) => {
                let advice = if document.text().contains("{{") { NOT_RENDERED } else { "" };
                let at = error.at().map(|at| document.in_file(at));
                report.findings.push(finding(ConvertOutcome::NeedsPerson, at, format!("{error}{advice}")));
                out.push_str(document.text());
                is_readable = false;
            }
        }
    }
    is_readable.then(|| ConvertedFile {
        name: file.name.clone(),
        path: file.relative.clone(),
        text: out,
        patches,
    })
}

const NOT_RENDERED: &str =
    ". It looks like a template: convert what it renders to, such as helm template … | coffer convert -";

/// Returns what is said of a document, and counts its workloads.
fn findings(
    converted: &ConvertedDocument,
    document: &YamlDocument<'_>,
    file: &str,
    report: &mut ConvertReport,
) -> Vec<ConvertFinding> {
    let mut findings = Vec::new();
    for workload in &converted.workloads {
        let finding = |outcome, annotation: Option<&str>, message: &str| ConvertFinding {
            outcome,
            file: Some(file.to_owned()),
            at: Some(document.in_file(workload.position(annotation.unwrap_or_default()))),
            namespace: workload.workload.namespace.clone(),
            workload: Some(workload.workload.title()),
            annotation: annotation.map(str::to_owned),
            message: message.to_owned(),
        };
        let notes = workload.conversion.notes.iter();
        findings.extend(notes.map(|note| finding(note.outcome, Some(&note.annotation), &note.message)));
        report.workloads += usize::from(workload.conversion.is_injected);
        if !workload.conversion.classes.is_empty() {
            report.converted += 1;
            if converted.is_rewritten {
                findings.push(finding(ConvertOutcome::Warning, None, REWRITTEN));
            }
        }
    }
    findings.sort_by_key(|finding| finding.at.map(|at| (at.line, at.column)));
    findings
}

const REWRITTEN: &str = "the document could not be changed in place, because of how it is written (aliases, merge \
     keys, braces): it was written anew, without its comments";

/// Returns a document with the classes of its workloads before it.
fn with_classes(converted: &ConvertedDocument, is_alone: bool) -> String {
    let classes: Vec<&ConvertedClass> =
        converted.workloads.iter().flat_map(|workload| &workload.conversion.classes).collect();
    let document = &converted.text;
    if classes.is_empty() {
        return document.clone();
    }
    if converted.is_json {
        return json_with_classes(document, &classes, is_alone);
    }
    let texts: Vec<String> = classes.iter().map(|class| class.text()).collect();
    let mut texts = texts.join("---\n");
    if document.contains("\r\n") {
        texts = texts.replace('\n', "\r\n");
    }
    let line_break = if document.contains("\r\n") { "\r\n" } else { "\n" };
    if document.starts_with("---") {
        format!("---{line_break}{texts}{document}")
    } else if document.trim_start().starts_with('%') {
        // directives stand before the first document alone
        let end = if document.ends_with('\n') { "" } else { line_break };
        format!("{document}{end}---{line_break}{texts}")
    } else {
        format!("{texts}---{line_break}{document}")
    }
}

/// Returns JSON with the classes: a list if the file has one value, else one value after the other.
fn json_with_classes(document: &str, classes: &[&ConvertedClass], is_alone: bool) -> String {
    let indent = document.trim_end().contains('\n').then_some("  ");
    let classes: Vec<PlainValue> = classes.iter().map(|class| class.value()).collect();
    let value = SourceNode::parse(&document.replace('\t', " ")).ok().flatten();
    let value = value.and_then(|source| source.value().ok()).filter(|_| is_alone);
    let Some(mut value) = value else {
        let texts: String = classes.iter().map(|class| format!("{}\n", json(class, indent))).collect();
        return texts + document;
    };
    let items = match value.at_mut(&["items"]) {
        Some(PlainValue::List(items)) => {
            items.splice(0..0, classes);
            value
        }
        _ => PlainValue::map([
            ("apiVersion", PlainValue::string("v1")),
            ("kind", PlainValue::string("List")),
            ("items", PlainValue::List(classes.into_iter().chain([value]).collect())),
        ]),
    };
    format!("{}{}", json(&items, indent), &document[document.trim_end().len()..])
}

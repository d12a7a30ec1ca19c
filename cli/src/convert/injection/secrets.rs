//! The files that the injector is asked for.

use super::InjectorAnnotations;
use crate::convert::go_text::{join_path, parse_mode};
use crate::convert::outcome::ConvertOutcome;

/// Where the injector mounts files unless it is told another place.
const VOLUME_PATH: &str = "/vault/secrets";

/// A file that the injector is asked for.
#[derive(Debug)]
pub(in crate::convert) struct InjectedSecret {
    /// The annotation that says most of it, without prefix.
    pub(in crate::convert) annotation: String,
    /// Where the volume is mounted.
    pub(in crate::convert) volume: String,
    /// The file's path in the container.
    pub(in crate::convert) file: String,
    /// What is written to it.
    pub(in crate::convert) template: SecretTemplate,
    /// The mode of the file, in octal.
    pub(in crate::convert) permission: Option<String>,
}

/// What is written to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::convert) struct SecretTemplate {
    /// The text.
    pub(in crate::convert) text: String,
    /// The delimiters, if they are not the usual ones.
    pub(in crate::convert) delimiters: Option<(String, String)>,
    /// Whether a missing key is an error.
    pub(in crate::convert) error_on_missing_key: bool,
}

/// Reads the files, in the order of their names.
pub(super) fn read(from: &mut InjectorAnnotations<'_>) -> Vec<InjectedSecret> {
    let mut names: Vec<&str> = Vec::new();
    for name in from.names() {
        // the injector looks for them in this order, and so "file-" is no part of the name
        let found = ["agent-inject-secret-", "agent-inject-template-file-", "agent-inject-template-"]
            .into_iter()
            .find_map(|known| name.strip_prefix(known))
            .filter(|name| !name.is_empty());
        if let Some(found) = found.filter(|_| !from.get(name).unwrap_or_default().trim().is_empty())
            && !names.contains(&found)
        {
            names.push(found);
        }
    }
    names.sort_unstable();
    names.into_iter().filter_map(|name| secret(from, name)).collect()
}

/// Returns where files are mounted of which nothing else is said.
pub(super) fn volume_path(from: &mut InjectorAnnotations<'_>) -> String {
    join_path(from.text("secret-volume-path").unwrap_or(VOLUME_PATH), "")
}

fn secret(from: &mut InjectorAnnotations<'_>, name: &str) -> Option<InjectedSecret> {
    let own = from.text(&format!("secret-volume-path-{name}"));
    let volume = own.map_or_else(|| volume_path(from), |path| join_path(path, ""));
    let own_case = format!("preserve-secret-case-{name}");
    let keeps_case = if from.get(&own_case).is_some() {
        from.flag(&own_case, false)
    } else {
        from.flag("preserve-secret-case", false)
    };
    let named = if keeps_case { name.to_owned() } else { name.to_lowercase() };
    let file_annotation = format!("agent-inject-file-{name}");
    let file = join_path(&volume, from.text(&file_annotation).unwrap_or(&named));
    if !file.starts_with(&format!("{}/", volume.trim_end_matches('/'))) {
        let message =
            format!("{file} is not in the volume at {volume}, so no container saw it: name a file in it");
        from.note(&file_annotation, ConvertOutcome::NeedsPerson, message);
        return None;
    }
    let (annotation, template) = template(from, name)?;
    Some(InjectedSecret { annotation, volume, file, template, permission: permission(from, name) })
}

fn template(from: &mut InjectorAnnotations<'_>, name: &str) -> Option<(String, SecretTemplate)> {
    let own = format!("agent-inject-template-{name}");
    let error_on_missing_key = from.flag(&format!("error-on-missing-key-{name}"), false);
    if let Some(text) = from.get(&own).filter(|text| !text.is_empty()) {
        let template = SecretTemplate {
            text: text.to_owned(),
            delimiters: delimiters(from, name),
            error_on_missing_key,
        };
        return Some((own, template));
    }
    if from.get(&format!("agent-inject-template-file-{name}")).is_some_and(|file| !file.is_empty()) {
        return None;
    }
    let annotation = format!("agent-inject-secret-{name}");
    let path = from.text(&annotation)?;
    let text = match from.text("agent-inject-default-template").map(str::to_lowercase).as_deref() {
        None | Some("map") => {
            format!(
                "{{{{ with secret \"{path}\" }}}}{{{{ range $k, $v := .Data }}}}{{{{ $k }}}}: {{{{ $v }}}}\n{{{{ end }}}}{{{{ end }}}}"
            )
        }
        Some("json") => format!("{{{{ with secret \"{path}\" }}}}{{{{ .Data | toJSON }}}}\n{{{{ end }}}}"),
        Some(_) => {
            let message = "it is none of map and json: the injector refuses the pod";
            from.note("agent-inject-default-template", ConvertOutcome::NeedsPerson, message);
            return None;
        }
    };
    Some((annotation, SecretTemplate { text, delimiters: None, error_on_missing_key }))
}

fn delimiters(from: &InjectorAnnotations<'_>, name: &str) -> Option<(String, String)> {
    let of = |side: &str, usual: &str| {
        let set = from.get(&format!("agent-template-{side}-delim-{name}")).filter(|text| !text.is_empty());
        set.unwrap_or(usual).to_owned()
    };
    Some((of("left", "{{"), of("right", "}}"))).filter(|(left, right)| left != "{{" || right != "}}")
}

fn permission(from: &mut InjectorAnnotations<'_>, name: &str) -> Option<String> {
    let annotation = format!("agent-inject-perms-{name}");
    let text = from.text(&annotation)?;
    let Some(mode) = parse_mode(text) else {
        let message = format!("{text:?} is no mode of a file: write one such as 0440 as filePermission");
        from.note(&annotation, ConvertOutcome::NeedsPerson, message);
        return None;
    };
    if !mode.ends_with(['4', '5', '6', '7']) {
        let message = format!(
            "filePermission {mode}: the file belongs to root and not to the agent's user, so a program that does not \
             run as root cannot read it: give others the right to read, such as 0444"
        );
        from.note(&annotation, ConvertOutcome::Warning, message);
    }
    Some(mode)
}

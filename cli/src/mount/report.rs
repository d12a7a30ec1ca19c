//! The report of a mount: names, modes, sizes and versions, never contents.

use coffer_proto::v1alpha1::ObjectVersion;
use serde_json::json;

use super::answer::MountAnswer;
use crate::manifest::class::ClassManifest;
use crate::table::{printable, table};

/// Formats the report for people.
pub(crate) fn text(class: &ClassManifest, answer: &MountAnswer) -> String {
    let files = answer.files.iter().map(|file| {
        let version = answer.versions.iter().find(|version| version.id == file.path);
        let version = version.map_or_else(|| "-".to_owned(), |version| version.version.clone());
        [file.path.clone(), mode(file.mode), file.contents.len().to_string(), version]
    });
    let mut rows = vec![["FILE", "MODE", "SIZE", "VERSION"].map(str::to_owned)];
    rows.extend(files);
    let title = format!("{} (provider {})\n", printable(&class.name), printable(&class.provider));
    title + &table(&rows) + &others(answer)
}

/// Formats the report as JSON.
pub(crate) fn json(class: &ClassManifest, answer: &MountAnswer) -> String {
    let files = answer
        .files
        .iter()
        .map(|file| json!({ "path": file.path, "mode": mode(file.mode), "size": file.contents.len() }));
    let versions =
        answer.versions.iter().map(|ObjectVersion { id, version }| json!({ "id": id, "version": version }));
    let report = json!({
        "secretProviderClass": class.name,
        "provider": class.provider,
        "files": files.collect::<Vec<_>>(),
        "objectVersions": versions.collect::<Vec<_>>(),
    });
    format!("{report:#}\n")
}

/// Returns the versions that belong to no file by name, as a table.
fn others(answer: &MountAnswer) -> String {
    let has_file = |id: &str| answer.files.iter().any(|file| file.path == id);
    let mut rows = vec![["OBJECT", "VERSION"].map(str::to_owned)];
    let others = answer.versions.iter().filter(|version| !has_file(&version.id));
    rows.extend(others.map(|version| [version.id.clone(), version.version.clone()]));
    if rows.len() == 1 { String::new() } else { format!("\n{}", table(&rows)) }
}

fn mode(mode: i32) -> String {
    format!("{:04o}", mode & 0o7777)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use coffer_proto::v1alpha1::File;

    use super::*;

    fn sample() -> (ClassManifest, MountAnswer) {
        let class = ClassManifest {
            name: "db".into(),
            namespace: None,
            provider: "vault".into(),
            parameters: BTreeMap::new(),
        };
        let file = |path: &str, mode| File { path: path.into(), mode, contents: b"s3cret".to_vec() };
        let version = |id: &str| ObjectVersion { id: id.into(), version: "v=".into() };
        let files = vec![file("password", 0o644), file("a\u{1b}[2J", 0o400)];
        (class, MountAnswer { files, versions: vec![version("password"), version("secret/db")] })
    }

    #[test]
    fn the_table_lines_up_and_shows_no_contents() {
        let (class, answer) = sample();
        let expected = "\
db (provider vault)
FILE        MODE  SIZE  VERSION
password    0644  6     v=
a\\u{1b}[2J  0400  6     -

OBJECT     VERSION
secret/db  v=
";
        assert_eq!(text(&class, &answer), expected);
    }

    #[test]
    fn json_has_the_same() {
        let (class, answer) = sample();
        let report: serde_json::Value = serde_json::from_str(&json(&class, &answer)).expect("JSON");
        assert_eq!(report["files"][0], json!({ "path": "password", "mode": "0644", "size": 6 }));
        assert_eq!(report["objectVersions"][1], json!({ "id": "secret/db", "version": "v=" }));
        assert_eq!((&report["provider"], &report["secretProviderClass"]), (&json!("vault"), &json!("db")));
        assert!(!report.to_string().contains("s3cret"));
    }
}

//! The report of a conversion.

use std::path::Path;

use serde_json::{Value, json};

use crate::{convert, pod, run};

#[test]
fn every_annotation_has_a_line_with_its_place() {
    let converted = convert(&pod(&[
        "agent-inject-secret-a: x/a",
        "agent-inject-command-a: kill 1",
        "agent-image: x",
        "agent-inject-perms: '0400'",
        "agent-injekt: x",
    ]));
    let shown: Vec<_> = converted
        .report
        .lines()
        .map(|line| line.split(": ").take(4).collect::<Vec<_>>().join(": "))
        .collect();
    let expected = [
        "standard input:6:5: carried over: pod/shop: vault.hashicorp.com/agent-inject",
        "standard input:7:5: carried over: pod/shop: vault.hashicorp.com/role",
        "standard input:8:5: carried over: pod/shop: vault.hashicorp.com/agent-inject-secret-a",
        "standard input:9:5: needs a person: pod/shop: vault.hashicorp.com/agent-inject-command-a",
        "standard input:10:5: nothing to do: pod/shop: vault.hashicorp.com/agent-image",
        "standard input:11:5: warning: pod/shop: vault.hashicorp.com/agent-inject-perms",
        "standard input:12:5: warning: pod/shop: vault.hashicorp.com/agent-injekt",
    ];
    assert_eq!(shown[..7], expected);
    assert_eq!(
        converted.report.lines().last(),
        Some(
            "1 of 1 workload converted: 3 carried over, 0 simplified, 1 nothing to do, 1 needs a person, 2 warnings"
        )
    );
}

#[test]
fn the_json_report_has_the_members_of_the_reference() {
    let text = pod(&["agent-inject-secret-a: x/a", "agent-inject-command-a: kill 1"]);
    let output = run(Path::new("/"), &["-", "-o", "json"], &text);
    assert!(output.stderr.is_empty(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["manifests"].as_str(), Some(convert(&text).text.as_str()));
    let finding = json!({
        "outcome": "needs-person", "file": "standard input", "line": 9, "column": 5, "namespace": null,
        "workload": "pod/shop", "annotation": "vault.hashicorp.com/agent-inject-command-a",
        "message": report["findings"][3]["message"],
    });
    assert_eq!(report["findings"][3], finding);
    assert_eq!(
        (&report["workloads"], &report["converted"], &report["needs_person"]),
        (&json!(1), &json!(1), &json!(1))
    );

    // the reference describes these members and no others
    let reference = include_str!("../../../docs/reference.md");
    let (_, section) = reference.split_once("### `coffer convert --output json`").expect("the section");
    let section = section.split("\n#").next().expect("the section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let mut described: Vec<String> =
        rows.flat_map(|(names, _)| names.split("`, `").map(str::to_owned).collect::<Vec<_>>()).collect();
    let mut members: Vec<String> = report.as_object().expect("an object").keys().cloned().collect();
    members.extend(finding.as_object().expect("an object").keys().cloned());
    described.sort_unstable();
    members.sort_unstable();
    assert_eq!(described, members);
}

#[test]
fn exit_codes_tell_what_is_left_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    for (annotation, arguments, code) in [
        ("role: shop2", &[][..], 0),
        ("agent-injekt: x", &[], 0),
        ("agent-injekt: x", &["--strict"], 1),
        ("agent-inject-command-a: x", &[], 1),
        ("agent-inject-command-a: x", &["missing.yaml"], 2),
    ] {
        let text = pod(&["agent-inject-secret-a: x/a", annotation]).replace(
            "vault.hashicorp.com/role: shop\n",
            if annotation.starts_with("role") { "x: y\n" } else { "vault.hashicorp.com/role: shop\n" },
        );
        let output = run(dir.path(), &[&["-"], arguments].concat(), &text);
        assert_eq!(output.status.code(), Some(code), "{annotation} {arguments:?} {output:?}");
    }
    for arguments in
        [&[][..], &["a.yaml", "--cluster"], &["a.yaml", "--vault-addr=http://v"], &["a", "--overwrite"]]
    {
        assert_eq!(run(dir.path(), arguments, "").status.code(), Some(2), "{arguments:?}");
    }
}

//! What the documents say is what there is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use coffer_tests::coffer_binary;

fn document(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join(path)).unwrap()
}

#[test]
fn the_readme_shows_the_example_that_the_tests_apply() {
    let example = document("examples/secretproviderclass.yaml");
    let class: Vec<&str> = example.lines().filter(|line| !line.starts_with('#')).collect();
    let readme = document("README.md");
    assert!(readme.contains(&class.join("\n")), "README.md and examples/secretproviderclass.yaml differ");
}

#[test]
fn the_reference_lists_every_flag_and_no_other() {
    let of_csi = flags("coffer-csi", "-help").iter().map(|flag| flag[1..].to_owned()).collect::<Vec<_>>();
    assert_eq!(listed("## Flags", "## Environment"), of_csi);
    assert_eq!(listed("### Its flags", "### Annotations"), flags("coffer-api-server", "--help"));
}

/// The flags that a program's help names, each with two dashes; those with a letter of their own are everybody's.
fn flags(program: &str, help: &str) -> Vec<String> {
    let help = Command::new(coffer_binary(program)).arg(help).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let names =
        help.lines().filter_map(|line| line.trim_start().strip_prefix("--")?.split([' ', '[', '=']).next());
    let mut flags: Vec<String> = names.map(|flag| format!("--{flag}")).collect();
    flags.sort();
    assert!(flags.len() > 15, "{help}");
    flags
}

/// The flags in the first column of the reference's table between two headings.
fn listed(from: &str, to: &str) -> Vec<String> {
    let reference = document("docs/reference.md");
    let (_, section) = reference.split_once(from).unwrap();
    let (section, _) = section.split_once(to).unwrap();
    let names = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let mut listed: Vec<String> = names
        .flat_map(|names| names.split('`').filter(|name| name.starts_with('-')))
        .filter(|name| name.len() > 3 && !name.starts_with("---"))
        .map(str::to_owned)
        .collect();
    listed.sort();
    listed
}

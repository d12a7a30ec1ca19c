//! Where a conversion is written.

use std::fs;
use std::path::Path;

use tempfile::{TempDir, tempdir};

use crate::{documents, pod, run};

fn input() -> TempDir {
    let dir = tempdir().expect("a directory");
    let files = [
        ("in/shop.yaml", pod(&["agent-inject-secret-a: x/a"])),
        ("in/sub/other.yml", "kind: Service # kept\n".to_owned()),
        ("in/sub/job.json", "{\"kind\": \"ConfigMap\"}".to_owned()),
        ("in/notes.txt", "no manifest".to_owned()),
    ];
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    dir
}

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn a_directory_is_written_with_its_directories() {
    let dir = input();
    let output = run(dir.path(), &["in", "--out", "new/deep"], "");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(documents(&read(dir.path(), "new/deep/shop.yaml")).len(), 2);
    for same in ["sub/other.yml", "sub/job.json"] {
        assert_eq!(read(dir.path(), &format!("new/deep/{same}")), read(dir.path(), &format!("in/{same}")));
    }
    assert!(!dir.path().join("new/deep/notes.txt").exists());

    // converted again, every file stays as it is
    let output = run(dir.path(), &["new/deep", "--out", "again"], "");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for file in ["shop.yaml", "sub/other.yml", "sub/job.json"] {
        assert_eq!(read(dir.path(), &format!("again/{file}")), read(dir.path(), &format!("new/deep/{file}")));
    }
}

#[test]
fn nothing_is_written_over_unless_that_is_asked_for() {
    let dir = input();
    let before = read(dir.path(), "in/shop.yaml");
    fs::create_dir(dir.path().join("new")).expect("a directory");
    fs::write(dir.path().join("new/shop.yaml"), "mine").expect("a file");
    for (arguments, words) in [
        (&["in", "--out", "new"][..], "new/shop.yaml is there already"),
        (&["in", "--out", "in"], "in/shop.yaml is there already"),
        (&["in/shop.yaml", "in", "--out", "other"], "two manifests would be written to other/shop.yaml"),
    ] {
        let output = run(dir.path(), arguments, "");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(words) && error.contains("nothing was written"), "{error}");
    }
    assert_eq!(read(dir.path(), "new/shop.yaml"), "mine");
    assert_eq!(read(dir.path(), "in/shop.yaml"), before);
    assert!(!dir.path().join("new/sub").exists() && !dir.path().join("other").exists());

    let output = run(dir.path(), &["in", "--out", "new", "--overwrite"], "");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(documents(&read(dir.path(), "new/shop.yaml")).len(), 2);
}

#[test]
fn a_template_of_helm_is_named_and_not_written() {
    let dir = input();
    fs::write(dir.path().join("in/chart.yaml"), "kind: A\nmetadata:\n  name: {{ .Values.name }}\n")
        .expect("a file");
    let output = run(dir.path(), &["in", "--out", "new"], "");
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{report}");
    let line = report.lines().find(|line| line.starts_with("in/chart.yaml:3:")).expect("a line");
    assert!(line.contains("needs a person: not a manifest") && line.contains("helm template"), "{line}");
    assert!(!dir.path().join("new/chart.yaml").exists());
    assert!(dir.path().join("new/shop.yaml").exists());
}

#[test]
fn patches_are_written_beside_their_classes() {
    let dir = input();
    let deployment = pod(&["agent-inject-secret-a: x/a"]);
    let (head, spec) = deployment.split_once("spec:").expect("a pod");
    let indented: String = format!("{}spec:{spec}", head.split_once("kind: Pod\n").expect("a pod").1)
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shop\n  namespace: web\nspec:\n  template:\n{indented}"
    );
    fs::write(dir.path().join("in/sub/deployment.yaml"), deployment).expect("a file");
    let output = run(dir.path(), &["in", "--patch", "--out", "new"], "");
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    // a pod cannot be patched
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(report.contains("in/shop.yaml: needs a person: pod/shop: there is no patch"), "{report}");
    assert!(!dir.path().join("new/pod-shop.patch.yaml").exists());
    assert_eq!(documents(&read(dir.path(), "new/pod-shop.classes.yaml")).len(), 1);
    assert_eq!(
        documents(&read(dir.path(), "new/sub/deployment-shop.classes.yaml"))[0]["metadata"]["namespace"],
        "web"
    );
    let text = read(dir.path(), "new/sub/deployment-shop.patch.yaml");
    assert!(text.starts_with(
        "# kubectl patch deployment shop --namespace web --patch-file deployment-shop.patch.yaml\n"
    ));
    let expected = serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop", "namespace": "web"},
        "spec": {"template": {
            "metadata": {"annotations": {
                "vault.hashicorp.com/agent-inject": null, "vault.hashicorp.com/role": null,
                "vault.hashicorp.com/agent-inject-secret-a": null,
            }},
            "spec": {
                "containers": [{"name": "app", "volumeMounts": [
                    {"name": "vault-secrets", "mountPath": "/vault/secrets", "readOnly": true},
                ]}],
                "volumes": [{"name": "vault-secrets", "csi": {
                    "driver": "secrets-store.csi.k8s.io", "readOnly": true,
                    "volumeAttributes": {"secretProviderClass": "shop"},
                }}],
            },
        }},
    });
    assert_eq!(documents(&text), [expected]);
}

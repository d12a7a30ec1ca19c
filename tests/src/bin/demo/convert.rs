//! `coffer convert`: a pod of the Vault Agent Injector gets the same file without a sidecar.

use std::path::{Path, PathBuf};
use std::process::Command;

use coffer_tests::coffer_binary;

use crate::say;

/// A pod as a user of the injector has it.
const POD: &str = r#"apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
  annotations:
    vault.hashicorp.com/agent-inject: "true"
    vault.hashicorp.com/role: web
    vault.hashicorp.com/agent-inject-secret-db.conf: secret/data/shop/db
    vault.hashicorp.com/agent-inject-template-db.conf: |
      {{ with secret "secret/data/shop/db" -}}
      url=postgres://{{ .Data.data.username }}:{{ .Data.data.password }}@db/shop
      {{ end -}}
spec:
  serviceAccountName: web
  containers:
  - name: web
    image: shop/web
"#;

/// Converts the pod, prints the report, and returns the manifest with the class. `coffer` itself
/// says why it fails.
pub(crate) fn converted_class(dir: &Path) -> Option<PathBuf> {
    say("`coffer convert` turns annotations of the Vault Agent Injector into a class");
    std::fs::write(dir.join("pod.yaml"), POD).expect("write into a temporary directory");
    let mut command = Command::new(coffer_binary("coffer"));
    command.current_dir(dir).args(["convert", "pod.yaml", "--out", "new"]);
    command.status().ok().filter(std::process::ExitStatus::success)?;
    let class = dir.join("new/pod.yaml");
    std::fs::read_to_string(&class).ok()?.lines().for_each(|line| println!("    {line}"));
    Some(class)
}

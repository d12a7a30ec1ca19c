//! The files of an example: its folder, its objects, and its commands for Vault. There is no
//! kubelet here: pods are created from the Deployments' templates and mounted through the real
//! driver.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use coffer_tests::kubernetes::{CsiNode, Kubectl, objects};
use coffer_tests::{OpenBao, TestPod, find_bao, workspace};
use serde_json::{Value, json};

/// An example: the folder below `examples/`, and the namespace and service account of that name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExampleFiles(pub(crate) &'static str);

impl ExampleFiles {
    /// Returns the folder.
    pub(crate) fn folder(self) -> PathBuf {
        workspace().join("examples").join(self.0)
    }

    /// Returns the objects in a file.
    pub(crate) fn objects(self, file: &str) -> Vec<Value> {
        objects(&fs::read_to_string(self.folder().join(file)).unwrap())
    }

    /// Returns the pod template of the first object in a file.
    pub(crate) fn template(self, file: &str) -> Value {
        self.objects(file)[0]["spec"]["template"].clone()
    }

    /// Creates the objects of all files.
    pub(crate) async fn apply(self, kubectl: &Kubectl) {
        kubectl.run(["apply", "--filename", &self.folder().display().to_string()]).await;
    }

    /// Creates a pod on a node by the template in a file.
    pub(crate) async fn pod(self, kubectl: &Kubectl, node: &CsiNode, file: &str) -> TestPod {
        let mut object = self.template(file);
        let name = object["metadata"]["labels"]["app.kubernetes.io/name"].as_str().unwrap().to_owned();
        object["apiVersion"] = json!("v1");
        object["kind"] = json!("Pod");
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!(self.0);
        object["spec"]["nodeName"] = json!(node.name());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pod.json");
        fs::write(&path, object.to_string()).unwrap();
        kubectl.run(["create", "--filename", &path.display().to_string()]).await;
        let namespace = format!("--namespace={}", self.0);
        let uid = kubectl.run(["get", "pod", &name, &namespace, "--output=jsonpath={.metadata.uid}"]).await;
        TestPod { uid, name, ..TestPod::new(self.0, self.0) }
    }

    /// Runs vault.sh with both command lines. OpenBao's is a fork of Vault's, and stands in for it.
    pub(crate) fn set_up_vault(self, bao: &OpenBao) {
        let dir = tempfile::tempdir().unwrap();
        for (name, program) in [("bao", "BAO"), ("vault", "VAULT")] {
            let path = dir.path().join(name);
            let script = format!(
                "#!/bin/sh\n[ \"${program}_ADDR\" ] || exit 1\nBAO_ADDR=${program}_ADDR BAO_TOKEN=${program}_TOKEN exec {} \"$@\"\n",
                find_bao().display()
            );
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            let output = Command::new("sh")
                .arg(self.folder().join("vault.sh"))
                .arg(name)
                .env_clear()
                .env("HOME", dir.path())
                .env("PATH", format!("{}:/usr/bin:/bin", dir.path().display()))
                .env(format!("{program}_ADDR"), bao.address())
                .env(format!("{program}_TOKEN"), OpenBao::ROOT_TOKEN)
                .output()
                .unwrap();
            assert!(output.status.success(), "{name}: {output:?}");
        }
    }
}

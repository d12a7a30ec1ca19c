//! Checks examples/myapp with its own files. There is no kubelet here: pods are created from the
//! Deployments' templates and mounted through the real driver, and the Job's command runs with its
//! own arguments as its own service account.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use coffer_tests::kubernetes::aggregated::ApiSetup;
use coffer_tests::kubernetes::{CsiNode, DriverGeneration, Kubectl, Namespace, objects};
use coffer_tests::{OpenBao, Suite, TestPod, find_bao, until, workspace};
use serde_json::{Value, json};

pub(crate) fn tests(suite: Suite<ApiSetup>) -> Suite<ApiSetup> {
    suite
        .mounting("the_worked_example_gives_files_environment_and_a_read", |setup| async move {
            let (cluster, bao) = (&setup.cluster, &setup.bao);
            let node = CsiNode::start(DriverGeneration::V1_6, cluster, bao.address()).await;
            set_up_vault(bao);
            cluster.kubectl().run(["apply", "--filename", &folder().display().to_string()]).await;
            let myapp = Namespace::existing(cluster.client(), "myapp");

            let pod = pod_of(cluster.kubectl(), &node, "files.yaml").await;
            let volume = node.kubelet.mount(&pod).await;
            assert_eq!(volume.read("username").as_deref(), Some("myapp"));
            assert_eq!(volume.read("password").as_deref(), Some("correct-horse"));

            let pod = pod_of(cluster.kubectl(), &node, "environment.yaml").await;
            node.kubelet.mount(&pod).await;
            let environment = &template("environment.yaml")["spec"]["containers"][0]["env"][0];
            let from = &environment["valueFrom"]["secretKeyRef"];
            let (name, key) = (from["name"].as_str().unwrap(), from["key"].as_str().unwrap());
            let value = until("the driver to create the Secret", async || myapp.secret(name).await).await
                [key]
                .clone();
            assert_eq!((environment["name"].as_str(), value.as_str()), (Some("PASSWORD"), "correct-horse"));

            let account = cluster.account_kubeconfig("myapp", "myapp").await;
            let kubectl = Kubectl::new(&account);
            let job = template("job.yaml");
            let arguments: Vec<String> =
                serde_json::from_value(job["spec"]["containers"][0]["args"].clone()).unwrap();
            let read = until("the Job to read", async || {
                let output = kubectl.try_run(&arguments).await;
                output.status.success().then_some(output.out)
            })
            .await;
            assert_eq!(read.trim(), "password has 13 bytes. username has 5 bytes.");
        })
        .test("each_command_line_sets_vault_up", |_| async {
            // the second run changes what the first one wrote
            let bao = OpenBao::start().await;
            enable_login(&bao).await;
            set_up_vault(&bao);
            set_up_vault(&bao);
        })
}

fn folder() -> PathBuf {
    workspace().join("examples/myapp")
}

/// Returns the pod template of the first object in a file.
fn template(file: &str) -> Value {
    let text = fs::read_to_string(folder().join(file)).unwrap();
    objects(&text)[0]["spec"]["template"].clone()
}

async fn pod_of(kubectl: &Kubectl, node: &CsiNode, file: &str) -> TestPod {
    let mut object = template(file);
    let name = object["metadata"]["labels"]["app.kubernetes.io/name"].as_str().unwrap().to_owned();
    object["apiVersion"] = json!("v1");
    object["kind"] = json!("Pod");
    object["metadata"]["name"] = json!(name);
    object["metadata"]["namespace"] = json!("myapp");
    object["spec"]["nodeName"] = json!(node.name());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pod.json");
    fs::write(&path, object.to_string()).unwrap();
    kubectl.run(["create", "--filename", &path.display().to_string()]).await;
    let uid =
        kubectl.run(["get", "pod", &name, "--namespace=myapp", "--output=jsonpath={.metadata.uid}"]).await;
    TestPod { uid, name, ..TestPod::new("myapp", "myapp") }
}

/// Runs vault.sh with both command lines. OpenBao's is a fork of Vault's, and stands in for it.
fn set_up_vault(bao: &OpenBao) {
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
            .arg(folder().join("vault.sh"))
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

async fn enable_login(bao: &OpenBao) {
    bao.admin(reqwest::Method::POST, "sys/auth/kubernetes", json!({ "type": "kubernetes" })).await;
}

//! Checks examples/myapp with its own files: pods mount through the real driver, and the Job's
//! command runs with its own arguments as its own service account.

use coffer_tests::kubernetes::aggregated::ApiSetup;
use coffer_tests::kubernetes::{CsiNode, DriverGeneration, Kubectl, Namespace};
use coffer_tests::{OpenBao, Suite, until};
use serde_json::json;

use crate::example_files::ExampleFiles;

const MYAPP: ExampleFiles = ExampleFiles("myapp");

pub(crate) fn tests(suite: Suite<ApiSetup>) -> Suite<ApiSetup> {
    suite
        .mounting("the_worked_example_gives_files_environment_and_a_read", |setup| async move {
            let (cluster, bao) = (&setup.cluster, &setup.bao);
            let node = CsiNode::start(DriverGeneration::V1_6, cluster, bao.address()).await;
            MYAPP.set_up_vault(bao);
            MYAPP.apply(cluster.kubectl()).await;
            let myapp = Namespace::existing(cluster.client(), "myapp");

            let pod = MYAPP.pod(cluster.kubectl(), &node, "files.yaml").await;
            let volume = node.kubelet.mount(&pod).await;
            assert_eq!(volume.read("username").as_deref(), Some("myapp"));
            assert_eq!(volume.read("password").as_deref(), Some("correct-horse"));

            let pod = MYAPP.pod(cluster.kubectl(), &node, "environment.yaml").await;
            node.kubelet.mount(&pod).await;
            let environment = &MYAPP.template("environment.yaml")["spec"]["containers"][0]["env"][0];
            let from = &environment["valueFrom"]["secretKeyRef"];
            let (name, key) = (from["name"].as_str().unwrap(), from["key"].as_str().unwrap());
            let value = until("the driver to create the Secret", async || myapp.secret(name).await).await
                [key]
                .clone();
            assert_eq!((environment["name"].as_str(), value.as_str()), (Some("PASSWORD"), "correct-horse"));

            let account = cluster.account_kubeconfig("myapp", "myapp").await;
            let kubectl = Kubectl::new(&account);
            let job = MYAPP.template("job.yaml");
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
            for example in ["myapp", "dotenv", "files", "nginx-tls"].map(ExampleFiles) {
                example.set_up_vault(&bao);
                example.set_up_vault(&bao);
            }
        })
}

async fn enable_login(bao: &OpenBao) {
    bao.admin(reqwest::Method::POST, "sys/auth/kubernetes", json!({ "type": "kubernetes" })).await;
}

//! `coffer convert` on manifests as users write them, against kubectl's patches and a real OpenBao.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use coffer_tests::kubernetes::kubectl_program;
use coffer_tests::{JwtRole, OpenBao, OpenBaoSetup, Suite, TestPod, TokenIssuer, coffer_binary};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

pub(crate) fn tests(suite: Suite<()>) -> Suite<()> {
    suite
        .test("patches_give_what_the_manifests_say", |_| patches_give_what_the_manifests_say())
        .test("every_sample_is_converted_once", |_| every_sample_is_converted_once())
        .test("live_paths_of_kv_version_2_are_mended", |_| live_paths_of_kv_version_2_are_mended())
}

/// The samples that need a person, and why.
pub(crate) const FOR_A_PERSON: [(&str, &str); 3] = [
    ("person-command", "a command of the agent's container"),
    ("person-tls", "files of the agent's container"),
    ("person-token", "a file with the agent's token"),
];

/// The samples that have warnings.
const WITH_WARNINGS: [&str; 3] = ["exports-no-data", "exports-no-data-two", "value-two-files"];

pub(crate) fn samples() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/injector");
    let mut samples: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.sort();
    assert!(samples.len() >= 40, "{samples:?}");
    samples
}

pub(crate) async fn convert(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(coffer_binary("coffer"));
    command.env_clear().current_dir(dir).arg("convert").args(arguments).output().await.unwrap()
}

pub(crate) fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Asserts that `kubectl patch` makes of each sample what the converted sample says.
async fn patches_give_what_the_manifests_say() {
    let dir = tempfile::tempdir().unwrap();
    for sample in samples() {
        let path = sample.to_str().unwrap();
        let converted = convert(dir.path(), &[path]).await;
        let converted = documents(&String::from_utf8(converted.stdout).unwrap()).pop().unwrap();
        let out = sample.file_stem().unwrap().to_str().unwrap();
        convert(dir.path(), &[path, "--patch", "--out", out]).await;
        let patch = patch_in(&dir.path().join(out));
        if matches!(converted["kind"].as_str(), Some("Job" | "Pod")) {
            assert_eq!(patch, None, "{out}");
            continue;
        }
        let patched = Command::new(kubectl_program())
            .args(["patch", "--local", "--output=json", "--filename", path, "--patch-file"])
            .arg(patch.unwrap())
            .output()
            .await
            .unwrap();
        let patched: Value =
            serde_json::from_slice(&patched.stdout).unwrap_or_else(|_| panic!("{patched:?}"));
        assert_eq!(without_defaults(patched), without_defaults(converted), "{out}");
    }
}

fn patch_in(directory: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.into_iter().find(|path| path.to_str().unwrap().ends_with(".patch.yaml"))
}

/// Removes what kubectl adds of its own, and sorts lists by name: it puts new items first.
fn without_defaults(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().map(|(name, value)| (name, without_defaults(value)));
            let is_empty = |value: &Value| {
                value.is_null() || value == &json!({}) || value.as_array().is_some_and(Vec::is_empty)
            };
            kept.filter(|(name, value)| !is_empty(value) && name != "status").collect()
        }
        Value::Array(items) => {
            let mut items: Vec<_> = items.into_iter().map(without_defaults).collect();
            items.sort_by_key(|item| (item["name"].to_string(), item["mountPath"].to_string()));
            Value::Array(items)
        }
        value => value,
    }
}

async fn every_sample_is_converted_once() {
    let dir = tempfile::tempdir().unwrap();
    for sample in samples() {
        let name = sample.file_stem().unwrap().to_str().unwrap().to_owned();
        let output = convert(dir.path(), &[sample.to_str().unwrap(), "--strict"]).await;
        let report = String::from_utf8(output.stderr).unwrap();
        let (needs_person, warns) =
            (FOR_A_PERSON.iter().any(|(sample, _)| *sample == name), WITH_WARNINGS.contains(&&*name));
        assert_eq!(output.status.code(), Some(i32::from(needs_person || warns)), "{report}");
        assert_eq!(report.contains(" 0 needs a person"), !needs_person, "{report}");
        assert_eq!(report.contains(" 0 warnings"), !warns, "{report}");
        assert!(report.contains("1 of 1 workload converted"), "{report}");

        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains("agent-inject: ") && !text.contains("/role: "), "{text}");
        let file = dir.path().join(format!("{name}.yaml"));
        fs::write(&file, &text).unwrap();
        let again = convert(dir.path(), &[file.to_str().unwrap()]).await;
        assert_eq!(String::from_utf8(again.stdout).unwrap(), text);

        let mut check = Command::new(coffer_binary("coffer"));
        let check = check.env_clear().arg("check").arg(&file).args(["--strict"]).output().await.unwrap();
        assert_eq!(check.status.code(), Some(0), "{check:?}\n{text}");
    }
}

/// A Vault with KV of both versions, and a directory with a token for it.
struct LiveConvertSetup {
    bao: OpenBao,
    dir: TempDir,
}

impl LiveConvertSetup {
    async fn start() -> Self {
        let (bao, issuer): (OpenBao, TokenIssuer) = OpenBaoSetup::vault().await;
        bao.policy("shop", "path \"secret/data/shop/*\" { capabilities = [\"read\"] }\npath \"team/kv/data/*\" { capabilities = [\"read\"] }\npath \"legacy/*\" { capabilities = [\"read\"] }").await;
        bao.role("kubernetes", &JwtRole::new("shop", "shop")).await;
        bao.mount_engine("legacy", "kv", json!({ "version": "1" })).await;
        bao.mount_engine("team/kv", "kv", json!({ "version": "2" })).await;
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("token"), issuer.token(&TestPod::new("shop", "web"))).unwrap();
        Self { bao, dir }
    }

    /// Converts a pod with a template, and returns the classes' objects as text, and the output.
    async fn objects(&self, template: &str, arguments: &[&str]) -> (String, Output) {
        let manifest = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "web", "annotations": {
                "vault.hashicorp.com/agent-inject": "true",
                "vault.hashicorp.com/role": "shop",
                "vault.hashicorp.com/service": "http://vault.invalid:8200",
                "vault.hashicorp.com/agent-inject-template-a": template,
            } },
            "spec": { "containers": [{ "name": "app" }] },
        });
        fs::write(self.dir.path().join("pod.json"), manifest.to_string()).unwrap();
        let live = ["pod.json", "--live", "--token-file=token"];
        let output = convert(self.dir.path(), &[&live[..], arguments].concat()).await;
        let documents = documents(&String::from_utf8(output.stdout.clone()).unwrap());
        let objects = &documents[0]["items"][0]["spec"]["parameters"]["objects"];
        (objects.as_str().unwrap_or_else(|| panic!("{output:?}")).to_owned(), output)
    }
}

async fn live_paths_of_kv_version_2_are_mended() {
    let setup = LiveConvertSetup::start().await;
    let own = ["--vault-addr", setup.bao.address()];
    let template = "{{ with secret \"secret/shop/db\" }}A={{ .Data.data.a }}{{ end }}{{ with secret \"/team/kv/x\" }}\
         {{ .Data.data.b }}{{ end }}{{ with secret \"legacy/x\" }}{{ .Data.c }}{{ end }}\
         {{ with secret \"secret/data/shop/api\" }}{{ .Data.data.d }}{{ end }}\n";
    let (objects, output) = setup.objects(template, &own).await;
    let mended =
        template.replace("secret/shop/db", "secret/data/shop/db").replace("/team/kv/x", "team/kv/data/x");
    let objects: Value = serde_saphyr::from_str(&objects).unwrap();
    assert_eq!(objects[0]["template"], mended, "{output:?}");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = String::from_utf8(output.stderr).unwrap();
    assert!(
        report.contains("secret/shop/db is of KV version 2: the class reads secret/data/shop/db"),
        "{report}"
    );
    assert_eq!(setup.bao.requests_to("secret/data/shop/db"), 0, "no secret is read");

    // one key needs no template, once its path is known
    let (objects, _) =
        setup.objects("{{ with secret \"secret/shop/db\" }}{{ .Data.data.a }}{{ end }}", &own).await;
    let objects: Value = serde_saphyr::from_str(&objects).unwrap();
    assert_eq!(
        objects,
        json!([{ "objectName": "a", "secretPath": "secret/data/shop/db", "secretKey": "a" }])
    );

    // without an answer the path stays, and the exit code says that something could not be asked
    let (objects, output) = setup.objects(template, &[]).await;
    let objects: Value = serde_saphyr::from_str(&objects).unwrap();
    assert_eq!(objects[0]["template"], template);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let report = String::from_utf8(output.stderr).unwrap();
    assert!(report.contains("pod/web: cannot ask Vault about legacy/x: "), "{report}");
}

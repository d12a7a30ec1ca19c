//! What pods see before and after `coffer convert`: for each sample the files that the injector's
//! agent writes, rendered by consul-template, and those of the converted class, mounted by
//! `coffer-csi`, both from one OpenBao.

mod certificates;
mod injector;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use coffer_tests::{
    ConsulTemplate, ConsulTemplateFault, JwtRole, MountCall, MountRefusal, MountedFile, OpenBaoSetup, Suite,
    TestPod,
};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use self::injector::{InjectedFile, injected_files, pod_template};
use crate::convert::{FOR_A_PERSON, convert, documents, samples};

pub(crate) fn tests(suite: Suite<()>) -> Suite<()> {
    suite
        .test("usual_values_give_the_injector_s_bytes", |_| usual_values_give_the_injector_s_bytes())
        .test("odd_texts_give_the_injector_s_bytes", |_| odd_texts_give_the_injector_s_bytes())
        .test("other_types_give_the_injector_s_bytes", |_| other_types_give_the_injector_s_bytes())
        .test("certificates_stand_where_the_injector_s_stood", |_| {
            certificates_stand_where_the_injector_s_stood()
        })
}

/// The samples whose files differ with each issue.
const ISSUING: [&str; 2] = ["pki-cert", "pki-secret"];

/// The files of a container by their paths.
type ContainerFiles = BTreeMap<String, MountedFile>;

const SHOP_POLICY: &str = r#"
path "secret/data/shop/*" { capabilities = ["read"] }
path "legacy/shop" { capabilities = ["read"] }
path "pki/issue/shop" { capabilities = ["create", "update"] }
"#;

async fn usual_values_give_the_injector_s_bytes() {
    let db = json!({
        "username": "shop", "password": "correct horse", "host": "db.shop", "port": "5432",
        "options": "sslmode=verify-full",
    });
    let api = json!({ "key": "k-123", "api-key": "a-456" });
    let tls = json!({ "certificate": "CERTIFICATE\n", "key": "KEY\n", "keystore": "/u3+7QAAAAI=" });
    let legacy = json!({ "user": "old", "token": "t-789", "api-token": "t-012" });
    // a map is needed, see below
    assert_same_bytes(&[db, api, tls, legacy], &["value-nested"]).await;
}

/// Texts that a shell, JSON, YAML or HTML would have to quote, and empty ones.
async fn odd_texts_give_the_injector_s_bytes() {
    let db = json!({
        "username": "", "password": "a'b\"c\\d $e `f` {{ g }} <h>&\u{2028}\r\n\tü\u{1f980}\u{0}\u{7f}",
        "host": "-----", "port": " 1\n", "options": "", "a.b/c d": "no", "ключ": "значение",
    });
    let api = json!({ "key": "<no value>", "api-key": "---\n- a: b # c" });
    let tls = json!({ "certificate": "\n\n", "key": " key ", "keystore": "AAEC\nAwT/\r\n" });
    let legacy = json!({ "user": "null", "token": "%s %!d", "api-token": "[1]" });
    assert_same_bytes(&[db, api, tls, legacy], &["value-nested"]).await;
}

async fn other_types_give_the_injector_s_bytes() {
    let db = json!({
        "username": 1, "password": false, "host": 0.1, "port": 12_345_678_901_234_567_890_u64,
        "options": [], "replica": { "host": [true, { "b": "x y", "a": 1e21 }, -0.5, null] },
        "true": true, "list": ["a", 1, {}], "map": {},
    });
    let api = json!({ "key": "k", "api-key": 1.5e300 });
    let tls = json!({ "certificate": ["a", "b"], "key": { "a": "b" }, "keystore": "" });
    let legacy = json!({ "user": { "name": "old", "id": 7 }, "token": -1, "api-token": [[]] });
    // text is needed for replaceAll
    assert_same_bytes(&[db, api, tls, legacy], &["exports-upper"]).await;
}

async fn certificates_stand_where_the_injector_s_stood() {
    let setup = ConvertedSetup::start().await;
    let role = json!({ "allowed_domains": "shop.example", "allow_bare_domains": true, "key_type": "ec" });
    setup.vault.bao.mount_engine("pki", "pki", json!({})).await;
    setup.vault.bao.admin(Method::POST, "sys/mounts/pki/tune", json!({ "max_lease_ttl": "87600h" })).await;
    let ca = json!({ "common_name": "A CA", "key_type": "ec", "ttl": "87600h" });
    let ca = setup.vault.bao.admin(Method::POST, "pki/root/generate/internal", ca).await;
    let ca = ca["data"]["certificate"].as_str().unwrap();
    setup.vault.bao.admin(Method::POST, "pki/roles/shop", role).await;

    let mut compared = Vec::new();
    for sample in samples() {
        let name = sample.file_stem().unwrap().to_str().unwrap().to_owned();
        if !ISSUING.contains(&&*name) {
            continue;
        }
        let injected = files(&name, setup.injected(&sample).await);
        let converted = files(&name, setup.converted(&sample).await);
        assert_eq!(injected.keys().collect::<Vec<_>>(), converted.keys().collect::<Vec<_>>(), "{name}");
        for (path, file) in &injected {
            let texts =
                [file, &converted[path]].map(|file| String::from_utf8(file.contents.clone()).unwrap());
            let [injected, converted] = texts.each_ref().map(|text| certificates::shape(text, ca));
            assert_eq!(injected, converted, "{name}: {path}");
            assert!(injected.contains("<CERTIFICATE>") && injected.contains(ca.trim()), "{injected}");
            assert!(injected.contains(" PRIVATE KEY>"), "{injected}");
            assert_ne!(texts[0], texts[1], "two issues");
            texts.iter().for_each(|text| certificates::assert_belong_together(text));
        }
        compared.push(name);
    }
    assert_eq!(compared, ISSUING);
}

/// Asserts that each sample gives the same files both ways, with `secret/data/shop/db`, `api` and
/// `tls`, and `legacy/shop`, as given; and that those in `refused` give none, both ways.
async fn assert_same_bytes(values: &[Value; 4], refused: &[&str]) {
    let setup = ConvertedSetup::start().await;
    for (name, value) in ["shop/db", "shop/api", "shop/tls"].into_iter().zip(values) {
        setup.vault.bao.kv_put(name, value.clone()).await;
    }
    setup.vault.bao.admin(Method::POST, "legacy/shop", values[3].clone()).await;

    let mut compared = 0;
    for sample in samples() {
        let name = sample.file_stem().unwrap().to_str().unwrap();
        if ISSUING.contains(&name) || FOR_A_PERSON.iter().any(|(sample, _)| *sample == name) {
            continue;
        }
        let (injected, converted) = (setup.injected(&sample).await, setup.converted(&sample).await);
        if refused.contains(&name) {
            assert!(injected.is_err() && converted.is_err(), "{name}: {injected:?} {converted:?}");
            continue;
        }
        let (injected, converted) = (files(name, injected), files(name, converted));
        assert!(!injected.is_empty(), "{name}");
        assert_eq!(as_text(&injected), as_text(&converted), "{name}");
        assert!(injected == converted, "{name}: bytes that are no text");
        compared += 1;
    }
    assert!(compared >= 40, "{compared} samples were compared");
}

fn files<E: Debug>(sample: &str, files: Result<ContainerFiles, E>) -> ContainerFiles {
    files.unwrap_or_else(|fault| panic!("{sample}: {fault:?}"))
}

/// Returns files so that a difference can be read.
fn as_text(files: &ContainerFiles) -> Vec<(&str, String, i32)> {
    let text = |file: &MountedFile| String::from_utf8_lossy(&file.contents).into_owned();
    files.iter().map(|(path, file)| (path.as_str(), text(file), file.mode)).collect()
}

/// A Vault with the samples' engines and role, and a provider.
struct ConvertedSetup {
    vault: OpenBaoSetup,
    /// The working directory of `coffer`, with a token for it.
    dir: TempDir,
}

impl ConvertedSetup {
    async fn start() -> Self {
        let vault = OpenBaoSetup::start().await;
        vault.bao.policy("shop", SHOP_POLICY).await;
        vault.bao.role("kubernetes", &JwtRole::new("shop", "shop")).await;
        vault.bao.mount_engine("legacy", "kv", json!({ "version": "1" })).await;
        let dir = tempfile::tempdir().unwrap();
        let token = vault.issuer.token(&TestPod::new("default", "shop"));
        fs::write(dir.path().join("token"), token).unwrap();
        Self { vault, dir }
    }

    /// Returns the files that the injector's agent writes.
    async fn injected(&self, sample: &Path) -> Result<ContainerFiles, ConsulTemplateFault> {
        let workload = documents(&fs::read_to_string(sample).unwrap()).pop().unwrap();
        let files = injected_files(&workload);
        let templates: Vec<_> = files.iter().map(|file| file.template.clone()).collect();
        let consul_template = ConsulTemplate::with_vault(&self.vault.bao);
        let rendered = spawn_blocking(move || consul_template.render(&templates)).await.unwrap();
        let file = |(file, contents): (InjectedFile, Result<_, _>)| {
            Ok((file.path, MountedFile { contents: contents?, mode: file.mode }))
        };
        files.into_iter().zip(rendered).map(file).collect()
    }

    /// Returns the files that the container `app` of the converted workload has.
    async fn converted(&self, sample: &Path) -> Result<ContainerFiles, MountRefusal> {
        let address = format!("--vault-addr={}", self.vault.bao.address());
        let arguments = [sample.to_str().unwrap(), "--live", "--token-file=token", &address];
        let output = convert(self.dir.path(), &arguments).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let mut classes = documents(&String::from_utf8(output.stdout).unwrap());
        let workload = classes.pop().unwrap();
        let spec = &pod_template(&workload)["spec"];
        let containers = spec["containers"].as_array().unwrap();
        let app = containers.iter().find(|container| container["name"] == "app").unwrap();

        let mut files = ContainerFiles::new();
        let service_account = spec["serviceAccountName"].as_str().unwrap();
        let namespace = workload["metadata"]["namespace"].as_str().unwrap_or("default");
        let pod = TestPod::new(namespace, service_account);
        for mount in app["volumeMounts"].as_array().unwrap() {
            let volume = named(&spec["volumes"], &mount["name"]);
            let class = &volume["csi"]["volumeAttributes"]["secretProviderClass"];
            let class = classes.iter().find(|found| found["metadata"]["name"] == *class).unwrap();
            let call = self.call(&pod, volume["name"].as_str().unwrap(), class);
            let mounted = self.vault.csi.mount(&call).await?;
            let directory = mount["mountPath"].as_str().unwrap();
            files.extend(mounted.files.into_iter().map(|(path, file)| (format!("{directory}/{path}"), file)));
        }
        Ok(files)
    }

    /// Returns the driver's call for a volume of that class.
    fn call(&self, pod: &TestPod, volume: &str, class: &Value) -> MountCall {
        let call = MountCall::new(pod).volume(volume).token("vault", &self.vault.issuer.token(pod));
        let parameters = class["spec"]["parameters"].as_object().unwrap().iter();
        parameters.fold(call, |call, (name, value)| call.param(name, value.as_str().unwrap()))
    }
}

fn named<'a>(list: &'a Value, name: &Value) -> &'a Value {
    list.as_array().unwrap().iter().find(|item| item["name"] == *name).unwrap()
}

//! Formats and optional objects through the tool: which files `coffer check --live` says a class
//! would give, and what `coffer mount` writes.

use std::path::Path;
use std::process::Output;

use coffer_tests::{Csi, JwtRole, OpenBao, OpenBaoSetup, Suite, TestPod, coffer_binary};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

pub(crate) fn tests(suite: Suite<()>) -> Suite<()> {
    suite
        .test("live_lists_the_files_that_would_come", |_| live_lists_the_files_that_would_come())
        .test("live_finds_what_only_vault_knows", |_| live_finds_what_only_vault_knows())
        .test("live_counts_files", |_| live_counts_files())
        .test("live_tells_absence_from_denial", |_| live_tells_absence_from_denial())
        .test("mount_writes_every_format", |_| mount_writes_every_format())
        .test("mount_shows_errors_and_absence", |_| mount_shows_errors_and_absence())
}

const VALUE: &str = "correct-horse-battery";

const POLICY: &str = r#"
path "secret/data/app/*" { capabilities = ["read"] }
path "secret/metadata/app/*" { capabilities = ["list"] }
path "pki/issue/web" { capabilities = ["update"] }
"#;

/// A Vault, and a directory with a token for it.
struct ToolSetup {
    bao: OpenBao,
    dir: TempDir,
}

impl ToolSetup {
    async fn start() -> Self {
        let (bao, issuer) = OpenBaoSetup::vault().await;
        bao.policy("app", POLICY).await;
        bao.role("kubernetes", &JwtRole::new("app", "app")).await;
        let db = json!({ "user": "jo", "password": VALUE, "hosts": "[\"a\",\"b\"]", "none": null });
        bao.kv_put("app/db", db).await;
        bao.kv_put("app/odd", json!({ "a/b": VALUE, "a-b": VALUE, "list": [1] })).await;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), issuer.token(&TestPod::new("shop", "web"))).unwrap();
        Self { bao, dir }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn write_class(&self, objects: &str) {
        let objects: String = objects.lines().map(|line| format!("      {}\n", line.trim())).collect();
        let class = format!(
            "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\nmetadata:\n  name: db\nspec:\n  \
             provider: vault\n  parameters:\n    roleName: app\n    objects: |\n{objects}"
        );
        std::fs::write(self.path("class.yaml"), class).unwrap();
    }

    async fn coffer(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(coffer_binary("coffer"));
        command.env_clear().current_dir(self.dir.path()).args(arguments);
        let output = command.output().await.unwrap();
        assert!(!format!("{output:?}").contains(VALUE), "{output:?}");
        output
    }

    async fn check(&self, objects: &str, format: &str) -> Output {
        self.write_class(objects);
        let address = format!("--vault-addr={}", self.bao.address());
        self.coffer(&["check", "class.yaml", "--live", "--token-file=token", &address, "-o", format]).await
    }

    /// Returns the exit code, each finding's severity, line and message, and the line, path and size
    /// of each file.
    async fn findings(&self, objects: &str) -> (i32, Vec<(String, u64, String)>, Vec<(u64, String, usize)>) {
        let output = self.check(objects, "json").await;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let line = |found: &Value| found["line"].as_u64().unwrap();
        let finding = |found: &Value| (text(&found["severity"]), line(found), text(&found["message"]));
        let findings = report["findings"].as_array().unwrap().iter().map(finding).collect();
        let file = |file: &Value| (line(file), text(&file["path"]), file["bytes"].as_u64().unwrap() as usize);
        let files = report["files"].as_array().unwrap().iter().map(file).collect();
        (output.status.code().unwrap(), findings, files)
    }
}

/// Checks that the findings have these severities, lines and words, in this order.
fn check(findings: &[(String, u64, String)], expected: &[(&str, u64, &str)]) {
    assert_eq!(findings.len(), expected.len(), "{findings:#?}");
    for ((severity, line, message), (kind, at, words)) in findings.iter().zip(expected) {
        let is_expected = severity == kind && line == at && message.contains(words);
        assert!(is_expected, "{severity} {line}: {message}\nnot {kind} {at}: {words}");
    }
}

async fn live_lists_the_files_that_would_come() {
    let setup = ToolSetup::start().await;
    setup.bao.mount_engine("pki", "pki", json!({})).await;
    let objects = "- {objectName: d, secretPath: secret/data/app/db, format: files, exclude: [hosts]}
        - {objectName: app.env, secretPath: secret/data/app/db, format: dotenv}
        - {objectName: host, secretPath: secret/data/app/db, secretKey: hosts, jsonPointer: /1}
        - {objectName: gone, secretPath: secret/data/app/db, secretKey: gone, optional: true}
        - {objectName: tls.pem, secretPath: pki/issue/web, method: POST, format: pem, secretKey: [certificate, private_key]}";
    let (code, findings, files) = setup.findings(objects).await;
    assert_eq!(code, 0);
    let dotenv = format!("hosts='[\"a\",\"b\"]'\npassword='{VALUE}'\nuser='jo'\n");
    let expected =
        [(10, "d/password", VALUE.len()), (10, "d/user", 2), (11, "app.env", dotenv.len()), (12, "host", 1)];
    assert_eq!(files, expected.map(|(line, path, size)| (line, path.to_owned(), size)));
    check(
        &findings,
        &[
            ("note", 13, "no file: the object is optional, and what it names is not in Vault"),
            ("note", 14, "the role may"),
        ],
    );
    assert_eq!(setup.bao.requests_to("secret/data/app/db"), 1, "all objects share one read");
    assert_eq!(setup.bao.requests_to("pki/issue/web"), 0, "nothing is issued");

    let shown = setup.check(objects, "text").await;
    let shown = String::from_utf8(shown.stdout).unwrap();
    let line = "class.yaml:10:10: file: db: object \"d\": \"d/user\", 2 bytes\n";
    assert!(shown.contains(line) && shown.ends_with("1 class: 0 mistakes, 0 warnings\n"), "{shown}");
}

async fn live_finds_what_only_vault_knows() {
    let setup = ToolSetup::start().await;
    let (code, findings, files) = setup
        .findings(
            "- {objectName: a, secretPath: secret/data/app/odd, format: files}
             - {objectName: b, secretPath: secret/data/app/odd, format: shell}
             - {objectName: c, secretPath: secret/data/app/odd, format: files, secretKey: list}
             - {objectName: d, secretPath: secret/data/app/db, jsonPointer: /user/x}
             - {objectName: e, secretPath: secret/data/app/db, jsonPointer: /gone}
             - {objectName: f, secretPath: secret/data/app/db, format: json, include: [user, gone]}
             - {objectName: g, secretPath: secret/data/app/db, format: pem, secretKey: user}
             - {objectName: h, secretPath: secret/data/app/db, format: files, encoding: base64}
             - {objectName: i, secretPath: secret/data/app/db, format: files}
             - {objectName: i/user, secretPath: secret/data/app/db, secretKey: user}",
        )
        .await;
    assert_eq!(code, 1);
    check(
        &findings,
        &[
            ("error", 10, "key \"a/b\" is no name of a file"),
            ("error", 11, "key \"a-b\" is no name of a variable"),
            ("error", 12, "the data is a list"),
            ("error", 13, "is a string that is no JSON"),
            ("error", 14, "there is nothing at"),
            ("error", 15, "no key \"gone\""),
            ("error", 16, "holds no PEM block"),
            ("error", 17, "key \"hosts\": the value is not base64"),
            ("error", 18, "two objects would make the file \"i/user\""),
        ],
    );
    assert_eq!(files, [(19, "i/user".to_owned(), 2)]);
}

async fn live_counts_files() {
    let setup = ToolSetup::start().await;
    let keys: Vec<String> = (0..501).map(|n| format!("\"k{n}\":{n}")).collect();
    setup.bao.kv_put("app/many", json!({ "map": format!("{{{}}}", keys.join(",")) })).await;
    let object = |name: &str| {
        format!("- {{objectName: {name}, secretPath: secret/data/app/many, secretKey: map, format: files}}\n")
    };
    let (code, findings, files) = setup.findings(&(object("a") + &object("b"))).await;
    assert_eq!((code, files.len()), (1, 501));
    check(&findings, &[("error", 11, "there would be 1002 files, more than 1000")]);
}

async fn live_tells_absence_from_denial() {
    let setup = ToolSetup::start().await;
    let (code, findings, files) = setup
        .findings(
            "- {objectName: a, secretPath: secret/data/app/none, secretKey: k, optional: true}
             - {objectName: b, secretPath: secret/data/app/db, format: dotenv, include: [gone], optional: true}
             - {objectName: c, secretPath: secret/metadata/app/none, method: LIST, format: json, optional: true}
             - {objectName: d, secretPath: secret/data/other/db, secretKey: k, optional: true}
             - {objectName: e, secretPath: secret/data/app/db, secretKey: user, encoding: hex, optional: true}
             - {objectName: f, secretPath: secret/app/db, secretKey: user, optional: true}",
        )
        .await;
    assert_eq!((code, files.len()), (1, 0));
    check(
        &findings,
        &[
            ("note", 10, "no file: the object is optional"),
            ("note", 11, "no file: the object is optional"),
            ("note", 12, "no file: the object is optional"),
            (
                "error",
                13,
                r#"Add to a policy of role "app": path "secret/data/other/db" { capabilities = ["read"] }"#,
            ),
            ("error", 14, "not hexadecimal"),
            ("error", 15, r#"this path is "secret/data/app/db""#),
        ],
    );
}

impl ToolSetup {
    /// Mounts a class from a running agent into the directory `volume`.
    async fn mount(&self, csi: &Csi, objects: &str, more: &[&str]) -> Output {
        self.write_class(objects);
        let socket = csi.socket().to_str().unwrap();
        let arguments = [
            "mount",
            "--class",
            "class.yaml",
            "--namespace",
            "shop",
            "--service-account",
            "web",
            "--target",
            "volume",
            "--socket",
            socket,
            "--token-file",
            "token",
        ];
        self.coffer(&[&arguments[..], more].concat()).await
    }
}

fn written(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = walk(dir).into_iter().map(|path| path.display().to_string()).collect();
    names.retain(|name| name != ".coffer-mount");
    names.sort();
    names
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = std::path::PathBuf::from(path.file_name().unwrap());
        if path.is_dir() {
            found.extend(walk(&path).into_iter().map(|below| name.join(below)));
        } else {
            found.push(name);
        }
    }
    found
}

async fn mount_writes_every_format() {
    let setup = ToolSetup::start().await;
    let csi = Csi::options().flag(format!("-vault-addr={}", setup.bao.address())).start().await;
    let output = setup
        .mount(
            &csi,
            "- {objectName: ., secretPath: secret/data/app/db, format: files, exclude: [hosts]}
             - {objectName: conf/app.yaml, secretPath: secret/data/app/db, format: yaml, include: [user]}
             - {objectName: app.env, secretPath: secret/data/app/db, format: dotenv}
             - {objectName: gone, secretPath: secret/data/app/gone, optional: true}",
            &["--output", "json"],
        )
        .await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let paths = |list: &str, field: &str| {
        let list = report[list].as_array().unwrap().iter();
        list.map(|file| file[field].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let files = ["password", "user", "conf/app.yaml", "app.env"];
    assert_eq!(
        (paths("files", "path"), paths("objectVersions", "id")),
        (files.map(str::to_owned).into(), files.map(str::to_owned).into())
    );
    let volume = setup.path("volume");
    assert_eq!(written(&volume), ["app.env", "conf/app.yaml", "password", "user"]);
    let read = |name: &str| std::fs::read_to_string(volume.join(name)).unwrap();
    assert_eq!((read("password").as_str(), read("conf/app.yaml").as_str()), (VALUE, "user: jo\n"));
    assert_eq!(read("app.env"), format!("hosts='[\"a\",\"b\"]'\npassword='{VALUE}'\nuser='jo'\n"));
}

async fn mount_shows_errors_and_absence() {
    let setup = ToolSetup::start().await;
    let csi = Csi::options().flag(format!("-vault-addr={}", setup.bao.address())).start().await;
    let output =
        setup.mount(&csi, "- {objectName: ., secretPath: secret/data/app/odd, format: files}", &[]).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("key \"a/b\" is no name of a file") && error.contains("exclude: [\"a/b\"]"),
        "{error}"
    );
    assert!(written(&setup.path("volume")).is_empty());

    let none = "- {objectName: o, secretPath: secret/data/app/later, format: files, optional: true}";
    let output = setup.mount(&csi, none, &["--output", "json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(report["files"], json!([]));
    assert_eq!(report["objectVersions"], json!([{ "id": "o", "version": "no-files" }]));
    assert!(written(&setup.path("volume")).is_empty());

    setup.bao.kv_put("app/later", json!({ "a": "1" })).await;
    assert!(setup.mount(&csi, none, &[]).await.status.success());
    assert_eq!(written(&setup.path("volume")), ["o/a"]);
    setup.bao.admin(Method::DELETE, "secret/metadata/app/later", Value::Null).await;
    let output = setup.mount(&csi, none, &[]).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("every object is optional, and none is in Vault any more"), "{error}");
    assert_eq!(written(&setup.path("volume")), ["o/a"]);
}

//! Optional objects: what counts as absent, and what never does.

use std::time::Duration;

use coffer_tests::{FakeVaultSetup, OpenBaoSetup, ScriptedAnswer, SimulatedDriver, TestPod};
use reqwest::Method;
use serde_json::{Value, json};

/// Returns a class's `objects`: this optional object, and a file `user` that is there.
fn beside_user(fields: &str) -> String {
    format!(
        "- {{objectName: o, optional: true, {fields}}}\n\
         - {{objectName: user, secretPath: secret/data/app, secretKey: user}}\n"
    )
}

async fn setup() -> OpenBaoSetup {
    let setup = OpenBaoSetup::start().await;
    setup.bao.kv_put("app", json!({ "user": "jo", "none": null, "text": "hunter2", "list": [1] })).await;
    for secret in ["deleted", "destroyed"] {
        setup.bao.kv_put(secret, json!({ "k": "v" })).await;
    }
    setup.bao.kv_delete("deleted").await;
    let versions = json!({ "versions": [1] });
    setup.bao.admin(Method::POST, "secret/destroy/destroyed", versions).await;
    setup
}

#[tokio::test]
async fn what_vault_does_not_have_makes_no_file() {
    let setup = setup().await;
    for fields in [
        "secretPath: secret/data/none",
        "secretPath: secret/data/none, secretKey: k",
        "secretPath: secret/data/deleted, secretKey: k",
        "secretPath: secret/data/destroyed, secretKey: k",
        "secretPath: secret/data/destroyed, format: files",
        "secretPath: 'secret/data/app?version=9', secretKey: user",
        "secretPath: secret/app, secretKey: k",
        "secretPath: kv/of/a/missing/mount, secretKey: k",
        "secretPath: kv/of/a/missing/mount, method: LIST, secretKey: keys",
        "secretPath: secret/metadata/none, method: LIST, format: json",
        "secretPath: secret/data/app, secretKey: gone",
        "secretPath: secret/data/app, secretKey: gone, encoding: base64",
        "secretPath: secret/data/app, secretKey: gone, format: yaml",
        "secretPath: secret/data/app, secretKey: none, format: json",
        "secretPath: secret/data/app, jsonPointer: /gone",
        "secretPath: secret/data/app, jsonPointer: /list/1",
        "secretPath: secret/data/app, secretKey: list, jsonPointer: /-",
        "secretPath: secret/data/app, format: dotenv, include: [gone]",
        "secretPath: secret/data/app, format: files, include: ['gone*']",
        "secretPath: secret/data/app, format: pem, secretKey: [gone]",
    ] {
        let objects = beside_user(fields);
        let mounted = setup.mount(&objects).await.unwrap_or_else(|refusal| panic!("{fields}: {refusal:?}"));
        assert!(mounted.files.keys().eq(["user"]), "{fields}: {:?}", mounted.files);
        assert!(mounted.versions.keys().eq(["user"]), "{fields}: {:?}", mounted.versions);
        setup.mount(&objects.replace("optional: true, ", "")).await.expect_err(fields);
    }
}

#[tokio::test]
async fn an_object_that_is_there_is_mounted_as_without_the_field() {
    let setup = setup().await;
    let plain = "[{objectName: user, secretPath: secret/data/app, secretKey: user}]";
    let optional = plain.replace("}]", ", optional: true}]");
    assert_eq!(setup.mount(&optional).await.unwrap(), setup.mount(plain).await.unwrap());
    for (objects, is_needed) in [
        // one request: what one object needs is needed
        (
            "[{objectName: a, secretPath: secret/data/none, secretKey: k, optional: true}, {objectName: b, secretPath: secret/data/none, secretKey: l}]",
            true,
        ),
        (
            "[{objectName: a, secretPath: secret/data/none, secretKey: k, optional: true}, {objectName: b, secretPath: secret/data/none, secretKey: l, optional: true}]",
            false,
        ),
    ] {
        let mounted = setup.mount(objects).await;
        assert_eq!(mounted.is_err(), is_needed, "{mounted:?}");
        if let Err(refusal) = mounted {
            assert!(refusal.names(&["object \"b\""]), "the one that needs it: {refusal:?}");
        }
    }
}

#[tokio::test]
async fn errors_of_a_real_vault_are_no_absence() {
    let setup = setup().await;
    setup.bao.kv_put("bad", json!({ "a/b": "hunter2" })).await;
    for (fields, words) in [
        ("secretPath: forbidden/data/x, secretKey: k", "permission denied"),
        ("secretPath: sys/policy, secretKey: k", "permission denied"),
        ("secretPath: secret/data/app, secretKey: text, encoding: base64", "not base64"),
        ("secretPath: secret/data/app, secretKey: text, format: dotenv", "the data is a string"),
        ("secretPath: secret/data/app, jsonPointer: /text/x", "is a string that is no JSON"),
        ("secretPath: secret/data/app, format: pem, secretKey: text", "holds no PEM block"),
        ("secretPath: secret/data/bad, format: files", "is no name of a file"),
        ("secretPath: secret/data/bad, format: shell", "is no name of a variable"),
    ] {
        let refusal = setup.mount(&beside_user(fields)).await.unwrap_err();
        assert!(refusal.names(&[words]), "{fields}: {refusal:?}");
        assert!(!refusal.message.contains("hunter2"), "{refusal:?}");
    }
    setup.bao.seal().await;
    setup.mount(&beside_user("secretPath: secret/data/none")).await.expect_err("a sealed Vault");
}

#[tokio::test]
async fn only_a_404_of_vault_itself_is_an_absence() {
    let setup = FakeVaultSetup::start().await;
    let objects = "[{objectName: o, secretPath: kv/o, secretKey: k, optional: true}]";
    let page = |body: &str| ScriptedAnswer::raw(404, &[("Content-Type", "application/json")], body);
    let metadata = json!({ "version": 3, "destroyed": false, "deletion_time": "2026-01-02T03:04:05Z" });
    for absent in [
        ScriptedAnswer::json(404, &json!({ "errors": [] })),
        ScriptedAnswer::error(404, "no handler for route \"kv/o\". route entry not found."),
        ScriptedAnswer::json(404, &json!({ "errors": [], "warnings": ["w"] })),
        ScriptedAnswer::json(
            404,
            &json!({ "request_id": "r", "lease_id": "", "data": null, "warnings": ["w"] }),
        ),
        ScriptedAnswer::json(
            404,
            &json!({ "request_id": "r", "data": { "data": null, "metadata": metadata } }),
        ),
    ] {
        setup.vault.script("GET", "/v1/kv/o", [absent.clone()]);
        let mounted = setup.mount(objects).await.unwrap_or_else(|refusal| panic!("{absent:?}: {refusal:?}"));
        assert_eq!((mounted.files.len(), mounted.version("o")), (0, "no-files"));
    }
    let strange = [
        "",
        "{}",
        "[]",
        "null",
        "\"not found\"",
        "404 page not found",
        r#"{"error":"not found"}"#,
        r#"{"message":"no route","code":404}"#,
        r#"{"errors":"not found"}"#,
        r#"{"errors":null}"#,
        r#"{"errors":{}}"#,
        r#"{"errors":[{"code":"NotFound"}]}"#,
        r#"{"errors":[1]}"#,
        r#"{"errors":["no such host",{"code":1}]}"#,
        r#"{"data":{}}"#,
        r#"{"data":{"message":"no route"}}"#,
        r#"{"data":{"data":null}}"#,
        r#"{"data":{"metadata":null}}"#,
        r#"{"apiVersion":"v1","kind":"Status","code":404,"metadata":{}}"#,
        r#"{"errors":[]"#,
    ];
    let refused = strange.map(page).into_iter().chain([
        ScriptedAnswer::html(404),
        ScriptedAnswer::empty(404),
        ScriptedAnswer::html(200),
        ScriptedAnswer::empty(204),
        ScriptedAnswer::html(403),
        ScriptedAnswer::error(403, "1 error occurred:\n\t* permission denied\n\n"),
        ScriptedAnswer::error(400, "bad"),
        ScriptedAnswer::error(405, "unsupported operation"),
        ScriptedAnswer::error(410, "gone"),
        ScriptedAnswer::redirect(307, "http://127.0.0.1:9/v1/kv/o"),
    ]);
    for answer in refused {
        setup.vault.script("GET", "/v1/kv/o", [answer.clone()]);
        let mounted = setup.mount(objects).await;
        assert!(mounted.is_err(), "{answer:?}: {mounted:?}");
    }
}

#[tokio::test]
async fn faults_on_the_way_are_no_absence() {
    let setup = FakeVaultSetup::start().await;
    let objects = "[{objectName: o, secretPath: kv/o, secretKey: k, optional: true}]";
    for answer in [
        ScriptedAnswer::error(500, "internal error"),
        ScriptedAnswer::error(502, "bad gateway"),
        ScriptedAnswer::sealed(),
        ScriptedAnswer::json(503, &json!({ "errors": [] })),
        ScriptedAnswer::busy(429, 1),
        ScriptedAnswer::closes_at_once(),
        ScriptedAnswer::closes_midway(),
        ScriptedAnswer::stalls_midway(100),
        ScriptedAnswer::hangs(),
    ] {
        setup.vault.script("GET", "/v1/kv/o", [answer.clone()]);
        let call = setup.call(&TestPod::new("shop", "web"), objects).timeout(Some(Duration::from_secs(4)));
        let mounted = setup.csi.mount(&call).await;
        assert!(mounted.is_err(), "{answer:?}: {mounted:?}");
    }
    // nor is a login that a proxy or Vault refuses with 404
    setup.vault.script("GET", "/v1/kv/o", [ScriptedAnswer::json(404, &json!({ "errors": [] }))]);
    for answer in [ScriptedAnswer::error(404, "no handler for route"), ScriptedAnswer::html(404)] {
        setup.vault.script("POST", coffer_tests::LOGIN, [answer.clone()]);
        setup.vault.script("PUT", coffer_tests::LOGIN, [answer.clone()]);
        let mounted = setup.mount(objects).await;
        assert!(mounted.is_err(), "{answer:?}: {mounted:?}");
    }
}

#[tokio::test]
async fn a_volume_without_files_has_a_version_until_it_gets_one() {
    let setup = OpenBaoSetup::start().await;
    let objects = "[{objectName: ., secretPath: secret/data/keys, format: files, optional: true},
        {objectName: o, secretPath: secret/data/o, secretKey: k, optional: true}]";
    let call = setup.call(&TestPod::new("shop", "web"), objects);
    let none = setup.csi.mount(&call).await.unwrap();
    assert!(none.files.is_empty() && none.versions.keys().eq(["."]) && none.version(".") == "no-files");
    let again = |mounted| call.clone().driver(SimulatedDriver::V1_5Rotation).current_versions(mounted);
    assert_eq!(setup.csi.mount(&again(&none)).await.unwrap(), none);

    setup.bao.kv_put("keys", json!({ "a": "1" })).await;
    let some = setup.csi.mount(&again(&none)).await.unwrap();
    assert!(some.versions.keys().eq(["a"]), "{some:?}");

    setup.bao.kv_put("keys", json!({})).await;
    for call in [again(&some), call.clone()] {
        let refusal = setup.csi.mount(&call).await.unwrap_err();
        let words = ["every object is optional, and none is in Vault any more", "what is mounted stays"];
        assert!(refusal.names(&words), "{refusal:?}");
    }
    let failed = setup.csi.metrics().await.sum("coffer_mounts_total", &["outcome=\"not_found\""]);
    assert_eq!(failed, 2.0, "{}", setup.csi.metrics().await.0);
    // another pod's first mount
    assert_eq!(setup.mount(objects).await.unwrap(), none);

    setup.bao.kv_put("o", json!({ "k": "v" })).await;
    let other = setup.csi.mount(&again(&some)).await.unwrap();
    assert!(other.files.keys().eq(["o"]), "{other:?}");
}

#[tokio::test]
async fn an_absent_object_is_looked_for_again() {
    let setup = OpenBaoSetup::start().await;
    setup.bao.kv_put("app", json!({ "user": "jo" })).await;
    let call = setup
        .call(&TestPod::new("shop", "web"), &beside_user("secretPath: secret/data/o, secretKey: k"))
        .param("refreshInterval", "1h");
    let first = setup.csi.mount(&call).await.unwrap();
    assert!(first.files.keys().eq(["user"]));
    setup.bao.kv_put("o", json!({ "k": "v" })).await;
    let second = setup.csi.mount(&call).await.unwrap();
    assert!(second.files.keys().eq(["o", "user"]), "a 404 is not kept: {second:?}");
    setup.bao.admin(Method::DELETE, "secret/metadata/o", Value::Null).await;
    let third = setup.csi.mount(&call).await.unwrap();
    assert!(third.files.keys().eq(["o", "user"]), "the answer is kept for an hour: {third:?}");
}

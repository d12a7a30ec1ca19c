//! The bytes in the files are the same as with HashiCorp's provider.

use coffer_tests::{FakeVaultSetup, Mounted, OpenBaoSetup, ScriptedAnswer, TestPod};
use serde_json::json;

/// Starts a fake Vault whose `kv/app` answers `data` with exactly these bytes of JSON.
async fn serving(data: &str) -> FakeVaultSetup {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [whole(data, "1111")]);
    setup
}

fn whole(data: &str, request_id: &str) -> ScriptedAnswer {
    let body = format!(
        r#"{{"request_id":"{request_id}","lease_id":"","renewable":false,"lease_duration":2764800,"data":{data},"wrap_info":null,"warnings":null,"auth":null,"mount_type":"kv"}}"#
    );
    ScriptedAnswer::raw(200, &[("Content-Type", "application/json")], body)
}

async fn key(setup: &FakeVaultSetup, key: &str) -> Mounted {
    let objects = format!("- {{objectName: f, secretPath: kv/app, secretKey: {key}}}");
    setup.mount(&objects).await.unwrap_or_else(|refusal| panic!("{key}: {refusal:?}"))
}

#[tokio::test]
async fn other_values_than_strings_are_compact_json_as_go_writes_it() {
    let setup = serving(
        r#"{ "object": {"b": 1, "a": {"z": true, "y": null}}, "list": [1, "two", 3.0],
             "html": {"k": "<a href=\"x\">&</a>"}, "plain": "<a>&", "yes": true, "nothing": null,
             "unicode": {"k": "a\u2028b\u00fc\u0007\u007f"}, "empty": "", "map": {}, "none": [] }"#,
    )
    .await;
    for (name, contents) in [
        ("object", r#"{"a":{"y":null,"z":true},"b":1}"#),
        ("list", r#"[1,"two",3.0]"#),
        ("html", r#"{"k":"\u003ca href=\"x\"\u003e\u0026\u003c/a\u003e"}"#),
        ("plain", "<a>&"),
        ("yes", "true"),
        ("nothing", "null"),
        ("unicode", "{\"k\":\"a\\u2028bü\\u0007\u{7f}\"}"),
        ("empty", ""),
        ("map", "{}"),
        ("none", "[]"),
    ] {
        assert_eq!(key(&setup, name).await.text("f"), contents, "{name}");
    }
}

#[tokio::test]
async fn numbers_keep_the_digits_that_vault_sent() {
    let numbers =
        ["12345678901234567890", "1.50", "1e3", "1E-7", "-0.0", "0.1", "18446744073709551617", "-7"];
    for number in numbers {
        let setup = serving(&format!(r#"{{"n": {number}, "deep": {{"n": [{number}]}}}}"#)).await;
        assert_eq!(key(&setup, "n").await.text("f"), number);
        assert_eq!(key(&setup, "deep").await.text("f"), format!(r#"{{"n":[{number}]}}"#));
    }
}

#[tokio::test]
async fn encodings_are_decoded_in_any_case() {
    let setup =
        serving(r#"{"b64": "AP/+aGk=", "hex": "00fffe6869", "HEX": "00FFFE6869", "text": "hï"}"#).await;
    for (name, encoding, contents) in [
        ("b64", "base64", &b"\x00\xff\xfehi"[..]),
        ("b64", "BASE64", b"\x00\xff\xfehi"),
        ("hex", "hex", b"\x00\xff\xfehi"),
        ("HEX", "Hex", b"\x00\xff\xfehi"),
        ("text", "utf-8", "hï".as_bytes()),
        ("text", "UTF-8", "hï".as_bytes()),
    ] {
        let objects =
            format!("- {{objectName: f, secretPath: kv/app, secretKey: {name}, encoding: {encoding}}}");
        let mounted = setup.mount(&objects).await.unwrap();
        assert_eq!(mounted.file("f").contents, contents, "{name} {encoding}");
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_decoded_is_an_error_that_hides_the_value() {
    let setup = serving(r#"{"word": "not*encoded*at*all"}"#).await;
    for encoding in ["base64", "hex"] {
        let objects =
            format!("- {{objectName: f, secretPath: kv/app, secretKey: word, encoding: {encoding}}}");
        let refusal = setup.mount(&objects).await.unwrap_err();
        assert!(refusal.names(&["f", encoding]), "{refusal:?}");
        assert!(!refusal.names(&["not*"]) && !refusal.names(&["*encoded"]), "{refusal:?}");
    }
    // HashiCorp's provider ignores the encoding of a whole response. The response is not base64, so
    // here it is an error.
    let refusal = setup.mount("- {objectName: all, secretPath: kv/app, encoding: base64}").await.unwrap_err();
    assert!(refusal.names(&["all", "base64"]), "{refusal:?}");
}

#[tokio::test]
async fn without_a_key_the_file_is_the_whole_response_in_hashicorp_s_order() {
    let setup = FakeVaultSetup::start().await;
    let objects = "- {objectName: f, secretPath: kv/app}";
    setup.vault.script("GET", "/v1/kv/app", [whole(r#"{"b": "<1>", "a": 1.50}"#, "1111")]);
    let expected = r#"{"request_id":"1111","lease_id":"","lease_duration":2764800,"renewable":false,"data":{"a":1.50,"b":"\u003c1\u003e"},"warnings":null,"mount_type":"kv"}"#;
    assert_eq!(setup.mount(objects).await.unwrap().text("f"), expected);
}

#[tokio::test]
async fn a_whole_response_keeps_its_bytes_while_its_data_does() {
    let setup = FakeVaultSetup::start().await;
    let (pod, objects) = (TestPod::new("shop", "web"), "- {objectName: f, secretPath: kv/app}");
    let answers = [("1", "1111"), ("1", "2222"), ("1", "3333"), ("2", "4444")];
    let answers = answers.map(|(data, id)| whole(&format!(r#"{{"k": "{data}"}}"#), id));
    setup.vault.script("GET", "/v1/kv/app", answers);

    let call = setup.call(&pod, objects);
    let first = setup.csi.mount(&call).await.unwrap();
    assert!(first.text("f").contains("1111"));
    assert_eq!(setup.csi.mount(&call).await.unwrap(), first);
    assert_eq!(setup.csi.mount(&call).await.unwrap(), first);
    let changed = setup.csi.mount(&call).await.unwrap();
    assert!(changed.text("f").contains("4444"), "{}", changed.text("f"));
    assert_ne!(changed.version("f"), first.version("f"));
}

#[tokio::test]
async fn kv_v1_and_kv_v2_secrets_are_unwrapped() {
    let setup = OpenBaoSetup::start().await;
    setup.bao.mount_engine("kv", "kv", json!({ "version": "1" })).await;
    let one = json!({ "data": { "inner": "x" }, "password": "one" });
    setup.bao.admin(reqwest::Method::POST, "kv/app", one).await;
    setup.bao.kv_put("app", json!({ "data": "named data", "password": "two", "metadata": "m" })).await;
    let objects = "
- {objectName: v1, secretPath: kv/app, secretKey: password}
- {objectName: v1-data, secretPath: kv/app, secretKey: data}
- {objectName: v2, secretPath: secret/data/app, secretKey: password}
- {objectName: v2-data, secretPath: secret/data/app, secretKey: data}
- {objectName: v2-metadata, secretPath: secret/data/app, secretKey: metadata}
";
    let mounted = setup.mount(objects).await.unwrap();
    assert_eq!(mounted.text("v1"), "one", "a KV v1 key called `data` does not hide others");
    assert_eq!(mounted.text("v1-data"), r#"{"inner":"x"}"#);
    assert_eq!(mounted.text("v2"), "two");
    assert_eq!(mounted.text("v2-data"), "named data");
    assert_eq!(mounted.text("v2-metadata"), "m");
}

#[tokio::test]
async fn a_deleted_version_is_an_error_of_its_own() {
    let setup = OpenBaoSetup::start().await;
    setup.bao.kv_put("app", json!({ "password": "s3cret" })).await;
    setup.bao.kv_delete("app").await;
    for objects in [
        "- {objectName: f, secretPath: secret/data/app, secretKey: password}",
        "- {objectName: f, secretPath: secret/data/app}",
    ] {
        let refusal = setup.mount(objects).await.unwrap_err();
        assert!(refusal.names(&["f", "secret/data/app", "deleted"]), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_missing_key_or_secret_is_named() {
    let setup = OpenBaoSetup::start().await;
    setup.bao.kv_put("app", json!({ "password": "s3cret" })).await;
    let refusal = setup.mount("- {objectName: f, secretPath: secret/data/app, secretKey: pasword}").await;
    let refusal = refusal.unwrap_err();
    assert!(refusal.names(&["f", "secret/data/app", "pasword"]), "{refusal:?}");
    assert!(!refusal.names(&["s3cret"]), "{refusal:?}");
    let refusal =
        setup.mount("- {objectName: f, secretPath: secret/data/none, secretKey: k}").await.unwrap_err();
    assert!(refusal.names(&["f", "secret/data/none"]), "{refusal:?}");
}

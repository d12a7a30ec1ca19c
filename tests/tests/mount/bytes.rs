//! The bytes in the files: the incumbent's, to the last digit.

use coffer_tests::{Answer, FaultSite, Mounted, Pod, Site};
use serde_json::json;

/// A fault server whose `kv/app` answers `data` with exactly these bytes of JSON.
async fn serving(data: &str) -> FaultSite {
    let site = FaultSite::start().await;
    site.vault.script("GET", "/v1/kv/app", [whole(data, "1111")]);
    site
}

fn whole(data: &str, request_id: &str) -> Answer {
    let body = format!(
        r#"{{"request_id":"{request_id}","lease_id":"","renewable":false,"lease_duration":2764800,"data":{data},"wrap_info":null,"warnings":null,"auth":null,"mount_type":"kv"}}"#
    );
    Answer::raw(200, &[("Content-Type", "application/json")], body)
}

async fn key(site: &FaultSite, key: &str) -> Mounted {
    let objects = format!("- {{objectName: f, secretPath: kv/app, secretKey: {key}}}");
    site.mount(&objects).await.unwrap_or_else(|refusal| panic!("{key}: {refusal:?}"))
}

#[tokio::test]
async fn what_is_no_string_is_compact_json_as_go_writes_it() {
    let site = serving(
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
        assert_eq!(key(&site, name).await.text("f"), contents, "{name}");
    }
}

#[tokio::test]
async fn numbers_keep_the_digits_that_vault_sent() {
    let numbers =
        ["12345678901234567890", "1.50", "1e3", "1E-7", "-0.0", "0.1", "18446744073709551617", "-7"];
    for number in numbers {
        let site = serving(&format!(r#"{{"n": {number}, "deep": {{"n": [{number}]}}}}"#)).await;
        assert_eq!(key(&site, "n").await.text("f"), number);
        assert_eq!(key(&site, "deep").await.text("f"), format!(r#"{{"n":[{number}]}}"#));
    }
}

#[tokio::test]
async fn encodings_are_decoded_in_any_case() {
    let site =
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
        let mounted = site.mount(&objects).await.unwrap();
        assert_eq!(mounted.file("f").contents, contents, "{name} {encoding}");
    }
}

#[tokio::test]
async fn what_an_encoding_cannot_decode_is_an_error_that_shows_no_value() {
    let site = serving(r#"{"word": "not*encoded*at*all"}"#).await;
    for encoding in ["base64", "hex"] {
        let objects =
            format!("- {{objectName: f, secretPath: kv/app, secretKey: word, encoding: {encoding}}}");
        let refusal = site.mount(&objects).await.unwrap_err();
        assert!(refusal.names(&["f", encoding]), "{refusal:?}");
        assert!(!refusal.names(&["not*"]) && !refusal.names(&["*encoded"]), "{refusal:?}");
    }
    // The incumbent ignores the encoding of a whole response; it is none of base64, so here it is an error.
    let refusal = site.mount("- {objectName: all, secretPath: kv/app, encoding: base64}").await.unwrap_err();
    assert!(refusal.names(&["all", "base64"]), "{refusal:?}");
}

#[tokio::test]
async fn without_a_key_the_file_is_the_whole_response_in_the_incumbent_s_order() {
    let site = FaultSite::start().await;
    let objects = "- {objectName: f, secretPath: kv/app}";
    site.vault.script("GET", "/v1/kv/app", [whole(r#"{"b": "<1>", "a": 1.50}"#, "1111")]);
    let expected = r#"{"request_id":"1111","lease_id":"","lease_duration":2764800,"renewable":false,"data":{"a":1.50,"b":"\u003c1\u003e"},"warnings":null,"mount_type":"kv"}"#;
    assert_eq!(site.mount(objects).await.unwrap().text("f"), expected);
}

#[tokio::test]
async fn a_whole_response_keeps_its_bytes_while_its_data_does() {
    let site = FaultSite::start().await;
    let (pod, objects) = (Pod::new("shop", "web"), "- {objectName: f, secretPath: kv/app}");
    let answers = [("1", "1111"), ("1", "2222"), ("1", "3333"), ("2", "4444")];
    let answers = answers.map(|(data, id)| whole(&format!(r#"{{"k": "{data}"}}"#), id));
    site.vault.script("GET", "/v1/kv/app", answers);

    let call = site.call(&pod, objects);
    let first = site.csi.mount(&call).await.unwrap();
    assert!(first.text("f").contains("1111"));
    assert_eq!(site.csi.mount(&call).await.unwrap(), first);
    assert_eq!(site.csi.mount(&call).await.unwrap(), first);
    let changed = site.csi.mount(&call).await.unwrap();
    assert!(changed.text("f").contains("4444"), "{}", changed.text("f"));
    assert_ne!(changed.version("f"), first.version("f"));
}

#[tokio::test]
async fn a_key_value_secret_of_either_kind_is_unwrapped_as_its_kind_asks() {
    let site = Site::start().await;
    site.bao.mount_engine("kv", "kv", json!({ "version": "1" })).await;
    let one = json!({ "data": { "inner": "x" }, "password": "one" });
    site.bao.admin(reqwest::Method::POST, "kv/app", one).await;
    site.bao.kv_put("app", json!({ "data": "named data", "password": "two", "metadata": "m" })).await;
    let objects = "
- {objectName: v1, secretPath: kv/app, secretKey: password}
- {objectName: v1-data, secretPath: kv/app, secretKey: data}
- {objectName: v2, secretPath: secret/data/app, secretKey: password}
- {objectName: v2-data, secretPath: secret/data/app, secretKey: data}
- {objectName: v2-metadata, secretPath: secret/data/app, secretKey: metadata}
";
    let mounted = site.mount(objects).await.unwrap();
    assert_eq!(mounted.text("v1"), "one", "a KV v1 key called `data` hides no other");
    assert_eq!(mounted.text("v1-data"), r#"{"inner":"x"}"#);
    assert_eq!(mounted.text("v2"), "two");
    assert_eq!(mounted.text("v2-data"), "named data");
    assert_eq!(mounted.text("v2-metadata"), "m");
}

#[tokio::test]
async fn a_deleted_version_is_an_error_of_its_own() {
    let site = Site::start().await;
    site.bao.kv_put("app", json!({ "password": "s3cret" })).await;
    site.bao.kv_delete("app").await;
    for objects in [
        "- {objectName: f, secretPath: secret/data/app, secretKey: password}",
        "- {objectName: f, secretPath: secret/data/app}",
    ] {
        let refusal = site.mount(objects).await.unwrap_err();
        assert!(refusal.names(&["f", "secret/data/app", "deleted"]), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_missing_key_or_secret_is_named() {
    let site = Site::start().await;
    site.bao.kv_put("app", json!({ "password": "s3cret" })).await;
    let refusal = site.mount("- {objectName: f, secretPath: secret/data/app, secretKey: pasword}").await;
    let refusal = refusal.unwrap_err();
    assert!(refusal.names(&["f", "secret/data/app", "pasword"]), "{refusal:?}");
    assert!(!refusal.names(&["s3cret"]), "{refusal:?}");
    let refusal =
        site.mount("- {objectName: f, secretPath: secret/data/none, secretKey: k}").await.unwrap_err();
    assert!(refusal.names(&["f", "secret/data/none"]), "{refusal:?}");
}

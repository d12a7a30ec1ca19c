//! Versions are the same as with HashiCorp's provider, so that replacing it restarts no pod.

use coffer_tests::{Csi, FakeVaultSetup, HMAC_KEY, ScriptedAnswer, TestPod, call_as_web};
use data_encoding::BASE64URL;
use ring::hmac;
use serde_json::json;

/// The formula of HashiCorp's provider, written from its description and not from our code.
fn incumbent_version(config: &str, content: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, HMAC_KEY);
    BASE64URL.encode(hmac::sign(&key, &[config.as_bytes(), content].concat()).as_ref())
}

#[tokio::test]
async fn an_object_s_version_is_hashicorp_s_to_the_byte() {
    let setup = FakeVaultSetup::start().await;
    let data = json!({ "password": "s3cret", "b64": "aGk=", "map": { "b": 1, "a": "<" } });
    for path in ["/v1/kv/app", "/v1/kv/a&b"] {
        setup.vault.script("GET", path, [ScriptedAnswer::secret(data.clone())]);
    }
    setup.vault.script(
        "POST",
        "/v1/pki/issue/web",
        [ScriptedAnswer::secret(json!({ "certificate": "PEM" }))],
    );
    setup.vault.script("PUT", "/v1/pki/issue/web", [ScriptedAnswer::secret(json!({ "certificate": "PEM" }))]);
    let objects = r#"
- objectName: plain
  secretPath: kv/app
  secretKey: password
- objectName: mode
  secretPath: /v1/kv/app
  secretKey: password
  filePermission: 0640
- objectName: mode-as-text
  secretPath: kv/app
  secretKey: password
  filePermission: "0640"
- objectName: encoded
  secretPath: kv/app?x=1&y=2
  secretKey: b64
  encoding: Base64
- objectName: html<
  secretPath: kv/a&b
  secretKey: map
  method: get
- objectName: issued
  secretPath: pki/issue/web
  secretKey: certificate
  method: POST
  secretArgs: {ttl: 24h, common_name: "a>b", count: 3, deep: {z: [1, true, null], a: 1.5}}
- objectName: put
  secretPath: pki/issue/web
  secretKey: certificate
  method: PUT
  secretArgs: {}
"#;
    let mounted = setup.mount(objects).await.unwrap();
    for (name, config, content) in [
        (
            "plain",
            r#"{"ObjectName":"plain","SecretPath":"kv/app","SecretKey":"password","Method":"","SecretArgs":null,"FilePermission":0,"Encoding":""}"#,
            "s3cret",
        ),
        (
            "mode",
            r#"{"ObjectName":"mode","SecretPath":"/v1/kv/app","SecretKey":"password","Method":"","SecretArgs":null,"FilePermission":416,"Encoding":""}"#,
            "s3cret",
        ),
        (
            "mode-as-text",
            r#"{"ObjectName":"mode-as-text","SecretPath":"kv/app","SecretKey":"password","Method":"","SecretArgs":null,"FilePermission":416,"Encoding":""}"#,
            "s3cret",
        ),
        (
            "encoded",
            r#"{"ObjectName":"encoded","SecretPath":"kv/app?x=1\u0026y=2","SecretKey":"b64","Method":"","SecretArgs":null,"FilePermission":0,"Encoding":"Base64"}"#,
            "hi",
        ),
        (
            "html<",
            r#"{"ObjectName":"html\u003c","SecretPath":"kv/a\u0026b","SecretKey":"map","Method":"get","SecretArgs":null,"FilePermission":0,"Encoding":""}"#,
            r#"{"a":"\u003c","b":1}"#,
        ),
        (
            "issued",
            r#"{"ObjectName":"issued","SecretPath":"pki/issue/web","SecretKey":"certificate","Method":"POST","SecretArgs":{"common_name":"a\u003eb","count":3,"deep":{"a":1.5,"z":[1,true,null]},"ttl":"24h"},"FilePermission":0,"Encoding":""}"#,
            "PEM",
        ),
        (
            "put",
            r#"{"ObjectName":"put","SecretPath":"pki/issue/web","SecretKey":"certificate","Method":"PUT","SecretArgs":{},"FilePermission":0,"Encoding":""}"#,
            "PEM",
        ),
    ] {
        assert_eq!(mounted.text(name), content, "{name}");
        assert_eq!(mounted.version(name), incumbent_version(config, content.as_bytes()), "{name}");
    }
}

#[tokio::test]
async fn versions_are_the_same_for_every_pod_and_after_a_restart() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    let objects =
        "[{objectName: one, secretPath: kv/app, secretKey: k}, {objectName: all, secretPath: kv/app}]";
    let first = setup.mount(objects).await.unwrap();
    assert_eq!(setup.mount(objects).await.unwrap().versions, first.versions);

    let restarted = Csi::options().flag(format!("-vault-addr={}", setup.vault.address())).start().await;
    let call = call_as_web(&setup.issuer, &TestPod::new("other", "web"), objects);
    assert_eq!(restarted.mount(&call).await.unwrap().versions, first.versions);
}

#[tokio::test]
async fn a_whole_response_s_version_depends_only_on_its_data() {
    let setup = FakeVaultSetup::start().await;
    let answer = |id: u32, lease: u32, data: &str| {
        let body = json!({
            "request_id": format!("id-{id}"), "lease_id": format!("l/{id}"), "lease_duration": lease,
            "renewable": true, "data": { "k": data }, "warnings": [format!("warning {id}")],
        });
        ScriptedAnswer::json(200, &body)
    };
    setup.vault.script("GET", "/v1/kv/app", [answer(1, 60, "a"), answer(2, 59, "a"), answer(3, 58, "b")]);
    let mut versions = Vec::new();
    for _ in 0..3 {
        let mounted = setup.mount("- {objectName: all, secretPath: kv/app}").await.unwrap();
        versions.push(mounted.version("all").to_owned());
    }
    assert_eq!(versions[0], versions[1], "only the envelope changed");
    assert_ne!(versions[1], versions[2]);
}

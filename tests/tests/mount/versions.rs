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

/// Objects without a format, each with the content and the version that it always had: a new release
/// must not restart pods.
#[tokio::test]
async fn objects_without_formats_keep_bytes_and_versions() {
    let setup = FakeVaultSetup::start().await;
    let v2 = json!({ "data": { "s": "a<b", "n": 1.5, "m": { "b": 1, "a": ["<", null] }, "z": null, "e": "",
        "json": "{\"k\":1}", "b64": "AP8=", "hex": "00ff" }, "metadata": { "version": 3 } });
    let leased = json!({ "request_id": "r", "lease_id": "db/creds/r/1", "lease_duration": 60,
        "renewable": true, "data": { "username": "u", "password": "p" } });
    let rotated = json!({ "request_id": "r", "lease_id": "", "lease_duration": 0, "renewable": false,
        "data": { "username": "u", "password": "p", "ttl": 9, "rotation_period": 60,
            "last_vault_rotation": "2026-01-01T00:00:00Z" } });
    for (method, path, answer) in [
        ("GET", "/v1/secret/data/app", ScriptedAnswer::secret(v2)),
        ("GET", "/v1/kv/app", ScriptedAnswer::secret(json!({ "k": "v", "data": { "k": "w" } }))),
        ("GET", "/v1/db/creds/r", ScriptedAnswer::json(200, &leased)),
        ("GET", "/v1/db/static-creds/r", ScriptedAnswer::json(200, &rotated)),
        ("LIST", "/v1/secret/metadata", ScriptedAnswer::secret(json!({ "keys": ["a", "b/"] }))),
        (
            "POST",
            "/v1/pki/issue/web",
            ScriptedAnswer::secret(json!({ "certificate": "C", "ca_chain": ["D"] })),
        ),
    ] {
        setup.vault.script(method, path, [answer]);
    }
    let object = |(name, path, fields, ..): &(&str, &str, &str, &str, &str)| {
        format!("- {{objectName: {name}, secretPath: {path}{fields}}}\n")
    };
    let objects: String = GOLDEN.iter().map(object).collect();
    let mounted = setup.mount(&objects).await.unwrap();
    assert_eq!(mounted.files.len(), GOLDEN.len());
    for (name, _, _, content, version) in GOLDEN {
        let text = String::from_utf8_lossy(&mounted.file(name).contents);
        assert_eq!((&*text, mounted.version(name)), (content, version), "{name}");
    }
}

/// Name, path and further fields of an object; its content, and its version with the key of the
/// tests.
const GOLDEN: [(&str, &str, &str, &str, &str); 18] = [
    ("text", "secret/data/app", ", secretKey: s", "a<b", "ATBu1EjSFqTdUEpE591lsTExQJ06QutgPUkqRTaCd4A="),
    ("number", "secret/data/app", ", secretKey: n", "1.5", "bikRK3jLD5kMmDYD-4ptptPkyT3tiTne48Sg8V43E_k="),
    (
        "map",
        "secret/data/app",
        ", secretKey: m",
        r#"{"a":["\u003c",null],"b":1}"#,
        "kQbsLO9svMq5xVbOomMTyuR3TpD5xUt5kUnyXqJJmxw=",
    ),
    ("nothing", "secret/data/app", ", secretKey: z", "null", "B8sK0sMjA0bsr8NA2oU0lPbiULCdugfQQI9M3lCYG10="),
    ("empty", "secret/data/app", ", secretKey: e", "", "EJmjKiZ24qqal85CwuXAR6Jyr7uTWckeLXIVAg8UZB4="),
    (
        "json",
        "secret/data/app",
        ", secretKey: json",
        r#"{"k":1}"#,
        "tW18te6rX8Um3U4x8wQ5jcU3_j2pCVVXXoKsiucVl30=",
    ),
    (
        "base64",
        "secret/data/app",
        ", secretKey: b64, encoding: base64",
        "\0\u{fffd}",
        "Ear6_kcnIdr3VJRKOhWmnIfssS_atisKyyis6qXezHM=",
    ),
    (
        "hex",
        "secret/data/app",
        ", secretKey: hex, encoding: HEX, filePermission: 0400",
        "\0\u{fffd}",
        "dG4BOXxetyCLU0t3vBclSrN2QYrQE7coplX70L8-2so=",
    ),
    (
        "utf-8",
        "/v1/secret/data/app",
        ", secretKey: s, encoding: utf-8, method: get",
        "a<b",
        "j7FcP42qfQ9S-UklKaVgVgiKjmF4mbHNIiFSicrFu6g=",
    ),
    (
        "query",
        "'secret/data/app?version=3'",
        ", secretKey: s",
        "a<b",
        "5bj_hHhcgiz3C05iEr62cgITH4Qa3CVRPZ-EKgT7zSo=",
    ),
    ("v1", "kv/app", ", secretKey: k", "v", "z147rwlgSn8RPQB9aFrGvAVIKhAKP1Nw3JQFUTlPwEU="),
    (
        "v1-data",
        "kv/app",
        ", secretKey: data",
        r#"{"k":"w"}"#,
        "LcXqxKtQFeHMpobYyUeIAZsG9J6_nnB6ozydLnkCcI4=",
    ),
    (
        "d/whole",
        "kv/app",
        "",
        r#"{"request_id":"11111111-2222-4333-8444-555555555555","lease_id":"","lease_duration":2764800,"renewable":false,"data":{"data":{"k":"w"},"k":"v"},"warnings":null}"#,
        "l5FqaCJF2e6MeOsz4KxoeQB1t5OubQ40LBDUuF27ySI=",
    ),
    ("user", "db/creds/r", ", secretKey: username", "u", "G5JkjsY-vf05FfH1Y7dzF53EE8Kn8UmICSf_fPRSqqI="),
    (
        "leased",
        "db/creds/r",
        ", secretKey: ''",
        r#"{"request_id":"r","lease_id":"db/creds/r/1","lease_duration":60,"renewable":true,"data":{"password":"p","username":"u"},"warnings":null}"#,
        "QEmBZrELAJYlMumKbeKO02z6yttHBfHRNVbWgvS1gq8=",
    ),
    (
        "static",
        "db/static-creds/r",
        "",
        r#"{"request_id":"r","lease_id":"","lease_duration":0,"renewable":false,"data":{"last_vault_rotation":"2026-01-01T00:00:00Z","password":"p","rotation_period":60,"ttl":9,"username":"u"},"warnings":null}"#,
        "70Qlhrrzf0QJgSEsFq8K8rpQPGH6kBByI5aTyixs6lw=",
    ),
    (
        "list",
        "secret/metadata",
        ", secretKey: keys, method: LIST",
        r#"["a","b/"]"#,
        "yJ2faJZ_ciojmCJs0Tj3XiyqUEKxGgK_ZQ5RWvTNDCc=",
    ),
    (
        "issued",
        "pki/issue/web",
        ", secretKey: ca_chain, method: POST, secretArgs: {cn: a, n: 1}",
        r#"["D"]"#,
        "Wq3TDEefqwVFSJ1GMng5uQsSKVNXwsmvQ3oyJe0O9Nk=",
    ),
];

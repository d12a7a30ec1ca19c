//! Formats over a real Vault: what becomes of keys and values of every kind, and of bad ones.

use std::collections::BTreeMap;

use coffer_tests::{FakeVaultSetup, MountRefusal, Mounted, OpenBaoSetup, ScriptedAnswer};
use reqwest::Method;
use serde_json::{Value, json};
use tonic::Code;

/// The path of the secret of [`secret`].
const PATH: &str = "secret/data/app";

/// Returns a class's `objects`: one object over the secret.
fn object(name: &str, fields: &Value) -> String {
    let object = merged(json!({ "objectName": name, "secretPath": PATH }), fields);
    // YAML takes no DEL as it is
    json!([object]).to_string().replace('\u{7f}', "\\u007f")
}

fn merged(mut object: Value, fields: &Value) -> Value {
    object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    object
}

async fn setup(data: &Value) -> OpenBaoSetup {
    let setup = OpenBaoSetup::start().await;
    setup.bao.kv_put("app", data.clone()).await;
    setup
}

/// Mounts one object with these fields, and returns the text of the file `f`.
async fn text(setup: &OpenBaoSetup, fields: &Value) -> Result<String, MountRefusal> {
    setup.mount(&object("f", fields)).await.map(|mounted| mounted.text("f").to_owned())
}

fn texts(mounted: &Mounted) -> BTreeMap<&str, &str> {
    mounted.files.keys().map(|path| (path.as_str(), mounted.text(path))).collect()
}

/// Checks that a refusal says these words, and nothing of a value.
fn check(refusal: &MountRefusal, words: &[&str]) {
    assert!(refusal.names(words), "{refusal:?}\nnot {words:?}");
    assert!(!refusal.message.contains("hunter2"), "{refusal:?}");
    assert!(refusal.names(&[PATH]), "{refusal:?}");
}

#[tokio::test]
async fn one_request_serves_every_format() {
    let setup = setup(&json!({ "user": "jo", "pin": 42, "hosts": ["a", { "n": "b" }], "gone": null })).await;
    let formats = ["response", "json", "yaml", "dotenv", "shell", "properties"];
    let mut objects: Vec<Value> = formats
        .iter()
        .map(|format| json!({ "objectName": format, "secretPath": PATH, "format": format }))
        .collect();
    objects.push(json!({ "objectName": "all", "secretPath": PATH, "format": "files" }));
    objects.push(json!({ "objectName": "n", "secretPath": PATH, "jsonPointer": "/hosts/1/n" }));
    objects.push(json!({ "objectName": "host", "secretPath": PATH, "secretKey": "hosts",
        "jsonPointer": "/0", "filePermission": 0o400 }));
    let mounted = setup.mount(&Value::from(objects).to_string()).await.unwrap();
    for (path, expected) in [
        ("json", "{\"gone\":null,\"hosts\":[\"a\",{\"n\":\"b\"}],\"pin\":42,\"user\":\"jo\"}\n"),
        ("yaml", "gone: null\nhosts:\n- a\n- \"n\": b\npin: 42\nuser: jo\n"),
        ("dotenv", "hosts='[\"a\",{\"n\":\"b\"}]'\npin='42'\nuser='jo'\n"),
        ("shell", "export hosts='[\"a\",{\"n\":\"b\"}]'\nexport pin='42'\nexport user='jo'\n"),
        ("properties", "hosts=[\"a\",{\"n\"\\:\"b\"}]\npin=42\nuser=jo\n"),
        ("all/hosts", "[\"a\",{\"n\":\"b\"}]"),
        ("all/pin", "42"),
        ("all/user", "jo"),
        ("n", "b"),
        ("host", "a"),
    ] {
        assert_eq!(mounted.text(path), expected, "{path}");
    }
    let response: Value = serde_json::from_str(mounted.text("response")).unwrap();
    assert_eq!(response["data"]["data"]["user"], "jo");
    assert_eq!((mounted.files.len(), mounted.file("host").mode), (11, 0o400));
    assert!(mounted.versions.keys().eq(mounted.files.keys()), "{:?}", mounted.versions.keys());
    assert_eq!(setup.bao.requests_to(PATH), 1);
}

#[tokio::test]
async fn formats_take_the_data_of_every_kind_of_engine() {
    let setup = setup(&json!({ "data": "x", "metadata": "y" })).await;
    setup.bao.mount_engine("kv", "kv", json!({ "version": "1" })).await;
    setup.bao.admin(Method::POST, "kv/one", json!({ "user": "jo", "data": { "k": "v" } })).await;
    let mounted = setup
        .mount(
            "- {objectName: two, secretPath: secret/data/app, format: files}
- {objectName: one, secretPath: kv/one, format: files}
- {objectName: names, secretPath: secret/metadata, method: LIST, format: json}
- {objectName: inner, secretPath: kv/one, secretKey: data, format: dotenv}",
        )
        .await
        .unwrap();
    let expected = [
        ("inner", "k='v'\n"),
        ("names", "{\"keys\":[\"app\"]}\n"),
        ("one/data", "{\"k\":\"v\"}"),
        ("one/user", "jo"),
        ("two/data", "x"),
        ("two/metadata", "y"),
    ];
    assert_eq!(texts(&mounted), expected.into());
}

#[tokio::test]
async fn numbers_keep_the_digits_that_vault_sent() {
    // OpenBao itself keeps no more digits than a float has
    let setup = FakeVaultSetup::start().await;
    let number = "123456789012345678901234567890.123456789012345678901234567890";
    let body = format!(r#"{{"data":{{"a":{number},"b":[1.50,-0,1e400,0.10]}}}}"#);
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::raw(200, &[], body)]);
    for (fields, expected) in [
        ("format: json", format!("{{\"a\":{number},\"b\":[1.50,-0,1e400,0.10]}}\n")),
        ("format: yaml", format!("a: {number}\nb:\n- 1.50\n- -0\n- 1e400\n- 0.10\n")),
        ("format: dotenv", format!("a='{number}'\nb='[1.50,-0,1e400,0.10]'\n")),
        ("format: shell, include: [a]", format!("export a='{number}'\n")),
        ("format: properties", format!("a={number}\nb=[1.50,-0,1e400,0.10]\n")),
        ("jsonPointer: /b/2", "1e400".to_owned()),
    ] {
        let mounted = setup.mount(&format!("- {{objectName: f, secretPath: kv/app, {fields}}}")).await;
        assert_eq!(mounted.unwrap().text("f"), expected, "{fields}");
    }
    let mounted = setup.mount("- {objectName: f, secretPath: kv/app, format: files}").await.unwrap();
    assert_eq!(texts(&mounted), [("f/a", number), ("f/b", "[1.50,-0,1e400,0.10]")].into());
}

#[tokio::test]
async fn quotes_newlines_and_dollars_are_values() {
    let value = "it's \"$HOME\"\n`id`\\ é\u{1f511}";
    let setup = setup(&json!({ "K": value, "E": "" })).await;
    for (format, expected) in [
        ("dotenv", "E=''\nK='it'\"'\"'s \"$HOME\"\n`id`\\ é\u{1f511}'\n"),
        ("shell", "export E=''\nexport K='it'\"'\"'s \"$HOME\"\n`id`\\ é\u{1f511}'\n"),
        ("properties", "E=\nK=it's \"$HOME\"\\n`id`\\\\ \\u00E9\\uD83D\\uDD11\n"),
        ("yaml", "E: \"\"\nK: \"it's \\\"$HOME\\\"\\n`id`\\\\ é\u{1f511}\"\n"),
        ("json", "{\"E\":\"\",\"K\":\"it's \\\"$HOME\\\"\\n`id`\\\\ é\u{1f511}\"}\n"),
    ] {
        assert_eq!(text(&setup, &json!({ "format": format })).await.unwrap(), expected, "{format}");
    }
    let mounted = setup.mount(&object(".", &json!({ "format": "files" }))).await.unwrap();
    assert_eq!(texts(&mounted), [("E", ""), ("K", value)].into());

    setup.bao.kv_put("app", json!({ "K": "hunter2\0" })).await;
    for format in ["dotenv", "shell"] {
        let refusal = text(&setup, &json!({ "format": format })).await.unwrap_err();
        check(&refusal, &["the value of key \"K\" holds a NUL", "exclude: [\"K\"]"]);
        let without = json!({ "format": format, "exclude": ["K"] });
        assert_eq!(text(&setup, &without).await.unwrap(), "");
    }
    for (format, expected) in [("properties", "K=hunter2\\u0000\n"), ("yaml", "K: \"hunter2\\x00\"\n")] {
        assert_eq!(text(&setup, &json!({ "format": format })).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn keys_that_are_no_names_are_named() {
    let setup = OpenBaoSetup::start().await;
    let (longest, too_long) = ("k".repeat(255), "k".repeat(256));
    let unicode_too_long = "é".repeat(128);
    for key in
        ["", "a/b", "/", ".", "..", "..data", " a", "a ", "a\n", "\u{7f}", &too_long, &unicode_too_long]
    {
        setup.bao.kv_put("app", json!({ key: "hunter2", "ok": "v" })).await;
        for name in [".", "d"] {
            let refusal = setup.mount(&object(name, &json!({ "format": "files" }))).await.unwrap_err();
            check(&refusal, &["is no name of a file", "exclude: ["]);
            assert_eq!(refusal.code, Code::FailedPrecondition);
            let without = json!({ "format": "files", "exclude": [key] });
            let mounted = setup.mount(&object(name, &without)).await.unwrap();
            assert_eq!(mounted.files.len(), 1, "{key:?}");
        }
        // what is no name of a file can be a key of a document
        text(&setup, &json!({ "format": "properties" })).await.unwrap();
    }
    for key in [longest.as_str(), "ключ", "a b", "-a", "a.b", ".a", "a..", "$(id)", "*", "a'\""] {
        setup.bao.kv_put("app", json!({ key: "v" })).await;
        let mounted = setup.mount(&object(".", &json!({ "format": "files" }))).await.unwrap();
        assert_eq!(texts(&mounted), [(key, "v")].into());
        if key != longest {
            let refusal = text(&setup, &json!({ "format": "dotenv" })).await.unwrap_err();
            check(&refusal, &["is no name of a variable", "exclude: ["]);
        }
    }
}

#[tokio::test]
async fn a_mount_has_at_most_a_thousand_files() {
    // OpenBao takes at most 1,000 strings at once; a string that holds JSON is a map, too
    let keys = |count: usize| {
        let keys: Vec<String> = (0..count).map(|n| format!("\"k{n}\":{n}")).collect();
        json!({ "map": format!("{{{}}}", keys.join(",")) })
    };
    let setup = setup(&keys(1000)).await;
    let files = object("d", &json!({ "format": "files", "secretKey": "map" }));
    assert_eq!(setup.mount(&files).await.unwrap().files.len(), 1000);
    setup.bao.kv_put("app", keys(1001)).await;
    check(&setup.mount(&files).await.unwrap_err(), &["1001 files, more than 1000"]);
    let fewer = object("d", &json!({ "format": "files", "secretKey": "map", "exclude": ["k0"] }));
    assert_eq!(setup.mount(&fewer).await.unwrap().files.len(), 1000);

    setup.bao.kv_put("app", keys(501)).await;
    let object =
        |name| json!({ "objectName": name, "secretPath": PATH, "format": "files", "secretKey": "map" });
    let refusal = setup.mount(&json!([object("a"), object("b")]).to_string()).await.unwrap_err();
    assert!(refusal.names(&["1002 files, more than 1000"]), "{refusal:?}");
}

#[tokio::test]
async fn what_is_no_map_has_no_keys() {
    let setup = setup(&json!({ "list": ["hunter2"], "text": "hunter2", "number": 7, "null": null,
        "map": { "A": "v" }, "json": "{\"A\":\"v\"}", "empty": {} }))
    .await;
    let with = |format: &str, key: &str| json!({ "format": format, "secretKey": key });
    for format in ["files", "dotenv", "shell", "properties"] {
        for (key, kind) in [("list", "a list"), ("text", "a string"), ("number", "a number or boolean")] {
            let refusal = setup.mount(&object("f", &with(format, key))).await.unwrap_err();
            check(&refusal, &[&format!("the data is {kind}, and the format needs a map")]);
        }
        let refusal = setup.mount(&object("f", &with(format, "null"))).await.unwrap_err();
        check(&refusal, &["the secret has no key \"null\""]);
    }
    for key in ["map", "json"] {
        let mounted = setup.mount(&object("f", &with("files", key))).await.unwrap();
        assert_eq!(texts(&mounted), [("f/A", "v")].into(), "{key}");
        assert_eq!(text(&setup, &with("dotenv", key)).await.unwrap(), "A='v'\n", "{key}");
    }
    for (key, json) in [("list", "[\"hunter2\"]\n"), ("number", "7\n"), ("empty", "{}\n")] {
        assert_eq!(text(&setup, &with("json", key)).await.unwrap(), json);
    }
    assert_eq!(text(&setup, &with("dotenv", "empty")).await.unwrap(), "");
    let refusal = setup.mount(&object("f", &with("files", "empty"))).await.unwrap_err();
    check(&refusal, &["the secret has no key that would be a file"]);
}

#[tokio::test]
async fn an_empty_secret_makes_empty_documents_and_no_files() {
    let setup = setup(&json!({})).await;
    for (format, expected) in
        [("json", "{}\n"), ("yaml", "{}\n"), ("dotenv", ""), ("shell", ""), ("properties", "")]
    {
        assert_eq!(text(&setup, &json!({ "format": format })).await.unwrap(), expected, "{format}");
    }
    let refusal = setup.mount(&object(".", &json!({ "format": "files" }))).await.unwrap_err();
    check(&refusal, &["the secret has no key that would be a file"]);
}

#[tokio::test]
async fn patterns_choose_keys() {
    let setup = setup(&json!({ "db_host": "h", "db_old": "o", "user": "u", "_note": "n", "[x]": "b" })).await;
    let keys = async |fields: Value| {
        let fields = merged(json!({ "format": "files" }), &fields);
        let mounted = setup.mount(&object(".", &fields)).await;
        mounted.map(|mounted| mounted.files.into_keys().collect::<Vec<_>>())
    };
    for (fields, expected) in [
        (json!({ "exclude": ["_*", "db_*"] }), &["[x]", "user"][..]),
        (json!({ "include": ["db_*", "user"], "exclude": ["*_old"] }), &["db_host", "user"]),
        (json!({ "include": ["db_???", "none*"] }), &["db_old"]),
        (json!({ "include": ["[du]*"] }), &["db_host", "db_old", "user"]),
        (json!({ "include": ["[!du_[]*", "user"] }), &["user"]),
        (json!({ "include": ["[[]x]"] }), &["[x]"]),
        (json!({ "include": ["user", "pass"], "exclude": ["p*"] }), &["user"]),
    ] {
        assert_eq!(keys(fields.clone()).await.unwrap(), expected, "{fields}");
    }
    check(&keys(json!({ "include": ["user", "pass"] })).await.unwrap_err(), &["no key \"pass\""]);
    check(&keys(json!({ "include": ["z*"] })).await.unwrap_err(), &["no key that would be a file"]);
    check(&keys(json!({ "exclude": ["*"] })).await.unwrap_err(), &["no key that would be a file"]);
}

#[tokio::test]
async fn pointers_follow_rfc_6901() {
    let setup = setup(&json!({
        "": "root", "a/b": { "~": "tilde", "~1": "odd" }, "list": ["zero", { "k": "one" }, null],
        "01": "key", "-": "dash", "nested": "{\"deep\":\"[\\\"x\\\",{\\\"y\\\":1.50}]\"}",
        "text": "hunter2", "n": null,
    }))
    .await;
    for (pointer, expected) in [
        ("/", "root"),
        ("/a~1b/~0", "tilde"),
        ("/a~1b/~01", "odd"),
        ("/list/0", "zero"),
        ("/list/1", "{\"k\":\"one\"}"),
        ("/list/1/k", "one"),
        ("/01", "key"),
        ("/-", "dash"),
        ("/nested/deep/0", "x"),
        ("/nested/deep/1/y", "1.50"),
        ("/nested/deep/1", "{\"y\":1.50}"),
        ("/text", "hunter2"),
    ] {
        assert_eq!(text(&setup, &json!({ "jsonPointer": pointer })).await.unwrap(), expected, "{pointer}");
    }
    for (pointer, words) in [
        ("/list/-", "there is nothing at"),
        ("/list/00", "there is nothing at \"/list/00\""),
        ("/list/01", "there is nothing at"),
        ("/list/2", "there is nothing at"),
        ("/list/3", "there is nothing at"),
        ("/list/+1", "there is nothing at"),
        ("/list/18446744073709551616", "there is nothing at"),
        ("/list/0x", "there is nothing at"),
        ("/n", "there is nothing at"),
        ("/n/x", "there is nothing at"),
        ("/a/b", "there is nothing at \"/a\""),
        ("/a~1b/~0/x", "is a string that is no JSON"),
        ("/text/x", "at \"/text\" is a string that is no JSON"),
        ("/nested/deep/7", "there is nothing at"),
        ("/nested/deep/1/y/z", "there is nothing at"),
    ] {
        let refusal = text(&setup, &json!({ "jsonPointer": pointer })).await.unwrap_err();
        check(&refusal, &["jsonPointer", words, "Check jsonPointer"]);
    }
}

#[tokio::test]
async fn pem_is_cut_out_of_what_surrounds_it() {
    let block = |label: &str| format!("-----BEGIN {label}-----\nAA==\n-----END {label}-----");
    let (certificate, key) = (block("CERTIFICATE"), block("EC PRIVATE KEY"));
    let setup = setup(&json!({
        "certificate": format!("subject=a\r\n{}\r\nbye", certificate.replace('\n', "\r\n")),
        "ca_chain": [certificate, format!("{certificate}\n\n")],
        "chain_text": format!("{certificate}\n{certificate}"),
        "private_key": key,
        "escaped": certificate.replace('\n', "\\n"),
        "cut": &certificate[..40],
        "text": "hunter2", "none": [], "numbers": [1], "map": { "a": certificate },
    }))
    .await;
    let pem = |keys: Value| json!({ "format": "pem", "secretKey": keys });
    for (keys, blocks) in [
        (json!("certificate"), &[&certificate][..]),
        (json!("ca_chain"), &[&certificate, &certificate]),
        (json!("chain_text"), &[&certificate, &certificate]),
        (json!(["private_key", "certificate"]), &[&key, &certificate]),
        (
            json!(["certificate", "ca_chain", "private_key"]),
            &[&certificate, &certificate, &certificate, &key],
        ),
        (json!(["certificate", "none", "private_key"]), &[&certificate, &key]),
    ] {
        let expected: String = blocks.iter().map(|block| format!("{block}\n")).collect();
        assert_eq!(text(&setup, &pem(keys.clone())).await.unwrap(), expected, "{keys}");
    }
    for (keys, words) in [
        (json!("text"), "holds no PEM block"),
        (json!("escaped"), "\\n where a line should end"),
        (json!(["certificate", "cut"]), "key \"cut\" holds a PEM block without its end"),
        (json!("none"), "there is no PEM block"),
        (json!("numbers"), "is neither a string nor a list of strings"),
        (json!(["map"]), "is neither a string nor a list of strings"),
        (json!(["certificate", "gone"]), "no key \"gone\""),
    ] {
        check(&text(&setup, &pem(keys.clone())).await.unwrap_err(), &[words]);
    }
}

#[tokio::test]
async fn files_that_collide_fail_the_mount() {
    let setup = setup(&json!({ "a": "v", "d": "v" })).await;
    let files = |name: &str| json!({ "objectName": name, "secretPath": PATH, "format": "files" });
    let file = |name: &str| json!({ "objectName": name, "secretPath": PATH, "secretKey": "a" });
    for (objects, words) in [
        ([files("."), file("a")], &["two objects would make the file \"a\""][..]),
        ([file("d/a"), files("d")], &["two objects would make the file \"d/a\""]),
        ([files("."), files(".")], &["two objects would make the file"]),
        ([files("."), file("d/x")], &["\"d\" would be a file", "\"d/x\" needs it as a directory"]),
        ([files("."), files("d")], &["\"d\" would be a file", "needs it as a directory"]),
        ([files("d"), file("d/a/x")], &["\"d/a\" would be a file", "\"d/a/x\" needs it"]),
    ] {
        let refusal = setup.mount(&json!(objects).to_string()).await.unwrap_err();
        assert!(refusal.names(words) && refusal.names(&["exclude"]), "{objects:?}: {refusal:?}");
    }
    let apart = [merged(files("."), &json!({ "exclude": ["a"] })), file("a")];
    assert_eq!(setup.mount(&json!(apart).to_string()).await.unwrap().files.len(), 2);
}

#[tokio::test]
async fn encodings_apply_to_each_file_of_a_key() {
    let setup = setup(&json!({ "a": "AP8=", "b": "aGk=" })).await;
    let fields = json!({ "format": "files", "encoding": "base64", "filePermission": 0o440 });
    let mounted = setup.mount(&object("d", &fields)).await.unwrap();
    assert_eq!(mounted.file("d/a").contents, b"\x00\xff");
    assert_eq!((mounted.text("d/b"), mounted.file("d/b").mode), ("hi", 0o440));
    for value in [json!("hunter2!"), json!(7), json!({ "x": "hunter2" })] {
        setup.bao.kv_put("app", json!({ "a": "AP8=", "c": value })).await;
        let refusal = setup.mount(&object("d", &fields)).await.unwrap_err();
        check(&refusal, &["key \"c\": the value is not base64", "Check"]);
    }
}

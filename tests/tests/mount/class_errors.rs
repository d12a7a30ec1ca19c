//! An invalid class is refused before any request to Vault, and the error names the mistake.

use coffer_tests::{FakeVaultSetup, MountCall, MountRefusal, ScriptedAnswer, TestPod};

/// Mounts, and checks that the error contains all of `parts` and that Vault got no request.
async fn refused(setup: &FakeVaultSetup, objects: &str, parts: &[&str]) -> MountRefusal {
    let refusal = setup.mount(objects).await.expect_err(objects);
    assert!(refusal.names(parts), "{objects}\nshould name {parts:?}: {refusal:?}");
    assert_eq!(setup.vault.requests().len(), 0, "{objects}: Vault was asked");
    setup.csi.version().await.expect("the process is still running");
    refusal
}

#[tokio::test]
async fn paths_that_leave_the_volume_are_refused() {
    let setup = FakeVaultSetup::start().await;
    let too_long = "x".repeat(256);
    let too_deep = vec!["abcdefghi"; 410].join("/");
    for name in [
        "../escape",
        "a/../../escape",
        "a/..",
        "..",
        "..data",
        "..data/x",
        "/etc/passwd",
        "a//b",
        "a/",
        "./a",
        ".",
        "a/./b",
        "nul\\0byte",
        " lead",
        "trail ",
        &too_long,
        &too_deep,
    ] {
        let objects = format!("- {{objectName: \"{name}\", secretPath: kv/app, secretKey: k}}");
        refused(&setup, &objects, &["objectName"]).await;
    }
}

#[tokio::test]
async fn secret_paths_that_could_mean_another_secret_are_refused() {
    let setup = FakeVaultSetup::start().await;
    for path in ["kv/../sys/raw", "../sys", "kv/./a", "kv/a\\0b", "kv/a\\nb", ""] {
        let objects = format!("- {{objectName: f, secretPath: \"{path}\", secretKey: k}}");
        refused(&setup, &objects, &["f", "secretPath"]).await;
    }
}

#[tokio::test]
async fn errors_name_the_line_and_the_object() {
    let setup = FakeVaultSetup::start().await;
    let first = "- objectName: good\n  secretPath: kv/a\n  secretKey: k\n";
    for (second, parts) in [
        ("- objectName: ''\n  secretPath: kv/b\n", &["objectName", "line 4"][..]),
        ("- secretPath: kv/b\n", &["objectName", "line 4"]),
        ("- objectName: bad\n", &["bad", "secretPath"]),
        ("- objectName: bad\n  secretPath: kv/b\n  filePermission: 01000\n", &["bad", "filePermission"]),
        ("- objectName: bad\n  secretPath: kv/b\n  filePermission: -1\n", &["bad", "filePermission"]),
        ("- objectName: bad\n  secretPath: kv/b\n  filePermission: rw-r--r--\n", &["bad", "filePermission"]),
        ("- objectName: bad\n  secretPath: kv/b\n  filePermission: 0999\n", &["bad", "filePermission"]),
        ("- objectName: bad\n  secretPath: kv/b\n  encoding: rot13\n", &["bad", "encoding", "rot13"]),
        ("- objectName: bad\n  secretPath: kv/b\n  method: DELETE\n", &["bad", "DELETE"]),
        ("- objectName: bad\n  secretPath: kv/b\n  method: PATCH\n", &["bad", "PATCH"]),
        ("- objectName: bad\n  secretPath: kv/b\n  secretArgs: text\n", &["secretArgs"]),
        ("- objectName: good\n  secretPath: kv/b\n", &["good", "line 4", "objectName"]),
        ("- objectName: good/below\n  secretPath: kv/b\n", &["good", "good/below"]),
    ] {
        refused(&setup, &format!("{first}{second}"), parts).await;
    }
}

#[tokio::test]
async fn objects_must_be_a_list_of_objects() {
    let setup = FakeVaultSetup::start().await;
    for objects in [
        "",
        "[]",
        "~",
        "just text",
        "{objectName: f}",
        "- text",
        "- [nested]",
        "- {objectName: f, secretPath",
        "\t- objectName: f",
        "- objectName: [f]\n  secretPath: kv/a\n",
        "- {objectName: f, objectName: g, secretPath: kv/a}",
        "\u{0}",
        "--- a\n--- b\n",
    ] {
        refused(&setup, objects, &["objects"]).await;
    }
    let call = MountCall::new(&TestPod::new("shop", "web")).token("vault", "x").param("roleName", "web");
    let refusal = setup.csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&["objects"]), "{refusal:?}");
}

#[tokio::test]
async fn yaml_bombs_are_refused_and_cost_no_memory() {
    let setup = FakeVaultSetup::start().await;
    setup.csi.version().await.unwrap();
    let before = setup.csi.process().resident_kib();
    let mut billion = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (this, last) in
        ["b", "c", "d", "e", "f", "g", "h", "i"].iter().zip(["a", "b", "c", "d", "e", "f", "g", "h"])
    {
        let nine = vec![format!("*{last}"); 9].join(",");
        billion.push_str(&format!("{this}: &{this} [{nine}]\n"));
    }
    let laughs = format!(
        "- objectName: f\n  secretPath: kv/a\n  secretArgs:\n    {}",
        billion.replace('\n', "\n    ")
    );
    let deep = format!("- {{objectName: f, secretPath: kv/a, secretArgs: {}}}", "{a: ".repeat(20_000));
    let deeper = "[".repeat(100_000);
    let recursive = "- &self {objectName: f, secretPath: kv/a, secretArgs: {again: *self}}".to_owned();
    for bomb in [laughs, deep, deeper, recursive] {
        let refusal = setup.mount(&bomb).await.expect_err("a bomb");
        assert!(refusal.names(&["objects"]), "{}", refusal.message.chars().take(300).collect::<String>());
        assert!(refusal.message.len() < 2000, "an error of {} bytes", refusal.message.len());
        setup.csi.version().await.expect("the process is still running");
    }
    let grown = setup.csi.process().resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB for four bombs");
}

#[tokio::test]
async fn many_objects_are_fine() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    let object = |n| format!("- {{objectName: f{n}, secretPath: kv/app, secretKey: k}}\n");
    let objects: String = (0..1000).map(object).collect();
    assert_eq!(setup.mount(&objects).await.unwrap().files.len(), 1000);
    assert_eq!(setup.vault.requests_to("GET", "/v1/kv/app").len(), 1);
}

#[tokio::test]
async fn parameters_that_contradict_or_cannot_be_are_named() {
    let setup = FakeVaultSetup::start().await;
    let call =
        setup.call(&TestPod::new("shop", "web"), "- {objectName: f, secretPath: kv/app, secretKey: k}");
    let both = call.clone().param("vaultAuthMountPath", "a").param("vaultKubernetesMountPath", "b");
    for (call, parts) in [
        (both, &["vaultAuthMountPath", "vaultKubernetesMountPath"][..]),
        (call.clone().param("roleName", ""), &["roleName"]),
        (call.clone().param("vaultAddress", "not an address"), &["vaultAddress"]),
        (call.clone().param("vaultAddress", "ftp://127.0.0.1"), &["vaultAddress"]),
        (call.clone().param("vaultSkipTLSVerify", "maybe"), &["vaultSkipTLSVerify"]),
        (call.clone().param("vaultNamespace", "a\nb"), &["vaultNamespace"]),
        (call.clone().param("vaultAuthMountPath", "../sys"), &["vaultAuthMountPath"]),
        (
            call.clone()
                .param("vaultAddress", "https://127.0.0.1:9")
                .param("vaultCACertPath", "/nowhere/ca.pem"),
            &["/nowhere/ca.pem"],
        ),
        (call.clone().param("vaultTLSClientKeyPath", "/proc/self/environ"), &["vaultTLSClient"]),
        (call.clone().permission("rw"), &["permission"]),
    ] {
        let refusal = setup.csi.mount(&call).await.expect_err(parts[0]);
        assert!(refusal.names(parts), "should name {parts:?}: {refusal:?}");
        assert_eq!(setup.vault.requests().len(), 0, "{parts:?}: Vault was asked");
    }
}

#[tokio::test]
async fn attributes_must_be_a_flat_json_object() {
    let setup = FakeVaultSetup::start().await;
    for attributes in [
        "",
        "{",
        "null",
        "[]",
        "\"text\"",
        "{\"objects\": 1}",
        "{\"objects\": {\"a\": 1}}",
        "{\"csi.storage.k8s.io/serviceAccount.tokens\": \"{not json\"}",
        "{\"csi.storage.k8s.io/serviceAccount.tokens\": \"[]\", \"objects\": \"[]\"}",
        "\u{0}\u{1}",
    ] {
        let call = setup.call(&TestPod::new("shop", "web"), "x").raw_attributes(attributes);
        let refusal = setup.csi.mount(&call).await.expect_err(attributes);
        assert!(refusal.message.len() > 10, "{attributes}: {refusal:?}");
        setup.csi.version().await.expect("the process is still running");
    }
    assert_eq!(setup.vault.requests().len(), 0);
}

#[tokio::test]
async fn an_unknown_field_is_a_warning_with_a_suggestion() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    let mounted =
        setup.mount("- {objectName: f, secretPath: kv/app, secretKey: k, filePermision: 0600}").await;
    assert_eq!(mounted.unwrap().text("f"), "v");
    let log = setup.csi.log();
    assert!(log.contains("filePermision") && log.contains("filePermission"), "{log}");
}

//! The contents of a mount: files, modes and versions.

use coffer_tests::{
    Csi, JwtRole, MountCall, OpenBaoSetup, SimulatedDriver, TestPod, TokenRequest, call_as_web,
};
use reqwest::Method;
use serde_json::json;

const LOGIN_FILES: &str = "
- objectName: user
  secretPath: secret/data/app
  secretKey: username
- objectName: password
  secretPath: secret/data/app
  secretKey: password
";

async fn setup() -> OpenBaoSetup {
    let setup = OpenBaoSetup::start().await;
    setup.bao.kv_put("app", json!({ "username": "ada", "password": "s3cret" })).await;
    setup
}

#[tokio::test]
async fn secrets_become_files_with_versions() {
    let setup = setup().await;
    let mounted = setup.mount(LOGIN_FILES).await.unwrap();
    assert_eq!(mounted.files.len(), 2);
    assert_eq!(mounted.text("user"), "ada");
    assert_eq!(mounted.text("password"), "s3cret");
    let ids: Vec<_> = mounted.versions.keys().map(String::as_str).collect();
    assert_eq!(ids, ["password", "user"]);
    assert_ne!(mounted.version("user"), mounted.version("password"));
}

#[tokio::test]
async fn the_first_mount_logs_in_and_reads_and_the_next_only_reads() {
    let setup = setup().await;
    let pod = TestPod::new("shop", "web");
    for _ in 0..2 {
        setup.csi.mount(&setup.call(&pod, LOGIN_FILES)).await.unwrap();
    }
    let requests = setup.bao.requests();
    let paths: Vec<_> = requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["auth/kubernetes/login", "secret/data/app", "secret/data/app"]);
}

#[tokio::test]
async fn a_changed_secret_has_new_contents_and_a_new_version_for_what_changed_alone() {
    let setup = setup().await;
    let pod = TestPod::new("shop", "web");
    let before = setup.csi.mount(&setup.call(&pod, LOGIN_FILES)).await.unwrap();
    setup.bao.kv_put("app", json!({ "username": "ada", "password": "n3w" })).await;
    let after = setup.csi.mount(&setup.call(&pod, LOGIN_FILES)).await.unwrap();
    assert_eq!(after.text("password"), "n3w");
    assert_ne!(before.version("password"), after.version("password"));
    assert_eq!(before.version("user"), after.version("user"));
}

#[tokio::test]
async fn objects_may_be_yaml_flow_yaml_or_json() {
    let setup = setup().await;
    for objects in [
        r#"[{objectName: p, secretPath: secret/data/app, secretKey: password}]"#,
        r#"[{"objectName":"p","secretPath":"secret/data/app","secretKey":"password"}]"#,
        "- objectName: \"p\"\n  secretPath: '/v1/secret/data/app'\n  secretKey: password # a comment\n",
        "- {objectName: p, secretPath: /secret/data/app, secretKey: password, method: GET}\n",
        "- {objectName: p, secretPath: v1/secret/data/app, secretKey: password, method: get}\n",
    ] {
        let mounted = setup.mount(objects).await.unwrap_or_else(|refusal| panic!("{objects}: {refusal:?}"));
        assert_eq!(mounted.text("p"), "s3cret", "{objects}");
    }
}

#[tokio::test]
async fn modes_are_parsed_as_go_s_yaml_parses_them() {
    let setup = setup().await;
    for (permission, mode) in [
        ("0640", 0o640),
        ("0o640", 0o640),
        ("416", 0o640),
        ("\"0640\"", 0o640),
        ("0400", 0o400),
        ("0777", 0o777),
        ("0x1a0", 0o640),
    ] {
        let objects = format!(
            "- {{objectName: p, secretPath: secret/data/app, secretKey: password, filePermission: {permission}}}"
        );
        let mounted =
            setup.mount(&objects).await.unwrap_or_else(|refusal| panic!("{permission}: {refusal:?}"));
        assert_eq!(mounted.file("p").mode, mode, "{permission}");
    }
}

#[tokio::test]
async fn without_a_mode_the_volume_s_default_applies() {
    let setup = setup().await;
    let call = setup.call(&TestPod::new("shop", "web"), LOGIN_FILES);
    assert_eq!(setup.csi.mount(&call).await.unwrap().file("user").mode, 0o644);
    assert_eq!(setup.csi.mount(&call.permission("256")).await.unwrap().file("user").mode, 0o400);
}

#[tokio::test]
async fn queries_lists_and_versions_of_a_secret_can_be_read() {
    let setup = setup().await;
    setup.bao.kv_put("app", json!({ "password": "n3w" })).await;
    let objects = "
- {objectName: old, secretPath: 'secret/data/app?version=1', secretKey: password}
- {objectName: new, secretPath: secret/data/app, secretKey: password}
- {objectName: names, secretPath: 'secret/metadata?list=true', secretKey: keys}
- {objectName: names-too, secretPath: secret/metadata, secretKey: keys, method: LIST}
";
    let mounted = setup.mount(objects).await.unwrap();
    assert_eq!(mounted.text("old"), "s3cret");
    assert_eq!(mounted.text("new"), "n3w");
    assert_eq!(mounted.text("names"), r#"["app"]"#);
    assert_eq!(mounted.text("names-too"), r#"["app"]"#);
}

#[tokio::test]
async fn names_with_slashes_spaces_and_dots_are_files_in_folders() {
    let setup = setup().await;
    setup.bao.kv_put("team a/über app", json!({ "the key": "v" })).await;
    let objects = "
- {objectName: db/live/pass word.txt, secretPath: secret/data/team a/über app, secretKey: the key}
- {objectName: .hidden, secretPath: secret/data/app, secretKey: password}
";
    let mounted = setup.mount(objects).await.unwrap();
    assert_eq!(mounted.text("db/live/pass word.txt"), "v");
    assert_eq!(mounted.text(".hidden"), "s3cret");
}

#[tokio::test]
async fn every_driver_s_way_of_calling_gives_the_same() {
    let setup = setup().await;
    let pod = TestPod::new("shop", "web");
    let call = setup.call(&pod, LOGIN_FILES);
    let first = setup.csi.mount(&call.clone().driver(SimulatedDriver::V1_6)).await.unwrap();
    for call in [
        call.clone().driver(SimulatedDriver::V1_5),
        call.clone().driver(SimulatedDriver::V1_5Rotation).current_versions(&first).timeout(None),
        call.clone().timeout(None),
    ] {
        assert_eq!(setup.csi.mount(&call).await.unwrap(), first, "{call:?}");
    }
}

#[tokio::test]
async fn openbao_s_parameters_work_as_vault_s() {
    let setup = setup().await;
    let csi = Csi::options().flag("-vault-addr=http://127.0.0.1:9").start().await;
    let pod = TestPod::new("shop", "web");
    let (token, address) = (setup.issuer.token(&pod), setup.bao.address());
    for prefix in ["vault", "openbao", "bao"] {
        let call = MountCall::new(&pod)
            .token("vault", &token)
            .param(&format!("{prefix}RoleName"), "web")
            .param("roleName", "web")
            .param(&format!("{prefix}Address"), address)
            .param(&format!("{prefix}AuthMountPath"), "kubernetes")
            .objects(LOGIN_FILES);
        let mounted = csi.mount(&call).await.unwrap_or_else(|refusal| panic!("{prefix}: {refusal:?}"));
        assert_eq!(mounted.text("user"), "ada");
    }
    let both = call_as_web(&setup.issuer, &pod, LOGIN_FILES).param("vaultAddress", "http://127.0.0.1:9");
    csi.mount(&both.param("baoAddress", address)).await.expect("prefix bao takes precedence");
}

#[tokio::test]
async fn the_class_names_its_own_login_audience_and_namespace() {
    let setup = setup().await;
    let namespaces = json!({});
    setup.bao.admin(Method::POST, "sys/namespaces/team", namespaces).await;
    let engine = json!({ "type": "kv", "options": { "version": "2" } });
    setup.bao.admin_in("team", Method::POST, "sys/mounts/secret", engine).await;
    let data = json!({ "data": { "username": "bob", "password": "hidden" } });
    setup.bao.admin_in("team", Method::POST, "secret/data/app", data).await;
    setup.bao.admin_in("team", Method::POST, "sys/auth/other", json!({ "type": "jwt" })).await;
    let keys = json!({ "jwt_validation_pubkeys": [setup.issuer.public_key_pem()] });
    setup.bao.admin_in("team", Method::POST, "auth/other/config", keys).await;
    let policy = json!({ "policy": "path \"secret/*\" { capabilities = [\"read\"] }" });
    setup.bao.admin_in("team", Method::POST, "sys/policies/acl/reader", policy).await;
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["team"], "token_policies": ["reader"],
    });
    setup.bao.admin_in("team", Method::POST, "auth/other/role/reader", role).await;

    let pod = TestPod::new("shop", "web");
    let for_team = TokenRequest { audience: "team".to_owned(), ..TokenRequest::default() };
    let call = setup.call(&pod, LOGIN_FILES).token("team", &setup.issuer.token_with(&pod, &for_team));
    let call = call.param("roleName", "reader").param("audience", "team").param("vaultNamespace", "team");
    for parameter in ["vaultAuthMountPath", "vaultKubernetesMountPath"] {
        let mounted = setup.csi.mount(&call.clone().param(parameter, "other")).await.unwrap();
        assert_eq!(mounted.text("user"), "bob", "{parameter}");
    }
}

#[tokio::test]
async fn a_vault_on_a_unix_socket_is_read() {
    let setup = setup().await;
    let address = format!("unix://{}", setup.bao.socket().display());
    let call = setup.call(&TestPod::new("shop", "web"), LOGIN_FILES).param("vaultAddress", &address);
    let refusal = setup.csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&["vaultAddress", &address, "-vault-trusted-addresses"]), "{refusal:?}");
    let trusted = Csi::options().flag(format!("-vault-trusted-addresses={address}")).start().await;
    assert_eq!(trusted.mount(&call).await.unwrap().text("user"), "ada");
    let other = call.param("vaultAddress", &format!("{address}.other"));
    trusted.mount(&other).await.expect_err("only the listed socket is trusted");

    let csi = Csi::options().env("VAULT_ADDR", &address).start().await;
    let call = call_as_web(&setup.issuer, &TestPod::new("shop", "web"), LOGIN_FILES);
    assert_eq!(csi.mount(&call).await.unwrap().text("user"), "ada");
}

#[tokio::test]
async fn a_role_bound_to_one_service_account_lets_no_other_in() {
    let setup = setup().await;
    let pod = TestPod::new("shop", "web");
    let bound = JwtRole { subject: Some(pod.subject()), ..JwtRole::new("bound", "web") };
    setup.bao.role("kubernetes", &bound).await;
    let call = |pod: &TestPod| setup.call(pod, LOGIN_FILES).param("roleName", "bound");
    setup.csi.mount(&call(&pod)).await.unwrap();
    let refusal = setup.csi.mount(&call(&TestPod::new("shop", "other"))).await.unwrap_err();
    assert!(refusal.names(&["bound"]), "{refusal:?}");
}

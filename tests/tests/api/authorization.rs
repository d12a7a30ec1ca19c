//! Authorization in the API: as which service account a class is read, and which settings a class
//! may not choose.

use std::sync::Arc;

use coffer_tests::kubernetes::aggregated::{API, ApiSetup, READ_AS_APP};
use coffer_tests::{Suite, until, until_true};
use serde_json::{Value, json};

pub(crate) fn tests(suite: Suite<ApiSetup>) -> Suite<ApiSetup> {
    suite
        .test("service_accounts_read_as_themselves", service_accounts_read_as_themselves)
        .test("other_users_read_only_by_annotation", other_users_read_only_by_annotation)
        .test("rights_by_resource_name_are_enforced", rights_by_resource_name_are_enforced)
        .test("a_namespace_must_opt_in", a_namespace_must_opt_in)
        .test("issuing_requests_need_the_class_annotation", what_issues)
        .test("a_class_may_choose_neither_vault_address_nor_own_audience", a_class_chooses_neither)
        .test("what_the_policy_forbids_is_forbidden", the_policy_forbids)
}

async fn service_accounts_read_as_themselves(setup: Arc<ApiSetup>) {
    let ns = setup.namespace("accounts").await;
    let n = ns.name();
    ns.account("other").await;
    let account = |ns: &str, name: &str| format!("--as=system:serviceaccount:{ns}:{name}");
    setup.allow(&ns, "system:serviceaccounts", &["get"], None).await;
    let all = "--clusterrole=coffer-secrets-reader";
    let group = format!("--group=system:serviceaccounts:{n}");
    setup.cluster.kubectl().run(["create", "rolebinding", "accounts", "-n", n, all, &group]).await;
    let own = format!("--as-group=system:serviceaccounts:{n}");
    let get = ["get", "vaultsecret", "db", "-n", n, "-o", "jsonpath={.readAs}"];
    let read = async |account: &str| {
        let mut arguments = get.to_vec();
        arguments.extend([account, own.as_str(), "--as-group=system:authenticated"]);
        setup.kubectl(arguments).await
    };
    let by_app = until("the right to become effective", async || {
        let read = read(&account(n, "app")).await;
        read.status.success().then_some(read)
    })
    .await;
    assert_eq!(by_app.out, "app");
    let by_other = read(&account(n, "other")).await;
    for part in ["Forbidden", "auth/kubernetes/login", &format!("{n}/other")] {
        assert!(by_other.refused().contains(part), "no {part} in {by_other:?}");
    }
    // an account of another namespace does not count as an account of this namespace
    let foreign = read(&account("default", "app")).await;
    assert!(foreign.refused().contains("no service account of namespace"), "{foreign:?}");
}

async fn other_users_read_only_by_annotation(setup: Arc<ApiSetup>) {
    let ns = setup.namespace("others").await;
    let n = ns.name();
    let get = ["get", "vaultsecret", "db", "-n", n, "-o", "jsonpath={.readAs}"];
    let refused = setup.kubectl(get).await;
    for part in ["Forbidden", "kubectl annotate secretproviderclass", "custom.secrets.k8s.io/service-account"]
    {
        assert!(refused.refused().contains(part), "no {part} in {refused:?}");
    }
    setup.annotate(&ns, "db", READ_AS_APP).await;
    let read = until("the annotation to become effective", async || {
        let read = setup.kubectl(get).await;
        read.status.success().then_some(read)
    })
    .await;
    assert_eq!(read.out, "app");
    let log = setup.server.log();
    let line =
        log.lines().find(|line| line.contains(n) && line.contains("read_as=\"app\"")).expect("an audit line");
    for part in ["user=\"admin\"", "class=\"db\"", "objects=\"user,password\"", "code=200"] {
        assert!(line.contains(part), "no {part} in {line}");
    }
}

async fn rights_by_resource_name_are_enforced(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("rights").await;
    let n = ns.name();
    let objects = ns.objects("db", &[("other", "user")]);
    ns.class("other", json!({ "roleName": n, "objects": objects })).await;
    setup.listed(&ns, "other").await;
    setup.annotate(&ns, "other", READ_AS_APP).await;
    setup.allow(&ns, "eve", &["get", "list"], Some("db")).await;
    let as_eve = async |arguments: &[&str]| {
        let mut all = vec!["-n", n, "--as=eve"];
        all.extend(arguments);
        setup.kubectl(all).await
    };
    until_true("the right to become effective", async || {
        as_eve(&["get", "vaultsecret", "db", "-o", "yaml"]).await.status.success()
    })
    .await;
    let by_name = as_eve(&["get", "vaultsecret", "--field-selector=metadata.name=db", "-o", "name"]).await;
    assert_eq!(by_name.shown().lines().count(), 1);
    for arguments in [
        &["get", "vaultsecret"][..],
        &["get", "vaultsecret", "other", "-o", "yaml"],
        &["get", "vaultsecret", "none", "-o", "yaml"],
        &["get", "vaultsecret", "--field-selector=metadata.name=other"],
        &["get", "vaultsecret", "--field-selector=metadata.name!=db"],
        &["get", "vaultsecret", "-A"],
        &["get", "vaultsecret", "-l", "a=b"],
    ] {
        let refused = as_eve(arguments).await;
        assert!(refused.refused().contains("forbidden"), "{refused:?}");
    }
    let two = format!(
        "{API}/namespaces/{n}/secrets?fieldSelector=metadata.name%3Ddb&fieldSelector=metadata.name%3Dother"
    );
    let two = setup.kubectl(["get", "--raw", &two]).await;
    assert!(two.refused().contains("twice"), "{two:?}");
}

async fn a_namespace_must_opt_in(setup: Arc<ApiSetup>) {
    let ns = setup.cluster.namespace("closed").await;
    ns.account("app").await;
    let objects = ns.objects("db", &[("user", "user")]);
    ns.class("db", json!({ "roleName": ns.name(), "objects": objects })).await;
    setup.listed(&ns, "db").await;
    setup.annotate(&ns, "db", READ_AS_APP).await;
    until_true("an error about the missing RoleBinding", async || {
        let refused = setup.kubectl(["get", "vaultsecret", "db", "-n", ns.name(), "-o", "yaml"]).await;
        refused.refused().contains("coffer-token-minter") && refused.err.contains("Forbidden")
    })
    .await;
}

async fn what_issues(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("issues").await;
    let n = ns.name();
    setup.bao.mount_engine("transit", "transit", Value::Null).await;
    setup.bao.admin(reqwest::Method::POST, "transit/keys/k", json!({})).await;
    let objects = "[{objectName: a, secretPath: transit/encrypt/k, method: POST, secretKey: ciphertext, secretArgs: {plaintext: aGk=}}]";
    ns.class("issue", json!({ "roleName": n, "objects": objects })).await;
    setup.listed(&ns, "issue").await;
    setup.annotate(&ns, "issue", READ_AS_APP).await;
    let get = ["get", "vaultsecret", "issue", "-n", n, "-o", "yaml"];
    until_true("an error that names the annotation", async || {
        let refused = setup.kubectl(get).await;
        refused.refused().contains("custom.secrets.k8s.io/allow-issuing")
    })
    .await;
    assert_eq!(setup.bao.requests_to("transit/encrypt/k"), 0);
    setup.annotate(&ns, "issue", "custom.secrets.k8s.io/allow-issuing=true").await;
    until_true("the annotation to become effective", async || setup.kubectl(get).await.status.success())
        .await;
    assert_eq!(setup.bao.requests_to("transit/encrypt/k"), 1);
}

async fn a_class_chooses_neither(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("chosen").await;
    let n = ns.name();
    let thief = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    thief.set_nonblocking(true).expect("a socket that does not wait");
    let address = format!("http://{}", thief.local_addr().expect("an address"));
    let objects = ns.objects("db", &[("user", "user")]);
    let own = "https://kubernetes.default.svc";
    for (name, parameters, part) in [
        (
            "address",
            json!({ "roleName": n, "objects": objects, "vaultAddress": address }),
            "--allowed-vault-addresses",
        ),
        ("audience", json!({ "roleName": n, "objects": objects, "audience": own }), "cluster's own"),
    ] {
        ns.class(name, parameters).await;
        setup.listed(&ns, name).await;
        setup.annotate(&ns, name, READ_AS_APP).await;
        until_true(&format!("the refusal of {name}"), async || {
            let refused = setup.kubectl(["get", "vaultsecret", name, "-n", n, "-o", "yaml"]).await;
            refused.refused().contains(part)
        })
        .await;
    }
    assert!(thief.accept().is_err(), "the API server called the address in a class");
    // TLS settings of a class are ignored: neither files nor values are read
    let tls = json!({ "roleName": n, "objects": objects, "vaultCACertPath": "/no/such/file", "vaultSkipTLSVerify": "maybe" });
    ns.class("tls", tls).await;
    setup.listed(&ns, "tls").await;
    setup.annotate(&ns, "tls", READ_AS_APP).await;
    until_true("the class to be read", async || {
        let read = setup.kubectl(["get", "vaultsecret", "tls", "-n", n, "-o", "yaml"]).await;
        read.status.success()
    })
    .await;
}

async fn the_policy_forbids(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("policy").await;
    let n = ns.name();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("policy.yaml");
    let write =
        |role: &str| std::fs::write(&file, format!("rules:\n  - {{namespaces: [{n}], roles: [{role}]}}\n"));
    write("other").expect("a policy");
    let replica = setup.replica(&[&format!("--policy-file={}", file.display())]);
    let direct = setup.direct_to(&replica, &setup.serving_ca().await);
    let (admin, path) = (setup.admin(), format!("{API}/namespaces/{n}/secrets/db"));
    let get = async || direct.try_get(&path, &[("Authorization", &admin)]).await.ok();
    let (_, _, text) =
        until("the refusal", async || get().await.filter(|(status, _, _)| *status == 403)).await;
    for part in ["policy line 2", "roleName", "\"Forbidden\""] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    write(n).expect("a policy");
    until_true("the policy to be read again", async || {
        get().await.is_some_and(|(status, _, _)| status == 200)
    })
    .await;
}

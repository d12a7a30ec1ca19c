//! Users, tenants and strangers who ask too much, and what the others notice.

use std::io::ErrorKind;
use std::sync::Arc;

use coffer_tests::kubernetes::aggregated::{API, ApiSetup, HttpVersion, READ_AS_APP};
use coffer_tests::{Suite, until, until_true};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const PROXY: &str = "front-proxy-client";

/// What the chart gives to the process, in KiB.
const MEMORY_LIMIT_KIB: u64 = 96 << 10;

pub(crate) fn tests(suite: Suite<ApiSetup>) -> Suite<ApiSetup> {
    suite
        .test("a_crowd_of_strangers_keeps_nobody_out", a_crowd_of_strangers)
        .test("a_read_whose_client_hangs_up_is_audited", a_client_hangs_up)
        .test("a_user_with_an_account_s_prefix_is_no_account", a_forged_account)
        .test("a_signed_token_of_vault_needs_the_class_annotation", a_signed_token)
        .test("large_classes_take_no_memory_while_nobody_reads_them", large_classes)
}

async fn a_crowd_of_strangers(setup: Arc<ApiSetup>) {
    let front_proxy = setup.cluster.api_server().front_proxy().issue(PROXY, &[]);
    let mut before = setup.wire(HttpVersion::Http1, Some(&front_proxy)).await;
    let admin = [("X-Remote-User", "admin"), ("X-Remote-Group", "system:masters")];
    assert_eq!(before.get("/livez", &admin).await.0, 200);
    let mut strangers = Vec::new();
    for n in 0..600 {
        let mut stream = TcpStream::connect(("127.0.0.1", setup.server.port())).await.expect("a connection");
        if n % 2 == 0 {
            // the head of a handshake's record of 16 KiB
            stream.write_all(b"\x16\x03\x01\x40\0\x01\0\x3f\xfc").await.expect("a few bytes");
        }
        strangers.push(stream);
    }
    let mut headers = Vec::new();
    for _ in 0..100 {
        let mut wire = setup.wire(HttpVersion::Http1, None).await;
        wire.send(format!("GET /livez HTTP/1.1\r\nX-Header: {}", "x".repeat(8 << 10)).as_bytes()).await;
        headers.push(wire);
    }
    let list = format!("{API}/secrets");
    assert_eq!(setup.direct(None).await.get("/livez", &[]).await.0, 200, "a probe is answered");
    assert_eq!(setup.direct(Some(&front_proxy)).await.get(&list, &admin).await.0, 200);
    assert_eq!(before.get(&list, &admin).await.0, 200, "a trusted connection stays");
    let is_open = |stream: &&TcpStream| matches!(stream.try_read(&mut [0; 64]), Err(e) if e.kind() == ErrorKind::WouldBlock);
    until_true("all but the newest to be closed", async || strangers.iter().filter(is_open).count() <= 224)
        .await;
    let resident = setup.server.resident_kib();
    assert!(resident < MEMORY_LIMIT_KIB, "{resident} KiB");
}

async fn a_client_hangs_up(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("hung-up").await;
    let (n, admin) = (ns.name(), setup.admin());
    let path = format!("{API}/namespaces/{n}/secrets/db");
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {admin}\r\n\r\n");
    let direct = setup.direct(None).await;
    let row = [("Authorization", admin.as_str()), ("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    setup.bao.process().freeze();
    // fewer than one user may have in flight
    for _ in 0..5 {
        // a row of a table takes the same reviews, which are then remembered, and nothing of Vault
        assert_eq!(direct.get(&path, &row).await.0, 200);
        let mut wire = setup.wire(HttpVersion::Http1, None).await;
        wire.send(request.as_bytes()).await;
        assert!(!wire.has_ended(64).await, "it is read while Vault is stalled");
    }
    let audited = until("the line of a read without a client", async || {
        let log = setup.server.log();
        let line = log.lines().find(|line| line.contains("client_gone=true") && line.contains(n));
        line.map(ToOwned::to_owned)
    })
    .await;
    setup.bao.process().thaw();
    for part in ["read_as=\"app\"", "class=\"db\"", "code=504"] {
        assert!(audited.contains(part), "no {part} in {audited}");
    }
}

async fn a_forged_account(setup: Arc<ApiSetup>) {
    let ns = setup.namespace("forged").await;
    let n = ns.name();
    let front_proxy = setup.cluster.api_server().front_proxy().issue(PROXY, &[]);
    let direct = setup.direct(Some(&front_proxy)).await;
    let path = format!("{API}/namespaces/{n}/secrets/db");
    let app = format!("system:serviceaccount:{n}:app");
    let as_app = [("X-Remote-User", app.as_str()), ("X-Remote-Group", "system:masters")];
    assert_eq!(direct.get(&path, &as_app).await.0, 200);
    for name in ["../serviceaccounts/app", "app/token?x=", "app%2ftoken", "App", "app#", "."] {
        let user = format!("system:serviceaccount:{n}:{name}");
        let headers = [("X-Remote-User", user.as_str()), ("X-Remote-Group", "system:masters")];
        let (status, _, text) = direct.get(&path, &headers).await;
        assert_eq!(status, 403, "{name}: {text}");
        assert!(text.contains("is no service account of namespace"), "{name}: {text}");
    }
}

async fn a_signed_token(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("signed").await;
    let n = ns.name();
    let (key, role) = (json!({ "allowed_client_ids": ["*"] }), json!({ "key": "signing" }));
    setup.bao.admin(Method::POST, "identity/oidc/key/signing", key).await;
    setup.bao.admin(Method::POST, "identity/oidc/role/signed", role).await;
    setup.bao.policy(n, "path \"identity/oidc/*\" { capabilities = [\"read\"] }").await;
    let object = |path: &str, key: &str| format!("[{{objectName: a, secretPath: {path}, secretKey: {key}}}]");
    for (class, objects) in [
        ("token", object("identity/oidc/token/signed", "token")),
        ("keys", object("identity/oidc/.well-known/openid-configuration", "issuer")),
    ] {
        ns.class(class, json!({ "roleName": n, "objects": objects })).await;
        setup.listed(&ns, class).await;
        setup.annotate(&ns, class, READ_AS_APP).await;
    }
    let get = async |class: &str| setup.kubectl(["get", "vaultsecret", class, "-n", n, "-o", "yaml"]).await;
    let refused = until("the refusal", async || {
        let answer = get("token").await;
        (!answer.err.contains("kubectl annotate")).then_some(answer)
    });
    let refused = refused.await;
    assert!(refused.refused().contains("custom.secrets.k8s.io/allow-issuing"), "{refused:?}");
    assert_eq!(setup.bao.requests_to("identity/oidc/token/signed"), 0);
    setup.annotate(&ns, "token", "custom.secrets.k8s.io/allow-issuing=true").await;
    until_true("the annotation to become effective", async || get("token").await.status.success()).await;
    let keys = get("keys").await;
    assert!(!keys.err.contains("allow-issuing"), "{keys:?}");
}

async fn large_classes(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("large-classes").await;
    let n = ns.name();
    let text = "x".repeat(1 << 20);
    let objects =
        json!({ "roleName": n, "objects": format!("# {text}\n{}", ns.objects("db", &[("a", "user")])) });
    join_all((0..60).map(|number| {
        let provider = if number % 2 == 0 { "aws" } else { "vault" };
        let spec = json!({ "provider": provider, "parameters": objects });
        let ns = &ns;
        async move { ns.class_of(&format!("class-{number}"), spec).await }
    }))
    .await;
    setup.listed(&ns, "class-59").await;
    let watched = setup.server.resident_kib();
    assert!(watched < MEMORY_LIMIT_KIB, "{watched} KiB after 60 events");
    let replica = setup.replica(&[]);
    let direct = setup.direct_to(&replica, &setup.serving_ca().await);
    let (admin, list) = (setup.admin(), format!("{API}/namespaces/{n}/secrets"));
    let listed = until("the replica to have read its list", async || {
        assert!(replica.resident_kib() < MEMORY_LIMIT_KIB, "{} KiB while listing", replica.resident_kib());
        let answer = direct.try_get(&list, &[("Authorization", &admin)]).await.ok()?;
        (answer.0 == 200).then_some(answer.2)
    })
    .await;
    let of_ours = |number: &usize| listed.contains(&format!("\"class-{number}\""));
    assert_eq!((0..60).filter(of_ours).count(), 30, "those of provider vault");
    let resident = replica.resident_kib();
    assert!(resident < MEMORY_LIMIT_KIB, "{resident} KiB after the list");
    setup.annotate(&ns, "class-59", READ_AS_APP).await;
    until_true("a large class to be read", async || {
        let answer = direct.try_get(&format!("{list}/class-59"), &[("Authorization", &admin)]).await;
        answer.is_ok_and(|(status, _, text)| status == 200 && text.contains("am8="))
    })
    .await;
    eprintln!(
        "{watched} KiB after 60 events, {resident} KiB after a list, {} KiB after a read",
        replica.resident_kib()
    );
}

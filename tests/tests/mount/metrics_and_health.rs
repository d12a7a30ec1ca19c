//! Metrics, health and logs: the driver hides a failed remount, so operators have nothing else.

use std::io::ErrorKind;

use coffer_tests::{Csi, FakeVaultSetup, READ_APP, ScriptedAnswer, TestPod, until_true};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn mounts_requests_and_logins_are_counted() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    setup.vault.script("GET", "/v1/kv/denied", [ScriptedAnswer::error(403, "permission denied")]);
    let call = setup.call(&TestPod::new("shop", "web"), READ_APP);
    for _ in 0..3 {
        setup.csi.mount(&call).await.unwrap();
    }
    let good = setup.csi.metrics().await;
    assert_eq!(good.sum("coffer_mounts_total", &[]) as u64, 3, "{}", good.0);
    assert_eq!(good.sum("coffer_logins_total", &[]) as u64, 1, "{}", good.0);
    assert_eq!(good.sum("coffer_vault_requests_total", &["status=\"200\""]) as u64, 4, "{}", good.0);

    setup.mount("- {objectName: f, secretPath: kv/denied, secretKey: k}").await.unwrap_err();
    let bad = setup.csi.metrics().await;
    assert_eq!(bad.sum("coffer_mounts_total", &[]) as u64, 4);
    assert!(bad.sum("coffer_vault_requests_total", &["status=\"403\""]) >= 1.0, "{}", bad.0);
    for line in good.0.lines().filter(|line| line.starts_with("coffer_mounts_total")) {
        assert!(bad.0.contains(line), "a failure has another outcome than {line}");
    }
}

#[tokio::test]
async fn mounts_are_timed_and_caches_and_keys_are_shown() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    setup.mount(READ_APP).await.unwrap();
    let metrics = setup.csi.metrics().await;
    for prefix in ["coffer_mount_", "coffer_vault_requests", "coffer_logins", "coffer_mounts", "coffer_"] {
        assert!(metrics.has(prefix), "no {prefix}: {}", metrics.0);
    }
    assert!(metrics.0.contains("_bucket{"), "mounts' times are no histogram: {}", metrics.0);
    assert!(metrics.0.contains("key_age"), "the age of the HMAC key is not shown: {}", metrics.0);
}

#[tokio::test]
async fn tenants_cannot_write_labels() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/zebra-path", [ScriptedAnswer::secret(json!({ "zebra-key": "v" }))]);
    setup.vault.script("POST", "/v1/auth/zebra-mount/login", [ScriptedAnswer::login("hvs.x", 60)]);
    let objects = "- {objectName: zebra-object, secretPath: kv/zebra-path, secretKey: zebra-key}";
    let call = setup.call(&TestPod::new("zebra-namespace", "zebra-account"), objects);
    let call = call.param("vaultAuthMountPath", "zebra-mount").param("roleName", "zebra-role");
    setup.csi.mount(&call).await.unwrap();
    setup.csi.mount(&call.clone().param("vaultAddress", "http://zebra.invalid")).await.unwrap_err();
    setup.csi.mount(&call.param("zebraParameter", "x").objects("- {zebra")).await.unwrap_err();
    let metrics = setup.csi.metrics().await.0;
    assert!(!metrics.to_lowercase().contains("zebra"), "{metrics}");
}

#[tokio::test]
async fn health_says_whether_it_serves_and_nothing_about_vault() {
    let csi = Csi::options().flag("-vault-addr=http://127.0.0.1:9").start().await;
    for page in ["/health/ready", "/health/live", "/metrics"] {
        assert_eq!(csi.get(page).await.unwrap().0, 200, "{page}");
    }
    assert_eq!(csi.get("/nothing/here").await.unwrap().0, 404);
}

#[tokio::test]
async fn connections_that_ask_nothing_keep_no_probe_out() {
    let csi = Csi::options().flag("-vault-addr=http://127.0.0.1:9").start().await;
    let mut silent = Vec::new();
    for n in 0..600 {
        let mut stream = TcpStream::connect(csi.health_address()).await.unwrap();
        if n % 2 == 0 {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nX-Header: ").await.unwrap();
        }
        silent.push(stream);
        if n % 100 == 99 {
            assert_eq!(csi.get("/health/live").await.unwrap().0, 200, "beside {n}");
        }
    }
    let open = async || silent.iter().filter(|stream| !has_ended(stream)).count();
    until_true("all but the newest to be closed", async || open().await <= 32).await;
    until_true("the others to be closed too", async || open().await == 0).await;
}

#[tokio::test]
async fn one_connection_serves_one_request_with_few_headers() {
    let csi = Csi::options().flag("-vault-addr=http://127.0.0.1:9").start().await;
    for (request, status) in [
        ("GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "200"),
        ("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "200"),
        ("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".to_owned(), "405"),
        (format!("GET /health/live HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(16 << 10)), "431"),
    ] {
        let mut stream = TcpStream::connect(csi.health_address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, format!("HTTP/1.1 {status}").as_bytes());
        // to the end, which is the end of the connection
        let _ = stream.read_to_end(&mut answer).await;
    }
}

fn has_ended(stream: &TcpStream) -> bool {
    !matches!(stream.try_read(&mut [0; 64]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[tokio::test]
async fn logs_are_json_where_asked() {
    let setup = FakeVaultSetup::start_with(Csi::options().flag("-log-format=json")).await;
    setup.mount(READ_APP).await.unwrap_err();
    let log = setup.csi.log();
    assert!(log.lines().count() > 0, "nothing was logged");
    for line in log.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(entry.is_object(), "{line}");
    }
}

#[tokio::test]
async fn a_failed_mount_is_logged_with_its_pod_and_error() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::error(403, "permission denied")]);
    let pod = TestPod::new("shop", "web");
    setup.csi.mount(&setup.call(&pod, READ_APP)).await.unwrap_err();
    let log = setup.csi.log();
    for part in [pod.name.as_str(), "shop", "kv/app", "permission denied"] {
        assert!(log.contains(part), "no {part:?} in the log: {log}");
    }
}

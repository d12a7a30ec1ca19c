//! Metrics, health and logs: the driver hides a failed remount, so operators have nothing else.

use std::io::ErrorKind;

use coffer_tests::{
    Csi, FakeVaultSetup, READ_APP, ScrapedMetrics, ScriptedAnswer, SimulatedDriver, TestPod, until_true,
};
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

/// The labels of the classes of all test mounts, in a namespace.
fn class_labels(namespace: &str) -> [String; 2] {
    [format!("namespace=\"{namespace}\""), "class=\"class\"".to_owned()]
}

fn of_class(metrics: &ScrapedMetrics, name: &str, namespace: &str) -> f64 {
    let labels = class_labels(namespace);
    metrics.sum(name, &[&labels[0], &labels[1]])
}

#[tokio::test]
async fn a_volume_that_fails_is_stale_until_it_is_mounted_again() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    let call = setup.call(&TestPod::new("shop", "web"), READ_APP);
    let first = setup.csi.mount(&call).await.unwrap();
    let mounted = setup.csi.metrics().await;
    assert!(!mounted.has("coffer_failing_volumes") && !mounted.has("coffer_volume_staleness_seconds"));

    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::error(403, "permission denied")]);
    // whose driver names no class
    let rotation = call.clone().driver(SimulatedDriver::V1_5Rotation).current_versions(&first);
    setup.csi.mount(&rotation).await.unwrap_err();
    let failing = setup.csi.metrics().await;
    assert_eq!(of_class(&failing, "coffer_failing_volumes", "shop") as u64, 1, "{}", failing.0);
    let outcomes = |metrics: &ScrapedMetrics| {
        let labels = class_labels("shop");
        ["mounted", "denied"].map(|outcome| {
            let outcome = format!("outcome=\"{outcome}\"");
            metrics.sum("coffer_class_mounts_total", &[&labels[0], &labels[1], &outcome]) as u64
        })
    };
    assert_eq!(outcomes(&failing), [1, 1], "{}", failing.0);
    let staleness = of_class(&failing, "coffer_volume_staleness_seconds", "shop");
    until_true("the volume to be staler", async || {
        of_class(&setup.csi.metrics().await, "coffer_volume_staleness_seconds", "shop") > staleness
    })
    .await;

    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    setup.csi.mount(&call).await.unwrap();
    let again = setup.csi.metrics().await;
    assert!(!again.has("coffer_failing_volumes") && !again.has("coffer_volume_staleness_seconds"));
    assert_eq!(outcomes(&again), [2, 1], "{}", again.0);
}

#[tokio::test]
async fn a_volume_that_was_never_mounted_fails_and_is_not_stale() {
    let setup = FakeVaultSetup::start().await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::error(403, "permission denied")]);
    setup.csi.mount(&setup.call(&TestPod::new("shop", "web"), READ_APP)).await.unwrap_err();
    let metrics = setup.csi.metrics().await;
    assert_eq!(of_class(&metrics, "coffer_failing_volumes", "shop") as u64, 1, "{}", metrics.0);
    assert!(!metrics.has("coffer_volume_staleness_seconds"), "{}", metrics.0);
}

#[tokio::test]
async fn a_namespace_with_many_classes_takes_no_others_series() {
    let setup = FakeVaultSetup::start_with(Csi::options().flag("-metrics-series=8")).await;
    let hostile = TestPod::new("hostile", "web");
    for n in 0..50 {
        let call = setup.call(&hostile, "no list").param("secretProviderClass", &format!("class-{n}"));
        setup.csi.mount(&call.volume(&format!("v{n}"))).await.unwrap_err();
    }
    for namespace in ["shop", "bank"] {
        setup.csi.mount(&setup.call(&TestPod::new(namespace, "web"), "no list")).await.unwrap_err();
    }
    let metrics = setup.csi.metrics().await;
    let series = |name: &str, namespace: &str| {
        let begin = format!("{name}{{namespace=\"{namespace}\"");
        metrics.0.lines().filter(|line| line.starts_with(&begin)).count()
    };
    for (name, own) in [("coffer_class_mounts_total", 4), ("coffer_failing_volumes", 6)] {
        assert_eq!(series(name, "hostile"), own, "{}", metrics.0);
        assert_eq!((series(name, "shop"), series(name, "bank"), series(name, "_other")), (1, 1, 1));
        assert_eq!(metrics.sum(name, &[]) as u64, 52, "nothing is lost");
    }
}

#[tokio::test]
async fn a_class_whose_name_is_no_name_is_no_label() {
    let setup = FakeVaultSetup::start().await;
    let call = setup.call(&TestPod::new("shop", "web"), "no list");
    for name in ["a\"b", "a\nb", "a} 1\ncoffer_mounts_total 9", "\u{202e}", &"x".repeat(1 << 20)] {
        setup.csi.mount(&call.clone().param("secretProviderClass", name)).await.unwrap_err();
    }
    let metrics = setup.csi.metrics().await;
    assert_eq!(metrics.sum("coffer_class_mounts_total", &["class=\"_other\""]) as u64, 5, "{}", metrics.0);
    assert_eq!(metrics.sum("coffer_class_mounts_total", &[]) as u64, 5);
    assert!(metrics.0.len() < 64 << 10);
}

#[tokio::test]
async fn the_time_of_requests_memory_and_refusals_are_shown() {
    let setup = FakeVaultSetup::start_with(Csi::options().flag("-memory-limit=16777216")).await;
    setup.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
    setup.mount(READ_APP).await.unwrap();
    let metrics = setup.csi.metrics().await;
    for kind in ["kind=\"login\"", "kind=\"read\""] {
        let count = metrics.sum("coffer_vault_request_duration_seconds_count", &[kind]);
        assert_eq!(count as u64, 1, "{kind}: {}", metrics.0);
        assert!(metrics.sum("coffer_vault_request_duration_seconds_sum", &[kind]) > 0.0);
    }
    let limit = metrics.sum("coffer_memory_limit_bytes", &[]);
    let held = metrics.sum("coffer_memory_bytes", &["use=\"sessions\""]);
    assert!(held > 0.0 && held < limit, "{}", metrics.0);
    assert!(metrics.sum("coffer_memory_bytes", &[]) <= limit);
    let reasons = |metrics: &ScrapedMetrics| {
        ["reason=\"targets\"", "reason=\"memory\""]
            .map(|reason| metrics.sum("coffer_refusals_total", &[reason]) as u64)
    };
    assert_eq!(reasons(&metrics), [0, 0], "{}", metrics.0);
    assert!(metrics.0.contains("coffer_refusals_total{reason=\"policy\"} 0"), "{}", metrics.0);
    let call = setup.call(&TestPod::new("shop", "web"), READ_APP);
    let call = call.param("unused", &"x".repeat(3 << 20));
    let refused = setup.csi.mount(&call).await.unwrap_err();
    assert_eq!(reasons(&setup.csi.metrics().await)[1], 1, "{}", refused.message);
    let version = "coffer_build_info{version=\"";
    assert!(metrics.0.lines().any(|line| line.starts_with(version) && line.ends_with("\"} 1")));
}

#[tokio::test]
async fn tenants_cannot_write_labels_but_namespace_and_class() {
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
    let labels = "{namespace=\"zebra-namespace\",class=\"class\"";
    assert!(metrics.contains(labels), "{metrics}");
    let without = metrics.replace(labels, "");
    assert!(!without.to_lowercase().contains("zebra"), "{metrics}");
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

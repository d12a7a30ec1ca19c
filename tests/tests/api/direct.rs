//! Requests to the API server without kube-apiserver in between: credentials, headers, discovery
//! and HTTP itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use coffer_tests::kubernetes::aggregated::{API, ApiSetup, DirectClient, HttpVersion};
use coffer_tests::until_true;
use coffer_tests::{MarkdownDocument, ScrapedMetrics, Suite, TestCa};
use serde_json::Value;
use tokio::net::TcpStream;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const FORGED: [(&str, &str); 2] = [("X-Remote-User", "admin"), ("X-Remote-Group", "system:masters")];

pub(crate) fn tests(suite: Suite<ApiSetup>) -> Suite<ApiSetup> {
    suite
        .test("forged_headers_make_nobody_an_administrator", forged_headers)
        .test("a_certificate_of_another_ca_is_refused", a_foreign_certificate)
        .test("bearer_tokens_are_reviewed", bearer_tokens)
        .test("impersonation_is_refused", impersonation)
        .test("discovery_is_what_the_aggregator_expects", discovery)
        .test("openapi_is_served_whatever_the_hash", openapi)
        .test("unusual_headers_bodies_and_paths", out_of_the_way)
        .test("a_silent_client_is_cut_off", a_silent_client)
        .test("metrics_need_a_right", metrics)
        .test("metrics_only_classes_that_exist_are_labels", only_classes_that_exist_are_labels)
}

async fn forged_headers(setup: Arc<ApiSetup>) {
    let direct = setup.direct(None).await;
    let (status, headers, text) = direct.get(&format!("{API}/secrets"), &FORGED).await;
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("system:anonymous"), "{text}");
    assert_eq!(headers["cache-control"], "no-store");
    let status: Value = serde_json::from_str(&text).expect("a Status");
    assert_eq!((&status["kind"], &status["apiVersion"]), (&"Status".into(), &"v1".into()));
    let parts = ["denied", "user=\"system:anonymous\"", "verb=\"list\"", "code=403"];
    let log = setup.server.log();
    let audited = log.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(audited, "no audit line with {parts:?} in {log}");
}

async fn a_foreign_certificate(setup: Arc<ApiSetup>) {
    let foreign = TestCa::new();
    let direct = setup.direct(Some(&foreign.issue("front-proxy-client", &[]))).await;
    for path in [&format!("{API}/secrets"), API, "/apis", "/healthz", "/readyz", "/openapi/v2", "/none"] {
        let (status, _, text) = direct.get(path, &FORGED).await;
        assert_eq!(status, 401, "{path}: {text}");
    }
}

async fn bearer_tokens(setup: Arc<ApiSetup>) {
    let direct = setup.direct(None).await;
    let path = format!("{API}/secrets");
    let bad = direct.get(&path, &[("Authorization", "Bearer nonsense")]).await;
    assert_eq!(bad.0, 401, "{}", bad.2);
    let admin = setup.admin();
    let good = direct.get(&path, &[("Authorization", &admin)]).await;
    assert_eq!(good.0, 200, "{}", good.2);
    // open paths do not review tokens
    assert_eq!(direct.get("/livez", &[("Authorization", "Bearer nonsense")]).await.0, 200);
}

async fn impersonation(setup: Arc<ApiSetup>) {
    let direct = setup.direct(None).await;
    let admin = setup.admin();
    let headers = [("Authorization", admin.as_str()), ("Impersonate-User", "eve")];
    let (status, _, text) = direct.get(&format!("{API}/secrets"), &headers).await;
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("impersonation"), "{text}");
}

async fn discovery(setup: Arc<ApiSetup>) {
    let direct = setup.direct(None).await;
    let accept =
        format!("{AGGREGATED},application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList");
    let (status, headers, text) = direct.get("/apis", &[("Accept", &accept)]).await;
    assert_eq!(status, 200);
    assert_eq!(headers["content-type"], AGGREGATED);
    let document: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(document["items"][0]["versions"][0]["resources"][0]["responseKind"]["kind"], "VaultSecret");
    let etag = headers["etag"].to_str().expect("text");
    let again = direct.get("/apis", &[("Accept", &accept), ("If-None-Match", etag)]).await;
    assert_eq!((again.0, again.2.as_str()), (304, ""));
    let old = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
    assert_eq!(direct.get("/apis", &[("Accept", old)]).await.0, 406);
    for (path, kind) in
        [("/apis", "APIGroupList"), ("/apis/custom.secrets.k8s.io", "APIGroup"), (API, "APIResourceList")]
    {
        let (status, _, text) = direct.get(path, &[("Accept", "application/json, */*")]).await;
        assert_eq!(status, 200);
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON")["kind"], kind);
    }
}

async fn openapi(setup: Arc<ApiSetup>) {
    let direct = setup.direct(None).await;
    let index: Value = serde_json::from_str(&direct.get("/openapi/v3", &[]).await.2).expect("JSON");
    let url = index["paths"]["apis/custom.secrets.k8s.io/v1alpha1"]["serverRelativeURL"].as_str();
    let url = url.expect("a URL");
    let right = direct.get(url, &[]).await;
    let stale = direct.get(&format!("/openapi/v3{API}?hash=STALE"), &[]).await;
    assert_eq!((right.0, stale.0), (200, 200));
    assert_eq!(right.2, stale.2);
    let v2 = direct
        .get("/openapi/v2", &[("Accept", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")])
        .await;
    assert_eq!(v2.0, 406);
    assert_eq!(direct.get("/openapi/v2", &[("If-None-Match", "*")]).await.0, 304);
}

async fn out_of_the_way(setup: Arc<ApiSetup>) {
    let direct = setup.direct(None).await;
    let admin = setup.admin();
    let bearer = ("Authorization", admin.as_str());
    let list = format!("{API}/secrets");
    for (accept, expected) in [
        ("application/vnd.kubernetes.protobuf", 406),
        ("text/html, application/xml", 406),
        ("application/vnd.kubernetes.protobuf,application/json", 200),
        ("", 200),
    ] {
        assert_eq!(direct.get(&list, &[bearer, ("Accept", accept)]).await.0, expected, "{accept}");
    }
    let groups: Vec<(String, String)> =
        (0..600).map(|n| ("X-Remote-Group".to_owned(), format!("group-{n}"))).collect();
    let mut many: Vec<(&str, &str)> =
        groups.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    many.push(bearer);
    // only the front proxy has room for so many headers
    assert_eq!(direct.get(&list, &many).await.0, 431);
    assert_eq!(setup.direct_http1().await.get(&list, &many).await.0, 431);
    many.pop();
    many.extend([("X-Remote-User", "admin"), ("X-Remote-Group", "system:masters")]);
    let front_proxy = setup.cluster.api_server().front_proxy().issue("front-proxy-client", &[]);
    assert_eq!(setup.direct(Some(&front_proxy)).await.get(&list, &many).await.0, 200);
    let mut front_proxy = setup.wire(HttpVersion::Http1, Some(&front_proxy)).await;
    assert_eq!(front_proxy.get(&list, &many).await.0, 200);
    let request = direct.request("GET", &list).header("Authorization", &admin).body("x".repeat(1 << 20));
    assert_eq!(request.send().await.expect("an answer").status().as_u16(), 200);
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] {
        assert_eq!(method_status(&direct, method, &list, &admin).await, 405, "{method}");
        let open = if method == "HEAD" { 200 } else { 405 };
        assert_eq!(method_status(&direct, method, API, &admin).await, open, "{method}");
    }
    for name in ["%2e%2e", "a%2fb", "DB", "db/status", "db//", "", &"a".repeat(10_000)] {
        let path = format!("{API}/namespaces/default/secrets/{name}");
        assert_eq!(direct.get(&path, &[bearer]).await.0, 404, "{name:.20}");
    }
    let (status, _, text) = direct.get(&format!("{list}?continue=abc"), &[bearer]).await;
    assert_eq!(status, 400, "{text}");
}

async fn method_status(direct: &DirectClient, method: &str, path: &str, token: &str) -> u16 {
    let answer = direct.request(method, path).header("Authorization", token).send().await;
    answer.expect("an answer").status().as_u16()
}

/// One client sends nothing at all, another sends nothing after the handshake; others are served
/// meanwhile.
async fn a_silent_client(setup: Arc<ApiSetup>) {
    let direct = setup.direct(None).await;
    let silent = TcpStream::connect(("127.0.0.1", setup.server.port())).await.expect("a connection");
    let mut shaken = setup.wire(HttpVersion::Http2, None).await;
    assert_eq!(direct.get("/livez", &[]).await.0, 200);
    let gone = async || {
        silent.readable().await.expect("a socket");
        matches!(silent.try_read(&mut [0; 1]), Ok(0) | Err(_))
    };
    until_true("the silent client to be cut off", gone).await;
    until_true("the client after its handshake to be cut off", async || shaken.has_ended(1024).await).await;
}

async fn metrics(setup: Arc<ApiSetup>) {
    let direct = setup.direct(None).await;
    assert_eq!(direct.get("/metrics", &[]).await.0, 403);
    let admin = setup.admin();
    let (status, _, text) = direct.get("/metrics", &[("Authorization", &admin)]).await;
    assert_eq!(status, 200);
    assert!(text.contains("coffer_api_requests_total{kind=\"discovery\",code=\"200\"}"), "{text}");
}

/// Returns the names of the metrics in a scrape.
fn served_metrics(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.rsplit_once(' '));
    types
        .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
        .collect()
}

/// Returns the names of the API server's metrics in the reference.
fn listed_metrics() -> BTreeSet<String> {
    let reference = MarkdownDocument::read("docs/reference.md");
    let words = reference.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    words
        .filter(|word| word.starts_with("coffer_api_") && *word != "coffer_api_")
        .map(str::to_owned)
        .collect()
}

async fn only_classes_that_exist_are_labels(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("labels").await;
    let (direct, admin) = (setup.direct(None).await, setup.admin());
    let admin = [("Authorization", admin.as_str())];
    let labels =
        [format!("namespace=\"{}\"", ns.name()), "class=\"db\"".to_owned(), "code=\"200\"".to_owned()];
    let reads = |text: &str| {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        ScrapedMetrics(text.to_owned()).sum("coffer_api_class_reads_total", &labels)
    };
    // the namespace is ready when a first read has succeeded
    let before = reads(&direct.get("/metrics", &admin).await.2);
    for (name, expected) in [("db", 200), ("no-such-class", 404), ("db", 200)] {
        let path = format!("{API}/namespaces/{}/secrets/{name}", ns.name());
        let (status, _, text) = direct.get(&path, &admin).await;
        assert_eq!(status, expected, "{text}");
    }
    let (_, _, text) = direct.get("/metrics", &admin).await;
    assert!((reads(&text) - before - 2.0).abs() < f64::EPSILON, "{before} before, and then {text}");
    assert!(!text.contains("no-such-class"), "{text}");
    // now that there was a login
    assert_eq!(served_metrics(&text), listed_metrics());
}

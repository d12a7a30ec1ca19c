//! Certificates and their CAs, and clients that are too slow.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use coffer_tests::kubernetes::aggregated::{API, ApiSetup, HttpVersion, READ_AS_APP, RawConnection};
use coffer_tests::{Suite, TestCa, until_true};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

const PROXY: &str = "front-proxy-client";
const AS_ADMIN: [(&str, &str); 2] = [("X-Remote-User", "jo"), ("X-Remote-Group", "system:masters")];
const ALIVE: &str = "/livez";

pub(crate) fn tests(suite: Suite<ApiSetup>) -> Suite<ApiSetup> {
    suite
        .test("an_expired_certificate_is_refused", expired)
        .test("a_certificate_that_expires_while_connected_is_refused", expires_while_connected)
        .test("users_may_authenticate_with_client_certificates", users_with_certificates)
        .test("a_changed_front_proxy_ca_applies_to_open_connections", ca_rotated_while_connected)
        .test("slow_headers_are_cut_off", dripping_headers)
        .test("a_client_that_does_not_read_its_answer_is_cut_off", answers_not_taken)
}

/// Returns a time in the near future.
fn within(seconds: u64) -> SystemTime {
    SystemTime::now() + Duration::from_secs(seconds)
}

async fn expired(setup: Arc<ApiSetup>) {
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    let kube_apiserver = setup.cluster.api_server();
    for authority in [kube_apiserver.front_proxy(), kube_apiserver.authority()] {
        let good = setup.direct(Some(&authority.issue_until(PROXY, within(3600)))).await;
        assert_ne!(good.get(API, &AS_ADMIN).await.0, 401);
        let direct = setup.direct(Some(&authority.issue_until(PROXY, yesterday))).await;
        for path in [&format!("{API}/secrets"), API, "/apis", ALIVE] {
            let (status, _, text) = direct.get(path, &AS_ADMIN).await;
            assert_eq!(status, 401, "{path}: {text}");
        }
    }
}

async fn expires_while_connected(setup: Arc<ApiSetup>) {
    let identity = setup.cluster.api_server().front_proxy().issue_until(PROXY, within(4));
    let mut wire = setup.wire(HttpVersion::Http1, Some(&identity)).await;
    let list = format!("{API}/secrets");
    assert_eq!(wire.get(&list, &AS_ADMIN).await.0, 200);
    until_true("the certificate to expire", async || wire.get(&list, &AS_ADMIN).await.0 == 401).await;
}

/// The certificate names the user; headers of a client that is not the front proxy are ignored.
async fn users_with_certificates(setup: Arc<ApiSetup>) {
    let identity = setup.cluster.api_server().authority().issue("jane", &[]);
    let direct = setup.direct(Some(&identity)).await;
    let (status, _, text) = direct.get(&format!("{API}/secrets"), &AS_ADMIN).await;
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("jane"), "{text}");
}

async fn ca_rotated_while_connected(setup: Arc<ApiSetup>) {
    let next = TestCa::new();
    let (old, new) = (setup.cluster.api_server().front_proxy().issue(PROXY, &[]), next.issue(PROXY, &[]));
    let (mut by_old, mut by_new) =
        (setup.wire(HttpVersion::Http1, Some(&old)).await, setup.wire(HttpVersion::Http1, Some(&new)).await);
    let list = format!("{API}/secrets");
    let status = async |wire: &mut RawConnection| wire.get(&list, &AS_ADMIN).await.0;
    assert_eq!((status(&mut by_old).await, status(&mut by_new).await), (200, 401));

    let maps: Api<ConfigMap> = Api::namespaced(setup.cluster.client().clone(), "kube-system");
    let name = "extension-apiserver-authentication";
    let trusted = async |bundle: &str| {
        let patch = Patch::Merge(json!({ "data": { "requestheader-client-ca-file": bundle } }));
        maps.patch(name, &PatchParams::default(), &patch).await.expect("the ConfigMap is there");
    };
    let now = maps.get(name).await.expect("the ConfigMap").data.expect("data");
    let current = now["requestheader-client-ca-file"].clone();
    trusted(&format!("{current}{}", next.certificate())).await;
    until_true("the new CA to be trusted", async || status(&mut by_new).await == 200).await;
    assert_eq!(status(&mut by_old).await, 200, "both CAs are trusted while both are listed");
    trusted(&current).await;
    until_true("the removed CA not to be trusted", async || status(&mut by_new).await == 401).await;
    assert_eq!(status(&mut by_old).await, 200);
}

/// On a new connection, and on one that has served a request.
async fn dripping_headers(setup: Arc<ApiSetup>) {
    let (mut new, mut used, mut http2) = (
        setup.wire(HttpVersion::Http1, None).await,
        setup.wire(HttpVersion::Http1, None).await,
        setup.wire(HttpVersion::Http2, None).await,
    );
    assert_eq!(used.get(ALIVE, &[]).await.0, 200);
    for wire in [&mut new, &mut used] {
        wire.send(b"GET /livez HTTP/1.1\r\nX-Long: ").await;
    }
    // preface, SETTINGS, and the head of a HEADERS frame of 16 kB
    http2.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\x40\0\x01\0\0\0\0\x01").await;
    for (name, wire) in [("a new connection", &mut new), ("a used one", &mut used), ("HTTP/2", &mut http2)] {
        until_true(&format!("{name} to be cut off"), async || {
            wire.send(b"x").await;
            wire.has_ended(1024).await
        })
        .await;
    }
}

/// With HTTP/1.1 the socket fills up; with HTTP/2 the stream's window is not enlarged.
async fn answers_not_taken(setup: Arc<ApiSetup>) {
    let ns = setup.namespace("large").await;
    let n = ns.name();
    let large = "x".repeat(3 << 19);
    setup.bao.kv_put(&format!("{n}/large"), json!({ "a": large })).await;
    let objects = ns.objects("large", &[("a", "a"), ("b", "a")]);
    ns.class("large", json!({ "roleName": n, "objects": objects })).await;
    setup.listed(&ns, "large").await;
    setup.annotate(&ns, "large", READ_AS_APP).await;
    let path = format!("{API}/namespaces/{n}/secrets/large");
    let (admin, direct) = (setup.admin(), setup.direct(None).await);
    let headers = [("Authorization", admin.as_str())];
    until_true("the class to be read", async || direct.get(&path, &headers).await.0 == 200).await;

    let mut http1 = setup.wire(HttpVersion::Http1, None).await;
    let host = "Host: coffer-api-server\r\n";
    http1.send(format!("GET {path} HTTP/1.1\r\n{host}Authorization: {admin}\r\n\r\n").as_bytes()).await;
    let by_http2 = direct.request("GET", &path).header("Authorization", &admin).send().await;
    let by_http2 = by_http2.expect("an answer's head");
    until_true("both to be cut off", async || {
        // one reads a byte now and then, the other nothing
        http1.has_ended(1).await;
        let log = setup.server.log();
        log.matches("it did not read its response").count() == 2
    })
    .await;
    assert!(by_http2.bytes().await.is_err(), "the whole answer was sent");
}

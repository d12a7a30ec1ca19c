//! Events on pods: what their owners see of rotation and of credentials.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;

use coffer_tests::kubernetes::{Kubeconfig, LeaseNode, LeaseSetup, Tenant};
use coffer_tests::{MountCall, Relay, Suite, TestPod, coffer_binary, until, until_true};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::{LONG, SHORT};

/// A secret that must be in no event.
const PLANTED: &str = "hunter2-in-an-event";

/// The most events of one node in one second, and one more: kube-apiserver's times are whole
/// seconds.
const A_SECOND: usize = 5 + 1;

pub(crate) fn tests(suite: Suite<LeaseSetup>) -> Suite<LeaseSetup> {
    suite
        .test("a_failed_rotation_and_its_recovery_are_events_of_the_pod", rotation)
        .test("a_rotation_that_fails_after_a_restart_is_an_event", after_restart)
        .test("a_lease_that_is_lost_and_replaced_is_told_on_the_pod", lease_lost)
        .test("without_the_right_to_events_one_line_is_logged", without_the_right)
        .test("a_namespace_that_is_deleted_is_no_missing_right", terminating)
        .test("mounts_do_not_wait_for_events_while_kube_apiserver_is_cut_off", cut_off)
        .test("many_failing_pods_make_few_events_a_second", many_pods)
}

/// Returns a namespace's events of coffer-csi, by the pod's name and the reason.
async fn events(setup: &LeaseSetup, tenant: &Tenant) -> BTreeMap<(String, String), Vec<Event>> {
    let api: Api<Event> = Api::namespaced(setup.cluster.client().clone(), tenant.namespace.name());
    let mut found: BTreeMap<_, Vec<Event>> = BTreeMap::new();
    for event in api.list(&ListParams::default()).await.unwrap() {
        let json = serde_json::to_string(&event).unwrap();
        assert!(!json.contains(PLANTED), "{json}");
        let pod = event.regarding.clone().unwrap().name.unwrap();
        found.entry((pod, event.reason.clone().unwrap())).or_default().push(event);
    }
    found
}

/// Waits for the first event of a pod with a reason.
async fn event(setup: &LeaseSetup, tenant: &Tenant, pod: &TestPod, reason: &str) -> Event {
    let key = (pod.name.clone(), reason.to_owned());
    until(&format!("an event {reason}"), async || events(setup, tenant).await.remove(&key)?.pop()).await
}

/// Returns a call for the key of a secret, which is written here.
async fn with_secret(setup: &LeaseSetup, tenant: &Tenant, pod: &TestPod) -> MountCall {
    put(setup, tenant).await;
    let objects = tenant.namespace.objects("kv", &[("file", "k")]);
    tenant.call(pod).objects(&objects)
}

async fn put(setup: &LeaseSetup, tenant: &Tenant) {
    setup.bao.kv_put(&format!("{}/kv", tenant.namespace.name()), json!({ "k": PLANTED })).await;
}

async fn delete(setup: &LeaseSetup, tenant: &Tenant) {
    let path = format!("secret/data/{}/kv", tenant.namespace.name());
    setup.bao.admin(Method::DELETE, &path, Value::Null).await;
}

async fn rotation(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("told", LONG, "1h").await;
    let node = setup.node("told").await;
    let (pod, never_mounted) = (tenant.pod(&node).await, tenant.pod(&node).await);
    let call = with_secret(&setup, &tenant, &pod).await;
    node.mount(&call).await;

    let bad = |pod| tenant.call(pod).objects(&tenant.namespace.objects("nothing", &[("file", "k")]));
    node.csi.mount(&bad(&never_mounted)).await.unwrap_err();
    let refusal = node.csi.mount(&bad(&pod)).await.unwrap_err();
    let failed = event(&setup, &tenant, &pod, "SecretRotationFailed").await;
    assert_eq!(failed.note.unwrap(), format!("SecretProviderClass class: {}", refusal.message));
    let regarding = failed.regarding.unwrap();
    assert_eq!((regarding.kind.as_deref(), regarding.uid), (Some("Pod"), Some(pod.uid.clone())));
    assert_eq!(failed.type_.as_deref(), Some("Warning"));
    assert_eq!(failed.reporting_controller.as_deref(), Some("coffer-csi"));
    assert_eq!(failed.reporting_instance.as_deref(), Some(node.name()));
    assert!(failed.series.is_none());

    // `coffer status` shows both, with the times
    let status: Value = serde_json::from_str(&node.status_as("json").await).unwrap();
    let failing = status["failing"].as_array().unwrap();
    assert_eq!(failing.len(), 2, "{failing:?}");
    let of = |pod: &TestPod| failing.iter().find(|failing| failing["pod"] == pod.name.as_str()).unwrap();
    assert_eq!((of(&pod)["kind"].as_str(), of(&pod)["class"].as_str()), (Some("not_found"), Some("class")));
    assert_eq!(of(&pod)["error"], refusal.message.as_str());
    assert!(of(&pod)["failing_for"].is_u64() && of(&pod)["good_before"].is_u64());
    assert!(of(&never_mounted)["good_before"].is_null());
    let text = node.status().await;
    assert!(text.contains("Failing volumes:") && text.contains("never"), "{text}");
    for document in watched(&node, 2).await {
        let document: Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document["failing"].as_array().unwrap().len(), 2);
    }

    node.mount(&call).await;
    let recovered = event(&setup, &tenant, &pod, "SecretRotationRecovered").await;
    assert_eq!(recovered.note.as_deref(), Some("SecretProviderClass class: mounted again"));
    assert_eq!(recovered.type_.as_deref(), Some("Normal"));

    // the same failure again is one more of its series
    let again = node.csi.mount(&bad(&pod)).await.unwrap_err();
    assert_eq!(again.message, refusal.message);
    let key = (pod.name.clone(), "SecretRotationFailed".to_owned());
    let series = until("a series", async || {
        let found = events(&setup, &tenant).await.remove(&key)?;
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next()?.series
    })
    .await;
    assert_eq!(series.count, 2);
    let all = events(&setup, &tenant).await;
    assert!(all.keys().all(|(of, _)| *of == pod.name), "kubelet reports first mounts: {all:?}");
    // a pod that is gone fails no more
    tenant.namespace.delete_pod(&pod).await;
    until_true("the pod to be forgotten", async || !node.status().await.contains("ago")).await;
}

/// Returns the first lines of `coffer status --watch`.
async fn watched(node: &LeaseNode, lines: usize) -> Vec<String> {
    let mut command = Command::new(coffer_binary("coffer"));
    command.args(["status", "--watch", "--output=json", "--state-dir"]).arg(node.state());
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut read = Vec::new();
    while read.len() < lines {
        read.push(out.next_line().await.unwrap().expect("it goes on"));
    }
    read
}

fn with_secret_call(tenant: &Tenant, pod: &TestPod) -> MountCall {
    tenant.call(pod).objects(&tenant.namespace.objects("kv", &[("file", "k")]))
}

async fn after_restart(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("restarted", LONG, "1h").await;
    let mut node = setup.node("restarted").await;
    let pod = tenant.pod(&node).await;
    let call = with_secret(&setup, &tenant, &pod).await;
    node.mount(&call).await;
    node.restart().await;
    delete(&setup, &tenant).await;
    node.csi.mount(&call).await.unwrap_err();
    event(&setup, &tenant, &pod, "SecretRotationFailed").await;
    // the flag switches them off
    node.restart_with(node.options().flag("-pod-events=false")).await;
    put(&setup, &tenant).await;
    node.mount(&call).await;
    delete(&setup, &tenant).await;
    node.csi.mount(&call).await.unwrap_err();
    put(&setup, &tenant).await;
    node.mount(&call).await;
    assert_eq!(reported(&node, "").await, 0);
    assert_eq!(events(&setup, &tenant).await.len(), 1);
}

async fn lease_lost(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("lost", SHORT, "1h").await;
    let node = setup.node("lost").await;
    let pod = tenant.pod(&node).await;
    node.mount(&tenant.call(&pod)).await;
    let role = tenant.namespace.name().to_owned();
    let prefix = format!("sys/leases/revoke-prefix/database/creds/{role}");
    setup.bao.admin(Method::PUT, &prefix, Value::Null).await;
    let stopped = event(&setup, &tenant, &pod, "CredentialRenewalStopped").await;
    let note = format!(
        "SecretProviderClass class: the lease of database/creds/{role} is gone, the next mount has it issued anew"
    );
    assert_eq!((stopped.note, stopped.type_.as_deref()), (Some(note), Some("Warning")));
    let second = node.mount(&tenant.call(&pod)).await;
    let replaced = event(&setup, &tenant, &pod, "CredentialReplaced").await;
    let note = format!(
        "SecretProviderClass class: Vault issued another credential at database/creds/{role}, for the files of user, \
         password"
    );
    assert_eq!((replaced.note.as_ref(), replaced.type_.as_deref()), (Some(&note), Some("Normal")));
    let json =
        serde_json::to_string(&events(&setup, &tenant).await.into_values().collect::<Vec<_>>()).unwrap();
    for file in ["user", "password"] {
        assert!(!json.contains(second.text(file)), "{json}");
    }
    setup.end(&tenant, &node, &[&pod]).await;
}

/// Returns how many reports had that outcome; all of them, if it is empty.
async fn reported(node: &LeaseNode, outcome: &str) -> usize {
    let label = format!("outcome=\"{outcome}\"");
    let labels: &[&str] = if outcome.is_empty() { &[] } else { &[&label] };
    node.csi.metrics().await.sum("coffer_events_total", labels) as usize
}

async fn token(setup: &LeaseSetup, tenant: &Tenant) -> String {
    let name = tenant.namespace.name();
    let token = ["create", "token", "app", "--namespace", name, "--audience=vault"];
    setup.cluster.kubectl().run(token).await.trim().to_owned()
}

async fn without_the_right(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("noright", LONG, "1h").await;
    let mut node = setup.node("noright").await;
    // as an account without rights
    let kubeconfig = node.state().with_file_name("other.kubeconfig");
    setup.cluster.account_kubeconfig(tenant.namespace.name(), "app").await.write(&kubeconfig);
    node.restart_with(node.options().env("KUBECONFIG", &kubeconfig)).await;
    let token = token(&setup, &tenant).await;
    let mut calls = Vec::new();
    for _ in 0..3 {
        let pod = tenant.pod(&node).await;
        calls.push(with_secret(&setup, &tenant, &pod).await.token("vault", &token));
    }
    for call in &calls {
        node.mount(call).await;
    }
    delete(&setup, &tenant).await;
    for call in calls.iter().chain(&calls) {
        node.csi.mount(call).await.unwrap_err();
        until_true("a refusal", async || reported(&node, "refused").await > 0).await;
    }
    put(&setup, &tenant).await;
    node.mount(&calls[0]).await;
    let log = node.csi.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("events of pods")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("cannot create resource") && lines[0].contains("events.k8s.io"), "{lines:?}");
}

async fn terminating(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("ending", LONG, "1h").await;
    let node = setup.node("ending").await;
    let pod = tenant.pod(&node).await;
    let call = with_secret(&setup, &tenant, &pod).await;
    node.mount(&call).await;
    // no controller ends it
    setup.cluster.kubectl().run(["delete", "namespace", tenant.namespace.name(), "--wait=false"]).await;
    delete(&setup, &tenant).await;
    node.csi.mount(&call).await.unwrap_err();
    until_true("the report to be given up", async || reported(&node, "dropped").await > 0).await;
    assert_eq!(reported(&node, "refused").await, 0);
    assert!(!node.csi.log().contains("events of pods"), "{}", node.csi.log());
}

async fn cut_off(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("silent", LONG, "1h").await;
    let mut node = setup.node("silent").await;
    let direct = setup.cluster.coffer_kubeconfig().await;
    let relay = Relay::start(&direct.server).await;
    let kubeconfig = node.state().with_file_name("relayed.kubeconfig");
    Kubeconfig { server: relay.address().to_owned(), ..direct }.write(&kubeconfig);
    node.restart_with(node.options().env("KUBECONFIG", &kubeconfig)).await;
    let pod = tenant.pod(&node).await;
    let call = with_secret(&setup, &tenant, &pod).await;
    node.mount(&call).await;

    // nothing is answered any more, and nothing is closed
    relay.cut();
    for _ in 0..20 {
        delete(&setup, &tenant).await;
        node.csi.mount(&call).await.unwrap_err();
        put(&setup, &tenant).await;
        node.mount(&call).await;
    }
    assert_eq!(reported(&node, "sent").await, 0);
    relay.pass();
    delete(&setup, &tenant).await;
    node.csi.mount(&call).await.unwrap_err();
    event(&setup, &tenant, &pod, "SecretRotationFailed").await;
    let log = node.csi.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("events of pods")).collect();
    assert!(lines.len() <= 2, "{lines:?}");
}

async fn many_pods(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("many", LONG, "1h").await;
    let node = setup.node("many").await;
    let token = token(&setup, &tenant).await;
    let mut calls = Vec::new();
    for _ in 0..30 {
        let pod = tenant.pod(&node).await;
        calls.push(with_secret_call(&tenant, &pod).token("vault", &token));
    }
    put(&setup, &tenant).await;
    for call in &calls {
        node.mount(call).await;
    }
    delete(&setup, &tenant).await;
    for call in calls.iter().chain(&calls) {
        node.csi.mount(call).await.unwrap_err();
    }
    let all = until("an event of each pod", async || {
        let found = events(&setup, &tenant).await;
        (found.len() == calls.len()).then_some(found)
    })
    .await;
    let mut seconds: BTreeMap<String, usize> = BTreeMap::new();
    for event in all.into_values().flatten() {
        let time = event.metadata.creation_timestamp.unwrap().0.to_string();
        *seconds.entry(time).or_default() += 1;
    }
    assert!(seconds.values().all(|events| *events <= A_SECOND), "{seconds:?}");
    assert_eq!(reported(&node, "sent").await, calls.len());
}

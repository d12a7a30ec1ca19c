//! Values from Vault appear only in answers to `get`: this test searches everything else.

use std::sync::Arc;

use coffer_tests::kubernetes::aggregated::{API, ApiSetup, PASSWORD, READ_AS_APP};
use coffer_tests::{Suite, until, until_true};
use serde_json::json;

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

pub(crate) fn tests(suite: Suite<ApiSetup>) -> Suite<ApiSetup> {
    suite.test("values_are_only_in_answers_to_get", values_are_only_in_answers_to_get)
}

async fn values_are_only_in_answers_to_get(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("secrecy").await;
    let n = ns.name();
    // each class has an error, whose message must not contain the value
    let object = |rest: &str| format!("[{{objectName: a, secretPath: secret/data/{n}/db, {rest}}}]");
    let broken = [
        ("hex", object("secretKey: password, encoding: hex")),
        ("missing-key", object("secretKey: nothing")),
        ("missing-path", ns.objects("nothing", &[("a", "a")])),
        ("denied", "[{objectName: a, secretPath: secret/data/elsewhere/x, secretKey: a}]".to_owned()),
        ("issues", object("method: POST, secretArgs: {a: b}")),
        ("invalid", "- {objectName: a".to_owned()),
    ];
    for (name, objects) in &broken {
        ns.class(name, json!({ "roleName": n, "objects": objects })).await;
        setup.listed(&ns, name).await;
        setup.annotate(&ns, name, READ_AS_APP).await;
    }
    // a server with the most verbose log
    let replica = setup.replica(&["--log-level=trace", "--log-format=json"]);
    let direct = setup.direct_to(&replica, &setup.serving_ca().await);
    let (admin, list) = (setup.admin(), format!("{API}/namespaces/{n}/secrets"));
    let get = async |path: &str, accept: &str| {
        direct.get(path, &[("Authorization", &admin), ("Accept", accept)]).await
    };
    until_true("the replica to read", async || {
        let answer = direct.try_get(&format!("{list}/db"), &[("Authorization", &admin)]).await;
        // this answer contains the value: it proves that the search can find it
        answer.is_ok_and(|(status, _, text)| status == 200 && holds_a_value(&text))
    })
    .await;

    let mut seen: Vec<(String, String)> = Vec::new();
    for accept in ["application/json", METADATA_LIST, TABLE, "application/yaml", "*/*"] {
        seen.push((format!("a list as {accept}"), get(&list, accept).await.2));
        seen.push((format!("all lists as {accept}"), get(&format!("{API}/secrets"), accept).await.2));
    }
    for accept in [METADATA, TABLE] {
        seen.push((format!("an object as {accept}"), get(&format!("{list}/db"), accept).await.2));
        let whole = get(&format!("{list}/db?includeObject=Object"), accept).await;
        seen.push((format!("with includeObject, as {accept}"), whole.2));
    }
    for (name, _) in &broken {
        let failed = until("the error of the class", async || {
            let (status, headers, text) = get(&format!("{list}/{name}"), "*/*").await;
            (status != 200 && !text.contains("kubectl annotate")).then(|| format!("{headers:?} {text}"))
        })
        .await;
        seen.push((format!("the error of class {name}"), failed));
    }
    for path in [format!("{list}?watch=true"), format!("{list}/none"), format!("{API}/none")] {
        seen.push((path.clone(), get(&path, "*/*").await.2));
    }
    seen.push(("metrics".to_owned(), get("/metrics", "*/*").await.2));
    let talk = setup.kubectl(["get", "vaultsecret", "db", "-n", n, "-o", "name", "-v=6"]).await;
    seen.push(("URLs of kubectl".to_owned(), talk.err));
    let paths: Vec<String> = setup.bao.requests().into_iter().map(|request| request.path).collect();
    seen.push(("URLs of Vault".to_owned(), paths.join("\n")));
    for (name, server) in [("log", &setup.server), ("log of everything", &replica)] {
        let log = server.log();
        assert!(log.contains("read_as"), "no audit line in the {name}");
        assert!(!log.contains("eyJ"), "a token in the {name}: {log}");
        seen.push((name.to_owned(), log));
    }
    for (what, text) in seen {
        assert!(!text.is_empty(), "{what} says nothing");
        assert!(!holds_a_value(&text), "a value in {what}: {text}");
    }
    let found =
        setup.cluster.etcd().files().into_iter().find(|file| holds_a_value(&String::from_utf8_lossy(file)));
    assert!(found.is_none(), "a value in etcd");
}

/// Returns whether a text contains the password, as text, base64 or hex.
fn holds_a_value(text: &str) -> bool {
    let base64 = data_encoding::BASE64.encode(PASSWORD.as_bytes());
    let hex = data_encoding::HEXLOWER.encode(PASSWORD.as_bytes());
    [PASSWORD, base64.trim_end_matches('='), &hex].iter().any(|value| text.contains(value))
}

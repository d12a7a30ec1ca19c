//! Formats over what Vault issues: a certificate and its key in one file, a user in a file of
//! variables, a file for each key. Their versions stay while nothing new is issued.

use std::sync::Arc;

use coffer_tests::kubernetes::{LeaseSetup, Tenant, user};
use coffer_tests::{LeaseTtls, Mounted, Suite, until};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{LONG, SHORT};

/// TTLs whose end a test can wait for.
const ENDING: LeaseTtls<'static> = LeaseTtls { ttl: "15s", max_ttl: "36s" };

pub(crate) fn tests(suite: Suite<LeaseSetup>) -> Suite<LeaseSetup> {
    suite
        .test("a_certificate_and_its_key_are_one_file_of_one_issue", certificate_and_key)
        .test("a_certificate_is_replaced_as_a_whole", certificate_replaced)
        .test("a_user_in_variables_is_renewed", renewed)
        .test("a_user_in_a_template_is_renewed_and_ends_with_the_pod", in_template)
        .test("a_user_in_files_is_replaced_at_once", replaced)
        .test("an_optional_user_comes_and_goes_with_its_role", optional)
        .test("the_last_file_of_a_volume_is_known_after_a_restart", last_file)
        .test("versions_of_static_credentials_leave_out_the_time_left", static_role)
}

/// Mounts a PKI engine whose role `web` issues certificates with this TTL, and returns the path that
/// issues.
async fn pki(setup: &LeaseSetup, tenant: &Tenant, ttl: &str) -> String {
    let name = tenant.namespace.name();
    let engine = format!("pki-{name}");
    setup.bao.mount_engine(&engine, "pki", json!({})).await;
    let root = json!({ "common_name": "example.com", "ttl": "24h" });
    setup.bao.admin(Method::POST, &format!("{engine}/root/generate/internal"), root).await;
    let role = json!({ "allow_any_name": true, "ttl": ttl, "max_ttl": "1h" });
    setup.bao.admin(Method::POST, &format!("{engine}/roles/web"), role).await;
    let path = format!("{engine}/issue/web");
    setup.bao.policy(name, &format!("path \"{path}\" {{ capabilities = [\"update\"] }}")).await;
    path
}

/// Returns the objects: a PEM file, and a file for each of some keys of the same issue.
fn certificate_objects(path: &str) -> String {
    let issue =
        json!({ "secretPath": path, "method": "POST", "secretArgs": { "common_name": "web.example.com" } });
    let object = |fields: Value| {
        let mut object = issue.clone();
        object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        object
    };
    json!([
        object(json!({ "objectName": "tls/server.pem", "format": "pem",
            "secretKey": ["certificate", "ca_chain", "private_key"], "filePermission": 0o400 })),
        object(json!({ "objectName": "issued", "format": "files", "include": ["certificate", "*_key", "expiration"] })),
        object(json!({ "objectName": "tls/cert.pem", "format": "pem", "secretKey": "certificate" })),
    ])
    .to_string()
}

fn labels(pem: &str) -> Vec<&str> {
    pem.lines().filter_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")).collect()
}

async fn certificate_and_key(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("pem", LONG, "1h").await;
    let path = pki(&setup, &tenant, "30m").await;
    let mut node = setup.node("pem").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod).objects(&certificate_objects(&path));
    let first = node.mount(&call).await;
    let all = first.text("tls/server.pem");
    assert_eq!(labels(all), ["CERTIFICATE", "CERTIFICATE", "RSA PRIVATE KEY"]);
    let (certificate, key) = (first.text("issued/certificate"), first.text("issued/private_key"));
    assert!(all.starts_with(certificate) && all.trim_end().ends_with(key.trim_end()), "of one issue");
    assert_eq!(first.text("tls/cert.pem"), format!("{}\n", certificate.trim_end()));
    assert_eq!(first.file("tls/server.pem").mode, 0o400);
    let paths =
        ["issued/certificate", "issued/expiration", "issued/private_key", "tls/cert.pem", "tls/server.pem"];
    assert!(first.versions.keys().eq(paths), "{:?}", first.versions);

    assert_eq!(node.mount(&call).await, first);
    let status = node.status().await;
    assert!(
        status.contains("certificate") && status.contains("tls/server.pem,issued,tls/cert.pem"),
        "{status}"
    );
    assert!(!status.contains("BEGIN"), "{status}");
    node.restart().await;
    assert_eq!(node.mount(&call).await, first);
    assert_eq!(setup.bao.requests_to(&path), 1);
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn certificate_replaced(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("pem-replaced", LONG, "1h").await;
    // PKI engines make certificates 30 s older than they are
    let path = pki(&setup, &tenant, "12s").await;
    let node = setup.node("pem-replaced").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod).objects(&certificate_objects(&path));
    let first = node.mount(&call).await;
    let second = until("another certificate", async || {
        let mounted = node.mount(&call).await;
        (mounted.text("tls/cert.pem") != first.text("tls/cert.pem")).then_some(mounted)
    })
    .await;
    for (file, version) in &second.versions {
        assert_ne!(version, first.version(file), "{file}");
    }
    let all = second.text("tls/server.pem");
    assert!(all.contains(second.text("issued/private_key").trim_end()), "of one issue");
    assert_eq!(setup.bao.requests_to(&path), 2);
    setup.end(&tenant, &node, &[&pod]).await;
}

/// Returns the objects: the tenant's user in variables, in a JSON document and in files.
fn user_objects(tenant: &Tenant) -> String {
    let path = format!("database/creds/{}", tenant.namespace.name());
    json!([
        { "objectName": "db.env", "secretPath": path, "format": "dotenv" },
        { "objectName": "db.json", "secretPath": path, "format": "json" },
        { "objectName": ".", "secretPath": path, "format": "files" },
        { "objectName": "user", "secretPath": path, "secretKey": "username" },
    ])
    .to_string()
}

fn check_user(mounted: &Mounted) {
    let (user, password) = (user(mounted), mounted.text("password"));
    assert_eq!(mounted.text("username"), user);
    assert_eq!(mounted.text("db.env"), format!("password='{password}'\nusername='{user}'\n"));
    assert_eq!(mounted.text("db.json"), format!("{{\"password\":\"{password}\",\"username\":\"{user}\"}}\n"));
}

async fn renewed(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("dotenv", SHORT, "1h").await;
    let mut node = setup.node("dotenv").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod).objects(&user_objects(&tenant));
    let first = node.mount(&call).await;
    check_user(&first);
    // past the end of the first TTL
    node.renewed(3).await;
    assert_eq!(node.mount(&call).await, first);
    node.restart().await;
    assert_eq!(node.mount(&call).await, first);
    assert_eq!(setup.issued(&tenant.namespace), 1);
    assert_eq!(setup.postgres.users(tenant.namespace.name()), [user(&first)]);
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn in_template(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("template", SHORT, "1h").await;
    let mut node = setup.node("template").await;
    let pod = tenant.pod(&node).await;
    let objects: Value = serde_json::from_str(&user_objects(&tenant)).unwrap();
    let path = objects[0]["secretPath"].as_str().unwrap();
    let template = format!(
        "{{{{ with secret \"{path}\" }}}}{{{{ .Data.username }}}}:{{{{ .Data.password }}}} {{{{ .LeaseID }}}}{{{{ end }}}}"
    );
    let call = tenant.call(&pod).objects(&json!([{ "objectName": "url", "template": template }]).to_string());
    let first = node.mount(&call).await;
    // past the end of the first TTL
    node.renewed(3).await;
    assert_eq!(node.mount(&call).await, first);
    node.restart().await;
    assert_eq!(node.mount(&call).await, first);
    assert_eq!(setup.issued(&tenant.namespace), 1);
    let users = setup.postgres.users(tenant.namespace.name());
    assert_eq!(users.len(), 1);
    assert!(first.text("url").starts_with(&format!("{}:", users[0])), "{users:?}");
    assert!(first.text("url").contains(&format!(" {path}/")), "the lease's ID");
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn replaced(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("files-replaced", ENDING, "1h").await;
    let node = setup.node("files-replaced").await;
    let pod = tenant.pod(&node).await;
    let call = tenant.call(&pod).objects(&user_objects(&tenant));
    let first = node.mount(&call).await;
    let second = until("another user", async || {
        let mounted = node.mount(&call).await;
        (user(&mounted) != user(&first)).then_some(mounted)
    })
    .await;
    check_user(&second);
    for (file, version) in &second.versions {
        assert_ne!(version, first.version(file), "{file}");
    }
    assert_eq!(setup.issued(&tenant.namespace), 2);
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn optional(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("optional", LONG, "1h").await;
    let name = tenant.namespace.name();
    let node = setup.node("optional").await;
    let pod = tenant.pod(&node).await;
    // Vault says 400 of a role that is not there, and 404 of an engine
    let path = "later-database/creds/app";
    let rules = format!(
        "path \"{path}\" {{ capabilities = [\"read\"] }}\n\
         path \"secret/data/{name}/*\" {{ capabilities = [\"read\"] }}"
    );
    setup.bao.policy(name, &rules).await;
    setup.bao.kv_put(&format!("{name}/db"), json!({ "host": "h" })).await;
    let objects = json!([
        { "objectName": "db.env", "secretPath": path, "format": "dotenv", "optional": true },
        { "objectName": "host", "secretPath": format!("secret/data/{name}/db"), "secretKey": "host" },
    ])
    .to_string();
    let call = tenant.call(&pod).objects(&objects);
    for _ in 0..2 {
        assert!(node.mount(&call).await.files.keys().eq(["host"]));
    }
    setup.bao.mount_engine("later-database", "database", json!({})).await;
    let refusal = node.csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&[path, "db.env"]), "no absence: {refusal:?}");
    assert!(!node.csi.log().contains("may have been lost"), "{}", node.csi.log());
    setup.bao.admin(Method::DELETE, "sys/mounts/later-database", Value::Null).await;
    assert!(node.mount(&call).await.files.keys().eq(["host"]));
    setup.end(&tenant, &node, &[&pod]).await;
}

/// Driver 1.6 tells nothing of earlier mounts.
async fn last_file(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("last-file", LONG, "1h").await;
    let name = tenant.namespace.name();
    let mut node = setup.node("last-file").await;
    let pod = tenant.pod(&node).await;
    let objects = json!([{ "objectName": ".", "secretPath": format!("secret/data/{name}/db"),
        "format": "files", "optional": true }])
    .to_string();
    let call = tenant.call(&pod).objects(&objects);
    let none = node.mount(&call).await;
    assert_eq!((none.files.len(), none.version(".")), (0, "no-files"));
    setup.bao.kv_put(&format!("{name}/db"), json!({ "a": "1" })).await;
    assert!(node.mount(&call).await.files.keys().eq(["a"]));
    setup.bao.kv_delete(&format!("{name}/db")).await;
    let other = format!("{name}-other");
    setup.login_role(&other, &tenant.namespace, json!({ "token_ttl": "1h" })).await;
    for call in [call.clone(), call.clone().param("roleName", &other)] {
        for _ in 0..2 {
            let refusal = node.csi.mount(&call).await.unwrap_err();
            assert!(
                refusal.names(&["every object is optional, and none is in Vault any more"]),
                "{refusal:?}"
            );
            node.restart().await;
        }
    }
    // another volume of the pod has had no files
    assert_eq!(node.mount(&call.clone().volume("other")).await.versions, none.versions);
    setup.bao.kv_put(&format!("{name}/db"), json!({ "b": "2" })).await;
    assert!(node.mount(&call).await.files.keys().eq(["b"]));
    setup.end(&tenant, &node, &[&pod]).await;
}

async fn static_role(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("static-formats", LONG, "1h").await;
    let node = setup.node("static-formats").await;
    let pod = tenant.pod(&node).await;
    // a user that exists
    let username = user(&node.mount(&tenant.call(&pod)).await);
    let role = json!({ "db_name": "pg", "username": username, "rotation_period": "1h" });
    setup.bao.admin(Method::POST, "database/static-roles/formats", role).await;
    let path = "database/static-creds/formats";
    let rules = format!("path \"{path}\" {{ capabilities = [\"read\"] }}");
    setup.bao.policy(tenant.namespace.name(), &rules).await;
    let pod = tenant.pod(&node).await;
    let formats = ["json", "yaml", "dotenv", "shell", "properties", "files"];
    let mut objects: Vec<Value> = formats
        .iter()
        .map(|format| json!({ "objectName": format, "secretPath": path, "format": format }))
        .collect();
    objects.push(json!({ "objectName": "asked.env", "secretPath": path, "format": "dotenv",
        "include": ["ttl"] }));
    let call = tenant.call(&pod).objects(&Value::from(objects).to_string());
    let first = node.mount(&call).await;
    let later = until("less time to be left", async || {
        let later = node.mount(&call).await;
        (later.text("asked.env") != first.text("asked.env")).then_some(later)
    })
    .await;
    for (file, version) in &later.versions {
        let is_same = version == first.version(file);
        assert_eq!(is_same, file != "asked.env", "{file}: a key that is asked for counts, and no other");
    }
    assert_ne!(later.text("files/ttl"), first.text("files/ttl"));

    setup.bao.admin(Method::POST, "database/rotate-role/formats", Value::Null).await;
    let rotated = node.mount(&call).await;
    for file in ["json", "yaml", "dotenv", "shell", "properties", "files/password"] {
        assert_ne!(rotated.version(file), first.version(file), "{file}");
    }
    setup.bao.admin(Method::DELETE, "database/static-roles/formats", Value::Null).await;
    tenant.namespace.delete_pod(&pod).await;
}

//! Static credentials, mounted as a whole response: their `ttl` counts down all the time.

use std::sync::Arc;

use coffer_tests::kubernetes::{LeaseSetup, user};
use coffer_tests::{Suite, until};
use reqwest::Method;
use serde_json::{Value, json};

use crate::LONG;

pub(crate) fn tests(suite: Suite<LeaseSetup>) -> Suite<LeaseSetup> {
    suite.test("a_version_changes_with_the_password_and_not_with_the_time_left", versions)
}

async fn versions(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("static", LONG, "1h").await;
    let node = setup.node("static").await;
    let pod = tenant.pod(&node).await;
    // a user that exists
    let username = user(&node.mount(&tenant.call(&pod)).await);
    let role = json!({ "db_name": "pg", "username": username, "rotation_period": "1h" });
    setup.bao.admin(Method::POST, "database/static-roles/app", role).await;
    let path = "database/static-creds/app";
    let paths =
        [path, "auth/token/lookup-self"].map(|path| format!("path {path:?} {{ capabilities = [\"read\"] }}"));
    setup.bao.policy(tenant.namespace.name(), &paths.join("\n")).await;

    let pod = tenant.pod(&node).await;
    let objects = format!(
        "[{{objectName: all, secretPath: {path}}}, {{objectName: token, secretPath: auth/token/lookup-self}}, \
         {{objectName: ttl, secretPath: {path}, secretKey: ttl}}]"
    );
    let call = tenant.call(&pod).objects(&objects);
    let first = node.mount(&call).await;
    let ttl = |text: &str| serde_json::from_str::<Value>(text).unwrap()["data"]["ttl"].as_u64().unwrap();
    let later = until("less time to be left", async || {
        let later = node.mount(&call).await;
        let is_less = |file: &str| ttl(later.text(file)) < ttl(first.text(file));
        (is_less("all") && is_less("token")).then_some(later)
    })
    .await;
    for file in ["all", "token"] {
        assert_eq!(later.version(file), first.version(file), "{file}");
    }
    assert_ne!(later.version("ttl"), first.version("ttl"), "a key that is asked for counts");

    setup.bao.admin(Method::POST, "database/rotate-role/app", Value::Null).await;
    let rotated = node.mount(&call).await;
    assert_ne!(rotated.version("all"), first.version("all"));
    setup.bao.admin(Method::DELETE, "database/static-roles/app", Value::Null).await;
    tenant.namespace.delete_pod(&pod).await;
}

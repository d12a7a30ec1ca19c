//! Formats and optional objects through kube-apiserver: the same files as in a volume, by path.

use std::sync::Arc;

use coffer_tests::kubernetes::Namespace;
use coffer_tests::kubernetes::aggregated::{ApiSetup, PASSWORD, READ_AS_APP};
use coffer_tests::{Suite, until_true};
use data_encoding::BASE64;
use serde_json::{Value, json};

pub(crate) fn tests(suite: Suite<ApiSetup>) -> Suite<ApiSetup> {
    suite
        .test("files_of_every_format_are_shown_by_path", files_of_every_format_are_shown_by_path)
        .test("lists_and_tables_count_objects", lists_and_tables_count_objects)
        .test("an_absent_object_is_left_out", an_absent_object_is_left_out)
        .test("errors_of_formats_name_object_and_key", errors_of_formats_name_object_and_key)
}

/// Creates a class that everybody who may read it reads as service account `app`.
async fn class(setup: &ApiSetup, ns: &Namespace, name: &str, objects: &Value) {
    ns.class(name, json!({ "roleName": ns.name(), "objects": objects.to_string() })).await;
    setup.listed(ns, name).await;
    setup.annotate(ns, name, READ_AS_APP).await;
}

/// Returns an object over the secret `db` with the keys `user` and `password`.
fn object(ns: &Namespace, name: &str, fields: Value) -> Value {
    let mut object = json!({ "objectName": name, "secretPath": format!("secret/data/{}/db", ns.name()) });
    object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    object
}

/// Returns `data` of the object, once it can be read.
async fn data(setup: &ApiSetup, ns: &Namespace, name: &str) -> Value {
    let get = ["get", "vaultsecret", name, "-n", ns.name(), "-o", "json"];
    until_true("the class to be readable", async || setup.kubectl(get).await.status.success()).await;
    let object = setup.kubectl(get).await.json();
    let keys = |field: &str| object[field].as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
    assert_eq!(keys("data").unwrap_or_default(), keys("versions").unwrap_or_default(), "{name}");
    object["data"].clone()
}

async fn files_of_every_format_are_shown_by_path(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("shapes").await;
    let objects = json!([
        object(&ns, ".", json!({ "format": "files", "exclude": ["pass*"] })),
        object(&ns, "d/e", json!({ "format": "files" })),
        object(&ns, "app.env", json!({ "format": "dotenv" })),
        object(&ns, "app.yaml", json!({ "format": "yaml", "include": ["user"] })),
        object(&ns, "name", json!({ "jsonPointer": "/user" })),
    ]);
    class(&setup, &ns, "shapes", &objects).await;
    let path = format!("secret/data/{}/db", ns.name());
    let before = setup.bao.requests_to(&path);
    let encoded = |text: &str| BASE64.encode(text.as_bytes());
    let expected = json!({
        "app.env": encoded(&format!("password='{PASSWORD}'\nuser='jo'\n")),
        "app.yaml": encoded("user: jo\n"),
        "d/e/password": encoded(PASSWORD),
        "d/e/user": encoded("jo"),
        "name": encoded("jo"),
        "user": encoded("jo"),
    });
    assert_eq!(data(&setup, &ns, "shapes").await, expected);
    assert!(setup.bao.requests_to(&path) > before);
    let n = ns.name();
    let one = ["get", "vaultsecret", "shapes", "-n", n, "-o", "go-template={{index .data \"d/e/user\"}}"];
    assert_eq!(setup.kubectl(one).await.shown(), encoded("jo"));
}

async fn lists_and_tables_count_objects(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("counted").await;
    let objects = json!([
        object(&ns, ".", json!({ "format": "files" })),
        object(&ns, "app.env", json!({ "format": "dotenv" })),
        object(&ns, "gone", json!({ "secretKey": "gone", "optional": true })),
    ]);
    class(&setup, &ns, "counted", &objects).await;
    data(&setup, &ns, "counted").await;
    let n = ns.name();
    for arguments in [vec!["get", "vaultsecret", "counted", "-n", n], vec!["get", "vaultsecret", "-n", n]] {
        let shown = setup.kubectl(arguments).await;
        let row = shown.shown().lines().find(|line| line.starts_with("counted")).expect("a row");
        assert_eq!(row.split_whitespace().nth(2), Some("3"), "{shown:?}");
        assert!(!shown.out.contains(PASSWORD), "{shown:?}");
    }
    let list = setup.kubectl(["get", "vaultsecret", "-n", n, "-o", "json"]).await.json();
    let items = list["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["metadata"]["name"] == "counted").unwrap();
    assert!(item.get("data").is_none_or(Value::is_null), "a list shows no values: {item}");
}

async fn an_absent_object_is_left_out(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("absent").await;
    let gone = object(&ns, "gone", json!({ "secretKey": "gone", "optional": true }));
    let mut nowhere = object(&ns, "nowhere", json!({ "format": "files", "optional": true }));
    nowhere["secretPath"] = json!(format!("secret/data/{}/nowhere", ns.name()));
    let user = object(&ns, "user", json!({ "secretKey": "user", "optional": true }));
    class(&setup, &ns, "some", &json!([gone, user, nowhere])).await;
    class(&setup, &ns, "none", &json!([gone, nowhere])).await;
    assert_eq!(data(&setup, &ns, "some").await, json!({ "user": "am8=" }));
    let none = data(&setup, &ns, "none").await;
    assert!(none.as_object().is_none_or(|data| data.is_empty()), "{none}");

    setup.bao.kv_put(&format!("{}/nowhere", ns.name()), json!({ "a": "1" })).await;
    assert_eq!(data(&setup, &ns, "none").await, json!({ "nowhere/a": "MQ==" }));
    setup.bao.kv_delete(&format!("{}/nowhere", ns.name())).await;
    let none = data(&setup, &ns, "none").await;
    assert!(none.as_object().is_none_or(|data| data.is_empty()), "no volume keeps a last file: {none}");
}

async fn errors_of_formats_name_object_and_key(setup: Arc<ApiSetup>) {
    let ns = setup.annotated_namespace("shape-errors").await;
    let n = ns.name();
    setup.bao.kv_put(&format!("{n}/odd"), json!({ "a/b": PASSWORD, "text": PASSWORD })).await;
    let odd = |name: &str, fields: Value| {
        let mut object = object(&ns, name, fields);
        object["secretPath"] = json!(format!("secret/data/{n}/odd"));
        object
    };
    let denied = json!({ "objectName": "d", "secretPath": "secret/data/elsewhere/x", "secretKey": "k", "optional": true });
    for (name, objects, parts) in [
        (
            "odd-key",
            json!([odd("d", json!({ "format": "files" }))]),
            &["object \"d\"", "key \"a/b\" is no name of a file"][..],
        ),
        (
            "odd-name",
            json!([odd("v.env", json!({ "format": "dotenv" }))]),
            &["key \"a/b\" is no name of a variable"],
        ),
        (
            "no-map",
            json!([odd("f", json!({ "format": "files", "secretKey": "text" }))]),
            &["the data is a string"],
        ),
        ("no-json", json!([odd("f", json!({ "jsonPointer": "/text/x" }))]), &["is a string that is no JSON"]),
        (
            "collision",
            json!([
                object(&ns, "user", json!({ "secretKey": "user" })),
                object(&ns, ".", json!({ "format": "files" }))
            ]),
            &["two objects would make the file \"user\""],
        ),
        ("optional-denied", json!([denied]), &["Forbidden", "permission denied"]),
        (
            "missing-key",
            json!([object(&ns, "f", json!({ "format": "json", "include": ["gone"] }))]),
            &["NotFound", "no key \"gone\""],
        ),
    ] {
        class(&setup, &ns, name, &objects).await;
        until_true(&format!("the expected error of {name}"), async || {
            let refused = setup.kubectl(["get", "vaultsecret", name, "-n", n, "-o", "yaml"]).await;
            let text = refused.refused();
            assert!(!text.contains(PASSWORD), "{text}");
            parts.iter().all(|part| text.contains(part))
        })
        .await;
    }
}

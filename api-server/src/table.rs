//! Tables, which `kubectl get` prints. They hold no secret values.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::age::age;
use crate::query::IncludeObject;
use crate::vault_secret::{PartialMetadata, VaultSecret};
use crate::watched_class::WatchedClass;

/// Returns the `meta.k8s.io/v1` table of one class.
pub(crate) fn table(class: &WatchedClass, include: IncludeObject, now: Timestamp) -> Value {
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": columns(),
        "rows": [row(class, include, now)],
    })
}

/// Returns the definitions of the columns.
pub(crate) fn columns() -> Value {
    let column = |name: &str, kind: &str, format: &str, priority: u8, description: &str| json!({"name": name, "type": kind, "format": format, "priority": priority, "description": description});
    json!([
        column("Name", "string", "name", 0, "Name of the SecretProviderClass."),
        column("Role", "string", "", 0, "The role at Vault's auth method that is logged in with."),
        column("Objects", "string", "", 0, "How many files there are."),
        column("Age", "string", "", 0, "Time since the SecretProviderClass was created."),
        column("Provider", "string", "", 1, "Provider of the SecretProviderClass."),
        column("Service-Account", "string", "", 1, "Who reads for users that are no service account."),
    ])
}

/// Returns the row of a class.
pub(crate) fn row(class: &WatchedClass, include: IncludeObject, now: Timestamp) -> Value {
    let (role, objects) = match &class.summary {
        Ok(summary) => (&*summary.role, summary.objects.to_string()),
        Err(_) => ("<invalid>", "<invalid>".to_owned()),
    };
    let account = class.service_account.as_deref().unwrap_or("<none>");
    let mut row = json!({
        "cells": [*class.name, role, objects, age_of(class.created.as_ref(), now), *class.provider, account],
    });
    let object = match include {
        IncludeObject::Metadata => serde_json::to_value(PartialMetadata::new(class)),
        IncludeObject::Object => serde_json::to_value(VaultSecret::without_values(class)),
        IncludeObject::None => return row,
    };
    row["object"] = object.unwrap_or_default();
    row
}

fn age_of(created: Option<&Time>, now: Timestamp) -> String {
    created.map_or_else(|| "<unknown>".to_owned(), |Time(at)| age(now.as_second() - at.as_second()))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;
    use serde_json::json;

    use super::table;
    use crate::query::IncludeObject;
    use crate::watched_class::tests::{object, watched};

    #[test]
    fn a_row_has_a_cell_for_each_column_and_no_value() {
        let mut object = object();
        object["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
        let class = watched(&object).expect("a class of ours");
        let now: Timestamp = "2026-01-03T01:00:00Z".parse().expect("a time");
        for (include, kind) in [
            (IncludeObject::Metadata, json!("PartialObjectMetadata")),
            (IncludeObject::Object, json!("VaultSecret")),
            (IncludeObject::None, json!(null)),
        ] {
            let table = table(&class, include, now);
            let row = &table["rows"][0];
            assert_eq!(row["cells"], json!(["db", "app", "2", "2d1h", "vault", "web"]));
            assert_eq!(table["columnDefinitions"].as_array().map(Vec::len), Some(6));
            assert_eq!(row["object"]["kind"], kind);
            assert!(row["object"].get("data").is_none());
        }
    }

    #[test]
    fn a_wrong_class_has_a_row_too() {
        let mut object = object();
        object["spec"]["parameters"] = json!({});
        object["metadata"]["annotations"] = json!(null);
        let class = watched(&object).expect("a class of ours");
        let table = table(&class, IncludeObject::None, Timestamp::UNIX_EPOCH);
        assert_eq!(
            table["rows"][0]["cells"],
            json!(["db", "<invalid>", "<invalid>", "<unknown>", "vault", "<none>"])
        );
    }
}

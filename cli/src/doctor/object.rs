//! Objects of Kubernetes as JSON.

use serde_json::Value;

/// Returns a member's text; an empty one if there is none.
pub(super) fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object[member].as_str().unwrap_or_default()
}

/// Returns the items of a list; none if there is no list.
pub(super) fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

/// Returns an object's name.
pub(super) fn name(object: &Value) -> &str {
    text(&object["metadata"], "name")
}

/// Returns an object's namespace.
pub(super) fn namespace(object: &Value) -> &str {
    text(&object["metadata"], "namespace")
}

/// Returns `NAMESPACE/NAME`.
pub(super) fn full_name(object: &Value) -> String {
    format!("{}/{}", namespace(object), name(object))
}

/// Returns a label's value; an empty one if there is none.
pub(super) fn label<'a>(object: &'a Value, label: &str) -> &'a str {
    text(&object["metadata"]["labels"], label)
}

/// Tells whether a condition of an object's status is `True`.
pub(super) fn has_condition(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| text(condition, "status") == "True")
}

/// Returns a condition of an object's status.
pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    items(&object["status"]["conditions"]).iter().find(|condition| text(condition, "type") == kind)
}

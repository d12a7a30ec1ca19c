//! What the version of a file is computed from, beside the contents.

use coffer_vault::Secret;
use coffer_vault::json::write_string;

use super::fields::{FieldValue, ObjectFields};
use crate::go_json::write_value;

/// The fields that the incumbent does not know, and that decide what is in the file.
const OWN_FIELDS: [&str; 8] = [
    "format",
    "include",
    "exclude",
    "jsonPointer",
    "template",
    "leftDelimiter",
    "rightDelimiter",
    "errorOnMissingKey",
];

/// Returns the object as Go's `encoding/json` prints the incumbent's struct, field for field, and
/// after that the fields that the incumbent does not know, if they are set.
pub(super) fn fingerprint(fields: &ObjectFields, mode: Option<u32>) -> Secret {
    let mut out = Secret::default();
    for (n, (go_name, field)) in [
        ("ObjectName", "objectName"),
        ("SecretPath", "secretPath"),
        ("SecretKey", "secretKey"),
        ("Method", "method"),
        ("SecretArgs", "secretArgs"),
        ("FilePermission", "filePermission"),
        ("Encoding", "encoding"),
    ]
    .into_iter()
    .enumerate()
    {
        out.push(if n == 0 { b"{" } else { b"," });
        write_string(&mut out, go_name);
        out.push(b":");
        match field {
            "secretArgs" => match &fields.arguments {
                Some((_, arguments)) => write_value(&mut out, arguments),
                None => out.push(b"null"),
            },
            "filePermission" => out.push(mode.unwrap_or(0).to_string().as_bytes()),
            _ => write_field(&mut out, fields.value(field)),
        }
    }
    for field in OWN_FIELDS.into_iter().filter(|field| fields.is_set(field)) {
        if fields.text(field) != Some("response") {
            out.push(b",");
            write_string(&mut out, field);
            out.push(b":");
            write_field(&mut out, fields.value(field));
        }
    }
    out.push(b"}");
    out
}

fn write_field(out: &mut Secret, value: Option<&FieldValue>) {
    match value {
        Some(FieldValue::Text(text)) => write_string(out, text),
        Some(FieldValue::List(texts)) => {
            for (n, text) in texts.iter().enumerate() {
                out.push(if n == 0 { b"[" } else { b"," });
                write_string(out, text);
            }
            out.push(if texts.is_empty() { b"[]" } else { b"]" });
        }
        None => write_string(out, ""),
    }
}

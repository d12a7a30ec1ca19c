//! Prints the list `objects` as JSON, for the fuzz targets alone.

use std::fmt::Write;

use serde_json::Value;

use super::fields::{FIELDS, FieldValue};
use super::read;

/// Returns what a list of objects says; none if it cannot be read.
#[must_use]
pub fn printed_objects(text: &str) -> Option<String> {
    let objects = read(text).ok()?;
    let objects: Vec<String> = objects
        .iter()
        .map(|fields| {
            let mut members: Vec<String> =
                fields.unknown.iter().map(|(_, name)| format!("{}: ''", quoted(name))).collect();
            for name in FIELDS {
                match fields.value(name) {
                    Some(FieldValue::Text(text)) => members.push(format!("{name}: {}", quoted(text))),
                    Some(FieldValue::List(texts)) => {
                        let texts: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
                        members.push(format!("{name}: [{}]", texts.join(", ")));
                    }
                    None => {}
                }
            }
            members.extend(fields.arguments.iter().map(|(_, value)| format!("secretArgs: {}", flow(value))));
            format!("{{{}}}", members.join(", "))
        })
        .collect();
    Some(format!("[{}]", objects.join(",\n")))
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members: Vec<_> =
                members.iter().map(|(name, value)| format!("{}: {}", quoted(name), flow(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

/// Returns a text in double quotes, as YAML has them.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

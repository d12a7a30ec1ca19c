use std::sync::Arc;

use coffer_vault::{Answer, Secret};

use super::{FilesBudget, Frames, Parsed, RenderContext, Rendered, TemplateSteps, render};
use crate::class::Class;
use crate::memory::MemoryAccount;
use crate::{Error, ErrorKind, Settings};

mod bad_input;
mod outputs;
mod templates;

fn rendered(fields: &str, body: &str, frames: &Frames) -> Result<Rendered, Error> {
    all_rendered(fields, body, frames).map(|mut files| files.remove(0))
}

fn all_rendered(fields: &str, body: &str, frames: &Frames) -> Result<Vec<Rendered>, Error> {
    let objects = format!("[{{objectName: f, secretPath: p, {fields}}}]");
    let parameters = [("roleName", "r"), ("objects", &objects)].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let class = Class::parse(&parameters.into(), &Settings::default()).expect("a class");
    let answer = Arc::new(Answer::from_body(Secret::from(body)).expect("JSON"));
    let budget = FilesBudget::new(1 << 20, TemplateSteps::All);
    render(
        &class.objects[0],
        &[&Parsed::new(&answer)],
        &RenderContext { frames, budget: &budget, limit: 1 << 20 },
    )
}

fn stored_frames() -> Frames {
    Frames::stored_in(MemoryAccount::new(1 << 20).of("ns"))
}

fn contents(fields: &str, body: &str) -> Result<String, Error> {
    let rendered = rendered(fields, body, &stored_frames())?;
    Ok(String::from_utf8(rendered.contents.expose().to_vec()).expect("UTF-8"))
}

fn value(key: &str, data: &str) -> Result<String, Error> {
    contents(&format!("secretKey: {key}"), &format!(r#"{{"data":{data}}}"#))
}

#[test]
fn a_string_is_written_as_text_and_other_values_as_json() {
    let data =
        r#"{"s":"a\"b<","n":1.50,"big":12345678901234567890,"l":["<",{"b":1,"a":2}],"z":null,"t":true}"#;
    for (key, expected) in [
        ("s", "a\"b<"),
        ("n", "1.50"),
        ("big", "12345678901234567890"),
        ("l", r#"["\u003c",{"a":2,"b":1}]"#),
        ("z", "null"),
        ("t", "true"),
    ] {
        assert_eq!(value(key, data).expect(key), expected);
    }
}

#[test]
fn keys_are_found_in_kv_v2_kv_v1_and_elsewhere() {
    let v2 = r#"{"data":{"k":"inner"},"metadata":{"version":1}}"#;
    assert_eq!(value("k", v2).expect("a value"), "inner");
    assert_eq!(value("metadata", v2).expect_err("no key").kind, ErrorKind::NotFound);
    // a KV v1 secret with a key called data, which the incumbent misreads
    let v1 = r#"{"data":{"k":"inner"},"k":"outer","other":"o"}"#;
    assert_eq!(value("k", v1).expect("a value"), "outer");
    assert_eq!(value("other", v1).expect("a value"), "o");
    assert_eq!(value("data", v1).expect("a value"), r#"{"k":"inner"}"#);
    // what the incumbent finds is still found
    assert_eq!(value("k", r#"{"data":{"k":"inner"}}"#).expect("a value"), "inner");
}

#[test]
fn the_error_for_a_missing_key_repeats_nothing_of_the_secret() {
    let error = value("pasword", r#"{"password":"hunter2"}"#).expect_err("no key");
    assert_eq!(error.to_string(), "object \"f\" (p): the secret has no key \"pasword\". Check secretKey");
    assert!(contents("secretKey: k", "{}").expect_err("no data").message.contains("no data"));
}

#[test]
fn encodings_are_decoded_as_go_does() {
    assert_eq!(
        contents("secretKey: k, encoding: base64", r#"{"data":{"k":"aGVs\nbG8="}}"#).expect("text"),
        "hello"
    );
    assert_eq!(
        contents("secretKey: k, encoding: HEX", r#"{"data":{"k":"68656C6c6f"}}"#).expect("text"),
        "hello"
    );
    for (encoding, text) in
        [("base64", "aGVsbG8"), ("base64", "a-b_"), ("base64", "hunter2!"), ("hex", "abc"), ("hex", "zz")]
    {
        let body = format!(r#"{{"data":{{"k":"{text}"}}}}"#);
        let error = contents(&format!("secretKey: k, encoding: {encoding}"), &body).expect_err(text);
        assert_eq!(error.kind, ErrorKind::BadAnswer);
        assert!(!error.to_string().contains(text), "{error}");
    }
}

#[test]
fn a_whole_response_has_the_fields_of_vaults_client_in_its_order() {
    assert_eq!(
        contents(
            "secretKey: ''",
            r#"{"warnings":null,"data":{"b":1,"a":"<"},"request_id":"r","mount_type":"kv","other":1}"#
        )
        .expect("JSON"),
        r#"{"request_id":"r","lease_id":"","lease_duration":0,"renewable":false,"data":{"a":"\u003c","b":1},"warnings":null,"mount_type":"kv"}"#
    );
    assert_eq!(
        contents("secretKey: ''", r#"{"data":{},"auth":{"client_token":"t","renewable":true,"token_type":"service"},"wrap_info":{"ttl":60},"warnings":["w"]}"#)
            .expect("JSON"),
        concat!(
            r#"{"request_id":"","lease_id":"","lease_duration":0,"renewable":false,"data":{},"warnings":["w"],"#,
            r#""auth":{"client_token":"t","accessor":"","policies":null,"token_policies":null,"identity_policies":null,"metadata":null,"#,
            r#""orphan":false,"entity_id":"","lease_duration":0,"renewable":true,"mfa_requirement":null},"#,
            r#""wrap_info":{"token":"","accessor":"","ttl":60,"creation_time":"0001-01-01T00:00:00Z","creation_path":"","wrapped_accessor":""}}"#
        )
    );
}

#[test]
fn a_whole_response_has_the_same_bytes_while_its_data_is_the_same() {
    let frames = stored_frames();
    let body = |id: &str, data: &str| format!(r#"{{"request_id":"{id}","data":{{"k":"{data}"}}}}"#);
    let text = |id, data| rendered("secretKey: ''", &body(id, data), &frames).expect("JSON").contents;
    let first = text("1", "a");
    assert_eq!(text("2", "a"), first);
    assert_ne!(text("3", "b"), first);
}

#[test]
fn a_vault_token_in_an_answer_is_never_taken_from_the_last_frame() {
    let frames = stored_frames();
    let token = |token: &str| {
        let body = format!(r#"{{"data":{{}},"auth":{{"client_token":"{token}"}}}}"#);
        String::from_utf8(rendered("secretKey: ''", &body, &frames).expect("JSON").contents.into_bytes())
    };
    assert!(token("first").expect("UTF-8").contains("first"));
    assert!(token("second").expect("UTF-8").contains("second"));
}

#[test]
fn a_response_without_data_is_refused() {
    assert_eq!(
        contents("secretKey: ''", r#"{"data":null,"auth":{}}"#).expect_err("no data").kind,
        ErrorKind::NotFound
    );
}

#[test]
fn the_version_of_a_whole_response_is_computed_from_its_data() {
    let rendered =
        rendered("secretKey: ''", r#"{"request_id":"r","data":{"k":"v"}}"#, &stored_frames()).expect("JSON");
    assert_eq!(rendered.hashed(), br#"{"k":"v"}"#);
}

#[test]
fn the_version_of_static_credentials_leaves_out_the_time_that_is_left() {
    let frames = stored_frames();
    let of = |ttl: u32, password: &str, fields: &str| {
        let data = format!(
            r#"{{"last_vault_rotation":"x","password":"{password}","rotation_period":60,"ttl":{ttl},"username":"u"}}"#
        );
        let body = format!(r#"{{"request_id":"{ttl}","lease_duration":0,"data":{data}}}"#);
        rendered(fields, &body, &frames).expect("a file")
    };
    let (first, second, rotated) =
        (of(60, "p", "secretKey: ''"), of(59, "p", "secretKey: ''"), of(60, "q", "secretKey: ''"));
    assert_eq!(first.hashed(), second.hashed());
    assert_ne!(first.hashed(), rotated.hashed());
    let text = String::from_utf8_lossy(second.contents.expose()).into_owned();
    assert!(text.contains("\"ttl\":59") && text.contains("\"request_id\":\"60\""), "{text}");
    assert_eq!(of(59, "p", "secretKey: ttl").hashed(), b"59");
}

//! Vault's answers that the templates ask for.

use std::sync::Arc;

use coffer_template::{Template, TemplateAction};
use coffer_vault::{Answer, Secret};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Map, Value, json};

/// The bodies, by their paths.
pub(crate) struct Answers(Map<String, Value>);

impl Answers {
    pub(crate) fn new() -> Self {
        let texts = json!({
            "password": "s3cr3t", "user": "app", "html": "<a href=\"x\">&'</a>", "empty": "",
            "space": "  in the \t middle\n", "lines": "one\ntwo\n\nthree\n", "number": 42, "float": 1.50,
            "big": 12345678901234567890_u64, "tiny": 1e-7, "yes": true, "no": false, "nothing": null,
            "list": ["a", "b", "c"], "mixed": ["x", 1, true, null, {"k": "v"}, [1, 2]], "none": [],
            "map": {"z": 1, "a": "first", "m": {"deep": ["er"]}}, "hollow": {},
            "csv": "a,b,,c", "json": "{\"b\":[1,2.5,null],\"a\":\"<x>\",\"n\":1e21,\"t\":true}",
            "base64": "aGVsbG8gd29ybGQ=", "binary": "/u3+7QAAAAI=", "unicode": "grüße 日本 ß",
            "date": "2024-01-02", "on": "on", "octal": "0755", "colon": "a: b", "hash": "a #b",
            "tab": "a\tb", "quote": "it's \"so\"", "percent": "100%", "long": "word ".repeat(40),
            "keys": {"k10": 1, "k9": 2, "a-b": 3, "a_b": 4, "yes": 5, "": 6, "x y": 7, "0x1": 8},
            "sexagesimal": "12:30:45", "tilde": "~", "minus": "-", "dots": "...", "control": "\u{1}\u{7f}",
        });
        let mut answers = Map::new();
        let envelope = |data: Value| {
            json!({ "request_id": "1-2-3", "lease_id": "", "lease_duration": 2_764_800, "renewable": false,
                "data": data, "warnings": null })
        };
        let metadata =
            json!({ "version": 7, "created_time": "2024-05-06T07:08:09.1Z", "custom_metadata": null });
        answers.insert(
            "secret/data/app".into(),
            envelope(json!({ "data": texts.clone(), "metadata": metadata })),
        );
        answers.insert("kv/app".into(), envelope(texts));
        let mut leased = envelope(json!({ "username": "v-app-x", "password": "p" }));
        leased["lease_id"] = "database/creds/app/abc".into();
        leased["lease_duration"] = 3600.into();
        leased["renewable"] = true.into();
        leased["warnings"] = json!(["first", "second <b>"]);
        answers.insert("database/creds/app".into(), leased);
        answers.insert("empty/answer".into(), envelope(json!({})));
        let mut login = envelope(json!({}));
        login["auth"] = json!({ "client_token": "hvs.x", "accessor": "acc", "policies": ["default", "app"],
            "metadata": { "role": "app" }, "lease_duration": 60, "renewable": true });
        answers.insert("auth/approle/login".into(), login);
        answers.insert("pki/issue/app".into(), envelope(certificate()));
        Self(answers)
    }

    /// Returns the bodies as a JSON object.
    pub(crate) fn json(&self) -> String {
        body(&Value::Object(self.0.clone()))
    }

    /// Returns the answers to a template's requests; none if one has no answer.
    pub(crate) fn of(&self, template: &Template) -> Option<Vec<Arc<Answer>>> {
        let requests = template.requests().iter();
        requests
            .map(|request| {
                assert!(request.action == TemplateAction::Read || request.query.is_empty());
                let body = body(self.0.get(&request.path)?);
                Some(Arc::new(Answer::from_body(Secret::new(body)).expect("JSON")))
            })
            .collect()
    }
}

/// Returns JSON with a number whose last digit says nothing, as Vault may send it.
fn body(value: &Value) -> String {
    value.to_string().replace("\"float\":1.5,", "\"float\":1.50,")
}

/// Returns what Vault's PKI answers, with an intermediate authority.
fn certificate() -> Value {
    let key = || KeyPair::generate().expect("a key");
    let authority = |name: &str| {
        let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters
    };
    let root = Issuer::new(authority("root"), key());
    let middle_key = key();
    let middle_certificate = authority("middle").signed_by(&middle_key, &root).expect("a certificate");
    let middle = Issuer::new(authority("middle"), middle_key);
    let leaf_key = key();
    let mut leaf = CertificateParams::new(vec!["app.example".to_owned()]).expect("parameters");
    leaf.not_before = rcgen::date_time_ymd(2020, 1, 1);
    leaf.not_after = rcgen::date_time_ymd(2120, 1, 1);
    let leaf = leaf.signed_by(&leaf_key, &middle).expect("a certificate");
    // Vault's PEM has no line break at the end; one authority alone keeps Go's random order out
    json!({ "certificate": leaf.pem().trim(), "private_key": leaf_key.serialize_pem().trim(),
        "issuing_ca": middle_certificate.pem().trim(), "ca_chain": [middle_certificate.pem().trim()],
        "serial_number": "01", "private_key_type": "ec", "expiration": 4_733_510_400_u64 })
}

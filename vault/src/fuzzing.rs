//! The fuzz targets of Vault's answers and of requests to Vault. They are compiled for `cargo fuzz`
//! alone.

use coffer_shares::{Priority, Shares};
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::client::http_request;
use crate::exchange::Exchange;
use crate::json::index::{JsonIndex, JsonIndexer, MAX_DEPTH, MAX_VALUES, NotIndexed};
use crate::json::{JsonValue, strings};
use crate::refusal::Confidential;
use crate::{Address, Answer, Failure, Request, Secret, check_segments};

/// Indexes a body as it arrives, in pieces of `piece` bytes.
///
/// # Panics
/// If the index differs from what another parser of JSON reads, or the pieces change it.
pub fn body(body: &[u8], piece: usize) {
    let whole = JsonIndex::of(body);
    let mut indexer = JsonIndexer::new();
    let mut at = 0;
    let arrived = loop {
        at = body.len().min(at + piece.max(1));
        match indexer.advance(&body[..at]) {
            Ok(()) if at < body.len() => {}
            Ok(()) => break indexer.finish(body),
            Err(reason) => break Err(reason),
        }
    };
    let text = str::from_utf8(body).ok();
    let is_json = text.is_some_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    match (&whole, &arrived) {
        (Ok(whole), Ok(arrived)) => {
            assert!(is_json, "an index of something that is no JSON");
            assert!(whole.len() <= MAX_VALUES && whole.len() == arrived.len());
            let root = whole.root(body);
            assert_eq!(root.raw(), arrived.root(body).raw());
            if let Some(value) = text.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
                compare(root, &value, 0);
            }
        }
        (Err(NotIndexed::NotJson), Err(NotIndexed::NotJson)) => assert!(!is_json, "JSON without an index"),
        (Err(_), Err(_)) => {}
        _ => panic!("pieces change the index"),
    }
}

fn compare(value: JsonValue<'_>, other: &Value, depth: usize) {
    assert!(depth <= MAX_DEPTH);
    match other {
        Value::Object(members) => {
            let sorted = value.sorted_members();
            assert_eq!(sorted.len(), members.len());
            for (key, member) in sorted {
                assert_eq!(value.member(&key).map(JsonValue::raw), Some(member.raw()));
                compare(member, &members[&*key], depth + 1);
            }
        }
        Value::Array(items) => {
            assert_eq!(value.items().count(), items.len());
            value.items().zip(items).for_each(|(item, other)| compare(item, other, depth + 1));
        }
        Value::String(text) => {
            assert_eq!(value.string().as_ref().and_then(Secret::expose_str), Some(text.as_str()));
        }
        Value::Null => assert!(value.is_null()),
        Value::Bool(truth) => assert_eq!(value.raw(), truth.to_string()),
        Value::Number(_) => assert!(value.string().is_none() && !value.is_object() && !value.is_array()),
    }
}

/// Reads an answer with an error status to a request with these JSON arguments.
///
/// # Panics
/// If Vault's words repeat a token or an argument.
pub fn refusal(status: u16, body: &str, arguments: &str, token: &str) {
    let arguments = Secret::from(arguments);
    let token = Secret::from(token);
    let memory = Shares::new(2).try_take("ns", 1, Priority::Common);
    let Some(memory) = memory else { return };
    let exchange = Exchange {
        status: 300 + status % 300,
        headers: HeaderMap::new(),
        json: JsonIndex::of(body.as_bytes()),
        body: Secret::from(body),
        memory,
    };
    let secrets = [token.clone()];
    let answer = Answer::new(exchange, &Confidential { secrets: &secrets, arguments: Some(&arguments) });
    let Err(failure) = answer else { panic!("an answer with an error status") };
    let _ = failure.classify();
    let Failure::Refused(refusal) = &failure else { return };
    let words = refusal.words.as_deref().unwrap_or_default();
    assert!(words.chars().count() <= 400 && !words.contains(['\n', '\r']));
    let mut confidential = strings(&arguments);
    confidential.push(token);
    for secret in confidential.iter().filter_map(Secret::expose_str).filter(|secret| !secret.is_empty()) {
        for piece in words.split("[redacted]") {
            assert!(!piece.contains(secret), "{words:?} has {secret:?}");
        }
    }
}

/// Makes the HTTP request for a path and a query.
///
/// # Panics
/// If the URL is not that of the path and the query below the address.
pub fn request(address: &str, path: &str, query: &[(String, String)], namespace: &str) {
    let Ok(address) = Address::parse(address) else { return };
    assert_eq!(
        Address::parse(&address.to_string()).as_ref(),
        Ok(&address),
        "an address is written as it is read"
    );
    if check_segments(path).is_err() {
        return;
    }
    let request = Request { query: query.to_vec(), ..Request::get(path) };
    let token = Secret::from("hvs.t");
    let namespace = Some(namespace).filter(|namespace| crate::is_header_text(namespace));
    let base = address.base();
    let Ok(built) = http_request(&base, namespace, &request, Some(&token)) else { return };
    let (uri, wanted) = (built.uri().to_string(), format!("{base}/"));
    let Some(rest) = uri.strip_prefix(&wanted) else { panic!("{uri} is not below {wanted}") };
    let (sent, sent_query) = rest.split_once('?').unwrap_or((rest, ""));
    let decoded = percent_decode_str(sent).decode_utf8().unwrap_or_default();
    assert_eq!(decoded, path, "{uri}");
    let pairs: Vec<_> = sent_query.split('&').filter(|pair| !pair.is_empty()).collect();
    assert_eq!(pairs.len(), query.len(), "{uri}");
    for (pair, (name, value)) in pairs.iter().zip(query) {
        let (sent_name, sent_value) = pair.split_once('=').unwrap_or((pair, ""));
        assert_eq!(percent_decode_str(sent_name).decode_utf8().as_deref(), Ok(name.as_str()));
        assert_eq!(percent_decode_str(sent_value).decode_utf8().as_deref(), Ok(value.as_str()));
    }
    assert_eq!(
        built.headers().get("x-vault-namespace").map(|value| value.as_bytes()),
        namespace.map(str::as_bytes)
    );
}

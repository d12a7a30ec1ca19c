//! Answers of which a part counts down, or changes with each renewal. The version of such a whole
//! response leaves that part out: the application uses the rest.

use coffer_vault::Envelope;
use coffer_vault::json::JsonValue;

/// What is left out of the version of static credentials.
const OF_CREDENTIALS: &[&str] = &["ttl"];

/// What is left out of the version of a token's or lease's description.
const OF_LOOKUP: &[&str] = &["expire_time", "last_renewal", "last_renewal_time", "ttl"];

/// Engines whose data is what users wrote.
const OF_USERS: [&str; 3] = ["kv", "generic", "cubbyhole"];

/// Segments in the paths of static credentials.
const CREDENTIALS: [&str; 2] = ["static-creds", "static-cred"];

/// Segments in the paths of descriptions of tokens and leases.
const LOOKUPS: [&str; 2] = ["lookup", "lookup-self"];

/// Returns the fields of `data` that change by themselves; none for most answers.
///
/// An answer is told by its fields, since a mount may have any name: static credentials have
/// `last_vault_rotation`
/// (<https://developer.hashicorp.com/vault/api-docs/secret/databases#get-static-credentials>,
/// <https://developer.hashicorp.com/vault/api-docs/secret/ldap#static-role-passwords>), a token
/// `creation_ttl` (<https://developer.hashicorp.com/vault/api-docs/auth/token#lookup-a-token-self>),
/// a lease `issue_time`. A KV secret with the same fields is not taken for one: version 2 has a map
/// of its own around them, and version 1 has a `lease_duration`, unless its path looks like that of
/// such an endpoint.
pub(crate) fn changing_fields(
    path: &str,
    envelope: &Envelope<'_>,
    data: JsonValue<'_>,
) -> &'static [&'static str] {
    let is_number = |name: &str| data.member(name).is_some_and(|value| value.raw().parse::<u64>().is_ok());
    let has = |name: &str| data.member(name).is_some();
    let is_below = |segments: &[&str]| path.split('/').any(|segment| segments.contains(&segment));
    let (credentials, lookup) = (is_below(&CREDENTIALS), is_below(&LOOKUPS));
    if !is_number("ttl") || is_of_users(credentials || lookup, envelope) {
        return &[];
    }
    if credentials || (has("last_vault_rotation") && has("username")) {
        OF_CREDENTIALS
    } else if (has("creation_ttl") && has("accessor")) || (has("issue_time") && has("expire_time")) {
        OF_LOOKUP
    } else {
        &[]
    }
}

/// Returns whether users wrote the data. `looks_like` is whether the path is that of an endpoint
/// whose answers count down.
fn is_of_users(looks_like: bool, envelope: &Envelope<'_>) -> bool {
    // later versions of Vault name the engine
    let engine = envelope.field("mount_type").and_then(JsonValue::string);
    if let Some(engine) = engine.as_ref().and_then(|engine| engine.expose_str()) {
        return OF_USERS.contains(&engine);
    }
    let has_duration = envelope.field("lease_duration").is_some_and(|value| value.raw() != "0");
    has_duration && !looks_like
}

#[cfg(test)]
mod tests {
    use coffer_vault::{Answer, Secret};

    use super::{OF_CREDENTIALS, OF_LOOKUP, changing_fields};

    fn fields(body: &str) -> &'static [&'static str] {
        fields_at("engine/db", body)
    }

    fn fields_at(path: &str, body: &str) -> &'static [&'static str] {
        let answer = Answer::from_body(Secret::from(body)).expect("an answer");
        let envelope = answer.envelope();
        changing_fields(path, &envelope, envelope.field("data").expect("data"))
    }

    const STATIC: &str = r#""data":{"last_vault_rotation":"2026-01-01T00:00:00Z","password":"p","rotation_period":60,"ttl":42,"username":"u"}"#;

    #[test]
    fn answers_that_count_down_are_told_by_their_fields() {
        assert_eq!(fields(&format!("{{\"lease_duration\":0,{STATIC}}}")), OF_CREDENTIALS);
        let with_duration = format!("{{\"lease_duration\":2764800,{STATIC}}}");
        assert_eq!(fields_at("db/static-creds/app", &with_duration), OF_CREDENTIALS);
        assert_eq!(fields(&format!("{{{STATIC},\"mount_type\":\"database\"}}")), OF_CREDENTIALS);
        let ldap = r#"{"data":{"dn":"d","last_password":"","last_vault_rotation":"x","password":"p","ttl":1,"username":"u"}}"#;
        assert_eq!(fields(ldap), OF_CREDENTIALS);
        let token = r#"{"data":{"accessor":"a","creation_time":1,"creation_ttl":60,"expire_time":"x","id":"t","ttl":59}}"#;
        assert_eq!(fields(token), OF_LOOKUP);
        let lease = r#"{"data":{"expire_time":"x","id":"l","issue_time":"y","last_renewal":null,"renewable":true,"ttl":9}}"#;
        assert_eq!(fields(lease), OF_LOOKUP);
    }

    #[test]
    fn what_users_wrote_counts_whole() {
        for body in [
            format!("{{\"lease_duration\":2764800,{STATIC}}}"),
            format!("{{{STATIC},\"mount_type\":\"kv\"}}"),
            format!("{{\"data\":{{{STATIC},\"metadata\":{{\"version\":1}}}}}}"),
            r#"{"data":{"ttl":42}}"#.to_owned(),
            r#"{"data":{"ttl":42,"username":"u","password":"p"}}"#.to_owned(),
            r#"{"data":{"ttl":"42","username":"u","last_vault_rotation":"x"}}"#.to_owned(),
            r#"{"data":{"username":"u","last_vault_rotation":"x"}}"#.to_owned(),
        ] {
            assert!(fields(&body).is_empty(), "{body}");
        }
    }
}

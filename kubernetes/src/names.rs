//! Names of Kubernetes' objects, checked before they become part of a URL. The client does not
//! escape names, and `../` in one would lead elsewhere.

use crate::error::CallError;

/// Checks the names of a namespace and of an object in it.
///
/// # Errors
/// [`CallError::NotName`], with the beginning of what is no name.
pub(crate) fn check_names(namespace: &str, object: &str) -> Result<(), CallError> {
    let is_name = [(namespace, is_namespace_name(namespace)), (object, is_object_name(object))];
    match is_name.into_iter().find(|(_, is_name)| !is_name) {
        Some((text, _)) => Err(CallError::NotName(text.chars().take(80).collect())),
        None => Ok(()),
    }
}

/// Returns whether a text is a DNS-1123 subdomain, as names of most objects are.
#[must_use]
pub fn is_object_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 253 && text.split('.').all(is_alphanumeric_within)
}

/// Returns whether a text is a DNS-1123 label, as names of namespaces are.
#[must_use]
pub fn is_namespace_name(text: &str) -> bool {
    text.len() <= 63 && is_alphanumeric_within(text)
}

fn is_alphanumeric_within(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::{check_names, is_namespace_name, is_object_name};

    #[test]
    fn a_name_that_would_lead_elsewhere_is_not_asked_for() {
        assert!(check_names("ns", "default").is_ok());
        for (namespace, object) in [
            ("ns", "../other/serviceaccounts/admin"),
            ("ns", "a?b"),
            ("ns", ""),
            ("../ns", "a"),
            ("n.s", "a"),
        ] {
            let error = check_names(namespace, object).expect_err("no name");
            assert!(error.to_string().contains("is not the name of an object"), "{error}");
        }
    }

    #[test]
    fn only_names_that_mean_the_same_in_a_url() {
        for good in ["a", "db", "db.v1", "0-9.a", &"a".repeat(63)] {
            assert!(is_object_name(good), "{good}");
        }
        let long = "a".repeat(254);
        for bad in [
            "", ".", "..", "a..b", "-a", "a-", "A", "ä", "a_b", "a/b", "../b", "a%2fb", "a?b", "a#b", "a b",
            "a\n", "a:b", &long,
        ] {
            assert!(!is_object_name(bad) && !is_namespace_name(bad), "{bad}");
        }
        assert!(
            is_namespace_name("team-a") && !is_namespace_name("a.b") && !is_namespace_name(&"a".repeat(64))
        );
    }
}

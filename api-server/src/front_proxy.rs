//! The user that the front proxy names in headers. The headers count only beside the front proxy's
//! certificate.

use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;

use crate::trust::FrontProxy;
use crate::user::User;

/// A header is not UTF-8, so the user that it means is not known.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header that names the user is not UTF-8")]
pub(crate) struct NotUtf8;

/// Returns the user in a request's headers; `None` where they name no user. The rules are those of
/// k8s.io/apiserver's `headerrequest`: the first user header with a value counts, and every header
/// with a group or an extra.
///
/// # Errors
/// A header is not UTF-8.
pub(crate) fn user(proxy: &FrontProxy, headers: &HeaderMap) -> Result<Option<User>, NotUtf8> {
    let Some(name) = first_value(&proxy.user, headers)? else { return Ok(None) };
    let uid = first_value(&proxy.uid, headers)?.unwrap_or_default();
    let mut user = User { name, uid, ..User::default() };
    for header in &proxy.group {
        for group in headers.get_all(header) {
            let group = text(group.as_bytes())?;
            if !group.is_empty() {
                user.groups.push(group.to_owned());
            }
        }
    }
    for prefix in &proxy.extra_prefixes {
        for (header, value) in headers {
            // http keeps header names in lower case
            if let Some(key) = header.as_str().strip_prefix(prefix) {
                let key = percent_decode_str(key).decode_utf8().map_err(|_| NotUtf8)?.into_owned();
                user.extra.entry(key).or_default().push(text(value.as_bytes())?.to_owned());
            }
        }
    }
    Ok(Some(user))
}

fn first_value(names: &[HeaderName], headers: &HeaderMap) -> Result<Option<String>, NotUtf8> {
    for name in names {
        let value = headers.get(name).map(|value| text(value.as_bytes())).transpose()?;
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            return Ok(Some(value.to_owned()));
        }
    }
    Ok(None)
}

fn text(bytes: &[u8]) -> Result<&str, NotUtf8> {
    std::str::from_utf8(bytes).map_err(|_| NotUtf8)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{NotUtf8, user};
    use crate::client_certificate::tests::TestAuthority;
    use crate::trust::FrontProxy;
    use crate::trust::tests::{map, trust};

    fn proxy() -> Arc<FrontProxy> {
        trust(&map(&TestAuthority::new())).front_proxy.expect("a front proxy")
    }

    fn headers(pairs: &[(&str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, HeaderValue::from_bytes(value).expect("a value"));
        }
        headers
    }

    #[test]
    fn a_user_with_everything() {
        let user = user(
            &proxy(),
            &headers(&[
                ("X-Other-User", b"second"),
                ("X-Remote-User", "jö".as_bytes()),
                ("X-Remote-Uid", b"7"),
                ("X-Remote-Group", b"a"),
                ("X-Remote-Group", b""),
                ("X-Remote-Group", b"b"),
                ("X-Remote-Extra-Acme.com%2FProject", b"one"),
                ("X-Remote-Extra-acme.com%2fproject", b"two"),
                ("X-Unrelated", b"\xff"),
            ]),
        );
        let user = user.expect("text").expect("a user");
        assert_eq!((user.name.as_str(), user.uid.as_str()), ("jö", "7"));
        assert_eq!(user.groups, ["a", "b"]);
        let project = vec!["one".to_owned(), "two".to_owned()];
        assert_eq!(user.extra, BTreeMap::from([("acme.com/project".to_owned(), project)]));
    }

    #[test]
    fn five_hundred_groups() {
        let groups: Vec<(&str, &[u8])> = vec![("X-Remote-Group", b"g"); 500];
        let mut all = groups;
        all.push(("X-Remote-User", b"jo"));
        assert_eq!(user(&proxy(), &headers(&all)).expect("text").expect("a user").groups.len(), 500);
    }

    #[test]
    fn the_first_header_with_a_value_names_the_user() {
        let named = user(&proxy(), &headers(&[("X-Remote-User", b""), ("X-Other-User", b"second")]));
        assert_eq!(named.expect("text").expect("a user").name, "second");
        assert_eq!(user(&proxy(), &headers(&[("X-Remote-Group", b"a")])), Ok(None));
    }

    #[test]
    fn what_is_no_text_names_nobody() {
        for bad in [
            ("X-Remote-User", &b"\xff"[..]),
            ("X-Remote-Group", b"\xff"),
            ("X-Remote-Extra-a", b"\xff"),
            ("X-Remote-Extra-%ff", b"a"),
        ] {
            let mut pairs = vec![("X-Remote-User", &b"jo"[..])];
            if bad.0 == "X-Remote-User" {
                pairs.clear();
            }
            pairs.push(bad);
            assert_eq!(user(&proxy(), &headers(&pairs)), Err(NotUtf8), "{}", bad.0);
        }
    }
}

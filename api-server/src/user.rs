//! The user who sends a request.

use std::collections::BTreeMap;

use coffer_kubernetes::{is_namespace_name, is_object_name};

const ANONYMOUS: &str = "system:anonymous";
const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// A user, described as Kubernetes does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// Returns the user of requests without a credential.
    pub(crate) fn anonymous() -> Self {
        Self { name: ANONYMOUS.to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..Self::default() }
    }

    /// Adds the group of all authenticated users, as Kubernetes' own servers do
    /// (`AuthenticatedGroupAdder` of k8s.io/apiserver).
    pub(crate) fn authenticated(mut self) -> Self {
        let is_either = |group: &String| group == AUTHENTICATED || group == UNAUTHENTICATED;
        if self.name != ANONYMOUS && !self.groups.iter().any(is_either) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }

    /// Returns namespace and name of the service account that the user is, if any. A user of
    /// another kind may have any name after the prefix, and is then no service account.
    pub(crate) fn service_account(&self) -> Option<(&str, &str)> {
        let (namespace, name) = self.name.strip_prefix("system:serviceaccount:")?.split_once(':')?;
        (is_namespace_name(namespace) && is_object_name(name)).then_some((namespace, name))
    }
}

#[cfg(test)]
mod tests {
    use super::User;

    fn user(name: &str, groups: &[&str]) -> User {
        User {
            name: name.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..User::default()
        }
    }

    #[test]
    fn every_authenticated_user_is_in_their_group() {
        assert_eq!(user("jo", &["a"]).authenticated().groups, ["a", "system:authenticated"]);
        assert_eq!(user("jo", &["system:authenticated"]).authenticated().groups, ["system:authenticated"]);
        assert_eq!(user("jo", &["system:unauthenticated"]).authenticated().groups.len(), 1);
        assert_eq!(User::anonymous().authenticated(), User::anonymous());
    }

    #[test]
    fn service_accounts_are_known_by_their_name() {
        let account = |name: &str| {
            let user = user(name, &[]);
            user.service_account().map(|(namespace, name)| format!("{namespace}/{name}"))
        };
        assert_eq!(account("system:serviceaccount:ns:web").as_deref(), Some("ns/web"));
        for name in [
            "jo",
            "system:serviceaccount:ns",
            "system:serviceaccount::web",
            "system:serviceaccount:ns:",
            "system:serviceaccount:a:b:c",
            "xsystem:serviceaccount:ns:web",
            "system:serviceaccount:ns:../../kube-system/serviceaccounts/admin",
            "system:serviceaccount:ns:web/token?",
            "system:serviceaccount:ns:%2e%2e",
            "system:serviceaccount:../ns:web",
            "system:serviceaccount:n.s:web",
            "system:serviceaccount:ns:Web",
        ] {
            assert_eq!(account(name), None, "{name}");
        }
    }
}

//! `get`: reads a class through the read path, as the service account that the rules name.

use std::sync::Arc;

use coffer_kubernetes::is_object_name;
use coffer_provider::class::Class;
use coffer_provider::{
    Address, Bundle, Error, ErrorKind, Identity, Issuing, Provider, ReadRequest, RefusalReason,
};
use tokio::time::Instant;

use crate::api::{ALLOW_ISSUING, SERVICE_ACCOUNT};
use crate::api_error::ApiError;
use crate::user::User;
use crate::watched_class::WatchedClass;

/// Reads classes.
pub(crate) struct ClassReader {
    pub(crate) provider: Provider,
    /// The Vault servers that may be contacted, whatever a class says.
    pub(crate) allowed: Vec<Address>,
}

/// Contents of all files together, at most, in bytes: the limit of a mount.
const MAX_BYTES: usize = 4 << 20;

/// Mode of files. It does not appear in answers.
const MODE: u32 = 0o644;

impl ClassReader {
    /// Reads the files of a class as the service account `account` of its namespace.
    ///
    /// # Errors
    /// The class is wrong, or a file of it cannot be read.
    pub(crate) async fn read(
        self: &Arc<Self>,
        class: Arc<Class>,
        watched: &WatchedClass,
        account: &str,
        deadline: Instant,
    ) -> Result<Bundle, Error> {
        self.check_address(&class)?;
        let request = ReadRequest {
            class,
            identity: Identity {
                namespace: watched.namespace.to_string(),
                service_account: account.to_owned(),
                pod: None,
            },
            volume: String::new(),
            tokens: [].into(),
            default_mode: MODE,
            max_bytes: MAX_BYTES,
            issuing: if watched.allows_issuing { Issuing::Allowed } else { Issuing::Refused },
            deadline,
        };
        // in a task of its own: a client that hangs up does not stop it halfway, and its panic ends
        // nobody else
        let reader = Arc::clone(self);
        let read = tokio::spawn(async move { reader.provider.read(&request).await });
        let read = read.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "a fault in coffer-api-server; its log says where"))
        });
        read.map_err(with_issuing_advice)
    }

    fn check_address(&self, class: &Class) -> Result<(), Error> {
        let address = &class.target.address;
        if self.allowed.contains(address) {
            return Ok(());
        }
        Err(Error::class(format!("parameter \"vaultAddress\": this API server may not contact {address}"))
            .refused_for(RefusalReason::Address)
            .with_advice("Its flag --allowed-vault-addresses lists the addresses that it may contact"))
    }
}

/// Returns the service account that reads for a user: a service account of the class's namespace
/// itself, and for all others the one in the class's annotation.
///
/// # Errors
/// 403 that says how to annotate the class, or 422 for an annotation that is not a name.
pub(crate) fn reading_account<'a>(user: &'a User, class: &'a WatchedClass) -> Result<&'a str, ApiError> {
    if let Some((_, account)) =
        user.service_account().filter(|(namespace, _)| *namespace == &*class.namespace)
    {
        return Ok(account);
    }
    let WatchedClass { namespace, name, .. } = class;
    let Some(account) = &class.service_account else {
        return Err(ApiError::forbidden(format!(
            "User {:?} is no service account of namespace {namespace:?}, and SecretProviderClass {name:?} names none to \
             read as. Annotate it: kubectl annotate secretproviderclass -n {namespace} {name} {SERVICE_ACCOUNT}=NAME",
            user.name
        ))
        .about(name));
    };
    if !is_object_name(account) {
        return Err(ApiError::invalid(format!(
            "SecretProviderClass {name:?}: annotation {SERVICE_ACCOUNT} is not the name of a service account"
        ))
        .about(name));
    }
    Ok(account)
}

/// Adds advice to the refusal of an object that makes Vault issue something.
fn with_issuing_advice(error: Error) -> Error {
    if error.kind != ErrorKind::Issues {
        return error;
    }
    error
        .with_advice(format!("The SecretProviderClass allows it by the annotation {ALLOW_ISSUING}: \"true\""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::reading_account;
    use crate::user::User;
    use crate::watched_class::tests::{object, watched};

    fn user(name: &str) -> User {
        User { name: name.to_owned(), ..User::default() }
    }

    #[test]
    fn a_service_account_of_the_namespace_reads_as_itself_and_others_by_annotation() {
        let class = watched(&object()).expect("a class");
        assert_eq!(reading_account(&user("system:serviceaccount:ns:job"), &class), Ok("job"));
        assert_eq!(reading_account(&user("system:serviceaccount:other:job"), &class), Ok("web"));
        assert_eq!(reading_account(&user("jo"), &class), Ok("web"));
    }

    #[test]
    fn without_an_annotation_the_answer_says_what_to_do() {
        let mut object = object();
        object["metadata"]["annotations"] = json!({});
        let class = watched(&object).expect("a class");
        let refusal = reading_account(&user("jo"), &class).expect_err("nobody reads");
        assert_eq!(refusal.code(), 403);
        assert!(refusal.message().contains("kubectl annotate secretproviderclass -n ns db"), "{refusal:?}");
        assert_eq!(reading_account(&user("system:serviceaccount:ns:job"), &class), Ok("job"));
    }

    #[test]
    fn an_annotation_that_is_no_name_reaches_no_url() {
        let mut object = object();
        object["metadata"]["annotations"] = json!({"custom.secrets.k8s.io/service-account": "../default"});
        let class = watched(&object).expect("a class");
        assert_eq!(reading_account(&user("jo"), &class).expect_err("nobody reads").code(), 422);
    }
}

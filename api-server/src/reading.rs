//! `get`: reads a class through the one read path, as the service account that the rules name.

use std::sync::Arc;

use coffer_provider::class::Class;
use coffer_provider::{
    Address, Bundle, Error, ErrorKind, Identity, Issuing, Provider, ReadRequest, Settings,
};
use tokio::time::Instant;

use crate::api::{ALLOW_ISSUING, SERVICE_ACCOUNT};
use crate::class::{HeldClass, Summary};
use crate::failure::Failure;
use crate::route;
use crate::user::User;

/// Reads classes.
pub(crate) struct Reading {
    pub(crate) provider: Provider,
    pub(crate) settings: Settings,
    /// The Vault servers that may be contacted, whatever a class says.
    pub(crate) allowed: Vec<Address>,
}

/// Contents of all files together, at most, in bytes: what a mount may be.
const MAX_BYTES: usize = 4 << 20;

/// Mode of files; it reaches nobody through this door.
const MODE: u32 = 0o644;

impl Reading {
    /// The files of a class, read as `account` of its namespace.
    ///
    /// # Errors
    /// Why they are not had.
    pub(crate) async fn read(
        self: &Arc<Self>,
        class: &HeldClass,
        account: &str,
        deadline: Instant,
    ) -> Result<Bundle, Error> {
        let summary = class.summary.as_ref().map_err(|error| Error::clone(error))?;
        self.check_address(summary)?;
        let request = ReadRequest {
            class: Arc::new(Class::parse(&class.parameters(), &self.settings)?),
            identity: Identity {
                namespace: class.namespace.to_string(),
                service_account: account.to_owned(),
                pod: None,
            },
            volume: String::new(),
            tokens: [].into(),
            default_mode: MODE,
            max_bytes: MAX_BYTES,
            issuing: if class.allows_issuing { Issuing::Allowed } else { Issuing::Refused },
            deadline,
        };
        // in a task of its own: a client that hangs up does not stop it halfway, and its panic ends nobody else
        let reading = Arc::clone(self);
        let read = tokio::spawn(async move { reading.provider.read(&request).await });
        read.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "a fault in coffer-api-server; its log says where"))
        })
    }

    fn check_address(&self, summary: &Summary) -> Result<(), Error> {
        let Summary { address, .. } = summary;
        if self.allowed.contains(address) {
            return Ok(());
        }
        Err(Error::class(format!(
            "parameter \"vaultAddress\": {address} is none that this API server may contact"
        ))
        .with_advice("Its flag --allowed-vault-addresses lists those"))
    }
}

/// Who reads for a user: a service account of the class's namespace itself, for all others the one that the class
/// names.
///
/// # Errors
/// 403 that says what to do.
pub(crate) fn reader<'a>(user: &'a User, class: &'a HeldClass) -> Result<&'a str, Failure> {
    if let Some((_, account)) =
        user.service_account().filter(|(namespace, _)| *namespace == &*class.namespace)
    {
        return Ok(account);
    }
    let HeldClass { namespace, name, .. } = class;
    let Some(account) = &class.service_account else {
        return Err(Failure::forbidden(format!(
            "User {:?} is no service account of namespace {namespace:?}, and SecretProviderClass {name:?} names none to \
             read as. Annotate it: kubectl annotate secretproviderclass -n {namespace} {name} {SERVICE_ACCOUNT}=NAME",
            user.name
        ))
        .about(name));
    };
    if !route::is_name(account) {
        return Err(Failure::invalid(format!(
            "SecretProviderClass {name:?}: annotation {SERVICE_ACCOUNT} is no name of a service account"
        ))
        .about(name));
    }
    Ok(account)
}

/// Says how reading what issues something is allowed.
pub(crate) fn advised(error: Error) -> Error {
    if error.kind != ErrorKind::Issues || error.to_string().contains(ALLOW_ISSUING) {
        return error;
    }
    error
        .with_advice(format!("The SecretProviderClass allows it by the annotation {ALLOW_ISSUING}: \"true\""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::reader;
    use crate::class::tests::{held, object};
    use crate::user::User;

    fn user(name: &str) -> User {
        User { name: name.to_owned(), ..User::default() }
    }

    #[test]
    fn a_service_account_of_the_namespace_reads_as_itself_and_others_by_annotation() {
        let class = held(&object()).expect("a class");
        assert_eq!(reader(&user("system:serviceaccount:ns:job"), &class), Ok("job"));
        assert_eq!(reader(&user("system:serviceaccount:other:job"), &class), Ok("web"));
        assert_eq!(reader(&user("jo"), &class), Ok("web"));
    }

    #[test]
    fn without_an_annotation_the_answer_says_what_to_do() {
        let mut object = object();
        object["metadata"]["annotations"] = json!({});
        let class = held(&object).expect("a class");
        let refusal = reader(&user("jo"), &class).expect_err("nobody reads");
        assert_eq!(refusal.code(), 403);
        assert!(refusal.message().contains("kubectl annotate secretproviderclass -n ns db"), "{refusal:?}");
        assert_eq!(reader(&user("system:serviceaccount:ns:job"), &class), Ok("job"));
    }

    #[test]
    fn an_annotation_that_is_no_name_reaches_no_url() {
        let mut object = object();
        object["metadata"]["annotations"] = json!({"custom.secrets.k8s.io/service-account": "../default"});
        let class = held(&object).expect("a class");
        assert_eq!(reader(&user("jo"), &class).expect_err("nobody reads").code(), 422);
    }
}

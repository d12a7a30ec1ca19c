//! The classes of a node, and the driver's requests.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::class::Class;
use crate::{Address, Identity, Issuing, Pod, ReadRequest, Secret, Settings};

/// Time for a mount.
const DEADLINE: Duration = Duration::from_secs(30);

/// Returns the settings of an agent whose Vault is at this socket.
pub(super) fn settings(socket: &Path) -> Settings {
    let address = Address::parse(&format!("unix://{}", socket.display())).expect("an address");
    Settings { address, ..Settings::default() }
}

/// Returns the classes. They differ in roles, and share requests.
pub(super) fn classes(settings: &Settings) -> Vec<Arc<Class>> {
    const KV: &str = "- {objectName: kv, secretPath: secret/data/a, secretKey: v}";
    const APP: &str = "- {objectName: app, secretPath: database/creds/app, secretKey: password}";
    const SHORT: &str = "- {objectName: short, secretPath: database/creds/short, secretKey: password}";
    const CERTIFICATE: &str =
        "- {objectName: cert, secretPath: pki/issue/app, method: POST, secretKey: certificate}";
    let classes: [(&str, &[&str]); 5] = [
        ("app", &[KV]),
        ("app", &[KV, APP]),
        ("app", &[APP, CERTIFICATE]),
        ("other", &[APP, SHORT]),
        ("app", &[SHORT, KV, CERTIFICATE]),
    ];
    let class = |(role, objects): (&str, &[&str])| {
        let parameters = [("roleName", role.to_owned()), ("objects", objects.join("\n"))];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value)).into();
        Arc::new(Class::parse(&parameters, settings).expect("a class"))
    };
    classes.map(class).into()
}

/// Returns the driver's request for a volume of a pod.
pub(super) fn request(class: Arc<Class>, pod: &str, volume: usize) -> ReadRequest {
    ReadRequest {
        class,
        identity: Identity {
            namespace: "ns".to_owned(),
            service_account: "account".to_owned(),
            pod: Some(Pod { name: pod.to_owned(), uid: pod.to_owned() }),
        },
        volume: format!("{pod}/{volume}"),
        tokens: [("vault".to_owned(), Secret::from(pod))].into(),
        default_mode: 0o644,
        issuing: Issuing::Allowed,
        max_bytes: 1 << 20,
        deadline: Instant::now() + DEADLINE,
    }
}

//! The driver's mount request, parsed: class parameters, pod, tokens and file mode.

use std::collections::BTreeMap;
use std::fmt;

use coffer_proto::v1alpha1::MountRequest;
use coffer_provider::{Error, ErrorKind, Identity, Pod, Secret};
use serde::Deserialize;

use crate::volumes::PodVolume;

const POD_NAME: &str = "csi.storage.k8s.io/pod.name";
const POD_NAMESPACE: &str = "csi.storage.k8s.io/pod.namespace";
const POD_UID: &str = "csi.storage.k8s.io/pod.uid";
const SERVICE_ACCOUNT: &str = "csi.storage.k8s.io/serviceAccount.name";
const CLASS: &str = "secretProviderClass";
const TOKENS: &str = "csi.storage.k8s.io/serviceAccount.tokens";

/// Mode of a file where neither object nor driver sets one: the driver's own default.
const DEFAULT_MODE: u32 = 0o644;

/// A mount request: the parameters of a class, and the pod that mounts.
pub(crate) struct DriverRequest {
    /// The SecretProviderClass's `parameters`, overlaid by the volume's attributes.
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) identity: Identity,
    /// The volume's target path.
    pub(crate) volume: String,
    /// Service account tokens by audience.
    pub(crate) tokens: BTreeMap<String, Secret>,
    /// Mode of a file whose object names none.
    pub(crate) default_mode: u32,
    /// Whether the driver says that an earlier mount left files in the volume. Driver 1.6 says
    /// nothing of earlier mounts.
    pub(crate) has_files: bool,
}

/// The version that stands for a mount without files: the driver takes no answer without versions.
pub(crate) const NO_FILES: &str = "no-files";

impl DriverRequest {
    /// Returns the length of all texts, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let parameters = self.parameters.iter().map(|(name, value)| name.len() + value.len());
        let tokens = self.tokens.iter().map(|(audience, token)| audience.len() + token.len());
        parameters.chain(tokens).sum::<usize>() + self.volume.len()
    }

    /// Returns the volume that is mounted.
    pub(crate) fn pod_volume(&self) -> Option<PodVolume> {
        Some(PodVolume {
            namespace: self.identity.namespace.clone(),
            pod: self.identity.pod.clone()?,
            class: self.parameters.get(CLASS).cloned().unwrap_or_default(),
            path: self.volume.clone(),
            has_files: self.has_files,
        })
    }
}

/// Parses a mount request.
///
/// # Errors
/// `InvalidRequest`. Its text holds nothing of the attributes, which carry tokens.
pub(crate) fn parse(request: MountRequest) -> Result<DriverRequest, Error> {
    let (attributes, secrets) = (Secret::new(request.attributes), Secret::new(request.secrets));
    let mut parameters: BTreeMap<String, String> =
        json("attributes", attributes.expose_str().unwrap_or_default())?;
    let in_attributes = parameters.remove(TOKENS).map(Secret::new);
    let tokens = match in_attributes {
        Some(tokens) => Some(tokens),
        None => tokens_in_secrets(secrets.expose_str().unwrap_or_default())?,
    };
    let field = |name: &str| {
        let value = parameters.get(name).filter(|value| !value.is_empty()).cloned();
        value.ok_or_else(|| {
            invalid(format!("attribute {name:?} is missing: is the CSIDriver's podInfoOnMount set?"))
        })
    };
    let identity = Identity {
        namespace: field(POD_NAMESPACE)?,
        service_account: field(SERVICE_ACCOUNT)?,
        pod: Some(Pod { name: field(POD_NAME)?, uid: field(POD_UID)? }),
    };
    Ok(DriverRequest {
        volume: request.target_path,
        identity,
        tokens: tokens.map(|tokens| by_audience(&tokens)).transpose()?.unwrap_or_default(),
        default_mode: permission(&request.permission)?,
        has_files: request.current_object_version.iter().any(|current| current.version != NO_FILES),
        parameters,
    })
}

/// Returns the tokens in the field `secrets`. Drivers from 1.6 send tokens there as well as in the
/// attributes, and with `serviceAccountTokenInSecrets` there alone.
fn tokens_in_secrets(secrets: &str) -> Result<Option<Secret>, Error> {
    if secrets.is_empty() {
        return Ok(None);
    }
    let secrets: Option<BTreeMap<String, String>> = json("secrets", secrets)?;
    Ok(secrets.unwrap_or_default().remove(TOKENS).map(Secret::new))
}

fn by_audience(tokens: &Secret) -> Result<BTreeMap<String, Secret>, Error> {
    #[derive(Deserialize)]
    struct SentToken {
        token: String,
    }

    if tokens.is_empty() {
        return Ok(BTreeMap::new());
    }
    let parsed: BTreeMap<String, SentToken> = json(TOKENS, tokens.expose_str().unwrap_or_default())?;
    Ok(parsed.into_iter().map(|(audience, SentToken { token })| (audience, Secret::new(token))).collect())
}

fn permission(text: &str) -> Result<u32, Error> {
    if text.is_empty() {
        return Ok(DEFAULT_MODE);
    }
    let mode = text.trim().parse().ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| invalid("permission is not a file mode as a decimal number"))
}

fn json<'a, T: Deserialize<'a>>(what: &str, text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        invalid(format!("{what}: not the JSON that the driver sends (line {line}, column {column})"))
    })
}

fn invalid(message: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidRequest, message.to_string())
}

#[cfg(test)]
mod tests {
    use coffer_proto::v1alpha1::MountRequest;
    use coffer_provider::Error;

    use super::{DriverRequest, parse};

    const POD: &str = r#""csi.storage.k8s.io/pod.name":"p","csi.storage.k8s.io/pod.namespace":"ns","csi.storage.k8s.io/pod.uid":"u","csi.storage.k8s.io/serviceAccount.name":"sa""#;
    const TOKENS: &str = r#""csi.storage.k8s.io/serviceAccount.tokens":"{\"vault\":{\"token\":\"jwt\",\"expirationTimestamp\":\"2026-01-01T00:00:00Z\"},\"\":{\"token\":\"other\"}}""#;

    fn request(attributes: &str, secrets: &str, permission: &str) -> Result<DriverRequest, Error> {
        let request = MountRequest {
            attributes: attributes.to_owned(),
            secrets: secrets.to_owned(),
            permission: permission.to_owned(),
            ..MountRequest::default()
        };
        parse(request)
    }

    #[test]
    fn tokens_come_in_attributes_or_secrets_and_leave_the_parameters() {
        for (attributes, secrets) in [
            (format!("{{{POD},{TOKENS}}}"), "null".to_owned()),
            (format!("{{{POD},{TOKENS}}}"), format!("{{{TOKENS}}}")),
            (format!("{{{POD}}}"), format!("{{{TOKENS}}}")),
        ] {
            let read = request(&attributes, &secrets, "420").expect("a request");
            assert_eq!(read.tokens["vault"].expose(), b"jwt");
            assert_eq!(read.tokens[""].expose(), b"other");
            assert!(!read.parameters.values().any(|value| value.contains("jwt")));
            assert_eq!((read.identity.namespace.as_str(), read.default_mode), ("ns", 0o644));
        }
    }

    #[test]
    fn no_tokens_are_none() {
        for secrets in ["", "null", "{}"] {
            assert!(request(&format!("{{{POD}}}"), secrets, "").expect("a request").tokens.is_empty());
        }
    }

    #[test]
    fn mistakes_hold_nothing_of_what_was_sent() {
        for (attributes, secrets, permission) in [
            ("{hunter2", "", ""),
            (r#"{"k":{"hunter2":1}}"#, "", ""),
            (r#"{"csi.storage.k8s.io/serviceAccount.tokens":"hunter2"}"#, "", ""),
            ("[]", "", ""),
            ("", "", ""),
            ("{}", "hunter2", ""),
            (&format!("{{{POD}}}"), "", "hunter2"),
            (&format!("{{{POD}}}"), "", "1000"),
            (&format!("{{{POD}}}").replace("\"u\"", "\"\""), "", ""),
        ] {
            let error = request(attributes, secrets, permission).err().expect(attributes).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}

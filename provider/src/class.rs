//! SecretProviderClasses, parsed and checked. A class with a mistake is refused here.

mod cache;
mod file_path;
mod finding;
#[cfg(fuzzing)]
mod fuzzing;
mod json_pointer;
mod key_filter;
mod mode;
mod object;
mod objects;
mod output;
mod parameters;
mod place;
mod plan;
mod request_path;
mod template;
mod unknown;

use std::collections::BTreeMap;
use std::time::Duration;

use coffer_vault::{Request, Target};

#[cfg(fuzzing)]
pub use self::fuzzing::secret_path;
#[cfg(fuzzing)]
pub use self::objects::printed_objects;
pub use cache::ClassCache;
pub use file_path::{BadFilePath, FilePath};
pub use finding::{Finding, Findings, Position};
pub(crate) use json_pointer::array_index;
pub use json_pointer::{BadJsonPointer, JsonPointer};
pub use key_filter::KeyFilter;
pub use object::{Object, Source};
pub use output::{DocumentFormat, Encoding, Output, Part};
pub use place::Place;
pub use plan::{Plan, PlannedRequest};
pub use template::ObjectTemplate;

use crate::Error;
use crate::settings::Settings;

/// Maximum number of warnings that are logged of one class.
const MAX_WARNINGS: usize = 10;

/// The parameters of a SecretProviderClass over the process's settings: what to read, from which
/// Vault server, and with which role.
#[derive(Debug)]
pub struct Class {
    /// The name of the class, if a driver sent it; else empty.
    pub name: String,
    /// The Vault server.
    pub target: Target,
    /// Vault namespace; none is the root namespace.
    pub namespace: Option<String>,
    /// Path of the auth method.
    pub auth_mount: String,
    /// The role to log in with.
    pub role: String,
    /// Audience of the service account token, if the class names one.
    pub audience: Option<String>,
    /// How long an answer of Vault is used before it is read again; zero if each read asks Vault.
    pub refresh_interval: Duration,
    /// What to read, in the class's order: at least one object, and no two with the same file.
    pub objects: Vec<Object>,
    /// The requests to Vault that the objects need.
    pub plan: Plan,
    /// What looks like a mistake but is accepted, since the incumbent accepts it too.
    pub warnings: Vec<String>,
}

/// A class, and every mistake in it.
#[derive(Debug)]
pub struct Examined {
    /// The class, if there is no mistake.
    pub class: Option<Class>,
    /// The `objectName` of every object that has one, and where the object begins in `objects`.
    pub names: Vec<(String, Position)>,
    /// Mistakes and warnings, in the order in which they were found.
    pub findings: Findings,
}

/// Whether the TLS parameters of a class are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsParameters {
    /// They override the settings of the process.
    Used,
    /// They are ignored, whatever their values, and the settings of the process hold. For servers
    /// where those who may write a class must not choose whom the server trusts, or which of its
    /// files it shows.
    Ignored,
}

impl Class {
    /// Parses the parameters of a class. The process's settings apply where the class sets nothing.
    ///
    /// # Errors
    /// `InvalidClass` for the first mistake. The message names the parameter, and for a mistake in
    /// `objects` the object and the line.
    pub fn parse(parameters: &BTreeMap<String, String>, settings: &Settings) -> Result<Self, Error> {
        Self::parse_with(parameters, settings, TlsParameters::Used)
    }

    /// Parses as [`Class::parse`] does, and ignores the TLS parameters where `tls` says so.
    ///
    /// # Errors
    /// Those of [`Class::parse`]. A mistake in an ignored parameter is none.
    pub fn parse_with(
        parameters: &BTreeMap<String, String>,
        settings: &Settings,
        tls: TlsParameters,
    ) -> Result<Self, Error> {
        let Examined { class, findings: Findings { mistakes, warnings }, .. } =
            examine(parameters, settings, tls, MAX_WARNINGS);
        let Some(class) = class else {
            let first = mistakes.into_iter().next();
            return Err(first.map_or_else(|| unreachable!("no class without a mistake"), Into::into));
        };
        Ok(Self { warnings: warnings.iter().map(ToString::to_string).collect(), ..class })
    }

    /// Finds every mistake in the parameters of a class, for the author of the class.
    #[must_use]
    pub fn examine(parameters: &BTreeMap<String, String>, settings: &Settings) -> Examined {
        examine(parameters, settings, TlsParameters::Used, usize::MAX)
    }
}

fn examine(
    parameters: &BTreeMap<String, String>,
    settings: &Settings,
    tls: TlsParameters,
    max_warnings: usize,
) -> Examined {
    let mut found = Findings::default();
    let parameters = parameters::Parameters { all: parameters, tls };
    found.mistakes.extend(parameters.too_long());
    found.warnings.extend(parameters.unknown().take(max_warnings));
    let (mut objects, names) = match found.take(parameters.objects()) {
        Some(text) => objects::parse(text, &mut found, max_warnings),
        None => Default::default(),
    };
    let address = found.take(parameters.address(settings));
    let tls = found.take(parameters.tls(address.as_ref(), settings));
    let namespace = found.take(parameters.namespace(settings));
    let auth_mount = found.take(parameters.auth_mount(settings));
    let role = found.take(parameters.role());
    let refresh_interval = found.take(parameters.refresh_interval(settings));
    let target = address.zip(tls).map(|(address, tls)| Target { address, tls });
    if let (Some(target), Some(mount)) = (&target, &auth_mount) {
        found.mistakes.extend(parameters.unlisted_auth_mount(target, mount, settings));
    }
    if target.as_ref().is_some_and(Target::uses_client_certificate) {
        found.mistakes.extend(objects.iter().find_map(login_object));
    }
    let class = match (target, namespace, auth_mount, role, refresh_interval) {
        (Some(target), Some(namespace), Some(auth_mount), Some(role), Some(refresh_interval))
            if found.mistakes.is_empty() =>
        {
            Some(Class {
                name: parameters.class().to_owned(),
                target,
                namespace,
                auth_mount,
                role: role.to_owned(),
                audience: parameters.get("Audience").map(|(_, audience)| audience.to_owned()),
                refresh_interval,
                plan: Plan::new(&mut objects),
                objects,
                warnings: Vec::new(),
            })
        }
        _ => None,
    };
    Examined { class, names, findings: found }
}

/// Returns whether a request is a login, in whatever namespace: `auth/MOUNT/login`.
fn is_login(request: &Request) -> bool {
    let path = format!("/{}", request.path);
    request.method.has_body() && path.contains("/auth/") && path.ends_with("/login")
}

fn login_object(object: &Object) -> Option<Finding> {
    object.source.requests().iter().find(|request| is_login(request))?;
    let field = match object.source {
        Source::Answer { .. } => "secretPath",
        Source::Template(_) => "template",
    };
    let message =
        format!("{field} is a login, which a client certificate may make that of the node agent itself");
    Some(Finding { object: Some(object.name().to_owned()), ..Finding::of("objects", message) })
}

#[cfg(test)]
mod tests;

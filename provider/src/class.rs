//! A SecretProviderClass, parsed: what is wrong is said here, and nothing wrong gets further.

mod cache;
mod file_path;
mod finding;
mod mode;
mod objects;
mod parameters;
mod request_path;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coffer_vault::{Request, Target};

pub use cache::ClassCache;
pub use file_path::FilePath;
pub use finding::{Finding, Findings, Position};

use crate::plan::Plan;
use crate::settings::Settings;
use crate::{Error, Secret};

/// The parameters of a SecretProviderClass with everything resolved: what to read, from where, as which role.
#[derive(Debug)]
pub struct Class {
    /// Its name, where a driver tells it; else empty.
    pub name: String,
    /// The Vault server.
    pub target: Target,
    /// Vault namespace; none for the root namespace.
    pub namespace: Option<String>,
    /// Path of the auth method.
    pub auth_mount: String,
    /// The role to log in with.
    pub role: String,
    /// Audience of the service account token, where the class names one.
    pub audience: Option<String>,
    /// How old an answer may be that is not read again; zero where each read asks Vault.
    pub refresh_interval: Duration,
    /// What to read, in the class's order; never empty, no two with one file.
    pub objects: Vec<Object>,
    /// The requests to Vault that the objects need.
    pub plan: Plan,
    /// What looks like a mistake and is not an error, for the incumbent takes it.
    pub warnings: Vec<String>,
}

/// One object of a class: one file.
#[derive(Debug)]
pub struct Object {
    /// Where the file goes, below the mount.
    pub file: FilePath,
    /// The request to Vault.
    pub request: Arc<Request>,
    /// The key whose value is the file; without one, the file is the whole response.
    pub key: Option<String>,
    /// The file's mode, where the object sets one.
    pub mode: Option<u32>,
    /// How Vault's text becomes the file's bytes.
    pub encoding: Encoding,
    /// The object as the incumbent hashes it into a version.
    pub fingerprint: Secret,
}

/// How a value in Vault stands for the file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// The text is the file.
    Utf8,
    /// The text is base64 (RFC 4648, with padding) of the file.
    Base64,
    /// The text is hexadecimal of the file.
    Hex,
}

/// What a class says, and everything that is wrong with it.
#[derive(Debug)]
pub struct Examined {
    /// The class; none where there is a mistake.
    pub class: Option<Class>,
    /// `objectName` of every object that has one, and where the object begins, as far as `objects` can be read.
    pub names: Vec<(String, Position)>,
    /// What was found, in the order of reading.
    pub findings: Findings,
}

impl Class {
    /// Parses a class's parameters over the process's settings.
    ///
    /// # Errors
    /// `InvalidClass` for the first mistake, naming the parameter, and for one in `objects` the object and the line in it.
    pub fn parse(parameters: &BTreeMap<String, String>, settings: &Settings) -> Result<Self, Error> {
        let Examined { class, findings: Findings { mistakes, warnings }, .. } =
            examine(parameters, settings, MAX_WARNINGS);
        let Some(class) = class else {
            let first = mistakes.into_iter().next();
            return Err(first.map_or_else(|| unreachable!("no class without a mistake"), Into::into));
        };
        Ok(Self { warnings: warnings.iter().map(ToString::to_string).collect(), ..class })
    }

    /// Finds every mistake in a class's parameters, for who mends them.
    #[must_use]
    pub fn examine(parameters: &BTreeMap<String, String>, settings: &Settings) -> Examined {
        examine(parameters, settings, usize::MAX)
    }
}

fn examine(parameters: &BTreeMap<String, String>, settings: &Settings, max_warnings: usize) -> Examined {
    let mut found = Findings::default();
    let parameters = parameters::Parameters(parameters);
    found.mistakes.extend(parameters.too_long());
    found.warnings.extend(parameters.unknown().take(max_warnings));
    let (mut objects, names) = match found.take(parameters.objects()) {
        Some(text) => objects::parse(text, &mut found, max_warnings),
        None => Default::default(),
    };
    let address = found.take(parameters.address(settings));
    let tls = found.take(parameters.tls(settings));
    let namespace = found.take(parameters.namespace(settings));
    let auth_mount = found.take(parameters.auth_mount(settings));
    let role = found.take(parameters.role());
    let refresh_interval = found.take(parameters.refresh_interval(settings));
    let class = match (address, tls, namespace, auth_mount, role, refresh_interval) {
        (Some(address), Some(tls), Some(namespace), Some(auth_mount), Some(role), Some(refresh_interval))
            if found.mistakes.is_empty() =>
        {
            Some(Class {
                name: parameters.class().to_owned(),
                target: Target { address, tls },
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

/// Warnings that are logged of one class, and characters that are shown of a name.
const MAX_WARNINGS: usize = 10;
const MAX_SHOWN: usize = 64;

/// Longest role, audience, namespace, mount or other name, in bytes: they are kept for every identity.
const MAX_NAME: usize = 1024;

/// The known name that `unknown` was probably meant to be.
fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let unknown = unknown.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&unknown, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, name)| name)
}

fn unknown_field(what: &str, unknown: &str, known: &[impl AsRef<str>]) -> String {
    let unknown: String = unknown.chars().take(MAX_SHOWN).collect();
    match nearest(&unknown, known.iter().map(AsRef::as_ref)) {
        Some(name) => format!("unknown {what} {unknown:?} is ignored: did you mean {name:?}?"),
        None => format!("unknown {what} {unknown:?} is ignored"),
    }
}

#[cfg(test)]
mod tests;

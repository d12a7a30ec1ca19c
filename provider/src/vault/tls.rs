//! TLS towards a Vault server: which authorities to trust, which certificate to show.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use reqwest::{Certificate, ClientBuilder, Identity};

use crate::{Error, Secret};

/// TLS settings of one Vault target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// Certificate authorities to trust; without any, the system's.
    pub authorities: Authorities,
    /// Name to verify the certificate for, and to send as SNI, in place of the address's host.
    pub server_name: Option<String>,
    /// Client certificate and key.
    pub client: Option<ClientCertificate>,
    /// Accept any certificate. Never a good idea.
    pub skip_verify: bool,
}

/// Where certificate authorities come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Authorities {
    /// The system's.
    #[default]
    System,
    /// A file of PEM certificates.
    File(TlsFile),
    /// PEM text itself (`VAULT_CACERT_BYTES`).
    Pem(String),
    /// A directory whose files are PEM certificates.
    Directory(TlsFile),
}

/// A client certificate and its key, PEM files both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The certificate, with its chain.
    pub certificate: TlsFile,
    /// The private key.
    pub key: TlsFile,
}

/// A file that TLS settings name, and whether a class named it.
///
/// Who writes a class is not who runs the node: a class must not reach files that only the node's agent may
/// read, such as its own service account token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsFile {
    /// The path as it was written.
    pub path: PathBuf,
    /// Whether a class named it, rather than the operator.
    pub from_class: bool,
}

/// When the files behind [`Tls`] were last changed; another stamp means they must be read again.
pub(super) type Stamp = Vec<Option<(SystemTime, u64)>>;

impl Tls {
    /// The stamp of the files as they are now. A few `stat` calls; none where no file is named.
    pub(super) fn stamp(&self) -> Stamp {
        let authorities = match &self.authorities {
            Authorities::File(file) | Authorities::Directory(file) => Some(file),
            Authorities::System | Authorities::Pem(_) => None,
        };
        let client = self.client.iter().flat_map(|client| [&client.certificate, &client.key]);
        let stat = |file: &TlsFile| {
            let metadata = std::fs::metadata(&file.path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        authorities.into_iter().chain(client).map(stat).collect()
    }

    /// Puts these settings into a client; `protected` are the directories closed to classes.
    ///
    /// # Errors
    /// `InvalidClass` where a class names a protected file, a file cannot be read, or holds no PEM.
    pub(super) fn apply(
        &self,
        builder: ClientBuilder,
        protected: &[PathBuf],
    ) -> Result<ClientBuilder, Error> {
        let mut builder = builder.tls_danger_accept_invalid_certs(self.skip_verify);
        let certificates = match &self.authorities {
            Authorities::System => None,
            Authorities::File(file) => Some(read_certificates(file, protected)?),
            Authorities::Pem(pem) => Some(certificates(pem.as_bytes(), Path::new("VAULT_CACERT_BYTES"))?),
            Authorities::Directory(directory) => Some(read_directory(directory, protected)?),
        };
        if let Some(certificates) = certificates {
            builder = builder.tls_certs_only(certificates);
        }
        if let Some(client) = &self.client {
            let mut pem = read(&client.certificate, protected)?;
            pem.push(b"\n");
            pem.push(read(&client.key, protected)?.expose());
            let identity = Identity::from_pem(pem.expose()).map_err(|_| {
                Error::class(format!(
                    "{} and {} are no PEM client certificate and key",
                    client.certificate.path.display(),
                    client.key.path.display()
                ))
            })?;
            builder = builder.identity(identity);
        }
        Ok(builder)
    }
}

fn read_directory(directory: &TlsFile, protected: &[PathBuf]) -> Result<Vec<Certificate>, Error> {
    let refused = |error| unreadable(&directory.path, &error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(resolve(directory, protected)?).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let file = TlsFile { path, from_class: directory.from_class };
        all.extend(read_certificates(&file, protected)?);
    }
    Ok(all)
}

fn read_certificates(file: &TlsFile, protected: &[PathBuf]) -> Result<Vec<Certificate>, Error> {
    certificates(read(file, protected)?.expose(), &file.path)
}

fn certificates(pem: &[u8], origin: &Path) -> Result<Vec<Certificate>, Error> {
    match Certificate::from_pem_bundle(pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Error::class(format!("{} holds no PEM certificate", origin.display()))),
    }
}

fn read(file: &TlsFile, protected: &[PathBuf]) -> Result<Secret, Error> {
    let path = resolve(file, protected)?;
    std::fs::read(path).map(Secret::new).map_err(|error| unreadable(&file.path, &error))
}

/// The file behind all links, which a class may name only outside the protected directories.
fn resolve(file: &TlsFile, protected: &[PathBuf]) -> Result<PathBuf, Error> {
    let refused = || {
        Error::class(format!(
            "the class may not use {}: it lies in a directory of the node agent's own",
            file.path.display()
        ))
    };
    let lies_in = |path: &Path| {
        protected.iter().any(|directory| {
            path.starts_with(directory)
                || directory.canonicalize().is_ok_and(|resolved| path.starts_with(resolved))
        })
    };
    // asked before it is looked at, so that nothing is told about what exists there
    if file.from_class && lies_in(&file.path) {
        return Err(refused());
    }
    let path = file.path.canonicalize().map_err(|error| unreadable(&file.path, &error))?;
    if file.from_class && lies_in(&path) {
        return Err(refused());
    }
    Ok(path)
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::class(format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{TlsFile, resolve};

    #[test]
    fn a_class_cannot_reach_protected_files_by_any_way() {
        let root = tempfile::tempdir().expect("a directory");
        let own = root.path().join("own");
        std::fs::create_dir(&own).expect("a directory");
        std::fs::write(own.join("token"), "x").expect("a file");
        let link = root.path().join("link");
        std::os::unix::fs::symlink(own.join("token"), &link).expect("a link");
        let up = root.path().join("own/../own/token");

        for path in [own.join("token"), link.clone(), up] {
            let class = TlsFile { path: path.clone(), from_class: true };
            let error = resolve(&class, std::slice::from_ref(&own)).expect_err("protected");
            assert!(error.message.contains("may not use"), "{error}");
            let operator = TlsFile { path, from_class: false };
            assert!(resolve(&operator, std::slice::from_ref(&own)).is_ok());
        }
    }
}

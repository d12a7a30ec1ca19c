//! The client's certificate and key, from PEM files.

use std::fmt;
use std::sync::Arc;

use rustls::Error;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::CertificateDer;

use super::certificate_bundle::{BlockProblem, BundleProblem, CertificateBundle, SkippedBlock};
use super::certificate_summary::shown;
use super::client_key::{self, KeyProblem};
use super::pem::{NoPem, PemProblem, blocks, without_blocks};

/// A client certificate with its chain and key. The key is never printed.
#[derive(Clone)]
pub struct ClientIdentity(pub(super) Arc<CertifiedKey>);

/// Why certificate and key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdentityProblem {
    /// The file of the certificate cannot be used.
    #[error("{0}")]
    Certificate(#[source] BundleProblem),
    /// The first block of the certificates cannot be read.
    #[error("its block 1 cannot be used: {}", .0.problem)]
    Damaged(#[source] SkippedBlock),
    /// The file of the key cannot be used.
    #[error("{0}")]
    Key(#[source] KeyFileProblem),
    /// The key is that of another certificate.
    #[error("its first certificate does not belong to the key{}", InFile(*of_key))]
    Mismatch {
        /// The number of the certificate in the file that belongs to the key.
        of_key: Option<usize>,
    },
}

/// Why a file has no key that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileProblem {
    /// It is no PEM file.
    #[error("{0}")]
    NoPem(NoPem),
    /// None of its blocks is a key; the label of the first is given.
    #[error("it holds no private key, but {0:?}")]
    NoKey(String),
    /// The key's block cannot be read.
    #[error("its private key cannot be read: {0}")]
    Block(#[from] PemProblem),
    /// The key is encrypted.
    #[error("its private key is encrypted: decrypt it (openssl pkey -in KEY -out PLAIN), and guard the file")]
    Encrypted,
    /// The key cannot be used.
    #[error("its private key cannot be used: {0}")]
    Key(#[from] KeyProblem),
}

struct InFile(Option<usize>);

impl fmt::Display for InFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => write!(f, ": certificate {number} of the file does, and has to come first"),
            None => Ok(()),
        }
    }
}

impl ClientIdentity {
    /// Reads the certificates of one PEM file, the client's own first, and the key of another or
    /// the same. As in Go, the first block whose label ends with `PRIVATE KEY` is the key.
    ///
    /// # Errors
    /// [`ClientIdentityProblem`] says which of the files is wrong, and never what is in the key.
    pub fn read(certificates: &[u8], key: &[u8]) -> Result<Self, ClientIdentityProblem> {
        let chain = CertificateBundle::read(certificates).map_err(ClientIdentityProblem::Certificate)?;
        let first = chain.skipped.first().filter(|block| block.number == 1);
        if let Some(damaged) = first.filter(|block| !matches!(block.problem, BlockProblem::Label(_))) {
            return Err(ClientIdentityProblem::Damaged(damaged.clone()));
        }
        let key = read_key(key).map_err(ClientIdentityProblem::Key)?;
        let own = chain.certificates.iter().position(|certificate| belongs(certificate, &key));
        match own {
            Some(0) => Ok(Self(Arc::new(CertifiedKey::new(chain.certificates, key)))),
            of_key => Err(ClientIdentityProblem::Mismatch { of_key: of_key.map(|index| index + 1) }),
        }
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").field("certificates", &self.0.cert.len()).finish_non_exhaustive()
    }
}

fn read_key(file: &[u8]) -> Result<Arc<dyn SigningKey>, KeyFileProblem> {
    let blocks = blocks(file);
    let is_key = |label: &str| label == "PRIVATE KEY" || label.ends_with(" PRIVATE KEY");
    let Some(block) = blocks.iter().find(|block| is_key(block.label)) else {
        return Err(match blocks.first() {
            Some(other) => KeyFileProblem::NoKey(shown(other.label)),
            None => KeyFileProblem::NoPem(without_blocks(file)),
        });
    };
    if block.is_encrypted || block.label == "ENCRYPTED PRIVATE KEY" {
        return Err(KeyFileProblem::Encrypted);
    }
    let der = block.der.as_ref().map_err(|problem| *problem)?;
    Ok(client_key::read(der)?)
}

fn belongs(certificate: &CertificateDer<'static>, key: &Arc<dyn SigningKey>) -> bool {
    let pair = CertifiedKey::new(vec![certificate.clone()], Arc::clone(key));
    !matches!(pair.keys_match(), Err(Error::InconsistentKeys(_)))
}

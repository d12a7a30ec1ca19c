//! Files of trusted certificates.

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::pem::{NoPem, PemBlock, PemProblem, blocks, without_blocks};

/// The certificates of a PEM file.
#[derive(Debug)]
pub struct CertificateBundle {
    /// The certificates.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The blocks that were skipped.
    pub skipped: Vec<SkippedBlock>,
}

/// A block of a PEM file that is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("block {number} is skipped: {problem}")]
pub struct SkippedBlock {
    /// Its number in the file, from 1.
    pub number: usize,
    /// Why it is not used.
    #[source]
    pub problem: BlockProblem,
}

/// Why a block of a PEM file is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockProblem {
    /// Its bytes cannot be read.
    #[error(transparent)]
    Pem(#[from] PemProblem),
    /// It has headers, as only keys have.
    #[error("it has headers before its text")]
    Headers,
    /// It has another label.
    #[error("it is {0:?}, and only CERTIFICATE counts")]
    Label(String),
    /// Its bytes are no certificate.
    #[error("it is no X.509 certificate, or damaged")]
    NoCertificate,
}

/// Why a file has no certificate that can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleProblem {
    /// It is no PEM file.
    #[error("{0}")]
    NoPem(NoPem),
    /// None of its blocks is a certificate.
    #[error("none of its {blocks} PEM blocks is a certificate: {first}")]
    NoCertificate {
        /// The number of blocks.
        blocks: usize,
        /// The first of them.
        first: SkippedBlock,
    },
}

impl CertificateBundle {
    /// Reads the certificates of a PEM file. As in Go, a block that is no certificate is skipped.
    ///
    /// # Errors
    /// [`BundleProblem`], if there is no certificate.
    pub fn read(file: &[u8]) -> Result<Self, BundleProblem> {
        let mut bundle = Self { certificates: Vec::new(), skipped: Vec::new() };
        for block in blocks(file) {
            let number = block.number;
            match certificate(block) {
                Ok(certificate) => bundle.certificates.push(certificate),
                Err(problem) => bundle.skipped.push(SkippedBlock { number, problem }),
            }
        }
        if !bundle.certificates.is_empty() {
            return Ok(bundle);
        }
        let blocks = bundle.skipped.len();
        match bundle.skipped.into_iter().next() {
            Some(first) => Err(BundleProblem::NoCertificate { blocks, first }),
            None => Err(BundleProblem::NoPem(without_blocks(file))),
        }
    }
}

/// Returns the certificate in a block.
pub(super) fn certificate(block: PemBlock<'_>) -> Result<CertificateDer<'static>, BlockProblem> {
    if block.label != "CERTIFICATE" {
        return Err(BlockProblem::Label(super::certificate_summary::shown(block.label)));
    }
    let mut der = block.der?;
    if block.has_headers {
        return Err(BlockProblem::Headers);
    }
    match X509Certificate::from_der(&der) {
        Ok(([], _)) if webpki::anchor_from_trusted_cert(&der.as_slice().into()).is_ok() => {
            Ok(std::mem::take(&mut *der).into())
        }
        _ => Err(BlockProblem::NoCertificate),
    }
}

#[cfg(test)]
mod tests {
    use super::{BlockProblem, BundleProblem, CertificateBundle};
    use crate::tls::pem::{NoPem, PemProblem};

    fn pem() -> String {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(["vault".to_owned()]).expect("a name");
        params.self_signed(&key).expect("a certificate").pem()
    }

    #[test]
    fn bad_blocks_are_skipped_and_named() {
        let good = pem();
        let (bad, other) = (good.replace("MII", "M!I"), good.replace("CERTIFICATE", "TRUSTED CERTIFICATE"));
        let cut = good.replacen("MII", "MIIA", 1);
        let file = format!("# our CA\n{bad}{good}\r\n{other}{cut}{good}");
        let bundle = CertificateBundle::read(file.as_bytes()).expect("a certificate");
        assert_eq!(bundle.certificates.len(), 2);
        let skipped: Vec<_> = bundle.skipped.iter().map(|block| (block.number, &block.problem)).collect();
        let label = BlockProblem::Label("TRUSTED CERTIFICATE".to_owned());
        assert_eq!(skipped[0], (1, &BlockProblem::Pem(PemProblem::NotBase64)));
        assert_eq!(skipped[1], (3, &label));
        assert_eq!(skipped[2].0, 4);
    }

    #[test]
    fn a_file_without_a_certificate_says_what_it_is() {
        let key = rcgen::KeyPair::generate().expect("a key").serialize_pem();
        let error = CertificateBundle::read(key.as_bytes()).expect_err("a key").to_string();
        assert!(error.contains("block 1") && error.contains("PRIVATE KEY"), "{error}");
        assert_eq!(CertificateBundle::read(b"").expect_err("empty"), BundleProblem::NoPem(NoPem::Empty));
    }
}

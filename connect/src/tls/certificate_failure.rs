//! Why a server's certificate is not accepted.

use std::fmt;

use super::certificate_summary::CertificateSummary;

/// A server's certificate that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFailure {
    /// Why.
    pub cause: CertificateCause,
    /// What the certificate says of itself; none if it cannot be read.
    pub certificate: Option<CertificateSummary>,
}

/// Why a server's certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateCause {
    /// No trusted authority signed it.
    UnknownAuthority(MissingAuthority),
    /// It is for other names.
    OtherName {
        /// The name that it has to have.
        wanted: String,
    },
    /// It, or one of the chain, is not valid any more.
    Expired(AffectedCertificate),
    /// It, or one of the chain, is not valid yet.
    NotYetValid(AffectedCertificate),
    /// It is signed by a trusted certificate that is not valid now.
    AuthorityNotValidNow(AffectedCertificate),
    /// It is signed by a trusted certificate that is no authority's, or not for servers.
    AuthorityMayNotSign {
        /// The subject of that certificate.
        authority: String,
    },
    /// It is an authority's own, and not itself trusted.
    IsAuthority,
    /// A certificate of the chain is signed by one that is no authority's.
    SignedByNoAuthority,
    /// It is not for servers.
    NotForServers,
    /// An authority of the chain may not sign for its names.
    NamesNotPermitted,
    /// The chain is longer than an authority of it, or this program, allows.
    ChainTooLong,
    /// A key of the chain is too small.
    KeyTooSmall {
        /// The subject of the certificate with the key.
        of: String,
        /// The size of the key.
        bits: usize,
    },
    /// A signature of the chain is of an algorithm that is not accepted.
    SignatureAlgorithm {
        /// The subject of the certificate with the signature.
        of: String,
        /// The algorithm.
        algorithm: String,
    },
    /// It has a critical extension that is not known here.
    CriticalExtension,
    /// It cannot be read, with the reason.
    Unreadable(String),
}

/// Which authority is missing among the trusted ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingAuthority {
    /// The certificate is its own.
    SelfSigned,
    /// The chain ends with an authority that the server sent.
    Sent(String),
    /// The chain ends with an authority that the server did not send.
    NotSent(String),
    /// A trusted authority has that name, and another key.
    OtherKey(String),
    /// There are no trusted authorities.
    NoneAtAll,
}

/// A certificate with a problem: the server's, or one of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedCertificate {
    /// Its subject; none if it is the server's.
    pub subject: Option<String>,
    /// The time of which the message speaks.
    pub time: String,
}

impl fmt::Display for CertificateFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.cause, &self.certificate) {
            (CertificateCause::OtherName { wanted }, Some(certificate)) => {
                write!(
                    f,
                    "the server's certificate is not for {wanted}, but for {}",
                    certificate.name_list()
                )?;
                if certificate.names.is_empty() {
                    f.write_str(" (the common name in the subject does not count)")?;
                }
            }
            (cause, _) => write!(f, "{cause}")?,
        }
        match &self.certificate {
            Some(certificate) => write!(f, "; it has {certificate}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CertificateFailure {}

impl fmt::Display for CertificateCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAuthority(missing) => write!(f, "{missing}"),
            Self::OtherName { wanted } => write!(f, "the server's certificate is not for {wanted}"),
            Self::Expired(certificate) => {
                write!(f, "{} expired: it was valid until {}", Whose(certificate), certificate.time)
            }
            Self::NotYetValid(certificate) => write!(
                f,
                "{} is not valid yet: it is from {} on. Is this machine's clock right?",
                Whose(certificate),
                certificate.time
            ),
            Self::AuthorityNotValidNow(AffectedCertificate { subject, time }) => {
                let subject = subject.as_deref().unwrap_or_default();
                write!(f, "the trusted authority {subject:?} is not valid now: {time}")
            }
            Self::AuthorityMayNotSign { authority } => write!(
                f,
                "the trusted certificate {authority:?} signed the server's, and is no authority's for servers \
                 (CA:TRUE, keyCertSign, serverAuth)"
            ),
            Self::IsAuthority => f.write_str(
                "the server's certificate is an authority's own (CA:TRUE), which is accepted only if it is itself \
                 configured as trusted",
            ),
            Self::SignedByNoAuthority => f.write_str(
                "the server's certificate is signed by a certificate that is no authority's (CA:TRUE, keyCertSign)",
            ),
            Self::NotForServers => f.write_str(
                "the server's certificate or its authority is not for servers (extended key usage without \
                 serverAuth)",
            ),
            Self::NamesNotPermitted => {
                f.write_str("an authority of the server's certificate may not sign for its names (name constraints)")
            }
            Self::ChainTooLong => {
                f.write_str("the chain of the server's certificate is longer than an authority of it, or 6, allows")
            }
            Self::KeyTooSmall { of, bits } => write!(
                f,
                "the certificate {of:?} has an RSA key of {bits} bits, and at least 2,048 are needed"
            ),
            Self::SignatureAlgorithm { of, algorithm } => {
                write!(f, "the certificate {of:?} has a signature by {algorithm}, which is not accepted")
            }
            Self::CriticalExtension => {
                f.write_str("the server's certificate has a critical extension that is not known here")
            }
            Self::Unreadable(reason) => write!(f, "the server's certificate cannot be read: {reason}"),
        }
    }
}

impl fmt::Display for MissingAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SelfSigned => f.write_str("the server's certificate is self-signed, and is not a trusted one"),
            Self::Sent(authority) => write!(
                f,
                "the server's certificate is signed by an unknown authority: its chain ends with {authority:?}, \
                 which is not trusted"
            ),
            Self::NotSent(authority) => write!(
                f,
                "the server's certificate is signed by an unknown authority: {authority:?} is not trusted, and the \
                 server does not send its certificate (is an intermediate certificate missing there?)"
            ),
            Self::OtherKey(authority) => write!(
                f,
                "the server's certificate is signed by an unknown authority: a trusted one has the name \
                 {authority:?}, and another key (was it made anew?)"
            ),
            Self::NoneAtAll => f.write_str(
                "the server's certificate is signed by an unknown authority: none is trusted, since the system has \
                 none",
            ),
        }
    }
}

struct Whose<'a>(&'a AffectedCertificate);

impl fmt::Display for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.subject {
            None => f.write_str("the server's certificate"),
            Some(subject) => write!(f, "the certificate {subject:?} in the server's chain"),
        }
    }
}

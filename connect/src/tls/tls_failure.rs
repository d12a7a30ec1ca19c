//! Why TLS failed.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

use super::certificate_failure::CertificateFailure;

/// Why a TLS handshake failed, or why a server ended TLS after it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TlsFailure {
    /// The server's certificate is not accepted.
    #[error("{0}")]
    Certificate(Box<CertificateFailure>),
    /// The server's certificate does not belong to its key, or the key is of a kind that is not
    /// accepted.
    #[error("the server proves its certificate with a signature that is wrong or not accepted: {0}")]
    Signature(rustls::Error),
    /// The server asks for a client certificate, and got none.
    #[error("the server demands a client certificate")]
    NoClientCertificate,
    /// The server does not accept the client certificate.
    #[error("the server refuses the client certificate: {}", alert_words(*.0))]
    ClientCertificate(AlertDescription),
    /// The server speaks no TLS version that is accepted.
    #[error("the server speaks neither TLS 1.2 nor TLS 1.3: older versions are refused")]
    Version,
    /// The server found nothing in common.
    #[error(
        "the server refused the handshake: it has no cipher suite, key exchange or signature in common with this \
         client (suites with ECDHE and AES-GCM or ChaCha20-Poly1305, none with CBC), or demands a client \
         certificate"
    )]
    NothingInCommon,
    /// The server knows no such name.
    #[error("the server does not know the TLS server name (SNI)")]
    UnknownName,
    /// The answer is not TLS.
    #[error("the server does not speak TLS there: it answered with something else, such as plain HTTP")]
    NotTls,
    /// The server closed the connection during the handshake.
    #[error("the server closed the connection during the TLS handshake")]
    Closed,
    /// The connection broke during the handshake.
    #[error("the connection broke during the TLS handshake: {0}")]
    Broken(io::ErrorKind),
    /// The host of an address, or the TLS server name, is no name that a certificate can have.
    #[error("the server's name is none that a certificate can have")]
    BadName,
    /// The server ended TLS for another reason.
    #[error("the server ended TLS: {}", alert_words(*.0))]
    Alert(AlertDescription),
    /// Something else is wrong.
    #[error("TLS failed: {0}")]
    Other(rustls::Error),
}

impl TlsFailure {
    /// Returns the failure of a handshake. `error` is that of tokio-rustls, which holds a
    /// [`rustls::Error`] or an error of the connection.
    pub(crate) fn of_handshake(error: io::Error) -> Self {
        Self::find_in(&error).unwrap_or(match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            io::ErrorKind::InvalidInput => Self::BadName,
            kind => Self::Broken(kind),
        })
    }

    /// Returns the failure of TLS that caused an error, if one did. In TLS 1.3 a server refuses a
    /// client certificate only after the handshake, so that a request fails by it.
    #[must_use]
    pub fn find_in(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Some(tls.into());
            }
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found.clone());
            }
            // `source()` of these two skips the error in them
            let in_io = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            let in_arc = error.downcast_ref::<Arc<dyn StdError + Send + Sync>>();
            next = match (in_io, in_arc) {
                (Some(inner), _) => Some(inner),
                (None, Some(inner)) => Some(&**inner),
                (None, None) => error.source(),
            };
        }
        None
    }
}

impl From<&rustls::Error> for TlsFailure {
    fn from(error: &rustls::Error) -> Self {
        use rustls::Error;
        match error {
            Error::InvalidCertificate(CertificateError::Other(other)) => {
                match other.0.downcast_ref::<CertificateFailure>() {
                    Some(failure) => Self::Certificate(Box::new(failure.clone())),
                    None => Self::Other(error.clone()),
                }
            }
            Error::InvalidCertificate(_) => Self::Signature(error.clone()),
            Error::AlertReceived(alert) => Self::of_alert(*alert),
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Self::Version,
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge,
            ) => Self::NotTls,
            error => Self::Other(error.clone()),
        }
    }
}

impl TlsFailure {
    fn of_alert(alert: AlertDescription) -> Self {
        use AlertDescription as Alert;
        match alert {
            Alert::CertificateRequired | Alert::NoCertificate => Self::NoClientCertificate,
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied => Self::ClientCertificate(alert),
            Alert::ProtocolVersion => Self::Version,
            Alert::HandshakeFailure | Alert::InsufficientSecurity => Self::NothingInCommon,
            Alert::UnrecognisedName => Self::UnknownName,
            alert => Self::Alert(alert),
        }
    }
}

/// Returns what an alert says.
fn alert_words(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let words = match alert {
        Alert::BadCertificate => "it finds it wrong, or demands one and got none (bad_certificate)",
        Alert::UnsupportedCertificate => "it does not accept its kind (unsupported_certificate)",
        Alert::CertificateRevoked => "it is revoked (certificate_revoked)",
        Alert::CertificateExpired => "it is expired or not valid yet (certificate_expired)",
        Alert::CertificateUnknown => "it gives no reason (certificate_unknown)",
        Alert::UnknownCA => "it does not know its authority (unknown_ca)",
        Alert::AccessDenied => "it denies access (access_denied)",
        other => return format!("alert {other:?}"),
    };
    words.to_owned()
}

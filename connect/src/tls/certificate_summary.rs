//! What a certificate says of itself, for messages. Somebody else wrote it: texts are bounded, and
//! characters that cannot be seen are escaped.

use std::fmt;
use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

use crate::Printable;

/// Maximum number of names that are shown.
const MAX_NAMES: usize = 8;

/// Maximum number of characters of a name that are shown.
const MAX_NAME: usize = 160;

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSummary {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The names it is for, as far as they are shown.
    pub names: Vec<String>,
    /// The number of further names.
    pub more_names: usize,
    /// The time from which it is valid.
    pub not_before: String,
    /// The time until which it is valid.
    pub not_after: String,
}

impl CertificateSummary {
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.map_or(&[][..], |names| &names.value.general_names);
        let names: Vec<_> = names.iter().filter_map(name).collect();
        let validity = certificate.validity();
        Self {
            subject: distinguished(certificate.subject()),
            issuer: distinguished(certificate.issuer()),
            more_names: names.len().saturating_sub(MAX_NAMES),
            names: names.into_iter().take(MAX_NAMES).collect(),
            not_before: time(validity.not_before),
            not_after: time(validity.not_after),
        }
    }

    /// Returns the names in a list.
    pub(super) fn name_list(&self) -> impl fmt::Display {
        fmt::from_fn(|f| {
            if self.names.is_empty() {
                return f.write_str("no names");
            }
            f.write_str(&self.names.join(", "))?;
            if self.more_names > 0 { write!(f, " and {} more", self.more_names) } else { Ok(()) }
        })
    }
}

impl fmt::Display for CertificateSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, issuer, not_before, not_after, .. } = self;
        write!(f, "subject {subject:?}, issuer {issuer:?}, for {}, ", self.name_list())?;
        write!(f, "valid from {not_before} to {not_after}")
    }
}

/// Returns the text of a name such as `CN=vault, O=Example`.
pub(super) fn distinguished(name: &X509Name<'_>) -> String {
    shown(&name.to_string())
}

/// Returns a time in UTC, to the minute.
pub(super) fn time(time: ASN1Time) -> String {
    let time = time.to_datetime();
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", time.hour(), time.minute())
}

/// Returns a text of somebody else's, bounded and printable.
pub(super) fn shown(text: &str) -> String {
    let end = text.char_indices().nth(MAX_NAME).map(|(at, _)| at);
    match end {
        Some(end) => format!("{}…", Printable(&text[..end])),
        None => Printable(text).to_string(),
    }
}

/// Returns a name that a TLS client looks at.
fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(shown(name)),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = address.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

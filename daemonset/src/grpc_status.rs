//! The gRPC status of a failed mount.

use coffer_provider::{Error, ErrorKind};
use tonic::{Code, Status};

/// Longest message, in bytes. It ends in a Pod event, which Kubernetes cuts at 1 KiB, the driver's
/// own words included.
const MAX_MESSAGE_BYTES: usize = 800;

/// Returns the status of an error of the read path.
///
/// The code is never CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE, RESOURCE_EXHAUSTED or ABORTED.
/// kubelet takes those for a mount that may still be going on, and leaves the target directory in
/// place. The driver then takes the directory for mounted, and the pod starts with an empty volume.
pub(crate) fn status(error: &Error) -> Status {
    let code = match error.kind {
        ErrorKind::InvalidRequest | ErrorKind::InvalidClass => Code::InvalidArgument,
        ErrorKind::NoToken | ErrorKind::LoginRefused => Code::Unauthenticated,
        ErrorKind::Denied | ErrorKind::Issues | ErrorKind::RefusedByPolicy => Code::PermissionDenied,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Misconfigured
        | ErrorKind::BadAnswer
        | ErrorKind::Unavailable
        | ErrorKind::TimedOut
        | ErrorKind::TooLarge
        | ErrorKind::OverLimit
        | ErrorKind::NoVersionKey => Code::FailedPrecondition,
        ErrorKind::Internal => Code::Internal,
    };
    Status::new(code, shortened(error.to_string()))
}

fn shortened(mut message: String) -> String {
    if message.len() > MAX_MESSAGE_BYTES {
        let end = (0..=MAX_MESSAGE_BYTES).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let cut = shortened("é".repeat(1000));
        assert_eq!(cut.chars().count(), 401);
        assert!(cut.ends_with('…'));
        assert_eq!(shortened("short".to_owned()), "short");
    }
}

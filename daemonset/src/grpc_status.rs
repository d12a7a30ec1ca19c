//! The gRPC status of a failed mount.

use coffer_provider::{Error, ErrorKind};
use tonic::{Code, Status};

use crate::shortened::shortened;

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
    Status::new(code, message(error))
}

/// Returns the text of an error that the driver gets.
pub(crate) fn message(error: &Error) -> String {
    shortened(error.to_string(), MAX_MESSAGE_BYTES)
}

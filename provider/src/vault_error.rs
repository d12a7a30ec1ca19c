//! Converts failures of requests to Vault into errors of a read.

use coffer_vault::{
    Address, ConnectFailure, Failure, LostAnswer, MAX_BODY, Refusal, Target, TargetError, TargetHandle,
    TlsFileError,
};

use crate::tls_advice::tls_advice;
use crate::{Error, ErrorKind, RefusalReason};

/// What is done about a lost answer to a request that may issue something.
const NOT_SENT_AGAIN: &str = "Vault may have executed the request, which may issue something, so that it was not sent \
                              again. The mount is tried again";

/// Returns the error for a failed request to a server, without object and path.
///
/// A server that is not the operator's is not reached, and nothing else: whether a port is closed, a
/// name unknown or a certificate wrong is for the operator's log. Classes could scan the agent's
/// network otherwise.
pub(crate) fn error_of(failure: Failure, target: &TargetHandle) -> Error {
    let server = &target.target.address;
    let tells = matches!(
        failure,
        Failure::Unreachable(_) | Failure::NotProcessed(_) | Failure::Broken { .. } | Failure::TimedOut(_)
    );
    let error = error_with_cause(failure, &target.target);
    if target.is_operators || !tells {
        return error;
    }
    Error::new(error.kind, format!("cannot reach Vault at {server}: the agent's log has the cause"))
        .with_advice("Check the address. For addresses in -vault-trusted-addresses the cause stands here")
        .with_detail(error.message)
}

fn error_with_cause(failure: Failure, target: &Target) -> Error {
    let server = &target.address;
    if let Some(tls) = failure.tls() {
        let message = format!("cannot reach Vault at {server}: {tls}");
        return Error::new(ErrorKind::Unavailable, message).with_advice(tls_advice(&tls, &target.tls));
    }
    match failure {
        Failure::Refused(refusal) => error_of_refusal(refusal, server),
        Failure::Unreachable(cause) => {
            let error =
                Error::new(ErrorKind::Unavailable, format!("cannot reach Vault at {server}: {cause}"));
            // a proxy's failure says itself what to do
            if matches!(&*cause, ConnectFailure::Proxy(_)) {
                return error;
            }
            error.with_advice("Check the address and that the node reaches it")
        }
        Failure::ProxyCredentials => Error::new(
            ErrorKind::Unavailable,
            format!("a proxy on the way to Vault at {server} refuses: 407 Proxy Authentication Required"),
        )
        .with_advice("Write http://USER:PASSWORD@HOST:PORT as the proxy's URL"),
        Failure::NotProcessed(cause) => {
            Error::new(ErrorKind::Unavailable, format!("the connection to Vault at {server} broke: {cause}"))
        }
        Failure::Broken { cause, lost } => {
            let message = format!("the connection to Vault at {server} broke: {cause}");
            lost_answer(Error::new(ErrorKind::Unavailable, message), lost)
        }
        Failure::NoRequest => Error::class(format!("the path and {server} make no URL")),
        Failure::TimedOut(lost) => {
            let message = format!("Vault at {server} did not answer in time");
            lost_answer(Error::new(ErrorKind::TimedOut, message), lost)
        }
        Failure::TooLarge => {
            Error::new(ErrorKind::TooLarge, format!("the answer is larger than {} MiB", MAX_BODY >> 20))
        }
        Failure::TooDeep | Failure::TooManyValues => {
            Error::new(ErrorKind::TooLarge, failure.to_string()).with_advice("Split the secret")
        }
        Failure::OutOfMemory => Error::over_limit(
            RefusalReason::Memory,
            "the answers that this namespace reads at once take more memory than its part of the provider's; the \
             mount is tried again",
        ),
        Failure::Empty(status) => {
            Error::new(ErrorKind::BadAnswer, format!("Vault answered HTTP {status} with nothing in it"))
                .with_advice("Check that the path is one that can be read")
        }
        Failure::NotVault(what) => Error::new(ErrorKind::BadAnswer, format!("{server} answered with {what}"))
            .with_advice("Check that the address is Vault's own, not a proxy's or a web page's"),
        Failure::Redirect(reason) => {
            Error::new(ErrorKind::BadAnswer, format!("Vault at {server} redirects: {reason}"))
        }
    }
}

/// Adds why the request was not sent again, if it may have issued something.
fn lost_answer(error: Error, lost: LostAnswer) -> Error {
    if lost.may_have_issued { error.with_advice(NOT_SENT_AGAIN) } else { error }
}

fn is_plain_http(server: &Address) -> bool {
    matches!(server, Address::Url(url) if url.scheme() == "http")
}

fn error_of_refusal(refusal: Refusal, server: &Address) -> Error {
    let Refusal { status, words, deleted, is_vaults, .. } = refusal;
    if let Some(deleted) = deleted {
        return Error::new(ErrorKind::NotFound, deleted).with_advice("Undelete it, or write a new version");
    }
    let error = match status {
        403 => Error::new(ErrorKind::Denied, "Vault denied the request (HTTP 403)"),
        404 if !is_vaults => {
            Error::new(ErrorKind::BadAnswer, format!("{server} answered HTTP 404, but not as Vault does"))
                .with_advice("Check that the address is Vault's own, not a proxy's or a web page's")
        }
        404 => Error::new(ErrorKind::NotFound, "Vault has nothing at this path (HTTP 404)")
            .with_advice("Check the path: KV version 2 reads lie under MOUNT/data/"),
        400 if words.is_none() && is_plain_http(server) => Error::new(
            ErrorKind::BadAnswer,
            format!("{server} refused the request (HTTP 400), not as Vault does"),
        )
        .with_advice("If the server speaks TLS there, the address has to begin with https://"),
        400 | 405 => Error::new(ErrorKind::BadAnswer, format!("Vault refused the request (HTTP {status})")),
        472 | 473 => {
            Error::new(ErrorKind::Unavailable, format!("Vault at {server} is a standby (HTTP {status})"))
                .with_advice("Check that an active node is reached there. The mount is tried again")
        }
        412 | 429 | 500.. => {
            Error::new(ErrorKind::Unavailable, format!("Vault at {server} failed (HTTP {status})"))
        }
        _ => Error::new(ErrorKind::BadAnswer, format!("{server} answered HTTP {status}")),
    };
    error.with_vault(words)
}

impl From<TargetError> for Error {
    fn from(error: TargetError) -> Self {
        const OPERATOR: &str = "The provider's flags or environment name it";
        let message = error.to_string();
        match error {
            TargetError::File(TlsFileError { file, .. }) if file.parameter.is_some() => Self::class(message),
            TargetError::File(_) | TargetError::NoPem(_) => {
                Self::new(ErrorKind::Misconfigured, message).with_advice(OPERATOR)
            }
            TargetError::Thread(_) => Self::new(ErrorKind::Misconfigured, message),
            TargetError::ServerNameInvalid(_) => Self::class(message),
            TargetError::TooMany => Self::over_limit(RefusalReason::Targets, message),
        }
    }
}

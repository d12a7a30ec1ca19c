//! Calls a provider over its socket, as the driver does.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use coffer_proto::v1alpha1::{
    MountRequest, MountResponse, csi_driver_provider_client::CsiDriverProviderClient,
};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::UnixStream;
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};
use tower::service_fn;

/// How long kubelet gives the driver.
const DEADLINE: Duration = Duration::from_secs(120);

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum ProviderError {
    /// No file of that name.
    #[error("there is no socket {}: does a provider run on this node?", .0.display())]
    NoSocket(PathBuf),
    /// A stale file.
    #[error("nobody listens on {}: the provider that made it is gone", .0.display())]
    NobodyListens(PathBuf),
    /// A guarded socket.
    #[error("no permission to connect to {}: a provider's socket is for root alone", .0.display())]
    NotAllowed(PathBuf),
    /// Another failure to connect.
    #[error("cannot connect to {}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something listens that does not speak HTTP/2.
    #[error("no gRPC at {}", path.display())]
    Transport {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The provider's own error, in the driver's words.
    #[error("rpc error: code = {} desc = {}", code_name(.0.code()), .0.message())]
    Answer(Status),
}

/// Asks the provider at the socket for a mount.
pub(crate) async fn mount(socket: &Path, request: MountRequest) -> Result<MountResponse, ProviderError> {
    let mut client = CsiDriverProviderClient::new(connect(socket).await?);
    let mut request = Request::new(request);
    request.set_timeout(DEADLINE);
    let answer = client.mount(request).await.map_err(ProviderError::Answer)?;
    Ok(answer.into_inner())
}

async fn connect(socket: &Path) -> Result<Channel, ProviderError> {
    let stream = UnixStream::connect(socket).await.map_err(|error| refusal(socket, error))?;
    // There is the one connection: a second attempt has nothing to connect to.
    let mut stream = Some(TokioIo::new(stream));
    let connector = service_fn(move |_| {
        let stream = stream.take().ok_or(ErrorKind::NotConnected);
        async move { stream.map_err(io::Error::from) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    endpoint
        .connect_with_connector(connector)
        .await
        .map_err(|source| ProviderError::Transport { path: socket.to_owned(), source })
}

fn refusal(socket: &Path, source: io::Error) -> ProviderError {
    let path = socket.to_owned();
    match source.kind() {
        ErrorKind::NotFound => ProviderError::NoSocket(path),
        ErrorKind::ConnectionRefused => ProviderError::NobodyListens(path),
        ErrorKind::PermissionDenied => ProviderError::NotAllowed(path),
        _ => ProviderError::Connect { path, source },
    }
}

/// The code as Go names it.
fn code_name(code: Code) -> String {
    match code {
        Code::Ok => "OK".to_owned(),
        Code::Cancelled => "Canceled".to_owned(),
        code => format!("{code:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_as_in_the_driver_s_log() {
        let error = ProviderError::Answer(Status::permission_denied("no role"));
        assert_eq!(error.to_string(), "rpc error: code = PermissionDenied desc = no role");
        let error = ProviderError::Answer(Status::cancelled(""));
        assert_eq!(error.to_string(), "rpc error: code = Canceled desc = ");
    }

    #[test]
    fn a_refused_connection_says_why() {
        let text = |kind: ErrorKind| refusal(Path::new("/run/v.sock"), kind.into()).to_string();
        assert_eq!(
            text(ErrorKind::NotFound),
            "there is no socket /run/v.sock: does a provider run on this node?"
        );
        assert!(text(ErrorKind::ConnectionRefused).starts_with("nobody listens on /run/v.sock"));
        assert!(text(ErrorKind::PermissionDenied).starts_with("no permission to connect to /run/v.sock"));
        assert_eq!(text(ErrorKind::InvalidInput), "cannot connect to /run/v.sock");
    }
}

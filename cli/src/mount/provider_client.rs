//! Calls a provider over its socket, as the driver does.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use coffer_proto::v1alpha1::csi_driver_provider_client::CsiDriverProviderClient;
use coffer_proto::v1alpha1::{MountRequest, MountResponse};
use coffer_provider::root_cause;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tower::service_fn;

/// Timeout of the call. kubelet gives the driver as much.
const DEADLINE: Duration = Duration::from_secs(120);

/// Why a provider gave no answer.
#[derive(Debug, Error)]
pub(crate) enum ProviderCallError {
    /// There is no file with the socket's name.
    #[error("there is no socket {}: does a provider run on this node?", .0.display())]
    NoSocket(PathBuf),
    /// The socket's file was left by a provider that ended.
    #[error("nobody listens on {}: the provider that made it is gone", .0.display())]
    NobodyListens(PathBuf),
    /// The socket may not be opened.
    #[error("no permission to connect to {}: a provider's socket is for root alone", .0.display())]
    NotAllowed(PathBuf),
    /// The system refused the connection for another reason.
    #[error("cannot connect to {}: {source}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// What listens does not speak HTTP/2.
    #[error("no gRPC at {}: {}", path.display(), root_cause(source))]
    Transport {
        /// The socket.
        path: PathBuf,
        /// The HTTP library's error.
        source: tonic::transport::Error,
    },
    /// The provider answered with an error, which is printed as the driver prints it.
    #[error("rpc error: code = {} desc = {}", code_name(.0.code()), .0.message())]
    Answer(Status),
}

/// Sends a Mount request to the provider at a socket.
pub(crate) async fn mount(socket: &Path, request: MountRequest) -> Result<MountResponse, ProviderCallError> {
    let mut client = CsiDriverProviderClient::new(connect(socket).await?);
    let mut request = Request::new(request);
    request.set_timeout(DEADLINE);
    let answer = client.mount(request).await.map_err(ProviderCallError::Answer)?;
    Ok(answer.into_inner())
}

async fn connect(socket: &Path) -> Result<Channel, ProviderCallError> {
    let stream = UnixStream::connect(socket).await.map_err(|error| refusal(socket, error))?;
    // there is only this connection: a second attempt has nothing to connect to
    let mut stream = Some(TokioIo::new(stream));
    let connector = service_fn(move |_| {
        let stream = stream.take().ok_or(ErrorKind::NotConnected);
        async move { stream.map_err(io::Error::from) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    endpoint
        .connect_with_connector(connector)
        .await
        .map_err(|source| ProviderCallError::Transport { path: socket.to_owned(), source })
}

fn refusal(socket: &Path, source: io::Error) -> ProviderCallError {
    let path = socket.to_owned();
    match source.kind() {
        ErrorKind::NotFound => ProviderCallError::NoSocket(path),
        ErrorKind::ConnectionRefused => ProviderCallError::NobodyListens(path),
        ErrorKind::PermissionDenied => ProviderCallError::NotAllowed(path),
        _ => ProviderCallError::Connect { path, source },
    }
}

/// Returns the name of a code in Go.
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
    fn a_status_is_printed_as_in_the_driver_s_log() {
        let error = ProviderCallError::Answer(Status::permission_denied("no role"));
        assert_eq!(error.to_string(), "rpc error: code = PermissionDenied desc = no role");
        let error = ProviderCallError::Answer(Status::cancelled(""));
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
        assert_eq!(text(ErrorKind::InvalidInput), "cannot connect to /run/v.sock: invalid input parameter");
    }
}

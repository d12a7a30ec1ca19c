//! The watch on the socket's file. The driver finds a provider by its file alone, so an agent whose
//! file is gone would serve nobody, and nobody would notice.

use std::fs;
use std::io;
use std::mem;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::{BoundSocket, DriverListener, directory};
use crate::file_id::FileId;
use crate::node_health::{NodeFault, NodePart};

/// Interval of the checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// What is at the socket's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Our socket, with its mode.
    Ours,
    /// Our socket, with another mode.
    OtherMode,
    /// Another socket, at which somebody listens.
    Served,
    /// Another socket, at which nobody listens.
    Stale,
    /// Something else.
    Other,
    /// Nothing.
    Nothing,
}

/// Returns the times of the checks.
pub(super) fn checks() -> Interval {
    let mut checks = interval_at(Instant::now() + CHECK_INTERVAL, CHECK_INTERVAL);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    checks
}

impl DriverListener {
    /// Makes the socket anew if its file is gone, stale or of another mode, and reports what cannot
    /// be mended.
    ///
    /// A socket at which another process listens stays: of two agents on a node, as during a
    /// rolling update, the later one serves. If it ends, this one serves again.
    pub(super) async fn check(&mut self) {
        let found = self.find().await;
        let fault = match found {
            Found::Ours => None,
            Found::Served => Some(NodeFault {
                reason: format!("another process serves {}: it gets the mounts", self.path.display()),
                restart: false,
            }),
            _ => self.mend(found),
        };
        let reason = fault.as_ref().map(|fault| fault.reason.clone());
        if self.health.set(NodePart::Socket, fault) {
            match reason {
                Some(reason) => tracing::error!(reason, "the driver does not find this agent"),
                None => tracing::info!("the driver finds this agent again"),
            }
        }
    }

    async fn find(&self) -> Found {
        let Ok(metadata) = fs::symlink_metadata(&self.path) else { return Found::Nothing };
        if FileId::from(&metadata) == self.bound.file {
            return if metadata.mode() == self.bound.mode { Found::Ours } else { Found::OtherMode };
        }
        if !metadata.file_type().is_socket() {
            return Found::Other;
        }
        // a full backlog is somebody who listens, too
        match UnixStream::connect(&self.path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Found::Stale,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
            _ => Found::Served,
        }
    }

    /// Makes the socket anew, and its directory. Returns the fault if that is impossible.
    fn mend(&mut self, found: Found) -> Option<NodeFault> {
        if !directory(&self.path).exists() {
            make_directory(&self.path);
        }
        match BoundSocket::bind(&self.path) {
            Ok(bound) => {
                tracing::warn!(path = %self.path.display(), ?found, "the socket was not as it should be: made anew");
                self.replace(bound);
                None
            }
            Err(error) => Some(NodeFault { reason: error.to_string(), restart: true }),
        }
    }

    /// Takes another socket in place of the one before. The connections that wait there are kept.
    fn replace(&mut self, bound: BoundSocket) {
        let before = mem::replace(&mut self.bound, bound);
        let Ok(listener) = before.listener.into_std() else { return };
        while let Ok((stream, _)) = listener.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream));
            self.waiting.extend(stream.ok());
        }
    }
}

/// Makes the socket's directory as kubelet does. A failure shows when the socket is bound.
fn make_directory(path: &Path) {
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(directory(path));
    if made.is_ok() {
        tracing::warn!(path = %directory(path).display(), "the socket's directory was gone: made anew");
    }
}

//! The thread for requests to servers that classes name. A server that floods a connection with
//! headers, frames or empty answers keeps the HTTP client busy before any limit of this crate is
//! asked. On a thread of its own the client takes half of a processor at most from all else.

use std::io;
use std::thread;

use coffer_connect::BreakCause;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::{Failure, LostAnswer};

/// The thread, which ends when this value is dropped.
#[derive(Debug)]
pub(crate) struct OthersThread {
    runtime: Handle,
    /// Its drop ends the thread.
    _end: oneshot::Sender<()>,
}

impl OthersThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel::<()>();
        let handle = runtime.handle().clone();
        let run = move || {
            let _ = runtime.block_on(ended);
            runtime.shutdown_background();
        };
        thread::Builder::new().name("others".to_owned()).spawn(run)?;
        Ok(Self { runtime: handle, _end: end })
    }

    /// Runs a request on the thread. The request ends if the returned future is dropped.
    ///
    /// # Errors
    /// Those of the request.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        request: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let mut tasks = JoinSet::new();
        tasks.spawn_on(request, &self.runtime);
        match tasks.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(fault)) => {
                Err(Failure::Broken { cause: BreakCause::new(fault), lost: LostAnswer::default() })
            }
            None => Err(Failure::TimedOut(LostAnswer::default())),
        }
    }
}

//! The tests of one file over servers that they share.
//!
//! A cluster takes seconds to start, so a file's tests share one, and something has to end it. Rust never drops a
//! static, and `#[test]` functions have no common owner: so these files bring their own `main` (`harness = false`), which owns the
//! servers, runs the tests and drops the servers, whatever became of the tests. Nothing else has to watch over the
//! processes; what a killed test program leaves behind, `cargo xtask test` finds and ends.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::{FutureExt, LocalBoxFuture};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use super::mounts::mounts_forbidden;

/// How many tests run at once where nothing else is said: they wait most of their time.
const AT_ONCE: usize = 4;

/// What the tests of a file share.
pub trait Servers: Send + Sync + 'static {
    /// Prints the ends of the logs.
    fn show_logs(&self);
}

/// The tests of a file.
pub struct Suite<S> {
    shared: Arc<Shared<S>>,
    trials: Vec<Trial>,
    at_once: Option<usize>,
    skipped: Option<&'static str>,
}

struct Shared<S> {
    runtime: Runtime,
    start: Box<dyn Fn() -> LocalBoxFuture<'static, S> + Send + Sync>,
    /// Started by the test that comes first, so that a filter that leaves none starts nothing; empty when that failed.
    servers: OnceCell<Option<Arc<S>>>,
}

impl<S: Servers> Suite<S> {
    /// No tests yet, over servers that are started so.
    ///
    /// # Panics
    /// When the machine has no threads left.
    pub fn new<F>(start: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = S> + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let shared = Shared {
            runtime: runtime.expect("a runtime"),
            start: Box::new(move || start().boxed_local()),
            servers: OnceCell::new(),
        };
        Self { shared: Arc::new(shared), trials: Vec::new(), at_once: None, skipped: None }
    }

    /// One at a time: for tests that change what all of them use.
    #[must_use]
    pub fn one_at_a_time(self) -> Self {
        Self { at_once: Some(1), ..self }
    }

    /// Skips the tests that follow where there is a reason.
    #[must_use]
    pub fn skipped_where(self, reason: Option<&'static str>) -> Self {
        Self { skipped: reason, ..self }
    }

    /// A test that mounts, which not every machine allows.
    #[must_use]
    pub fn mounting<F>(self, name: impl Into<String>, test: impl FnOnce(Arc<S>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()>,
    {
        self.add(name.into(), mounts_forbidden(), test)
    }

    /// A test that needs no mounts.
    #[must_use]
    pub fn test<F>(self, name: impl Into<String>, test: impl FnOnce(Arc<S>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()>,
    {
        let skipped = self.skipped;
        self.add(name.into(), skipped, test)
    }

    /// Runs the tests, then ends the servers.
    pub fn run(self) -> ExitCode {
        let Self { shared, trials, at_once, .. } = self;
        let mut arguments = Arguments::from_args();
        arguments.test_threads = at_once.or(arguments.test_threads).or(Some(AT_ONCE));
        let conclusion = libtest_mimic::run(&arguments, trials);
        drop(shared);
        conclusion.exit_code()
    }

    fn add<F>(
        mut self,
        name: String,
        skipped: Option<&'static str>,
        test: impl FnOnce(Arc<S>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()>,
    {
        let shared = Arc::clone(&self.shared);
        self.trials.push(Trial::ignorable_test(name, move || match skipped {
            Some(reason) => Ok(Completion::ignored_with(reason)),
            None => shared.run(test),
        }));
        self
    }
}

impl<S: Servers> Shared<S> {
    fn run<F: Future<Output = ()>>(&self, test: impl FnOnce(Arc<S>) -> F) -> Result<Completion, Failed> {
        self.runtime.block_on(async {
            // The panic is for everyone who waits for the servers, not only for the first.
            let start = || async { AssertUnwindSafe((self.start)()).catch_unwind().await.ok().map(Arc::new) };
            let servers = self.servers.get_or_init(start).await;
            let servers = servers.as_ref().ok_or("the servers did not start")?;
            let _shown = ShownOnFailure(&**servers);
            test(Arc::clone(servers)).await;
            Ok(Completion::Completed)
        })
    }
}

/// Shows the logs of servers that outlive the test when the test fails.
struct ShownOnFailure<'a>(&'a dyn Servers);

impl Drop for ShownOnFailure<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.show_logs();
        }
    }
}

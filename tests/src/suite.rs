//! Tests that share servers, which end with the test program.
//!
//! A cluster takes seconds to start, so tests share one, and something has to end it. Rust never
//! drops a static, and `#[test]` functions have no common owner. So these test programs have their
//! own `main` (`harness = false`), which owns the servers, runs the tests and drops the servers,
//! whatever the outcome. If a test program is killed, `cargo xtask test` finds and ends what it
//! left behind.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::{FutureExt, LocalBoxFuture};
use libtest_mimic::{Arguments, Completion, Conclusion, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::kubernetes::mounts_forbidden;

/// How many tests run at once by default. Tests mostly wait for a server.
const AT_ONCE: usize = 4;

/// The exit code of a test program with a failed test, the same as that of Rust's own harness.
const FAILED: u8 = 101;

/// Servers that tests share.
pub trait Servers: Send + Sync + 'static {
    /// Prints the ends of the servers' logs.
    fn show_logs(&self);
}

/// No shared servers: each test starts what it needs.
impl Servers for () {
    fn show_logs(&self) {}
}

/// The suites of one test program. Suites run one after another, so none disturbs another's
/// servers.
#[derive(Default)]
pub struct TestProgram {
    suites: Vec<Box<dyn FnOnce(Arguments) -> Conclusion>>,
}

impl TestProgram {
    /// Returns a test program without suites.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a suite.
    #[must_use]
    pub fn suite<S: Servers>(mut self, suite: Suite<S>) -> Self {
        self.suites.push(Box::new(|arguments| suite.run(arguments)));
        self
    }

    /// Runs all suites, even after a failed one, and ends each suite's servers after it.
    pub fn run(self) -> ExitCode {
        let arguments = Arguments::from_args();
        let mut code = ExitCode::SUCCESS;
        for suite in self.suites {
            if suite(arguments.clone()).has_failed() {
                code = ExitCode::from(FAILED);
            }
        }
        code
    }
}

/// Tests that share servers.
pub struct Suite<S> {
    shared: Arc<SharedServers<S>>,
    trials: Vec<Trial>,
    /// The module whose tests are being added: the prefix of their names.
    module: &'static str,
    at_once: Option<usize>,
    skipped: Option<&'static str>,
}

struct SharedServers<S> {
    runtime: Runtime,
    start: Box<dyn Fn() -> LocalBoxFuture<'static, S> + Send + Sync>,
    /// Started by the first test, so that nothing starts if a filter excludes all tests; empty if
    /// the start failed.
    servers: OnceCell<Option<Arc<S>>>,
}

impl Suite<()> {
    /// Returns a suite without shared servers and without tests.
    pub fn without_servers() -> Self {
        Self::new(async || ())
    }

    /// Adds a test that is a plain function.
    #[must_use]
    pub fn function(self, name: &str, test: fn()) -> Self {
        self.test(name, move |_| async move { test() })
    }
}

impl<S: Servers> Suite<S> {
    /// Returns a suite without tests, over the servers that `start` starts.
    ///
    /// # Panics
    /// If the machine has no threads left.
    pub fn new<F>(start: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = S> + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let shared = SharedServers {
            runtime: runtime.expect("a runtime"),
            start: Box::new(move || start().boxed_local()),
            servers: OnceCell::new(),
        };
        Self { shared: Arc::new(shared), trials: Vec::new(), module: "", at_once: None, skipped: None }
    }

    /// Runs one test at a time: for tests that change what all of them use.
    #[must_use]
    pub fn one_at_a_time(self) -> Self {
        Self { at_once: Some(1), ..self }
    }

    /// Adds the tests of a module by calling `add`.
    #[must_use]
    pub fn module(self, name: &'static str, add: impl FnOnce(Self) -> Self) -> Self {
        add(Self { module: name, skipped: None, ..self })
    }

    /// Skips the tests of this module that are added from here on, if there is a reason.
    #[must_use]
    pub fn skipped_where(self, reason: Option<&'static str>) -> Self {
        Self { skipped: reason, ..self }
    }

    /// Adds a test that mounts, which is skipped on machines that do not allow mounts.
    #[must_use]
    pub fn mounting<F>(self, name: impl AsRef<str>, test: impl FnOnce(Arc<S>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()>,
    {
        self.add(name.as_ref(), mounts_forbidden(), test)
    }

    /// Adds a test that needs no mounts.
    #[must_use]
    pub fn test<F>(self, name: impl AsRef<str>, test: impl FnOnce(Arc<S>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()>,
    {
        let skipped = self.skipped;
        self.add(name.as_ref(), skipped, test)
    }

    /// Runs the tests, then ends the servers.
    fn run(self, mut arguments: Arguments) -> Conclusion {
        let Self { shared, trials, at_once, .. } = self;
        arguments.test_threads = at_once.or(arguments.test_threads).or(Some(AT_ONCE));
        let conclusion = libtest_mimic::run(&arguments, trials);
        drop(shared);
        conclusion
    }

    fn add<F>(
        mut self,
        name: &str,
        skipped: Option<&'static str>,
        test: impl FnOnce(Arc<S>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()>,
    {
        let shared = Arc::clone(&self.shared);
        let name = format!("{}::{name}", self.module);
        self.trials.push(Trial::ignorable_test(name, move || match skipped {
            Some(reason) => Ok(Completion::ignored_with(reason)),
            None => shared.run(test),
        }));
        self
    }
}

impl<S: Servers> SharedServers<S> {
    fn run<F: Future<Output = ()>>(&self, test: impl FnOnce(Arc<S>) -> F) -> Result<Completion, Failed> {
        self.runtime.block_on(async {
            // The panic must reach all tests that wait for the servers, not only the first.
            let start = || async { AssertUnwindSafe((self.start)()).catch_unwind().await.ok().map(Arc::new) };
            let servers = self.servers.get_or_init(start).await;
            let servers = servers.as_ref().ok_or("the servers did not start")?;
            let _shown = ShownOnFailure(&**servers);
            test(Arc::clone(servers)).await;
            Ok(Completion::Completed)
        })
    }
}

/// Prints the logs of the shared servers if the test fails.
struct ShownOnFailure<'a>(&'a dyn Servers);

impl Drop for ShownOnFailure<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.show_logs();
        }
    }
}

//! Requests of one read, a few at a time.

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;

/// Maximum number of requests in progress of one read.
const AT_ONCE: usize = 8;

/// Requests in progress, at most [`AT_ONCE`], and the results in the order of their start. A request
/// takes some KiB, so that not all of a large class are started at once.
pub(super) struct InOrder<F: Future> {
    running: FuturesOrdered<F>,
    results: Vec<F::Output>,
}

impl<F: Future> Default for InOrder<F> {
    fn default() -> Self {
        Self { running: FuturesOrdered::new(), results: Vec::new() }
    }
}

impl<F: Future> InOrder<F> {
    /// Starts a request, after the first of those in progress has ended if there are too many.
    pub(super) async fn start(&mut self, request: F) {
        if self.running.len() >= AT_ONCE {
            self.results.extend(self.running.next().await);
        }
        self.running.push_back(request);
    }

    /// Waits for all requests.
    pub(super) async fn finish(mut self) -> Vec<F::Output> {
        while let Some(result) = self.running.next().await {
            self.results.push(result);
        }
        self.results
    }
}

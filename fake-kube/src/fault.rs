//! What goes wrong with a request, and how long it takes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};

/// What happens to one request.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestFault {
    /// Time until the server does what is asked.
    pub before: Duration,
    /// Time from then until the client has the answer; for a watch, the delay of each event.
    pub after: Duration,
    /// What goes wrong.
    pub kind: RequestFaultKind,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RequestFaultKind {
    /// Nothing.
    #[default]
    None,
    /// The server never sees the request.
    Unreachable,
    /// The server does what is asked, and the client gets no answer.
    AnswerLost,
    /// The server does what is asked, and the client waits until it gives up.
    Silent,
    /// The server does what is asked twice; the client gets the second answer.
    SentTwice,
    /// The server refuses with this status.
    Refused(u16),
}

/// The faults of one client's requests, in their order. A clone is the same queue. When all are
/// used up nothing goes wrong.
#[derive(Debug, Clone, Default)]
pub struct FaultQueue(Arc<Mutex<VecDeque<RequestFault>>>);

impl FaultQueue {
    /// Replaces the faults that are still to come.
    pub fn set(&self, faults: impl IntoIterator<Item = RequestFault>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = faults.into_iter().collect();
    }

    pub(crate) fn next(&self) -> RequestFault {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or_default()
    }
}

/// Draws up to `most` faults; most requests are only slow.
pub fn drawn_faults(most: usize) -> impl Strategy<Value = Vec<RequestFault>> {
    let kind = prop_oneof![
        6 => Just(RequestFaultKind::None),
        1 => Just(RequestFaultKind::Unreachable),
        1 => Just(RequestFaultKind::AnswerLost),
        1 => Just(RequestFaultKind::Silent),
        1 => Just(RequestFaultKind::SentTwice),
        1 => prop_oneof![Just(403), Just(409), Just(429), Just(500), Just(503)].prop_map(RequestFaultKind::Refused),
    ];
    let delay = || prop_oneof![3 => 0..50_u64, 1 => 0..12_000_u64].prop_map(Duration::from_millis);
    let fault =
        (delay(), delay(), kind).prop_map(|(before, after, kind)| RequestFault { before, after, kind });
    vec(fault, 0..=most)
}

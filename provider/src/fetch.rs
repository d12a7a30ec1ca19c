//! The requests of a plan, made in parallel; those that issue something last.

use futures_util::{StreamExt, stream};

use crate::plan::{Plan, Request};
use crate::session::{Reading, Session};
use crate::vault::Answer;
use crate::{Error, ErrorKind};

/// Requests in flight for one read.
const AT_ONCE: usize = 8;

/// Fetches the answer of every request of the plan.
///
/// Nothing is issued unless everything else was read, and all requests that were begun are waited for, so
/// that the error is the same one each time: that of the first object.
///
/// # Errors
/// The first request's that failed, with its index.
pub(crate) async fn fetch(
    plan: &Plan<'_>,
    session: &Session,
    reading: &Reading<'_>,
) -> Result<Vec<Answer>, (usize, Error)> {
    // one login before all, so that one that fails is not made again for each
    session.token(reading).await.map_err(|error| (0, error))?;
    let mut answers: Vec<Option<Answer>> = plan.requests.iter().map(|_| None).collect();
    for issuing in [false, true] {
        // collected first: a closure that is held over an await would keep the future from being sent between threads
        let mut due = Vec::new();
        for (n, request) in
            plan.requests.iter().enumerate().filter(|(_, request)| request.issues() == issuing)
        {
            due.push(async move { (n, fetch_one(request, session, reading).await) });
        }
        let fetched: Vec<(usize, Result<Answer, Error>)> =
            stream::iter(due).buffered(AT_ONCE).collect().await;
        for (n, answer) in fetched {
            answers[n] = Some(answer.map_err(|error| (n, error))?);
        }
    }
    Ok(answers.into_iter().flatten().collect())
}

/// Makes one request, with another token where the first one is denied and the second may do better.
pub(crate) async fn fetch_one(
    request: &Request,
    session: &Session,
    reading: &Reading<'_>,
) -> Result<Answer, Error> {
    let token = session.token(reading).await?;
    let mut answer = reading.vault.read(request, token.secret()).await;
    let mut asked_with = token;
    if answer.as_ref().is_err_and(|failure| failure.is_denied())
        && let Some(other) = session.token_after_denial(&asked_with, reading).await?
    {
        // refused before anything was done, so even a request that issues may be made by the other token
        answer = reading.vault.read(request, other.secret()).await;
        asked_with = other;
    }
    let answer = answer.map_err(|failure| {
        let error =
            failure.into_error(&reading.vault.target.target.address.to_string()).with_path(&request.path);
        match error.kind {
            ErrorKind::Denied => error.with_advice(session.advice_on_denial(request)),
            _ => error,
        }
    })?;
    let envelope = answer.envelope();
    if envelope.has_lease() || envelope.field("auth").is_some() {
        asked_with.note_issue();
    }
    Ok(answer)
}

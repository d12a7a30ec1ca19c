//! The requests of a plan, made in parallel; those that issue something last.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use crate::class::Object;
use crate::plan::{Plan, Request, RequestId};
use crate::session::{Reading, Session, Token};
use crate::vault::{Answer, Grant};
use crate::{Error, ErrorKind};

/// Requests in flight for one read.
const AT_ONCE: usize = 8;

/// The time for what has a stopgap: whoever waits has a file to go on with.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gets the answer of every request of the plan: from what the session holds, else from Vault.
///
/// Nothing is issued unless everything else was read, and all requests that were begun are waited for, so
/// that the error is the same one each time: that of the first object. What was issued before and is good yet stands in
/// where Vault gives no successor.
///
/// # Errors
/// The first request's that failed, with its index.
pub(crate) async fn fetch(
    plan: &Plan<'_>,
    objects: &[Object],
    session: &Session,
    reading: &Reading<'_>,
) -> Result<Vec<Arc<Answer>>, (usize, Error)> {
    let ids: Vec<RequestId> = plan.requests.iter().map(|request| request.id()).collect();
    let mut answers: Vec<Option<Arc<Answer>>> = ids.iter().map(|id| session.held(*id, reading)).collect();
    if answers.iter().any(Option::is_none) {
        let requests: Vec<&Request> = missing(&answers).into_iter().map(|n| plan.requests[n]).collect();
        let _turn = session.issuing_turn(&requests).await;
        for n in missing(&answers) {
            // another mount may have got it in the meantime
            answers[n] = session.held(ids[n], reading);
        }
        if let Err((n, error)) = fetch_missing(&mut answers, plan, objects, session, reading).await {
            for missing in missing(&answers) {
                answers[missing] = Some(session.stopgap(ids[missing]).ok_or_else(|| (n, error.clone()))?);
            }
            let (namespace, pod) = (&session.key().identity.namespace, session.pod_name());
            let path = &plan.requests[n].path;
            tracing::warn!(
                namespace,
                pod,
                path,
                "what was issued before stays mounted while it lasts: {error}"
            );
        }
    }
    session.note_used(&ids, reading);
    Ok(answers.into_iter().flatten().collect())
}

/// The requests that have no answer yet.
fn missing(answers: &[Option<Arc<Answer>>]) -> Vec<usize> {
    (0..answers.len()).filter(|n| answers[*n].is_none()).collect()
}

async fn fetch_missing(
    answers: &mut [Option<Arc<Answer>>],
    plan: &Plan<'_>,
    objects: &[Object],
    session: &Session,
    reading: &Reading<'_>,
) -> Result<(), (usize, Error)> {
    let Some(first) = missing(answers).first().copied() else { return Ok(()) };
    let mut reading = *reading;
    if missing(answers).iter().all(|n| session.stopgap(plan.requests[*n].id()).is_some()) {
        reading.vault.deadline = reading.vault.deadline.min(Instant::now() + PATIENCE);
    }
    // one login before all, so that one that fails is not made again for each
    session.token(&reading).await.map_err(|error| (first, error))?;
    for issuing in [false, true] {
        // collected first: a closure that is held over an await would keep the future from being sent between threads
        let mut due = Vec::new();
        for n in missing(answers).into_iter().filter(|n| plan.requests[*n].issues() == issuing) {
            let names = plan.objects_of(n).map(|at| objects[at].file.as_str().to_owned()).collect();
            let reading = &reading;
            due.push(async move { (n, fetch_and_hold(plan.requests[n], names, session, reading).await) });
        }
        let fetched: Vec<(usize, Result<Arc<Answer>, Error>)> =
            stream::iter(due).buffered(AT_ONCE).collect().await;
        let mut failed = None;
        for (n, answer) in fetched {
            match answer {
                Ok(answer) => answers[n] = Some(answer),
                Err(error) => failed = failed.or(Some((n, error))),
            }
        }
        if let Some(failed) = failed {
            return Err(failed);
        }
    }
    Ok(())
}

/// Makes one request whose answer may be one to be held, and so written down before it is known.
async fn fetch_and_hold(
    request: &Request,
    objects: Vec<String>,
    session: &Session,
    reading: &Reading<'_>,
) -> Result<Arc<Answer>, Error> {
    let intent = session.intend(request);
    let asked = session.now();
    let (answer, grant, token) = fetch_with_token(request, session, reading).await?;
    if let Some(intent) = intent.as_ref().filter(|_| matches!(grant, Grant::Nothing)) {
        intent.issued_nothing();
    }
    Ok(session.hold((answer, grant), (request, objects), &token, asked, reading))
}

/// Makes one request whose answer is not held.
pub(crate) async fn fetch_one(
    request: &Request,
    session: &Session,
    reading: &Reading<'_>,
) -> Result<Answer, Error> {
    fetch_with_token(request, session, reading).await.map(|(answer, ..)| answer)
}

/// Makes one request, with another token where the first one is denied and the second may do better.
async fn fetch_with_token(
    request: &Request,
    session: &Session,
    reading: &Reading<'_>,
) -> Result<(Answer, Grant, Arc<Token>), Error> {
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
    // once: an answer may be megabytes long
    let grant = answer.grant(request.issues());
    if matches!(grant, Grant::Lease(_) | Grant::Token) {
        asked_with.note_issue();
    }
    Ok((answer, grant, asked_with))
}

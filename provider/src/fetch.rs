//! The requests of a plan, made in parallel; those that issue something last.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::class::Object;
use crate::plan::{Plan, Request, RequestId};
use crate::session::{Reading, Session, Token};
use crate::vault::{Answer, Failure, Grant};
use crate::{Error, ErrorKind};

/// Requests in flight for one read.
const AT_ONCE: usize = 8;

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
) -> Result<Vec<(RequestId, Arc<Answer>)>, (usize, Error)> {
    let mut got: Vec<Got> =
        plan.requests.iter().map(|request| Got::held(request, session, reading)).collect();
    fetch_missing(&mut got, plan, objects, session, reading).await?;
    for got in &mut got {
        got.look_again(session, reading);
    }
    fetch_missing(&mut got, plan, objects, session, reading).await?;
    Ok(got.into_iter().filter_map(|got| Some((got.id, got.answer?))).collect())
}

/// What there is for one request.
struct Got {
    id: RequestId,
    answer: Option<Arc<Answer>>,
    was_held: bool,
}

impl Got {
    fn held(request: &Request, session: &Session, reading: &Reading<'_>) -> Self {
        let id = request.id();
        let answer = session.held(id, reading);
        Self { id, was_held: answer.is_some(), answer }
    }

    /// Another request of this read may have found that Vault lost the token that this one was held under.
    fn look_again(&mut self, session: &Session, reading: &Reading<'_>) {
        if self.was_held {
            self.answer = session.held(self.id, reading);
        }
    }
}

/// Gets what is missing: whole, with what is good yet of before, or not at all.
async fn fetch_missing(
    got: &mut [Got],
    plan: &Plan<'_>,
    objects: &[Object],
    session: &Session,
    reading: &Reading<'_>,
) -> Result<(), (usize, Error)> {
    let requests: Vec<&Request> = missing(got).into_iter().map(|n| plan.requests[n]).collect();
    if requests.is_empty() {
        return Ok(());
    }
    let _turn = session.issuing_turn(&requests).await;
    for n in missing(got) {
        // another mount may have got it in the meantime
        got[n].answer = session.held(got[n].id, reading);
    }
    let Err((n, error)) = ask_for_missing(got, plan, objects, session, reading).await else { return Ok(()) };
    for missing in missing(got) {
        got[missing].answer = Some(session.stopgap(got[missing].id).ok_or_else(|| (n, error.clone()))?);
    }
    tracing::warn!(
        namespace = session.key().identity.namespace,
        pod = session.pod_name(),
        path = plan.requests[n].path,
        "what was issued before stays mounted while it lasts: {error}"
    );
    Ok(())
}

/// The requests that have no answer yet.
fn missing(got: &[Got]) -> Vec<usize> {
    (0..got.len()).filter(|n| got[*n].answer.is_none()).collect()
}

async fn ask_for_missing(
    got: &mut [Got],
    plan: &Plan<'_>,
    objects: &[Object],
    session: &Session,
    reading: &Reading<'_>,
) -> Result<(), (usize, Error)> {
    for issuing in [false, true] {
        // collected first: a closure that is held over an await would keep the future from being sent between threads
        let mut due = Vec::new();
        for n in missing(got).into_iter().filter(|n| plan.requests[*n].issues() == issuing) {
            let names = plan.objects_of(n).map(|at| objects[at].file.as_str().to_owned()).collect();
            due.push(async move { (n, fetch_and_hold(plan.requests[n], names, session, reading).await) });
        }
        let fetched: Vec<(usize, Result<Arc<Answer>, Error>)> =
            stream::iter(due).buffered(AT_ONCE).collect().await;
        let mut failed = None;
        for (n, answer) in fetched {
            match answer {
                Ok(answer) => got[n].answer = Some(answer),
                Err(error) => failed = failed.or(Some((n, error))),
            }
        }
        if let Some(failed) = failed {
            return Err(failed);
        }
    }
    Ok(())
}

/// Makes one request whose answer may be one to be held.
async fn fetch_and_hold(
    request: &Request,
    objects: Vec<String>,
    session: &Session,
    reading: &Reading<'_>,
) -> Result<Arc<Answer>, Error> {
    let asked = session.now();
    let (answer, grant, token) = fetch_with_token(request, session, reading).await?;
    session.note_grant(request, &grant);
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
    let token = token_for(request, session, reading).await?;
    let mut answer = ask(request, &token, session, reading).await;
    let mut asked_with = token;
    if answer.as_ref().is_err_and(|failure| failure.is_denied())
        && let Some(other) = session.token_after_denial(&asked_with, reading).await?
    {
        // refused before anything was done, so even a request that issues may be made by the other token
        answer = ask(request, &other, session, reading).await;
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

/// The token for a request. A read that merely may issue something is made with one near its end, where there is no other and
/// nothing to go on with.
async fn token_for(request: &Request, session: &Session, reading: &Reading<'_>) -> Result<Arc<Token>, Error> {
    match session.token_for(request, reading).await {
        Err(_) if !request.issues() && session.stopgap(request.id()).is_none() => {
            session.token(reading).await
        }
        token => token,
    }
}

/// Asks Vault, written down before where it may issue something.
async fn ask(
    request: &Request,
    token: &Token,
    session: &Session,
    reading: &Reading<'_>,
) -> Result<Answer, Failure> {
    let intent = session.intend(request);
    let answer = reading.vault.read(request, token.secret()).await;
    let is_lost = answer.as_ref().is_err_and(Failure::is_lost_answer);
    if let Some(intent) = intent.filter(|_| !is_lost) {
        intent.settle();
    }
    answer
}

//! Sends the requests of a plan in parallel; requests that issue something come last.

mod in_order;
mod renew_first;

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use coffer_vault::{Answer, CertificateGrant, Failure, FailureKind, Grant, LeaseGrant, Request};

use self::in_order::InOrder;
use crate::class::{Class, PlannedRequest};
use crate::lease::{LeaseStore, report_replaced};
use crate::lifetime::Lifetime;
use crate::memory::HeldBytes;
use crate::raw_endpoint::advice_on_raw;
use crate::session::{
    AnswerUse, IssuedAnswer, IssuedTerm, LoginContext, Session, Token, TokenNeed, UsedToken, VolumeId,
};
use crate::vault_error::error_of;
use crate::{Error, ErrorKind, PodReporter};

/// Maximum lifetime of a certificate, so that the end is a valid [`Instant`]. A longer one is cut.
const LONGEST_LIFE: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A read in progress, which gets the answers to all requests of a class's plan for one session.
pub(crate) struct Fetch<'a> {
    pub(crate) class: &'a Class,
    pub(crate) session: &'a Session,
    /// The client for Vault, and the parameters of a login.
    pub(crate) login: LoginContext<'a>,
    /// The lease store; none if no leases are stored and renewed. The same for the whole read.
    pub(crate) leases: Option<&'a LeaseStore>,
    /// Tells the pod's owner what is issued in place of something.
    pub(crate) reporter: &'a dyn PodReporter,
    pub(crate) volume: VolumeId,
    /// Maximum age of a cached answer.
    pub(crate) refresh_interval: Duration,
}

/// A request that failed, by its index in the plan.
#[derive(Debug, Clone)]
pub(crate) struct FailedRequest {
    pub(crate) index: usize,
    pub(crate) error: Box<Error>,
}

/// The state of one request of the plan during a read.
struct Wanted<'a> {
    index: usize,
    planned: &'a PlannedRequest,
    /// Whether Vault may issue something at the request, and leases are stored and renewed.
    may_issue: bool,
    /// What spares the request: the answer that the session holds, or the result of this read.
    done: Option<Fetched>,
}

/// An answer of Vault.
struct Answered {
    answer: Answer,
    grant: Grant,
    /// The token of the request.
    token: UsedToken,
    /// When the request was sent.
    asked: Instant,
}

/// The result of a read, for one request.
#[derive(Debug, Clone)]
pub(crate) enum Fetched {
    /// Vault answered.
    Answer(Arc<Answer>),
    /// Vault does not have what the request asks for, and all objects of the request are optional.
    Absent,
}

impl Fetched {
    /// Returns the answer, if there is one.
    pub(crate) fn answer(&self) -> Option<&Arc<Answer>> {
        match self {
            Self::Answer(answer) => Some(answer),
            Self::Absent => None,
        }
    }
}

/// The result of the first phase of a read, for one request.
enum Step {
    Done(Fetched),
    /// The request issues something, and is sent after all others have succeeded.
    Postponed,
}

impl Step {
    fn fetched(&self) -> Option<Fetched> {
        match self {
            Self::Done(fetched) => Some(fetched.clone()),
            Self::Postponed => None,
        }
    }
}

impl<'a> Fetch<'a> {
    /// Returns the answers to all requests, in the order of the plan: those that the session holds,
    /// and the others from Vault.
    ///
    /// Nothing is issued before all other requests have succeeded. All requests that were started
    /// are awaited, so that a repeated read returns the same error: that of the first object. If
    /// Vault issues no replacement, the issued answer of before is used while its lease or
    /// certificate is valid.
    ///
    /// # Errors
    /// [`FailedRequest`], for the first request of the plan that failed.
    pub(crate) async fn answers(&self) -> Result<Vec<Fetched>, FailedRequest> {
        let requests = self.class.plan.requests.iter().enumerate();
        let mut wanted: Vec<Wanted<'_>> =
            requests.map(|(index, planned)| self.wanted(index, planned)).collect();
        let was_held: Vec<bool> = wanted.iter().map(|wanted| wanted.done.is_some()).collect();
        let answers = self.complete(&mut wanted).await?;
        if !was_held.contains(&true) || !was_held.contains(&false) {
            return Ok(answers);
        }
        // a request of this read may have shown that Vault lost the token of a held answer
        for (wanted, (answer, was_held)) in wanted.iter_mut().zip(answers.into_iter().zip(was_held)) {
            wanted.done = if was_held { self.held(wanted.planned) } else { Some(answer) };
        }
        self.complete(&mut wanted).await
    }

    /// Sends a request that is not part of the class, and whose answer is not held.
    pub(crate) async fn ask_beside(&self, request: &Request) -> Result<Answer, Error> {
        self.ask(request, None).await.map(|answered| answered.answer)
    }

    fn wanted(&self, index: usize, planned: &'a PlannedRequest) -> Wanted<'a> {
        let key = &self.session.key;
        let may_issue =
            self.leases.is_some_and(|leases| leases.journal.may_issue(key, &planned.request, planned.id));
        Wanted { index, planned, may_issue, done: self.held(planned) }
    }

    /// Returns the answer to a request that the session holds, if no new one is due.
    fn held(&self, planned: &PlannedRequest) -> Option<Fetched> {
        let now = self.now();
        let issued = self.leases.and_then(|_| self.session.issued.current(planned.id, now));
        let answer = issued.or_else(|| {
            let max_age = self.refresh_interval;
            if max_age.is_zero() { None } else { self.session.reads.get(planned.id, max_age, now) }
        });
        answer.map(Fetched::Answer)
    }

    /// Returns the fallback of a request: the issued answer that is still valid.
    fn fallback(&self, planned: &PlannedRequest) -> Option<Arc<Answer>> {
        self.leases.and_then(|_| self.session.issued.fallback(planned.id, self.now()))
    }

    /// Returns all answers, by requests to Vault and fallbacks, or an error.
    async fn complete(&self, wanted: &mut [Wanted<'a>]) -> Result<Vec<Fetched>, FailedRequest> {
        let may_issue = wanted.iter().any(|wanted| wanted.done.is_none() && wanted.may_issue);
        let _turn = if may_issue { Some(self.session.issued.turn().await) } else { None };
        if may_issue {
            // another mount may have had it issued while this one waited
            for wanted in wanted.iter_mut().filter(|wanted| wanted.done.is_none()) {
                wanted.done = self.held(wanted.planned);
            }
            self.renew_first(wanted).await;
        }
        let mut reads = InOrder::default();
        for wanted in wanted.iter() {
            reads.start(self.read(wanted)).await;
        }
        let steps = reads.finish().await;
        let answered: Vec<_> = steps.iter().map(|step| step.as_ref().ok()?.fetched()).collect();
        let steps = match all(steps) {
            Ok(steps) => steps,
            Err(failed) => return self.fall_back(wanted, answered, failed),
        };
        let mut issues = InOrder::default();
        for (wanted, step) in wanted.iter().zip(steps) {
            issues.start(self.issue(wanted, step)).await;
        }
        let answers = issues.finish().await;
        let answered = answers.iter().map(|answer| answer.as_ref().ok().cloned()).collect();
        all(answers).or_else(|failed| self.fall_back(wanted, answered, failed))
    }

    /// Runs the first phase for one request: sends a GET or LIST whose answer is not held.
    async fn read(&self, wanted: &Wanted<'a>) -> Result<Step, Error> {
        match &wanted.done {
            Some(fetched) => Ok(Step::Done(fetched.clone())),
            None if wanted.planned.request.issues() => Ok(Step::Postponed),
            None => match self.ask_and_hold(wanted).await {
                Err(error) if error.kind == ErrorKind::NotFound && wanted.planned.is_optional => {
                    Ok(Step::Done(Fetched::Absent))
                }
                answer => answer.map(|answer| Step::Done(Fetched::Answer(answer))),
            },
        }
    }

    /// Runs the second phase for one request: sends a POST or PUT.
    async fn issue(&self, wanted: &Wanted<'a>, step: Step) -> Result<Fetched, Error> {
        match step {
            Step::Done(fetched) => Ok(fetched),
            Step::Postponed => self.ask_and_hold(wanted).await.map(Fetched::Answer),
        }
    }

    /// Replaces missing answers by fallbacks.
    ///
    /// # Errors
    /// `failed`, if a missing answer has no fallback.
    fn fall_back(
        &self,
        wanted: &[Wanted<'a>],
        answered: Vec<Option<Fetched>>,
        failed: FailedRequest,
    ) -> Result<Vec<Fetched>, FailedRequest> {
        let completed = wanted.iter().zip(answered).map(|(wanted, answer)| {
            let fallback = || self.fallback(wanted.planned).map(Fetched::Answer);
            answer.or_else(fallback).ok_or_else(|| failed.clone())
        });
        let completed = completed.collect::<Result<Vec<_>, _>>()?;
        tracing::warn!(
            error = %format_args!("{:#}", failed.error),
            namespace = self.session.key.identity.namespace,
            pod = self.session.pod_name(),
            path = wanted[failed.index].planned.request.path,
            "what was issued before stays mounted while it lasts"
        );
        Ok(completed)
    }

    async fn ask_and_hold(&self, wanted: &Wanted<'a>) -> Result<Arc<Answer>, Error> {
        let place = self.place(wanted)?;
        let answered = self.ask(&wanted.planned.request, Some(wanted)).await?;
        let issued = !matches!(answered.grant, Grant::Nothing);
        if let Some(leases) = self.leases.filter(|_| issued || wanted.may_issue) {
            let PlannedRequest { request, id, .. } = wanted.planned;
            leases.journal.note(&self.session.key, request, *id, issued);
        }
        Ok(self.hold(answered, wanted, place).await)
    }

    /// Takes a place for what Vault may issue, before Vault is asked.
    ///
    /// # Errors
    /// There is none left for a POST or PUT, which would be issued anew at each republish.
    fn place(&self, wanted: &Wanted<'a>) -> Result<Option<HeldBytes>, Error> {
        if self.leases.is_none() || !wanted.may_issue {
            return Ok(None);
        }
        match self.session.issued.place() {
            None if wanted.planned.request.issues() => Err(self.session.issued.full()),
            place => Ok(place),
        }
    }

    /// Sends a request, and once more with another token if Vault denied the first token.
    async fn ask(&self, request: &Request, wanted: Option<&Wanted<'a>>) -> Result<Answered, Error> {
        let mut token = self.token(wanted).await?;
        // after the wait for a login: the TTL of what is issued begins now
        let mut asked = self.now();
        let mut answer = self.send(request, &token, wanted).await;
        if answer.as_ref().is_err_and(|failure| failure.classify().is_denial())
            && let Some(other) = self.session.logins.token_after_denial(&token, &self.login).await?
        {
            self.save_changes();
            // Vault refused before it did anything, so even a request that issues may be made once
            // more
            asked = self.now();
            answer = self.send(request, &other, wanted).await;
            token = other;
        }
        let answer = answer.map_err(|failure| self.error(failure, request))?;
        // parsed only once, since an answer may be megabytes long
        let grant = answer.grant(request.issues());
        if matches!(grant, Grant::Lease(_) | Grant::Token) {
            token.note_lease();
        }
        Ok(Answered { answer, grant, token, asked })
    }

    /// Returns the token for a request. The token is stored before it is used.
    ///
    /// A GET or LIST that may issue something uses a token near its end only if the login fails and
    /// there is no fallback.
    async fn token(&self, wanted: Option<&Wanted<'a>>) -> Result<UsedToken, Error> {
        let logins = &self.session.logins;
        let may_issue = wanted.is_some_and(|wanted| wanted.may_issue);
        let need = if may_issue { TokenNeed::Issue } else { TokenNeed::Read };
        let mut token = logins.token(need, &self.login).await;
        if let (Err(_), TokenNeed::Issue, Some(wanted)) = (&token, need, wanted)
            && !wanted.planned.request.issues()
            && self.fallback(wanted.planned).is_none()
        {
            token = logins.token(TokenNeed::Read, &self.login).await;
        }
        self.save_changes();
        token
    }

    /// Stores the session with the token of a new login, before the token is used.
    fn save_changes(&self) {
        if let Some(leases) = self.leases.filter(|_| self.session.changes.are_urgent()) {
            leases.save(self.session);
        }
    }

    /// Sends a request to Vault. A request that may issue something is written to the journal
    /// first.
    async fn send(
        &self,
        request: &Request,
        token: &Token,
        wanted: Option<&Wanted<'a>>,
    ) -> Result<Answer, Failure> {
        let may_issue = wanted.is_some_and(|wanted| wanted.may_issue);
        let entry = self.leases.filter(|_| may_issue).map(|leases| leases.begin(self.session, &request.path));
        // without leases nothing is known of earlier answers
        let issues_nothing = wanted.is_some() && self.leases.is_some() && !may_issue;
        let is_refused = wanted.is_some_and(|wanted| self.is_refused(wanted.planned));
        let vault = if is_refused { self.login.vault.without_retries() } else { self.login.vault };
        let answer = vault.read(request, token.secret(), issues_nothing).await;
        let is_lost = answer.as_ref().is_err_and(|failure| failure.classify() == FailureKind::AnswerLost);
        if let Some(entry) = entry.filter(|_| !is_lost) {
            entry.settle();
        }
        answer
    }

    /// Stores an answer in the session, and tells the pod's owner of a credential that replaces
    /// another one. Returns the answer; that of before if its lease is renewed after all.
    async fn hold(&self, answered: Answered, wanted: &Wanted<'a>, place: Option<HeldBytes>) -> Arc<Answer> {
        let issued = !matches!(answered.grant, Grant::Nothing);
        let (answer, before) = self.store(answered, wanted, place);
        if let Some(before) = before
            && let Some(answer) = self.renew_replaced(before).await
        {
            return answer;
        }
        if issued && self.session.with_files().contains(&self.volume) {
            report_replaced(self.reporter, self.session, &self.answer_use(wanted));
        }
        answer
    }

    /// Stores an answer for the term of the grant or the class's `refreshInterval`. Without either,
    /// the answer is not stored. Returns the answer, and the issued one that it replaces.
    fn store(
        &self,
        answered: Answered,
        wanted: &Wanted<'a>,
        place: Option<HeldBytes>,
    ) -> (Arc<Answer>, Option<IssuedAnswer>) {
        let Answered { answer, grant, token, asked } = answered;
        let PlannedRequest { request, id, .. } = wanted.planned;
        let term = match grant {
            Grant::Lease(lease) => lease_term(lease, &token, asked),
            Grant::Certificate(certificate) => self.certificate_term(&certificate, asked),
            Grant::Token | Grant::Nothing if self.refresh_interval.is_zero() => None,
            Grant::Token | Grant::Nothing => {
                let about = self.answer_use(wanted);
                self.session.issued.remove(*id);
                return (self.session.reads.put(*id, about, answer, asked, self.volume), None);
            }
        };
        match term.filter(|_| self.leases.is_some()) {
            Some(term) => {
                self.session.reads.remove(*id);
                self.session.issued.put(request, self.answer_use(wanted), answer, term, self.volume, place)
            }
            None => (Arc::new(answer), None),
        }
    }

    fn certificate_term(&self, certificate: &CertificateGrant, asked: Instant) -> Option<IssuedTerm> {
        let end = UNIX_EPOCH.checked_add(Duration::from_secs(certificate.expiration))?;
        let life = end.duration_since(self.login.clock.time_of_day()).ok()?.min(LONGEST_LIFE);
        Some(IssuedTerm::Certificate { replaced_from: asked + life * 2 / 3, until: asked + life })
    }

    fn answer_use(&self, wanted: &Wanted<'a>) -> AnswerUse {
        let Class { name, objects, plan, .. } = self.class;
        let files = plan.objects_of(wanted.index).map(|at| objects[at].name().to_owned());
        AnswerUse { class: name.clone(), objects: files.collect(), path: wanted.planned.request.path.clone() }
    }

    fn error(&self, failure: Failure, request: &Request) -> Error {
        let is_raw = matches!(failure, Failure::NotVault(_) | Failure::Empty(_));
        let error = error_of(failure, self.login.vault.target()).with_path(&request.path);
        if let Some(advice) = advice_on_raw(&request.path).filter(|_| is_raw) {
            return error.with_advice(advice);
        }
        match error.kind {
            ErrorKind::Denied => error.with_advice(self.session.advice_on_denial(request)),
            _ => error,
        }
    }

    fn now(&self) -> Instant {
        self.login.clock.now()
    }
}

/// Returns the term of a lease; none if the token has a use limit and so serves only one read.
fn lease_term(lease: LeaseGrant, token: &Arc<Token>, asked: Instant) -> Option<IssuedTerm> {
    let lifetime = Lifetime::new(asked, lease.duration, lease.renewable);
    let token = Arc::clone(token);
    token.is_reusable().then_some(IssuedTerm::Lease { id: lease.id, lifetime, token })
}

/// Returns all results, or the first failure.
fn all<T>(results: Vec<Result<T, Error>>) -> Result<Vec<T>, FailedRequest> {
    let results = results.into_iter().enumerate();
    results
        .map(|(index, result)| result.map_err(|error| FailedRequest { index, error: Box::new(error) }))
        .collect()
}

#[cfg(test)]
mod testing;

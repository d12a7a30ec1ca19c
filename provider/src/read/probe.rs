//! Checks a class against Vault: every object is tried, nothing is issued, and no value is
//! returned.

use std::sync::Arc;

use coffer_vault::json::write_string;
use coffer_vault::{Answer, HeavyTurn, MAX_BODY, Method, Request, Secret};
use tokio::time::timeout_at;

use super::files::check_paths;
use super::{Provider, took_too_long};
use crate::class::Object;
use crate::fetch::Fetch;
use crate::render::{
    FilesBudget, Frames, MAX_FILES, Parsed, RenderContext, Rendered, TemplateSteps, render, too_many_files,
};
use crate::request::ReadRequest;
use crate::session::TokenNeed;
use crate::{Error, ErrorKind};

/// The result of a check for one object.
#[derive(Debug)]
pub struct Probed {
    /// The `objectName` of the object.
    pub object: String,
    /// The outcome.
    pub outcome: Outcome,
}

impl Probed {
    fn files(&self) -> &[ProbedFile] {
        match &self.outcome {
            Outcome::Readable(files) => files,
            _ => &[],
        }
    }
}

/// The outcome of a check for one object.
#[derive(Debug)]
pub enum Outcome {
    /// A mount would get these files.
    Readable(Vec<ProbedFile>),
    /// A mount would get no file: the object is optional, and what it names is not in Vault.
    Absent,
    /// The object was not read, for this reason. Vault does not say that the role may not read the
    /// object.
    Skipped(String),
    /// A mount would fail with this error.
    Failed(Error),
}

/// A file that a mount would get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbedFile {
    /// The path in the volume.
    pub path: String,
    /// The size in bytes.
    pub size: usize,
}

/// The outcome of a check for one request, before the answer is rendered.
enum Tried<A> {
    Answered(A),
    Absent,
    Skipped(String),
    Failed(Error),
}

impl Provider {
    /// Logs in as a class would, and reads nothing.
    ///
    /// # Errors
    /// [`Error`], if Vault refuses the login or no service account token is to be had.
    pub async fn log_in(&self, request: &ReadRequest) -> Result<(), Error> {
        let began = self.background.clock.now();
        let target = self.background.targets.handle(&request.class.target, &request.identity.namespace)?;
        let session = self.session(request, false)?;
        let heavy = Arc::new(HeavyTurn::default());
        let fetch = self.fetch(request, (&target, &heavy), &session, None, began);
        let token = timeout_at(request.deadline, session.logins.token(TokenNeed::Read, &fetch.login));
        token.await.map_err(|_| took_too_long(&target))?.map(drop)
    }

    /// Checks every object of a class: logs in, reads objects that issue nothing, and asks Vault
    /// for the capabilities at the paths of the others.
    ///
    /// # Errors
    /// [`Error`], if all objects fail for the same reason, such as the login.
    pub async fn probe(&self, request: &ReadRequest) -> Result<Vec<Probed>, Error> {
        self.check_policy(request)?;
        let began = self.background.clock.now();
        let class = &*request.class;
        let target = self.background.targets.handle(&class.target, &request.identity.namespace)?;
        let leases = self.background.leases.active();
        let session = self.session(request, leases.is_some())?;
        let heavy = Arc::new(HeavyTurn::default());
        let fetch = self.fetch(request, (&target, &heavy), &session, leases, began);
        let tried = timeout_at(request.deadline, self.try_all(&fetch));
        let tried = tried.await.map_err(|_| took_too_long(&target))??;
        let tried: Vec<Tried<Parsed<'_>>> = tried.iter().map(Tried::parsed).collect();
        let budget = FilesBudget::new(MAX_BODY, TemplateSteps::All);
        let frames = Frames::unstored();
        let context = RenderContext { frames: &frames, budget: &budget, limit: MAX_BODY };
        let mut probed: Vec<Probed> = class
            .objects
            .iter()
            .zip(&class.plan.requests_of)
            .map(|(object, requests)| Probed {
                object: object.name().to_owned(),
                outcome: outcome(object, requests.iter().map(|n| &tried[*n]), &context),
            })
            .collect();
        fail_too_many(&mut probed);
        fail_collision(&mut probed);
        Ok(probed)
    }

    async fn try_all(&self, fetch: &Fetch<'_>) -> Result<Vec<Tried<Arc<Answer>>>, Error> {
        fetch.session.logins.token(TokenNeed::Read, &fetch.login).await?;
        let mut tried = Vec::with_capacity(fetch.class.plan.requests.len());
        for planned in &fetch.class.plan.requests {
            tried.push(match self.try_one(&planned.request, fetch).await {
                Ok(tried) => tried,
                Err(error) if error.kind == ErrorKind::NotFound && planned.is_optional => Tried::Absent,
                Err(error) => Tried::Failed(error.with_path(&planned.request.path)),
            });
        }
        Ok(tried)
    }

    async fn try_one(&self, request: &Request, fetch: &Fetch<'_>) -> Result<Tried<Arc<Answer>>, Error> {
        if let Some(right) = self.engines.unversioned_path(request, fetch).await? {
            let message = format!("the engine is KV version 2, where this path is {right:?}");
            let error = Error::new(ErrorKind::NotFound, message);
            return Ok(Tried::Failed(error.with_advice("Put that into secretPath")));
        }
        let Some(reason) = self.engines.reason_to_refuse(request, fetch).await? else {
            return fetch.ask_beside(request).await.map(Arc::new).map(Tried::Answered);
        };
        Ok(match may(request, fetch).await {
            Some(true) => Tried::Skipped(format!("{reason}; the role may")),
            Some(false) => {
                let error = Error::new(ErrorKind::Denied, "the role may not do this, says Vault");
                Tried::Failed(error.with_advice(fetch.session.advice_on_denial(request)))
            }
            None => Tried::Skipped(format!("{reason}; Vault does not tell whether the role may")),
        })
    }
}

impl<A> Tried<A> {
    fn answer(&self) -> Option<&A> {
        match self {
            Self::Answered(answer) => Some(answer),
            _ => None,
        }
    }
}

impl Tried<Arc<Answer>> {
    fn parsed(&self) -> Tried<Parsed<'_>> {
        match self {
            Self::Answered(answer) => Tried::Answered(Parsed::new(answer)),
            Self::Absent => Tried::Absent,
            Self::Skipped(reason) => Tried::Skipped(reason.clone()),
            Self::Failed(error) => Tried::Failed(error.clone()),
        }
    }
}

fn outcome<'a>(
    object: &Object,
    tried: impl Iterator<Item = &'a Tried<Parsed<'a>>> + Clone,
    context: &RenderContext<'_>,
) -> Outcome {
    let failed = tried.clone().find_map(|tried| match tried {
        Tried::Failed(error) => Some(Outcome::Failed(error.clone().with_object(object.name()))),
        _ => None,
    });
    let without_answer = tried.clone().find_map(|tried| match tried {
        Tried::Skipped(reason) => Some(Outcome::Skipped(reason.clone())),
        Tried::Absent => Some(Outcome::Absent),
        _ => None,
    });
    failed.or(without_answer).unwrap_or_else(|| {
        let answers: Vec<&Parsed<'_>> = tried.filter_map(Tried::answer).collect();
        match render(object, &answers, context) {
            Ok(files) if files.is_empty() => Outcome::Absent,
            Ok(files) => Outcome::Readable(files.into_iter().map(ProbedFile::of).collect()),
            Err(error) => Outcome::Failed(error),
        }
    })
}

/// Replaces the outcome of the first object with which there are more files than a mount may have.
fn fail_too_many(probed: &mut [Probed]) {
    let mut count = 0;
    let first = probed.iter_mut().find(|probed| {
        count += probed.files().len();
        count > MAX_FILES
    });
    if let Some(first) = first {
        first.outcome = Outcome::Failed(too_many_files(count).with_object(&first.object));
    }
}

/// Replaces the outcome of the first object whose file another object makes too, or needs as a
/// directory.
fn fail_collision(probed: &mut [Probed]) {
    let files = probed.iter().flat_map(Probed::files);
    let Err(collision) = check_paths(files.map(|file| file.path.as_str())) else { return };
    let makes = |probed: &&mut Probed| probed.files().iter().any(|file| file.path == collision.file());
    if let Some(first) = probed.iter_mut().find(makes) {
        let error = Error::from(collision);
        first.outcome = Outcome::Failed(error.with_object(&first.object));
    }
}

impl ProbedFile {
    fn of(file: Rendered) -> Self {
        Self { size: file.contents.len(), path: file.path }
    }
}

/// Returns whether the token has the capability for a request; none if Vault does not tell.
async fn may(request: &Request, fetch: &Fetch<'_>) -> Option<bool> {
    let mut body = Secret::from("{\"paths\":[");
    write_string(&mut body, &request.path);
    body.push(b"]}");
    let question = Request::with_body(Method::Post, "sys/capabilities-self", body);
    let answer = fetch.ask_beside(&question).await.ok()?;
    let data = answer.envelope().field("data")?;
    let has: Vec<String> = serde_json::from_str(data.member(&request.path)?.raw()).ok()?;
    let needed = request.method.capability();
    let fits = |has: &String| has == "root" || has == needed || (request.issues() && has == "create");
    Some(has.iter().any(fits))
}

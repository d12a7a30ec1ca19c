//! The read of one class, in a task of its own. It goes on where its client hangs up, and so counts
//! and is audited until it ends.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use coffer_provider::class::Class;
use coffer_provider::{Bundle, File, HeldForAnswer};
use http::{Response, StatusCode};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use crate::api_error::ApiError;
use crate::audit::{self, AuditedRead};
use crate::class_reader::reading_account;
use crate::class_source::CurrentClass;
use crate::handler::Handler;
use crate::request_limits::RequestPermit;
use crate::respond::{self, AnswerBody};
use crate::user::User;
use crate::vault_secret::VaultSecret;
use crate::watched_class::WatchedClass;

/// Bytes reserved in an answer for everything but files.
const METADATA_BYTES: usize = 8192;

/// Bytes of files that are encoded at once. More take so long that it is done beside the event
/// loop.
const ENCODED_AT_ONCE: usize = 64 << 10;

/// A read that a user asks for.
pub(crate) struct ReadTask {
    pub(crate) user: User,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) deadline: Instant,
    /// Held until the answer is sent.
    pub(crate) permit: RequestPermit,
}

/// What the audit line says of a read, as far as it came.
#[derive(Default)]
struct ReadSteps {
    /// Whether there is such a class.
    exists: bool,
    read_as: Option<String>,
    class: Option<Arc<Class>>,
    /// The memory of the answer, until it is sent.
    held: Option<HeldForAnswer>,
}

impl ReadTask {
    /// Starts the read, and waits for its answer.
    ///
    /// # Errors
    /// The class cannot be read.
    pub(crate) async fn run(self, handler: &Arc<Handler>) -> Result<Response<AnswerBody>, ApiError> {
        let (sender, answer) = oneshot::channel();
        let handler = Arc::clone(handler);
        tokio::spawn(async move {
            let (began, mut steps) = (Instant::now(), ReadSteps::default());
            let answer = self.read(&handler, &mut steps).await;
            self.audit(&steps, &answer, sender.is_closed(), began);
            if steps.exists {
                let code = answer.as_ref().map_or_else(ApiError::code, Response::status);
                handler.metrics.class_read(&self.namespace, &self.name, code.as_u16());
            }
            handler.metrics.read(began.elapsed());
            let permit = self.permit.holding(steps.held);
            let _ = sender
                .send(answer.map(|answer| answer.map(|body| AnswerBody::from(body).with_permit(permit))));
        });
        let fault = |_| Err(ApiError::internal("a fault in coffer-api-server; its log says where"));
        answer.await.unwrap_or_else(fault)
    }

    async fn read(&self, handler: &Handler, steps: &mut ReadSteps) -> Result<Response<Bytes>, ApiError> {
        let deadline = self.deadline.into();
        let CurrentClass { watched, parsed } =
            handler.classes.current(&self.namespace, &self.name, deadline).await?;
        steps.exists = true;
        steps.class = parsed.as_ref().ok().map(Arc::clone);
        let account = reading_account(&self.user, &watched)?.to_owned();
        steps.read_as = Some(account.clone());
        let class = parsed.map_err(|error| ApiError::from_read(&self.name, &error))?;
        let vault = class.target.address.to_string();
        let turn = timeout_at(deadline, handler.limits.turn(&self.user.name, &self.namespace, &vault)).await;
        let Ok(Ok(_turn)) = turn else {
            let message = "waited too long behind other reads of this user or namespace; is that Vault slow?";
            return Err(ApiError::waited_too_long(message).about(&self.name));
        };
        let read = handler.reader.read(class, &watched, &account, deadline).await;
        let Bundle { files, held, .. } = read.map_err(|error| ApiError::from_read(&self.name, &error))?;
        steps.held = Some(held);
        self.encode(handler, watched, files, account).await
    }

    /// Returns the answer with these files.
    async fn encode(
        &self,
        handler: &Handler,
        class: Arc<WatchedClass>,
        files: Vec<File>,
        account: String,
    ) -> Result<Response<Bytes>, ApiError> {
        let contents: usize = files.iter().map(|file| file.contents.len()).sum();
        let encode = move || body(&class, &files, &account);
        let body = if contents <= ENCODED_AT_ONCE {
            encode()
        } else {
            let _turn = handler.limits.encoding_turn(&self.user.name).await;
            spawn_blocking(encode).await.ok().flatten()
        };
        let body = body.ok_or_else(|| ApiError::internal("the answer cannot be written"))?;
        Ok(respond::json(StatusCode::OK, body))
    }

    fn audit(
        &self,
        steps: &ReadSteps,
        answer: &Result<Response<Bytes>, ApiError>,
        client_gone: bool,
        began: Instant,
    ) {
        let (code, problem) = match answer {
            Ok(answer) => (answer.status(), None),
            Err(error) => (error.code(), Some(error.message())),
        };
        audit::read(&AuditedRead {
            user: &self.user,
            read_as: steps.read_as.as_deref(),
            namespace: &self.namespace,
            name: &self.name,
            class: steps.class.as_deref(),
            code: code.as_u16(),
            problem,
            client_gone,
            took: began.elapsed(),
        });
    }
}

fn body(class: &WatchedClass, files: &[File], account: &str) -> Option<Vec<u8>> {
    // reserved at once: a buffer that grows leaves copies of values behind
    let file_bytes =
        files.iter().map(|file| 4 * file.contents.len() / 3 + 4 * file.path.len() + 200).sum::<usize>();
    let mut body = Vec::with_capacity(file_bytes + METADATA_BYTES);
    serde_json::to_writer(&mut body, &VaultSecret::read(class, files, account)).ok()?;
    Some(body)
}

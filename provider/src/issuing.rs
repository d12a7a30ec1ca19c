//! Which requests make Vault issue something, for readers who must not do so by surprise.
//!
//! A POST or PUT says so itself; a GET of `database/creds/x` does not. Vault tells the type of the engine behind a
//! path (`sys/internal/ui/mounts/<path>`), and only a few types are known to hold and not to make.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fetch::fetch_one;
use crate::go_json;
use crate::plan::{Method, Plan, Request};
use crate::session::{Reading, Session};
use crate::vault::{Answer, Target};
use crate::{Error, ErrorKind};

/// Engines whose reads issue nothing.
const HOLDING: [&str; 3] = ["cubbyhole", "identity", "kv"];

/// How long an engine's type is believed.
const BELIEVED: Duration = Duration::from_secs(600);

/// Engines remembered for one target and namespace.
const MAX_ENGINES: usize = 256;

/// The types of the engines that were asked for, by target and namespace.
#[derive(Default)]
pub(crate) struct Engines {
    known: Mutex<HashMap<Place, Vec<Engine>>>,
}

/// A Vault server and a namespace of it.
type Place = (Target, Option<String>);

#[derive(Clone)]
struct Engine {
    /// Where it is mounted, with a slash at the end.
    mount: String,
    /// Its type; none where Vault did not tell.
    kind: Option<String>,
    asked: Instant,
}

impl Engines {
    /// Refuses a plan that would make Vault issue something, before anything of it was sent.
    ///
    /// # Errors
    /// `Issues`, with the index of the request.
    pub(crate) async fn refuse_issuing(
        &self,
        plan: &Plan<'_>,
        session: &Session,
        reading: &Reading<'_>,
    ) -> Result<(), (usize, Error)> {
        for (n, request) in plan.requests.iter().enumerate() {
            let reason = if request.issues() {
                Some(format!("a {} makes Vault issue something", request.method.as_str()))
            } else {
                let engine = self.engine(request, session, reading).await.map_err(|error| (n, error))?;
                engine.reason()
            };
            if let Some(reason) = reason {
                let message = format!("{reason}, which this read may not do");
                return Err((n, Error::new(ErrorKind::Issues, message).with_path(&request.path)));
            }
        }
        Ok(())
    }

    async fn engine(
        &self,
        request: &Request,
        session: &Session,
        reading: &Reading<'_>,
    ) -> Result<Engine, Error> {
        let key = (reading.vault.target.target.clone(), reading.vault.namespace.map(ToOwned::to_owned));
        if let Some(engine) = self.known_engine(&key, &request.path) {
            return Ok(engine);
        }
        let question = Request {
            method: Method::Get,
            path: format!("sys/internal/ui/mounts/{}", request.path),
            query: Vec::new(),
            body: None,
        };
        let engine = match fetch_one(&question, session, reading).await {
            Ok(answer) => told(&answer),
            // no answer for us is no answer at all: what is not known to hold may issue
            Err(error)
                if matches!(error.kind, ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::BadAnswer) =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        let engine = engine.unwrap_or_else(|| Engine::untold(&request.path));
        if engine.kind.is_some() {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let engines = known.entry(key).or_default();
            engines.retain(|other| other.mount != engine.mount);
            if engines.len() >= MAX_ENGINES {
                engines.remove(0);
            }
            engines.push(engine.clone());
        }
        Ok(engine)
    }

    fn known_engine(&self, key: &Place, path: &str) -> Option<Engine> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |engine: &&Engine| path.starts_with(&engine.mount) && engine.asked.elapsed() < BELIEVED;
        known.get(key)?.iter().find(fits).cloned()
    }
}

impl Engine {
    fn untold(path: &str) -> Self {
        Self { mount: path.to_owned(), kind: None, asked: Instant::now() }
    }

    fn reason(&self) -> Option<String> {
        match &self.kind {
            Some(kind) if HOLDING.contains(&kind.as_str()) => None,
            Some(kind) => {
                Some(format!("a read from an engine of type {kind:?} may make Vault issue something"))
            }
            None => Some(
                "Vault does not tell the type of the engine, so a read may make it issue something"
                    .to_owned(),
            ),
        }
    }
}

fn told(answer: &Answer) -> Option<Engine> {
    let data = go_json::object(answer.envelope().field("data")?)?;
    let text = |name: &str| go_json::string(data.get(name)?)?.expose_str().map(ToOwned::to_owned);
    let mount = text("path").filter(|mount| mount.ends_with('/'))?;
    Some(Engine { mount, kind: Some(text("type")?.chars().take(60).collect()), asked: Instant::now() })
}

#[cfg(test)]
mod tests {
    use ::http::HeaderMap;

    use super::{Engine, told};
    use crate::Secret;
    use crate::vault::{Answer, Share};

    fn engine(body: &str) -> Option<Engine> {
        told(
            &Answer::new(200, &HeaderMap::new(), Secret::from(body), Share::default(), &[])
                .expect("an answer"),
        )
    }

    #[test]
    fn only_engines_that_hold_are_read_from() {
        for (kind, allowed) in
            [("kv", true), ("cubbyhole", true), ("identity", true), ("database", false), ("generic", false)]
        {
            let engine =
                engine(&format!(r#"{{"data":{{"path":"m/","type":"{kind}"}}}}"#)).expect("an engine");
            assert_eq!(engine.reason().is_none(), allowed, "{kind}");
        }
        assert!(Engine::untold("secret/data/x").reason().is_some());
    }

    #[test]
    fn an_answer_that_names_no_mount_tells_nothing() {
        for body in [
            "{}",
            r#"{"data":{"type":"kv"}}"#,
            r#"{"data":{"path":"secret","type":"kv"}}"#,
            r#"{"data":{"path":"","type":"kv"}}"#,
        ] {
            assert!(engine(body).is_none(), "{body}");
        }
    }
}

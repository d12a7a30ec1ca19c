//! Decides whether a request would make Vault issue something, for reads that must not do so.
//!
//! A POST or PUT always counts as issuing. For a GET such as `database/creds/x`, Vault is asked for
//! the type of the engine behind the path (`sys/internal/ui/mounts/<path>`). Only a few types are
//! known to issue nothing at a read.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use coffer_vault::json::JsonValue;
use coffer_vault::{Answer, Method, Request, Target};

use crate::fetch::{FailedRequest, Fetch};
use crate::{Error, ErrorKind};

/// The engine types whose reads issue nothing.
const STORING_ENGINES: [&str; 3] = ["cubbyhole", "identity", "kv"];

/// The first path segments of a KV version 2 engine's API.
const VERSIONED_PARTS: [&str; 4] = ["config", "data", "metadata", "subkeys"];

/// How long the type of an engine is cached.
const TRUSTED_FOR: Duration = Duration::from_secs(600);

/// Maximum number of cached engines per target and namespace.
const MAX_ENGINES: usize = 256;

/// A cache of engine types, by target and namespace.
#[derive(Default)]
pub(crate) struct Engines {
    known: Mutex<HashMap<NamespaceKey, Vec<Engine>>>,
}

/// A target and a Vault namespace.
type NamespaceKey = (Target, Option<String>);

#[derive(Clone)]
struct Engine {
    /// The path of the engine's mount, with a slash at the end.
    mount: String,
    /// The type of the engine; none if Vault does not tell.
    kind: Option<String>,
    /// Whether the engine is KV version 2.
    versioned: bool,
    asked: Instant,
}

impl Engines {
    /// Refuses a plan that would make Vault issue something, before a request of the plan is sent.
    ///
    /// # Errors
    /// [`ErrorKind::Issues`], with the index of the request.
    pub(crate) async fn refuse_issuing(&self, fetch: &Fetch<'_>) -> Result<(), FailedRequest> {
        for (index, planned) in fetch.class.plan.requests.iter().enumerate() {
            let reason = self.reason_to_refuse(&planned.request, fetch).await;
            if let Some(reason) = reason.map_err(|error| FailedRequest { index, error })? {
                let message = format!("{reason}, which this read may not do");
                let error = Error::new(ErrorKind::Issues, message).with_path(&planned.request.path);
                return Err(FailedRequest { index, error });
            }
        }
        Ok(())
    }

    /// Returns why a request may make Vault issue something; none if the request only reads.
    pub(crate) async fn reason_to_refuse(
        &self,
        request: &Request,
        fetch: &Fetch<'_>,
    ) -> Result<Option<String>, Error> {
        if request.issues() {
            return Ok(Some(format!("a {} makes Vault issue something", request.method.as_str())));
        }
        Ok(self.engine(request, fetch).await?.reason())
    }

    /// Returns the correct path of a request to a KV version 2 engine, if the path has the form of
    /// version 1.
    pub(crate) async fn unversioned_path(
        &self,
        request: &Request,
        fetch: &Fetch<'_>,
    ) -> Result<Option<String>, Error> {
        if request.issues() {
            return Ok(None);
        }
        Ok(self.engine(request, fetch).await?.versioned(request))
    }

    async fn engine(&self, request: &Request, fetch: &Fetch<'_>) -> Result<Engine, Error> {
        let key = (fetch.session.key.target.clone(), fetch.session.key.namespace.clone());
        if let Some(engine) = self.known_engine(&key, &request.path) {
            return Ok(engine);
        }
        let question = Request::get(format!("sys/internal/ui/mounts/{}", request.path));
        let engine = match fetch.ask_beside(&question).await {
            Ok(answer) => Engine::parse(&answer),
            // an engine of unknown type may issue something
            Err(error)
                if matches!(error.kind, ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::BadAnswer) =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        let engine = engine.unwrap_or_else(|| Engine::unknown(&request.path));
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

    fn known_engine(&self, key: &NamespaceKey, path: &str) -> Option<Engine> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |engine: &&Engine| path.starts_with(&engine.mount) && engine.asked.elapsed() < TRUSTED_FOR;
        known.get(key)?.iter().find(fits).cloned()
    }
}

impl Engine {
    /// Parses Vault's answer about a mount.
    fn parse(answer: &Answer) -> Option<Self> {
        let data = answer.envelope().field("data")?;
        let text = |name: &str| data.member(name)?.string()?.expose_str().map(ToOwned::to_owned);
        let mount = text("path").filter(|mount| mount.ends_with('/'))?;
        let version = data.member("options").and_then(|options| options.member("version"));
        let versioned = version.map(JsonValue::raw) == Some("\"2\"");
        let kind = text("type")?;
        Some(Self {
            mount,
            versioned: versioned && kind == "kv",
            kind: Some(kind.chars().take(60).collect()),
            asked: Instant::now(),
        })
    }

    fn unknown(path: &str) -> Self {
        Self { mount: path.to_owned(), kind: None, versioned: false, asked: Instant::now() }
    }

    /// Returns the path in the form of KV version 2; none if the engine is another one, or the path
    /// has that form.
    fn versioned(&self, request: &Request) -> Option<String> {
        let below = request.path.strip_prefix(&self.mount).filter(|_| self.versioned)?;
        let (first, _) = below.split_once('/').unwrap_or((below, ""));
        let lists = request.method == Method::List || request.query.iter().any(|(key, _)| key == "list");
        let part = if lists { "metadata" } else { "data" };
        (!VERSIONED_PARTS.contains(&first)).then(|| format!("{}{part}/{below}", self.mount))
    }

    /// Returns why a read from the engine may issue something; none if such a read issues nothing.
    fn reason(&self) -> Option<String> {
        match &self.kind {
            Some(kind) if STORING_ENGINES.contains(&kind.as_str()) => None,
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

#[cfg(test)]
mod tests {
    use coffer_vault::{Answer, Method, Request, Secret};

    use super::Engine;

    fn engine(body: &str) -> Option<Engine> {
        Engine::parse(&Answer::from_body(Secret::from(body)).expect("JSON"))
    }

    #[test]
    fn only_engines_that_issue_nothing_are_read_from() {
        for (kind, allowed) in
            [("kv", true), ("cubbyhole", true), ("identity", true), ("database", false), ("generic", false)]
        {
            let engine =
                engine(&format!(r#"{{"data":{{"path":"m/","type":"{kind}"}}}}"#)).expect("an engine");
            assert_eq!(engine.reason().is_none(), allowed, "{kind}");
        }
        assert!(Engine::unknown("secret/data/x").reason().is_some());
    }

    #[test]
    fn a_path_of_kv_version_1_is_corrected_for_kv_version_2() {
        let v2 =
            engine(r#"{"data":{"path":"s/","type":"kv","options":{"version":"2"}}}"#).expect("an engine");
        let v1 =
            engine(r#"{"data":{"path":"s/","type":"kv","options":{"version":"1"}}}"#).expect("an engine");
        let none = engine(r#"{"data":{"path":"s/","type":"kv","options":null}}"#).expect("an engine");
        let request =
            |method, path: &str| Request { method, path: path.to_owned(), query: Vec::new(), body: None };
        for (method, path, right) in [
            (Method::Get, "s/app/db", Some("s/data/app/db")),
            (Method::List, "s/app", Some("s/metadata/app")),
            (Method::Get, "s/data/app", None),
            (Method::List, "s/metadata/app", None),
        ] {
            let request = request(method, path);
            assert_eq!(v2.versioned(&request).as_deref(), right, "{path}");
            assert_eq!(v1.versioned(&request), None);
            assert_eq!(none.versioned(&request), None);
        }
    }

    #[test]
    fn an_answer_without_a_mount_path_is_no_engine() {
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

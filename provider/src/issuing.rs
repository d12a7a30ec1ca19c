//! Decides whether a request would make Vault issue something, for reads that must not do so.
//!
//! A POST or PUT always counts as issuing. For a GET such as `database/creds/x`, Vault is asked for
//! the engine behind the path (`sys/internal/ui/mounts/<path>`). Only paths that are known to issue
//! nothing are read; every other path counts as issuing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use coffer_vault::json::JsonValue;
use coffer_vault::{Answer, Method, Request, Target};

use crate::digest::{Digest, digest_of_parts};
use crate::fetch::{FailedRequest, Fetch};
use crate::{Error, ErrorKind};

/// The engine types whose reads issue nothing, whatever the path.
const STORING_ENGINES: [&str; 2] = ["cubbyhole", "kv"];

/// The first path segments of the identity engine's API whose reads issue nothing. A read of
/// `oidc/token/ROLE` issues a signed token.
const IDENTITY_PARTS: [&str; 6] = ["alias", "entity", "entity-alias", "group", "group-alias", "lookup"];

/// The public keys and the configuration of the identity engine's tokens.
const IDENTITY_DISCOVERY: &str = "oidc/.well-known/";

/// The first path segments of a KV version 2 engine's API.
const VERSIONED_PARTS: [&str; 4] = ["config", "data", "metadata", "subkeys"];

/// How long the engine of a directory is cached.
const TRUSTED_FOR: Duration = Duration::from_secs(600);

/// Maximum number of cached directories.
const MAX_KNOWN: usize = 1024;

/// Longest path of a mount that is believed, in bytes.
const MAX_MOUNT_BYTES: usize = 512;

/// A cache of engines, by directory: all paths with the same parent directory belong to the same
/// mount, even where a mount lies below another one.
#[derive(Default)]
pub(crate) struct Engines {
    known: Mutex<HashMap<DirectoryKey, Engine>>,
}

/// A target, and a digest of Vault namespace and directory, which may be long.
type DirectoryKey = (Target, Digest);

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
            if let Some(reason) = reason.map_err(|error| FailedRequest { index, error: Box::new(error) })? {
                let message = format!("{reason}, which this read may not do");
                let error = Error::new(ErrorKind::Issues, message).with_path(&planned.request.path);
                return Err(FailedRequest { index, error: Box::new(error) });
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
        Ok(self.engine(request, fetch).await?.reason(&request.path))
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
        let key = directory_key(fetch, request);
        if let Some(engine) = self.known_engine(&key) {
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
            self.remember(key, engine.clone());
        }
        Ok(engine)
    }

    fn known_engine(&self, key: &DirectoryKey) -> Option<Engine> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|engine| engine.asked.elapsed() < TRUSTED_FOR).cloned()
    }

    fn remember(&self, key: DirectoryKey, engine: Engine) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.retain(|_, engine| engine.asked.elapsed() < TRUSTED_FOR);
        }
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(key, engine);
    }
}

fn directory_key(fetch: &Fetch<'_>, request: &Request) -> DirectoryKey {
    let key = &fetch.session.key;
    let namespace = key.namespace.as_deref().unwrap_or_default();
    (key.target.clone(), digest_of_parts([namespace.as_bytes(), directory(request).as_bytes()]))
}

/// Returns the directory of a request's path, by which Vault finds the mount. For Vault a list is
/// of the directory with the path's own name.
fn directory(request: &Request) -> &str {
    if lists(request) {
        return &request.path;
    }
    request.path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn lists(request: &Request) -> bool {
    request.method == Method::List || request.query.iter().any(|(key, _)| key == "list")
}

impl Engine {
    /// Parses Vault's answer about a mount.
    fn parse(answer: &Answer) -> Option<Self> {
        let data = answer.envelope().field("data")?;
        let text = |name: &str| data.member(name)?.string()?.expose_str().map(ToOwned::to_owned);
        let mount = text("path").filter(|mount| mount.ends_with('/') && mount.len() <= MAX_MOUNT_BYTES)?;
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
        let part = if lists(request) { "metadata" } else { "data" };
        (!VERSIONED_PARTS.contains(&first)).then(|| format!("{}{part}/{below}", self.mount))
    }

    /// Returns why a read of a path may issue something; none if such a read issues nothing.
    fn reason(&self, path: &str) -> Option<String> {
        match self.kind.as_deref() {
            Some(kind) if STORING_ENGINES.contains(&kind) => None,
            Some("identity") if self.below_mount(path).is_some_and(is_stored_identity) => None,
            Some(kind) => Some(format!(
                "a read of this path from an engine of type {kind:?} may make Vault issue something"
            )),
            None => Some(
                "Vault does not tell the type of the engine, so a read may make it issue something"
                    .to_owned(),
            ),
        }
    }

    /// Returns the part of a path below the mount. A path may begin with Vault namespaces, which
    /// the mount does not name.
    fn below_mount<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&self.mount).or_else(|| Some(path.split_once(&format!("/{}", self.mount))?.1))
    }
}

fn is_stored_identity(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    IDENTITY_PARTS.contains(&first) || path.starts_with(IDENTITY_DISCOVERY)
}

#[cfg(test)]
mod tests {
    use coffer_vault::{Answer, Method, Request, Secret};

    use super::{Engine, directory};

    fn engine(body: &str) -> Option<Engine> {
        Engine::parse(&Answer::from_body(Secret::from(body)).expect("JSON"))
    }

    fn engine_of_type(kind: &str) -> Engine {
        engine(&format!(r#"{{"data":{{"path":"m/","type":"{kind}"}}}}"#)).expect("an engine")
    }

    #[test]
    fn only_paths_that_issue_nothing_are_read() {
        for (kind, path, allowed) in [
            ("kv", "m/data/x", true),
            ("kv", "m/creds/x", true),
            ("cubbyhole", "m/x", true),
            ("database", "m/creds/x", false),
            ("database", "m/data/x", false),
            ("generic", "m/x", false),
            ("system", "m/health", false),
            ("token", "m/lookup-self", false),
            ("KV", "m/x", false),
            ("identity", "m/entity/id/x", true),
            ("identity", "m/entity-alias/id/x", true),
            ("identity", "m/group/name/x", true),
            ("identity", "m/group-alias/id/x", true),
            ("identity", "team/m/entity/id/x", true),
            ("identity", "m/oidc/.well-known/keys", true),
            ("identity", "m/oidc/token/role", false),
            ("identity", "m/oidc/token/m/entity/id", false),
            ("identity", "team/m/oidc/token/m/entity/id", false),
            ("identity", "m/oidc/.well-known", false),
            ("identity", "m/oidc/provider/x/authorize", false),
            ("identity", "m/entities", false),
            ("identity", "m/ENTITY/id/x", false),
            ("identity", "m/mfa/method/totp/generate", false),
            ("identity", "other/entity/id/x", false),
            ("identity", "m", false),
        ] {
            assert_eq!(engine_of_type(kind).reason(path).is_none(), allowed, "{kind}: {path}");
        }
        assert!(Engine::unknown("secret/data/x").reason("secret/data/x").is_some());
    }

    #[test]
    fn a_mount_below_another_is_not_answered_for_by_the_cache() {
        let get = Request::get;
        let list = |path: &str| Request { method: Method::List, ..Request::get(path) };
        assert_eq!(directory(&get("a/x")), "a");
        assert_ne!(directory(&get("a/x")), directory(&get("a/b/creds")));
        // a list of a/b goes to a mount at a/b/, and a read of a/b does not
        assert_ne!(directory(&list("a/b")), directory(&get("a/b")));
        let query = vec![("list".to_owned(), "true".to_owned())];
        assert_eq!(directory(&Request { query, ..get("a/b") }), "a/b");
        assert_eq!(directory(&get("a/b/x")), directory(&get("a/b/y")));
        assert_eq!(directory(&get("a")), "");
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

//! Every annotation of the injectors, and what becomes of it. `docs/migrate.md` has the same table.

use self::Fate::{CarriedOver, NothingToDo, Person};

/// What begins the names of annotations: HashiCorp's injector, the same of OpenBao, and a spelling
/// that is seen in use.
pub(super) const PREFIXES: [&str; 3] =
    ["vault.hashicorp.com/", "openbao.openbao.org/", "openbao.hashicorp.com/"];

/// What becomes of an annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The class or the pod says the same.
    CarriedOver,
    /// It is taken away, and nothing is lost.
    NothingToDo,
    /// Somebody has to decide or do something.
    Person,
}

/// An annotation that the injector knows.
#[derive(Debug)]
pub(super) struct KnownAnnotation {
    /// The name without its prefix; a `-` at the end stands before a name of the user's.
    pub(super) name: &'static str,
    /// What becomes of it.
    pub(super) fate: Fate,
    /// What the class or the pod has instead, why nothing is lost, or what somebody has to do.
    pub(super) message: &'static str,
}

const fn known(name: &'static str, fate: Fate, message: &'static str) -> KnownAnnotation {
    KnownAnnotation { name, fate, message }
}

const NO_CONTAINER: &str = "there is no container of the agent any more";
const LISTENER: &str = "there is no Vault Agent beside the program any more that would listen: let the program use \
     the files, or log in to Vault itself";
pub(super) const AUTH: &str = "coffer-csi logs in with the pod's service account token alone, by Vault's auth methods kubernetes \
     and jwt: make a role there, and name its mount as vaultAuthMountPath";
const OPERATOR: &str = "it is set for coffer-csi, by its operator";

/// All annotations, sorted by name.
pub(super) const ANNOTATIONS: &[KnownAnnotation] = &[
    known(
        "agent-auto-auth-exit-on-err",
        NothingToDo,
        "a mount fails if the login fails, and kubelet tries again",
    ),
    known("agent-cache-enable", Person, LISTENER),
    known("agent-cache-exit-on-err", NothingToDo, NO_CONTAINER),
    known("agent-cache-listener-port", Person, LISTENER),
    known("agent-cache-use-auto-auth-token", Person, LISTENER),
    known(
        "agent-configmap",
        Person,
        "what is read stands in the agent's own configuration in that ConfigMap: write a class with an object for \
         each of its templates",
    ),
    known("agent-copy-volume-mounts", NothingToDo, NO_CONTAINER),
    known("agent-disable-idle-connections", NothingToDo, NO_CONTAINER),
    known("agent-disable-keep-alives", NothingToDo, NO_CONTAINER),
    known("agent-enable-quit", Person, "the program has no agent to quit: take the call out of it"),
    known(
        "agent-extra-secret",
        Person,
        "coffer-csi reads no Secret of Kubernetes for a pod: mount that Secret in the pod if the program needs it",
    ),
    known("agent-image", NothingToDo, NO_CONTAINER),
    known("agent-init-first", NothingToDo, "the files are there before any container starts"),
    known("agent-init-json-patch", NothingToDo, NO_CONTAINER),
    known("agent-inject", CarriedOver, "a volume of the CSI driver"),
    known(
        "agent-inject-command-",
        Person,
        "nothing runs a command when a file changes: let the program watch the file, or let a tool such as Reloader \
         restart the pod",
    ),
    known("agent-inject-containers", CarriedOver, "mounts in these containers alone"),
    known("agent-inject-default-template", CarriedOver, "the objects' template"),
    known("agent-inject-file-", CarriedOver, "objectName"),
    known("agent-inject-perms-", CarriedOver, "filePermission"),
    known("agent-inject-secret-", CarriedOver, "an object of the class"),
    known("agent-inject-status", NothingToDo, "the injector wrote it"),
    known("agent-inject-template-", CarriedOver, "the object's template"),
    known(
        "agent-inject-template-file-",
        Person,
        "the template is a file in the agent's container: copy its text into the object's template in the class",
    ),
    known(
        "agent-inject-token",
        Person,
        "no file has a Vault token: let the program use files with the secrets, or log in to Vault itself",
    ),
    known("agent-json-patch", NothingToDo, NO_CONTAINER),
    known("agent-limits-cpu", NothingToDo, NO_CONTAINER),
    known("agent-limits-ephemeral", NothingToDo, NO_CONTAINER),
    known("agent-limits-mem", NothingToDo, NO_CONTAINER),
    known("agent-metrics-listener-port", NothingToDo, "coffer-csi has metrics for the node"),
    known("agent-pre-populate", NothingToDo, "the files are there before any container starts"),
    known(
        "agent-pre-populate-only",
        NothingToDo,
        "the files are there before any container starts; where the driver's rotation is on, they also change later",
    ),
    known("agent-request-namespace", NothingToDo, "the injector wrote it"),
    known("agent-requests-cpu", NothingToDo, NO_CONTAINER),
    known("agent-requests-ephemeral", NothingToDo, NO_CONTAINER),
    known("agent-requests-mem", NothingToDo, NO_CONTAINER),
    known("agent-revoke-grace", NothingToDo, "tokens and leases are revoked when the pod is gone"),
    known("agent-revoke-on-shutdown", NothingToDo, "tokens and leases are revoked when the pod is gone"),
    known("agent-run-as-group", NothingToDo, NO_CONTAINER),
    known("agent-run-as-same-user", NothingToDo, NO_CONTAINER),
    known("agent-run-as-user", NothingToDo, NO_CONTAINER),
    known("agent-service-account-token-volume-name", CarriedOver, "audience"),
    known("agent-set-security-context", NothingToDo, NO_CONTAINER),
    known(
        "agent-share-process-namespace",
        Person,
        "if the containers need to see each other's processes, set shareProcessNamespace in the pod",
    ),
    known(
        "agent-telemetry-",
        Person,
        "coffer-csi has metrics for the node, and the agent's are gone: change what collects them",
    ),
    known("agent-template-left-delim-", CarriedOver, "leftDelimiter"),
    known("agent-template-right-delim-", CarriedOver, "rightDelimiter"),
    known("auth-config-", Person, AUTH),
    known("auth-max-backoff", NothingToDo, "kubelet decides when a mount is tried again"),
    known("auth-min-backoff", NothingToDo, "kubelet decides when a mount is tried again"),
    known("auth-path", CarriedOver, "vaultAuthMountPath"),
    known("auth-type", CarriedOver, "the auth method of vaultAuthMountPath"),
    known("ca-cert", CarriedOver, "vaultCACertPath"),
    known("ca-key", CarriedOver, "vaultCADirectory"),
    known("client-cert", CarriedOver, "vaultTLSClientCertPath"),
    known("client-key", CarriedOver, "vaultTLSClientKeyPath"),
    known("client-max-retries", NothingToDo, OPERATOR),
    known("client-timeout", NothingToDo, OPERATOR),
    known("error-on-missing-key-", CarriedOver, "errorOnMissingKey"),
    known("go-max-procs", NothingToDo, NO_CONTAINER),
    known("log-format", NothingToDo, NO_CONTAINER),
    known("log-level", NothingToDo, NO_CONTAINER),
    known("namespace", CarriedOver, "vaultNamespace"),
    known("preserve-secret-case", CarriedOver, "the case of the files' names"),
    known("preserve-secret-case-", CarriedOver, "the case of the file's name"),
    known(
        "proxy-address",
        Person,
        "a class names no proxy: set VAULT_PROXY_ADDR for coffer-csi if Vault is behind one",
    ),
    known("role", CarriedOver, "roleName"),
    known("secret-volume-path", CarriedOver, "mountPath of the volume"),
    known("secret-volume-path-", CarriedOver, "mountPath of a volume with a class of its own"),
    known("service", CarriedOver, "vaultAddress"),
    known(
        "template-config-exit-on-retry-failure",
        NothingToDo,
        "a mount that fails is tried again by kubelet",
    ),
    known("template-max-connections-per-host", NothingToDo, OPERATOR),
    known("template-static-secret-render-interval", CarriedOver, "refreshInterval"),
    known(
        "tls-secret",
        Person,
        "TLS files are read in coffer-csi's container: if it does not trust Vault's certificate already, mount that \
         Secret there",
    ),
    known("tls-server-name", CarriedOver, "vaultTLSServerName"),
    known("tls-skip-verify", CarriedOver, "vaultSkipTLSVerify"),
];

/// Returns the annotation with this name, given without its prefix, and what stands after the `-`.
pub(super) fn find(name: &str) -> Option<(&'static KnownAnnotation, &str)> {
    let exact = ANNOTATIONS.iter().find(|known| known.name == name && !name.ends_with('-'));
    let exact = exact.map(|known| (known, ""));
    let named = || {
        let fits = |known: &&KnownAnnotation| {
            known.name.ends_with('-') && name.starts_with(known.name) && name.len() > known.name.len()
        };
        // of two that fit, the longer one is meant
        let known = ANNOTATIONS.iter().filter(fits).max_by_key(|known| known.name.len())?;
        Some((known, &name[known.name.len()..]))
    };
    exact.or_else(named)
}

/// Splits the name of an annotation into the injector's prefix and the rest.
pub(super) fn split(annotation: &str) -> Option<(&'static str, &str)> {
    PREFIXES.into_iter().find_map(|prefix| Some((prefix, annotation.strip_prefix(prefix)?)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn described() -> BTreeMap<String, String> {
        let page = include_str!("../../../docs/migrate.md");
        let (_, section) = page.split_once("### What becomes of each annotation").expect("the section");
        let section = section.split("\n#").next().expect("the section");
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        let cells = rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
        let names = cells.flat_map(|cells| {
            let fate = cells[1].to_owned();
            let names = cells[0].split("`, `").map(|name| name.trim_matches('`').replace("-NAME", "-"));
            names.map(|name| (name, fate.clone())).collect::<Vec<_>>()
        });
        names.collect()
    }

    #[test]
    fn the_document_has_every_annotation_and_says_the_same_of_it() {
        let known = ANNOTATIONS.iter().map(|known| {
            let fate = match known.fate {
                CarriedOver => "carried over",
                NothingToDo => "nothing to do",
                Person => "needs a person",
            };
            (known.name.to_owned(), fate.to_owned())
        });
        assert_eq!(described(), known.collect());
    }

    #[test]
    fn of_two_names_that_fit_the_longer_one_is_meant() {
        for (name, known, rest) in [
            ("agent-inject-template-file-a", "agent-inject-template-file-", "a"),
            ("agent-inject-template-a-b", "agent-inject-template-", "a-b"),
            ("secret-volume-path", "secret-volume-path", ""),
            ("secret-volume-path-x", "secret-volume-path-", "x"),
        ] {
            let (found, after) = find(name).expect(name);
            assert_eq!((found.name, after), (known, rest));
        }
        for name in ["agent-inject-secret-", "agent-inject-secret", "other"] {
            assert!(find(name).is_none(), "{name}");
        }
    }
}

//! Lists the command blocks of the documents: which of them a test runs, and which are only parsed.

use BlockTest::{ParseOnly, Run};

/// How a block of commands is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockTest {
    /// `tests/tests/documents/commands.rs` runs the block as written, in the order of
    /// [`COMMAND_BLOCKS`].
    Run,
    /// Only the programs, subcommands and flags are looked up, for this reason.
    ParseOnly(&'static str),
}

const BY_CI: &str = "what CI runs, or longer than a test may take";
const NO_REGISTRY: &str = "there is no release, registry or Sigstore on this machine";
const TESTED_ELSEWHERE: &str = "another test does the same and more";

/// Each block of commands in README.md, CONTRIBUTING.md and docs/: its document, its first words,
/// and how it is tested.
pub const COMMAND_BLOCKS: &[(&str, &str, BlockTest)] = &[
    ("README.md", "cargo xtask demo", ParseOnly(BY_CI)),
    ("README.md", "cargo xtask test", ParseOnly(BY_CI)),
    (
        "README.md",
        "helm install coffer charts/coffer",
        ParseOnly("install/installation.rs installs, with both Helms"),
    ),
    ("README.md", "kubectl apply -k deploy", ParseOnly("install/installation.rs applies it")),
    ("README.md", "coffer check class.yaml", ParseOnly(TESTED_ELSEWHERE)),
    ("README.md", "kubectl coffer doctor", ParseOnly("install/doctor.rs runs it on an installation")),
    (
        "docs/troubleshooting.md",
        "kubectl coffer doctor",
        ParseOnly("install/doctor.rs runs it on an installation"),
    ),
    ("docs/reference.md", "kubectl coffer doctor", ParseOnly("install/doctor.rs runs it on an installation")),
    (
        "README.md",
        "$ kubectl create rolebinding",
        ParseOnly("api/get.rs runs it, and compares what is printed"),
    ),
    ("CONTRIBUTING.md", "cargo build", ParseOnly(BY_CI)),
    ("CONTRIBUTING.md", "cargo xtask test --test leases", ParseOnly(BY_CI)),
    ("docs/leases.md", "coffer status", ParseOnly("the tests of leases run it, on a node of theirs")),
    ("docs/benchmarks.md", "cargo xtask bench", ParseOnly(BY_CI)),
    ("docs/soak.md", "cargo xtask soak", ParseOnly(BY_CI)),
    ("docs/fuzzing.md", "cargo xtask fuzz", ParseOnly(BY_CI)),
    // a Vault for the cluster's pods
    ("docs/operating.md", "vault auth enable kubernetes", Run),
    ("docs/operating.md", "bao auth enable kubernetes", Run),
    ("docs/operating.md", "vault policy write shop", Run),
    ("docs/operating.md", "bao policy write shop", Run),
    ("docs/operating.md", "kubectl create token shop", Run),
    (
        "docs/operating.md",
        "vault audit enable file",
        ParseOnly("Vault's alone: OpenBao refuses it, as the page says"),
    ),
    (
        "docs/operating.md",
        "coffer mount --class",
        ParseOnly("a node's socket takes root; cli/tests/mount.rs mounts"),
    ),
    (
        "docs/operating.md",
        "kubectl apply -k deploy/monitoring",
        ParseOnly("install/installation.rs applies it"),
    ),
    ("docs/operating.md", "cosign verify", ParseOnly(NO_REGISTRY)),
    ("RELEASING.md", "cargo xtask image --twice", ParseOnly(BY_CI)),
    ("RELEASING.md", "oras push", ParseOnly(NO_REGISTRY)),
    ("docs/operating.md", "kubectl delete apiservice", ParseOnly("install/installation.rs takes it away so")),
    // the migration from HashiCorp's provider, on a cluster with its DaemonSet and Secret
    ("docs/migrate.md", "kubectl coffer check --cluster", Run),
    ("docs/migrate.md", "kubectl get secretproviderclasspodstatus --all-namespaces", Run),
    (
        "docs/migrate.md",
        "kubectl patch daemonset vault-csi-provider --namespace vault --patch '{\"spec\": {\"updateStrategy\"",
        Run,
    ),
    ("docs/migrate.md", "kubectl set image daemonset/vault-csi-provider", Run),
    ("docs/migrate.md", "kubectl delete pod --namespace vault", Run),
    (
        "docs/migrate.md",
        "kubectl patch daemonset vault-csi-provider --namespace vault --patch '{\"spec\": {\"template\"",
        Run,
    ),
    ("docs/migrate.md", "kubectl create namespace coffer", Run),
    ("docs/policy.md", "coffer check manifests/", ParseOnly("cli/tests/policy.rs checks classes so")),
    ("docs/migrate.md", "helm install coffer charts/coffer", ParseOnly("the chart has tests of its own")),
    ("docs/migrate.md", "kubectl label node NODE secrets-provider=none", Run),
    (
        "docs/migrate.md",
        "coffer convert deployments/",
        ParseOnly("cli/tests/convert/ and cli/convert.rs convert and check"),
    ),
    ("docs/reference.md", "coffer render --template", ParseOnly("cli/tests/render.rs renders")),
];

/// Returns how a block is tested: by the first row of the table whose words the block begins with.
pub fn block_test(document: &str, text: &str) -> Option<BlockTest> {
    let named =
        |(known, begins, _): &&(&str, &str, BlockTest)| *known == document && text.starts_with(begins);
    COMMAND_BLOCKS.iter().find(named).map(|(_, _, block_test)| *block_test)
}

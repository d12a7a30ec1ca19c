//! The operator's policy: refused before any connection, read again, and kept while it is broken.

use std::fs;
use std::path::PathBuf;

use coffer_tests::{
    Csi, FakeVaultSetup, MountRefusal, Mounted, READ_APP, ScriptedAnswer, TestPod, until_true,
};
use tempfile::TempDir;
use tonic::Code;

struct PolicySetup {
    vault: FakeVaultSetup,
    dir: TempDir,
}

impl PolicySetup {
    async fn new(policy: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yaml");
        fs::write(&file, policy).unwrap();
        let options = Csi::options().flag(format!("-policy-file={}", file.display()));
        let vault = FakeVaultSetup::start_with(options).await;
        vault.vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
        Self { vault, dir }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("policy.yaml")
    }

    async fn mount(&self, namespace: &str, more: &[(&str, &str)]) -> Result<Mounted, MountRefusal> {
        self.mount_again(&TestPod::new(namespace, "web"), more).await
    }

    async fn mount_again(&self, pod: &TestPod, more: &[(&str, &str)]) -> Result<Mounted, MountRefusal> {
        let call = self.vault.call(pod, READ_APP);
        let call = more.iter().fold(call, |call, (name, value)| call.param(name, value));
        self.vault.csi.mount(&call).await
    }

    async fn is_stale(&self) -> bool {
        self.vault.csi.metrics().await.0.lines().any(|line| line == "coffer_policy_stale 1")
    }
}

#[tokio::test]
async fn what_the_policy_forbids_is_refused_before_any_connection() {
    let policy = "\
rules:
  - namespaces: [\"team-a-*\"]
    vaultAddresses: [\"http://127.0.0.1:*\"]
    vaultNamespaces: [team-a, \"team-a/*\"]
    authMounts: [kubernetes]
    roles: [\"web*\"]
    audiences: [vault]
    skipTLSVerify: false
  - namespaces: [open]
";
    let setup = PolicySetup::new(policy).await;
    let usual = [("vaultNamespace", "team-a/x"), ("audience", "vault")];
    for (name, value) in [
        ("vaultAddress", "http://localhost:1"),
        ("vaultNamespace", "root"),
        ("vaultNamespace", ""),
        ("vaultAuthMountPath", "cert"),
        ("roleName", "admin"),
        ("audience", "aws"),
        ("vaultSkipTLSVerify", "true"),
    ] {
        let more = [&usual[..], &[(name, value)]].concat();
        let refusal = setup.mount("team-a-shop", &more).await.expect_err(name);
        assert_eq!(refusal.code, Code::PermissionDenied);
        assert!(refusal.names(&[&format!("policy line 2: parameter {name:?}: ")]), "{refusal:?}");
    }
    let refusal = setup.mount("other", &[]).await.unwrap_err();
    assert_eq!(refusal.code, Code::PermissionDenied);
    assert!(refusal.names(&["no rule is for namespace \"other\""]), "{refusal:?}");
    assert_eq!(setup.vault.vault.requests().len(), 0);

    setup.mount("team-a-shop", &usual).await.unwrap();
    setup.mount("open", &[("roleName", "admin")]).await.unwrap();
}

#[tokio::test]
async fn a_change_counts_at_the_next_mount_of_a_running_pod() {
    let setup = PolicySetup::new("rules: []\ndefault: allow\n").await;
    let pod = TestPod::new("shop", "web");
    setup.mount_again(&pod, &[]).await.unwrap();
    let next = setup.dir.path().join("next");
    fs::write(&next, "rules: [{namespaces: [shop], roles: [other]}]\n").unwrap();
    fs::rename(&next, setup.file()).unwrap();
    until_true("the policy to be read again", async || {
        setup.mount_again(&pod, &[]).await.is_err_and(|refusal| refusal.names(&["policy line 1", "roleName"]))
    })
    .await;
    assert!(!setup.is_stale().await);
}

#[tokio::test]
async fn the_last_good_policy_counts_while_the_file_is_broken() {
    let setup = PolicySetup::new("rules: [{namespaces: [shop], roles: [web]}]\n").await;
    setup.mount("shop", &[]).await.unwrap();
    for broken in [Some("rules:\n  - role: [web]\n"), Some("default: allow\n"), Some("rules: ["), None] {
        match broken {
            Some(text) => fs::write(setup.file(), text).unwrap(),
            None => fs::remove_file(setup.file()).unwrap(),
        }
        until_true("the broken file to be seen", async || setup.is_stale().await).await;
        setup.mount("shop", &[]).await.unwrap();
        setup.mount("other", &[]).await.expect_err("no rule is for it");
        fs::write(setup.file(), "rules: [{namespaces: [shop], roles: [web]}]\n").unwrap();
        until_true("the good file to be seen", async || !setup.is_stale().await).await;
    }
    let log = setup.vault.csi.log();
    assert_eq!(log.matches("the last good one counts").count(), 4, "{log}");
    assert!(log.contains("line 2, column 5"), "{log}");
}

#[tokio::test]
async fn without_a_good_policy_the_agent_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bad.yaml"), "rules:\n  - roles: web\n").unwrap();
    for (name, words) in [("none.yaml", "cannot be read"), ("bad.yaml", "line 2, column 12")] {
        let flag = format!("-policy-file={}", dir.path().join(name).display());
        let mut csi = Csi::options().flag(flag).spawn();
        assert_eq!(csi.wait().await.code(), Some(2));
        assert!(csi.log().contains(words), "{}", csi.log());
    }
}

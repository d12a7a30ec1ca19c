//! TLS to Vault: trust set by flag, environment and class, and files that a class may not name.

use coffer_tests::{
    Csi, CsiOptions, FakeVault, MountCall, MountRefusal, Mounted, READ_APP, ScriptedAnswer, TestCa, TestPod,
    TokenIssuer, call_as_web,
};

struct TlsSetup {
    ca: TestCa,
    vault: FakeVault,
}

impl TlsSetup {
    async fn new() -> Self {
        let ca = TestCa::new();
        let vault = FakeVault::start_tls(&ca).await;
        vault.script("GET", "/v1/kv/app", [ScriptedAnswer::app_secret()]);
        Self { ca, vault }
    }

    fn options(&self) -> CsiOptions {
        Csi::options().flag(format!("-vault-addr={}", self.vault.address()))
    }

    fn call(&self) -> MountCall {
        call_as_web(&TokenIssuer::new(), &TestPod::new("shop", "web"), READ_APP)
    }

    async fn mount(&self, options: CsiOptions) -> Result<Mounted, MountRefusal> {
        options.start().await.mount(&self.call()).await
    }
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let setup = TlsSetup::new().await;
    let refusal = setup.mount(setup.options()).await.unwrap_err();
    assert!(refusal.names(&["ertificate"]), "{refusal:?}");
    assert_eq!(setup.vault.requests().len(), 0);
}

#[tokio::test]
async fn an_authority_is_trusted_by_flag_environment_and_class() {
    let setup = TlsSetup::new().await;
    let file = setup.ca.certificate_file();
    let (file, directory) = (file.to_str().unwrap(), setup.ca.directory().to_str().unwrap());
    let pem = std::fs::read_to_string(file).unwrap();
    for options in [
        setup.options().flag(format!("-vault-tls-ca-cert={file}")),
        setup.options().flag(format!("-vault-tls-ca-directory={directory}")),
        setup.options().env("VAULT_CACERT", file),
        setup.options().env("VAULT_CAPATH", directory),
        setup.options().env("VAULT_CACERT_BYTES", &pem),
        setup.options().flag("-vault-tls-skip-verify=true"),
        setup.options().env("VAULT_SKIP_VERIFY", "1"),
    ] {
        let mounted = setup.mount(options.clone()).await;
        assert_eq!(mounted.unwrap_or_else(|e| panic!("{options:?}: {e:?}")).text("f"), "v");
    }

    let csi = setup.options().start().await;
    for (name, value) in
        [("vaultCACertPath", file), ("vaultCADirectory", directory), ("vaultSkipTLSVerify", "true")]
    {
        let mounted = csi.mount(&setup.call().param(name, value)).await;
        assert_eq!(mounted.unwrap_or_else(|e| panic!("{name}: {e:?}")).text("f"), "v");
    }
}

#[tokio::test]
async fn a_class_can_undo_a_global_skip() {
    let setup = TlsSetup::new().await;
    let csi = setup.options().flag("-vault-tls-skip-verify").start().await;
    csi.mount(&setup.call()).await.unwrap();
    csi.mount(&setup.call().param("vaultSkipTLSVerify", "false")).await.unwrap_err();
}

#[tokio::test]
async fn tls_settings_of_two_classes_do_not_mix() {
    let setup = TlsSetup::new().await;
    let csi = setup.options().start().await;
    let trusting = setup.call().param("vaultSkipTLSVerify", "true");
    csi.mount(&trusting).await.unwrap();
    csi.mount(&setup.call()).await.expect_err("the connection of another class was used");
    csi.mount(&trusting).await.unwrap();
}

#[tokio::test]
async fn the_name_on_the_certificate_counts() {
    let setup = TlsSetup::new().await;
    let file = setup.ca.certificate_file();
    let options = setup.options().flag(format!("-vault-tls-ca-cert={}", file.display()));
    setup.mount(options.clone().flag("-vault-tls-server-name=vault.example")).await.unwrap_err();
    setup.mount(options.flag("-vault-tls-server-name=127.0.0.1")).await.unwrap();
}

#[tokio::test]
async fn a_class_may_not_name_the_provider_s_own_files_as_its_key() {
    let setup = TlsSetup::new().await;
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("innocent.pem");
    std::os::unix::fs::symlink("/proc/self/environ", &link).unwrap();
    let socket_dir = tempfile::tempdir().unwrap();
    let beside = socket_dir.path().join("client.pem");
    std::fs::write(&beside, "not a key").unwrap();
    let csi = setup.options().socket(&socket_dir.path().join("vault.sock")).start().await;
    for path in [
        "/proc/self/environ",
        "/proc/1/cmdline",
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "/tmp/../proc/self/environ",
        link.to_str().unwrap(),
        beside.to_str().unwrap(),
    ] {
        for names in
            [["vaultTLSClientCertPath", "vaultTLSClientKeyPath"], ["vaultCACertPath", "vaultCACertPath"]]
        {
            let call = names.iter().fold(setup.call(), |call, name| call.param(name, path));
            let refusal = csi.mount(&call).await.expect_err(path);
            let file = path.rsplit('/').next().unwrap();
            assert!(refusal.names(&[names[0], file, "the node agent's own"]), "{path}: {refusal:?}");
        }
    }
    assert_eq!(setup.vault.requests().len(), 0);
}

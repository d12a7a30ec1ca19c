//! TLS to Vault: trust set by flag, environment and class, and files that a class may not name.

use coffer_tests::{
    Csi, CsiOptions, FakeVault, LOGIN, MountCall, MountRefusal, Mounted, OpenBao, READ_APP, ScriptedAnswer,
    TestCa, TestPod, TokenIssuer, call_as_web,
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
async fn authorities_that_change_count_at_the_next_mount() {
    let (setup, other) = (TlsSetup::new().await, TestCa::new());
    let csi = setup.options().start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    for (name, path) in [("vaultCACertPath", &*file), ("vaultCADirectory", dir.path())] {
        std::fs::write(&file, setup.ca.certificate()).unwrap();
        let call = setup.call().param(name, path.to_str().unwrap());
        csi.mount(&call).await.unwrap();
        let before = setup.vault.requests().len();
        std::fs::write(&file, other.certificate()).unwrap();
        let refusal = csi.mount(&call).await.expect_err("the old connection was used");
        assert!(refusal.names(&["signed", "vaultCA", path.to_str().unwrap()]), "{refusal:?}");
        assert_eq!(setup.vault.requests().len(), before);
        if path.is_dir() {
            std::fs::write(dir.path().join("added.pem"), setup.ca.certificate()).unwrap();
            csi.mount(&call).await.expect("the added file was not noticed");
        }
    }
}

#[tokio::test]
async fn a_volume_that_kubelet_updates_counts_at_the_next_mount() {
    let (setup, other) = (TlsSetup::new().await, TestCa::new());
    let csi = setup.options().start().await;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (version, ca) in [("..1", &setup.ca), ("..2", &other)] {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("ca.crt"), ca.certificate()).unwrap();
    }
    let point_to = |version: &str| {
        std::os::unix::fs::symlink(version, at("..new")).unwrap();
        std::fs::rename(at("..new"), at("..data")).unwrap();
    };
    std::os::unix::fs::symlink("..data/ca.crt", at("ca.crt")).unwrap();
    for (name, path) in [("vaultCACertPath", at("ca.crt")), ("vaultCADirectory", dir.path().to_owned())] {
        let call = setup.call().param(name, path.to_str().unwrap());
        point_to("..1");
        csi.mount(&call).await.unwrap();
        point_to("..2");
        csi.mount(&call).await.expect_err("the old authority still counts");
        point_to("..1");
        csi.mount(&call).await.unwrap();
    }
}

#[tokio::test]
async fn http_to_a_tls_port_and_tls_to_an_http_port_are_named() {
    let bao = OpenBao::start().await;
    let address = bao.address().replace("http://", "https://");
    let csi = Csi::options().flag(format!("-vault-addr={address}")).start().await;
    let call = call_as_web(&TokenIssuer::new(), &TestPod::new("shop", "web"), READ_APP);
    let refusal = csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&["does not speak TLS there", "http://"]), "{refusal:?}");

    let plain = FakeVault::start().await;
    // what Go's HTTP server says, as Vault's does
    let words = ScriptedAnswer::raw(400, &[], "Client sent an HTTP request to an HTTPS server.\n");
    plain.script("POST", LOGIN, [words]);
    let csi = Csi::options().flag(format!("-vault-addr={}", plain.address())).start().await;
    let refusal = csi.mount(&call).await.unwrap_err();
    assert!(refusal.names(&["HTTP 400", "has to begin with https://"]), "{refusal:?}");
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

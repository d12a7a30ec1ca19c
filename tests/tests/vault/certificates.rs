//! Certificates of many kinds: each works, or is refused, as with Go's own client. The differences
//! are those of `docs/differences.md`.

use std::collections::BTreeMap;

use coffer_tests::{
    Csi, GoTlsCase, GoTlsCases, MountCall, MountRefusal, Mounted, READ_APP, TestPod, TokenIssuer,
    call_as_web, workspace,
};

/// The heading of the differences in the document.
const DIFFERENCES: &str = "### Certificates and keys";

/// A provider that shows the cause of a failure for every address.
async fn start() -> Csi {
    let options = Csi::options().flag("-vault-trusted-addresses=*").flag("-memory-limit=2147483648");
    options.env("VAULT_MAX_RETRIES", "0").start().await
}

fn call(case: &GoTlsCase) -> MountCall {
    let parameters = [
        ("vaultCACertPath", &case.ca_file),
        ("vaultCADirectory", &case.ca_path),
        ("vaultTLSServerName", &case.server_name),
        ("vaultTLSClientCertPath", &case.client_cert),
        ("vaultTLSClientKeyPath", &case.client_key),
    ];
    let call = call_as_web(&TokenIssuer::new(), &TestPod::new("shop", "web"), READ_APP);
    let set = parameters.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    set.fold(call.param("vaultAddress", &case.address), |call, (name, value)| call.param(name, value))
}

async fn mount(csi: &Csi, case: &GoTlsCase) -> Result<Mounted, MountRefusal> {
    csi.mount(&call(case)).await
}

/// Returns the cases in the document, with whether Coffer accepts each.
fn documented_differences() -> BTreeMap<String, bool> {
    let text = std::fs::read_to_string(workspace().join("docs/differences.md")).unwrap();
    let (_, section) = text.split_once(DIFFERENCES).expect("the heading");
    let section = section.split("\n#").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let mut differences = BTreeMap::new();
    for row in rows {
        let columns: Vec<_> = row.split(" | ").collect();
        let accepts = columns[2].starts_with("works");
        for name in columns[0].split('`').skip(1).step_by(2) {
            differences.insert(name.to_owned(), accepts);
        }
    }
    assert!(!differences.is_empty());
    differences
}

#[tokio::test]
async fn certificates_and_keys_are_judged_as_by_go() {
    let (cases, csi, documented) = (GoTlsCases::start(), start().await, documented_differences());
    assert!(cases.all.len() > 200, "{}", cases.all.len());
    let (mut wrong, mut found) = (Vec::new(), BTreeMap::new());
    for case in &cases.all {
        let mounted = mount(&csi, case).await;
        let (by_go, by_coffer) = (case.refused_by_go.is_empty(), mounted.is_ok());
        if by_go != by_coffer {
            found.insert(case.name.clone(), by_coffer);
        }
        let documented = documented.get(&case.name).copied();
        let expected = documented.unwrap_or(by_go);
        if by_coffer != expected || documented == Some(by_go) {
            wrong.push(format!("{}: Go {:?}, Coffer {:?}", case.name, case.refused_by_go, mounted.err()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(found, documented, "the document names other differences");
}

#[tokio::test]
async fn a_refusal_says_which_certificate_why_and_what_to_do() {
    let (cases, csi) = (GoTlsCases::start(), start().await);
    let expected: &[(&str, &[&str])] = &[
        (
            "self-signed, unknown",
            &["is self-signed", "\"CN=vault\"", "Add Vault's authority to", "vaultCACertPath"],
        ),
        ("an unknown root is sent", &["signed by an unknown authority", "\"CN=other\" is not trusted"]),
        (
            "an intermediate is missing",
            &["\"CN=inner\" is not trusted", "is an intermediate certificate missing"],
        ),
        ("a root of the same name with another key", &["\"CN=root\", and another key", "was it made anew?"]),
        ("another name", &["not for other.example, but for vault.example", "vaultTLSServerName"]),
        ("IP address without an IP name", &["is not for 127.0.0.1, but for localhost"]),
        ("the common name alone", &["but for no names", "common name in the subject does not count"]),
        ("expired", &["the server's certificate expired: it was valid until 20", "Renew"]),
        ("not yet valid", &["is not valid yet", "clock"]),
        ("an expired intermediate", &["\"CN=inner\" in the server's chain expired"]),
        ("an expired root", &["the trusted authority \"CN=root\" is not valid now"]),
        (
            "a root that may not sign certificates",
            &["\"CN=root\" signed the server's, and is no authority's"],
        ),
        ("CA:TRUE, signed by a trusted authority", &["CA:TRUE", "configured as trusted"]),
        ("a server certificate as intermediate", &["signed by a certificate that is no authority's"]),
        ("extended key usage for clients", &["without serverAuth"]),
        ("name constraints that exclude", &["name constraints"]),
        ("eight intermediates", &["longer than"]),
        ("server key RSA 1024", &["\"CN=vault\" has an RSA key of 1024 bits", "2,048"]),
        ("authority key RSA 1024", &["RSA key of 1024 bits"]),
        ("SHA1-RSA by RSA", &["SHA-1 with RSA"]),
        ("an unknown critical extension", &["critical extension"]),
        ("client: none", &["demands a client certificate", "vaultTLSClientCertPath"]),
        ("client: none over TLS 1.2", &["demands a client certificate", "vaultTLSClientCertPath"]),
        ("client: an encrypted key", &["vaultTLSClientKeyPath", "client.key", "encrypted", "openssl pkey"]),
        ("client: a key encrypted in the old way", &["vaultTLSClientKeyPath", "encrypted"]),
        ("client: RSA 1024 in PKCS #8", &["vaultTLSClientKeyPath", "1024 bits"]),
        ("client: another key", &["vaultTLSClientCertPath", "does not belong to the key"]),
        (
            "client: with its chain in the wrong order",
            &["certificate 2 of the file does, and has to come first"],
        ),
        ("client: a key in DER", &["vaultTLSClientKeyPath", "DER"]),
        ("client: no key", &["vaultTLSClientKeyPath", "no private key, but \"CERTIFICATE\""]),
        ("only TLS 1.1", &["neither TLS 1.2 nor TLS 1.3"]),
        ("a suite with CBC", &["none with CBC"]),
        ("bundle: DER", &["vaultCACertPath", "ca.pem", "DER", "openssl x509"]),
        ("bundle: a key alone", &["block 1", "\"PRIVATE KEY\""]),
        ("bundle: damaged certificates alone", &["2 PEM blocks", "block 1", "damaged"]),
        ("directory: a link that leads nowhere", &["vaultCADirectory", "link leads nowhere"]),
        ("directory: a file that is not PEM", &["vaultCADirectory", "README", "-----BEGIN"]),
        ("file: a directory in its place", &["it is a directory"]),
    ];
    let mut wrong = Vec::new();
    for (name, words) in expected {
        let refusal = mount(&csi, cases.named(name)).await.expect_err(name);
        if !refusal.names(words) {
            wrong.push(format!("{name}: {refusal:?} lacks one of {words:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn skipped_blocks_of_a_bundle_are_logged() {
    let (cases, csi) = (GoTlsCases::start(), start().await);
    let case = cases.named("bundle: a block that is not base64 last");
    mount(&csi, case).await.expect("a mount");
    let log = csi.log();
    let line =
        log.lines().find(|line| line.contains("a block of a file of certificate authorities is skipped"));
    let line = line.expect("a warning");
    assert!(line.contains(case.ca_file.as_deref().unwrap()) && line.contains("block=2"), "{line}");
    assert!(line.contains("base64"), "{line}");
}

//! Certificates, chains and keys of a real PKI engine, read by OpenSSL.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use coffer_tests::{OpenBao, OpenBaoSetup, Suite};
use reqwest::Method;
use serde_json::{Value, json};

use crate::tools::{no_openssl, run};

pub(crate) fn tests(suite: Suite<()>) -> Suite<()> {
    suite
        .skipped_where(no_openssl())
        .test("openssl_takes_certificate_chain_and_key", |_| openssl_takes_certificate_chain_and_key())
}

async fn openssl_takes_certificate_chain_and_key() {
    let setup = OpenBaoSetup::start().await;
    let root = set_up_pki(&setup.bao).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("root.pem"), root).unwrap();
    for (key_type, key_bits, key_format) in
        [("rsa", 2048, "der"), ("ec", 256, "der"), ("ed25519", 0, "pkcs8")]
    {
        let role = json!({
            "allow_any_name": true, "key_type": key_type, "key_bits": key_bits, "max_ttl": "1h", "ttl": "1h",
        });
        setup.bao.admin(Method::POST, "pki/int/roles/web", role).await;
        let object = |name: &str, keys: &str| {
            format!(
                "- {{objectName: {name}, secretPath: pki/int/issue/web, method: POST, format: pem, secretKey: {keys}, \
                 secretArgs: {{common_name: shop.example.com, private_key_format: {key_format}}}}}\n"
            )
        };
        let objects = object("server.pem", "[certificate, ca_chain, private_key]")
            + &object("certificate.pem", "certificate")
            + &object("chain.pem", "ca_chain")
            + &object("ca.pem", "issuing_ca")
            + &object("key.pem", "private_key");
        let issued = setup.bao.requests_to("pki/int/issue/web");
        for (name, file) in setup.mount(&objects).await.unwrap().files {
            fs::write(path(&name), file.contents).unwrap();
        }
        assert_eq!(setup.bao.requests_to("pki/int/issue/web"), issued + 1, "one certificate for all files");

        // certificate, intermediate, root
        assert_eq!(
            subjects(&path("server.pem")),
            ["CN = shop.example.com", "CN = intermediate", "CN = root"]
        );
        assert_eq!(subjects(&path("chain.pem")), ["CN = intermediate", "CN = root"]);
        assert_eq!(subjects(&path("ca.pem")), ["CN = intermediate"]);
        for certificate in ["server.pem", "certificate.pem"] {
            let mut verify = Command::new("openssl");
            verify.args(["verify", "-x509_strict", "-CAfile"]).arg(path("root.pem"));
            verify.arg("-untrusted").arg(path("chain.pem")).arg(path(certificate));
            run(&mut verify).unwrap();
        }
        let key = public_key(&["pkey", "-pubout"], &path("key.pem"));
        assert_eq!(public_key(&["pkey", "-pubout"], &path("server.pem")), key, "{key_type}");
        assert_eq!(public_key(&["x509", "-noout", "-pubkey"], &path("server.pem")), key, "{key_type}");
    }
}

/// Makes a root and an intermediate authority, and returns the root's certificate.
async fn set_up_pki(bao: &OpenBao) -> String {
    bao.mount_engine("pki/root", "pki", json!({})).await;
    bao.mount_engine("pki/int", "pki", json!({})).await;
    let text = |answer: &Value, key: &str| answer["data"][key].as_str().unwrap().to_owned();
    let post = async |path: &str, body: Value| bao.admin(Method::POST, path, body).await;
    let root = post("pki/root/root/generate/internal", json!({ "common_name": "root", "ttl": "24h" })).await;
    let request =
        post("pki/int/intermediate/generate/internal", json!({ "common_name": "intermediate" })).await;
    let signed = post(
        "pki/root/root/sign-intermediate",
        json!({ "csr": text(&request, "csr"), "common_name": "intermediate", "ttl": "12h" }),
    )
    .await;
    let chain = text(&signed, "certificate") + "\n" + &text(&root, "certificate");
    post("pki/int/intermediate/set-signed", json!({ "certificate": chain })).await;
    text(&root, "certificate")
}

/// Returns the subjects of all certificates in a file, in their order.
fn subjects(file: &PathBuf) -> Vec<String> {
    let mut collect = Command::new("openssl");
    let bundle = file.with_extension("p7");
    run(collect.args(["crl2pkcs7", "-nocrl", "-certfile"]).arg(file).arg("-out").arg(&bundle)).unwrap();
    let mut print = Command::new("openssl");
    let printed = run(print.args(["pkcs7", "-print_certs", "-noout", "-in"]).arg(&bundle)).unwrap();
    let printed = String::from_utf8(printed).unwrap();
    printed.lines().filter_map(|line| line.strip_prefix("subject=")).map(str::to_owned).collect()
}

fn public_key(arguments: &[&str], file: &Path) -> String {
    let mut command = Command::new("openssl");
    String::from_utf8(run(command.args(arguments).arg("-in").arg(file)).unwrap()).unwrap()
}

//! Endpoints of Vault that give bytes, or JSON without `data`: the message names what to read.

use coffer_tests::OpenBaoSetup;
use reqwest::Method;
use serde_json::{Value, json};

/// The engines with such endpoints, each at two mounts.
async fn engines() -> OpenBaoSetup {
    let setup = OpenBaoSetup::start().await;
    for mount in ["pki", "team/a/pki"] {
        setup.bao.mount_engine(mount, "pki", json!({})).await;
        let root = json!({ "common_name": "root", "key_type": "ec", "key_bits": 256 });
        setup.bao.admin(Method::POST, &format!("{mount}/root/generate/internal"), root).await;
    }
    setup.bao.mount_engine("ssh-client", "ssh", json!({})).await;
    let key = json!({ "generate_signing_key": true, "key_type": "ed25519" });
    setup.bao.admin(Method::POST, "ssh-client/config/ca", key).await;
    setup.bao.policy("web", "path \"*\" { capabilities = [\"read\", \"update\", \"list\", \"sudo\"] }").await;
    setup
}

#[tokio::test]
async fn each_raw_endpoint_is_told_with_one_that_can_be_read() {
    let setup = engines().await;
    let listed = setup.bao.admin(Method::GET, "pki/certs?list=true", Value::Null).await;
    let serial = listed["data"]["keys"][0].as_str().expect("a serial number");
    let cert = format!("pki/cert/{serial}");
    let (raw, raw_pem) = (format!("{cert}/raw"), format!("{cert}/raw/pem"));
    for (path, what, instead, key) in [
        ("pki/ca", "DER (application/pkix-cert)", "pki/cert/ca", "certificate"),
        ("pki/ca/pem", "a certificate in PEM", "pki/cert/ca", "certificate"),
        ("/v1/team/a/pki/ca/pem", "a certificate in PEM", "team/a/pki/cert/ca", "certificate"),
        ("pki/ca_chain", "a certificate in PEM", "pki/cert/ca_chain", "ca_chain"),
        ("pki/crl", "DER (application/pkix-crl)", "pki/cert/crl", "certificate"),
        ("pki/crl/pem", "a revocation list in PEM", "pki/cert/crl", "certificate"),
        ("pki/crl/delta", "DER", "pki/cert/delta-crl", "certificate"),
        ("pki/crl/delta/pem", "a revocation list in PEM", "pki/cert/delta-crl", "certificate"),
        ("pki/cert/ca/raw", "DER", "pki/cert/ca", "certificate"),
        ("pki/cert/ca/raw/pem", "a certificate in PEM", "pki/cert/ca", "certificate"),
        (&raw, "DER", &cert, "certificate"),
        (&raw_pem, "a certificate in PEM", &cert, "certificate"),
        ("pki/issuer/default/pem", "a certificate in PEM", "pki/issuer/default/json", "certificate"),
        ("pki/issuer/default/der", "DER", "pki/issuer/default/json", "certificate"),
        ("pki/issuer/default/crl/pem", "a revocation list in PEM", "pki/issuer/default/crl", "crl"),
        ("pki/issuer/default/crl/der", "DER", "pki/issuer/default/crl", "crl"),
        ("pki/issuer/default/crl/delta/pem", "a revocation", "pki/issuer/default/crl/delta", "crl"),
        ("ssh-client/public_key", "an SSH public key (text/plain)", "ssh-client/config/ca", "public_key"),
        (
            "ssh-client/issuer/default/public_key",
            "an SSH public key",
            "ssh-client/issuer/default",
            "public_key",
        ),
    ] {
        let refusal = setup.mount(&format!("- {{objectName: ca, secretPath: '{path}'}}")).await.unwrap_err();
        let place = format!("object \"ca\" ({})", path.trim_start_matches("/v1/"));
        let advice =
            format!("This endpoint of Vault gives bytes, not JSON: read {instead:?} with secretKey {key:?}");
        assert!(refusal.names(&[&place, what, "not JSON", &advice]), "{path}: {refusal:?}");

        let object = format!("- {{objectName: ca, secretPath: '{instead}', secretKey: {key}}}");
        let mounted = setup.mount(&object).await.unwrap_or_else(|refusal| panic!("{instead}: {refusal:?}"));
        let text = mounted.text("ca");
        assert!(text.starts_with("-----BEGIN") || text.starts_with("ssh-"), "{instead}: {text}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_still_empty_is_told_too() {
    let setup = OpenBaoSetup::start().await;
    setup.bao.mount_engine("pki", "pki", json!({})).await;
    for path in ["pki/ca/pem", "pki/ca_chain", "pki/crl/pem"] {
        let refusal = setup.mount(&format!("- {{objectName: ca, secretPath: {path}}}")).await.unwrap_err();
        assert!(
            refusal.names(&["with nothing in it", "gives bytes, not JSON: read \"pki/cert/c"]),
            "{refusal:?}"
        );
    }
}

#[tokio::test]
async fn an_endpoint_without_a_secret_is_told() {
    let setup = engines().await;
    for (path, words) in [
        ("sys/metrics?format=prometheus", "This endpoint of Vault gives no secret: remove the object"),
        ("sys/health", "Vault's answer holds no data. Only what an answer has under \"data\" can be mounted"),
        ("sys/seal-status", "Vault's answer holds no data"),
        ("identity/oidc/.well-known/keys", "This endpoint of Vault is public"),
        ("identity/oidc/.well-known/openid-configuration", "let the application ask for it"),
        ("identity/oidc/provider/default/.well-known/keys", "This endpoint of Vault is public"),
    ] {
        for key in ["", ", secretKey: keys"] {
            let object = format!("- {{objectName: o, secretPath: '{path}'{key}}}");
            let refusal = setup.mount(&object).await.unwrap_err();
            assert!(refusal.names(&["object \"o\"", words]), "{path}: {refusal:?}");
        }
    }
}

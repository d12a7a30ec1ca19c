//! What to do about a failure of TLS: which parameter, flag or variable mends it.

use coffer_vault::{Authorities, CertificateCause, Tls, TlsFailure, TlsFile};

const ISSUE_ANEW: &str = "Have Vault's certificate issued anew";
const SERVER_NAME: &str = "Use an address with a name of the certificate, or set that name: vaultTLSServerName in the \
                           class, -vault-tls-server-name, VAULT_TLS_SERVER_NAME";

/// Returns what to do about a failure of TLS with these settings.
pub(crate) fn tls_advice(failure: &TlsFailure, tls: &Tls) -> String {
    match failure {
        TlsFailure::Certificate(failure) => certificate(&failure.cause, tls),
        TlsFailure::Signature(_) => ISSUE_ANEW.to_owned(),
        TlsFailure::NoClientCertificate | TlsFailure::ClientCertificate(_) => client(tls),
        TlsFailure::NothingInCommon => {
            format!("Compare the TLS settings of Vault's listener. {}", client(tls))
        }
        TlsFailure::Version => "Let Vault's listener speak TLS 1.2 or 1.3".to_owned(),
        TlsFailure::UnknownName | TlsFailure::BadName => SERVER_NAME.to_owned(),
        TlsFailure::NotTls => {
            "Check the port of the address; for a listener without TLS the address begins with http://"
                .to_owned()
        }
        TlsFailure::Closed | TlsFailure::Broken(_) => {
            "Check that the port is Vault's own and speaks TLS (else the address begins with http://), and what lies \
             between: proxies, balancers, network policies"
                .to_owned()
        }
        TlsFailure::Alert(_) | TlsFailure::Other(_) => "Vault's log may say more".to_owned(),
    }
}

fn certificate(cause: &CertificateCause, tls: &Tls) -> String {
    match cause {
        CertificateCause::UnknownAuthority(_)
        | CertificateCause::AuthorityNotValidNow(_)
        | CertificateCause::AuthorityMayNotSign { .. }
        | CertificateCause::IsAuthority => authorities(&tls.authorities),
        CertificateCause::OtherName { .. } => SERVER_NAME.to_owned(),
        CertificateCause::Expired(_) => "Renew that certificate at Vault".to_owned(),
        CertificateCause::NotYetValid(_) => "Compare the clocks of the node and of who issued it".to_owned(),
        CertificateCause::SignedByNoAuthority
        | CertificateCause::NotForServers
        | CertificateCause::NamesNotPermitted
        | CertificateCause::ChainTooLong
        | CertificateCause::KeyTooSmall { .. }
        | CertificateCause::SignatureAlgorithm { .. }
        | CertificateCause::CriticalExtension
        | CertificateCause::Unreadable(_) => ISSUE_ANEW.to_owned(),
    }
}

fn authorities(authorities: &Authorities) -> String {
    match authorities {
        Authorities::System => {
            "The system's authorities count here. Name Vault's: vaultCACertPath in the class, -vault-tls-ca-cert, \
             VAULT_CACERT"
                .to_owned()
        }
        Authorities::Pem(_) => "The trusted authorities are those of VAULT_CACERT_BYTES: add Vault's".to_owned(),
        Authorities::File(file) => {
            format!("Add Vault's authority to {}", named(file, "-vault-tls-ca-cert or VAULT_CACERT"))
        }
        Authorities::Directory(file) => {
            format!("Add Vault's authority to {}", named(file, "-vault-tls-ca-directory or VAULT_CAPATH"))
        }
    }
}

fn client(tls: &Tls) -> String {
    match &tls.client {
        Some(client) => {
            let file = named(&client.certificate, "-vault-tls-client-cert or VAULT_CLIENT_CERT");
            format!("Check the client certificate in {file}, and which authorities Vault's listener accepts")
        }
        None => "No client certificate is shown to this address: vaultTLSClientCertPath and vaultTLSClientKeyPath in \
                 the class, -vault-tls-client-cert and -vault-tls-client-key"
            .to_owned(),
    }
}

/// Returns the file with what names it.
fn named(file: &TlsFile, by_operator: &str) -> String {
    let path = file.path.display();
    match &file.parameter {
        Some(parameter) => format!("{path} (parameter {parameter:?})"),
        None => format!("{path} ({by_operator})"),
    }
}

#[cfg(test)]
mod tests {
    use coffer_vault::{Authorities, ClientCertificate, Tls, TlsFailure, TlsFile};

    use super::{authorities, tls_advice};

    #[test]
    fn the_source_of_a_setting_is_named() {
        let file = |parameter: Option<&str>| TlsFile {
            path: "/ca.pem".into(),
            parameter: parameter.map(ToOwned::to_owned),
        };
        for (set, words) in [
            (Authorities::System, "vaultCACertPath in the class, -vault-tls-ca-cert, VAULT_CACERT"),
            (Authorities::Pem(String::new()), "VAULT_CACERT_BYTES"),
            (Authorities::File(file(Some("openbaoCACertPath"))), "/ca.pem (parameter \"openbaoCACertPath\")"),
            (Authorities::File(file(None)), "/ca.pem (-vault-tls-ca-cert or VAULT_CACERT)"),
            (Authorities::Directory(file(None)), "/ca.pem (-vault-tls-ca-directory or VAULT_CAPATH)"),
        ] {
            let advice = authorities(&set);
            assert!(advice.contains(words), "{advice}");
        }
        let client = ClientCertificate { certificate: file(Some("vaultTLSClientCertPath")), key: file(None) };
        let shown = Tls { client: Some(client), ..Tls::default() };
        let advice = tls_advice(&TlsFailure::NoClientCertificate, &shown);
        assert!(advice.contains("/ca.pem (parameter \"vaultTLSClientCertPath\")"), "{advice}");
        let advice = tls_advice(&TlsFailure::NoClientCertificate, &Tls::default());
        assert!(advice.contains("-vault-tls-client-cert"), "{advice}");
    }
}

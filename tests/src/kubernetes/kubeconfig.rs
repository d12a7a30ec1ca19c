//! The kubeconfig of a client of kube-apiserver.

use std::path::Path;

use data_encoding::BASE64;
use kube::config::{KubeConfigOptions, Kubeconfig as KubeKubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::http::install_crypto;

/// A kubeconfig with one cluster, one user with a bearer token, and one namespace.
#[derive(Clone, Debug)]
pub struct Kubeconfig {
    /// kube-apiserver's address.
    pub server: String,
    /// The CA of kube-apiserver's certificate, in PEM.
    pub authority: String,
    /// The user's token.
    pub token: String,
    /// The default namespace.
    pub namespace: String,
}

impl Kubeconfig {
    /// Returns a kubeconfig for the same cluster and another user.
    #[must_use]
    pub fn of(&self, token: &str, namespace: &str) -> Self {
        Self { token: token.to_owned(), namespace: namespace.to_owned(), ..self.clone() }
    }

    /// Writes the file that `KUBECONFIG` names.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) {
        self.write_for(path, &self.user());
    }

    /// [`Self::write`], with the token in a file beside it, as kubelet gives it to a pod.
    ///
    /// # Panics
    /// If a file cannot be written.
    pub fn write_as_in_pod(&self, path: &Path) {
        let token = path.with_extension("token");
        std::fs::write(&token, &self.token).expect("write the token");
        self.write_for(path, &json!({ "tokenFile": token }));
    }

    fn write_for(&self, path: &Path, user: &Value) {
        std::fs::write(path, self.document(user).to_string()).expect("write a kubeconfig");
    }

    fn user(&self) -> Value {
        json!({ "token": self.token })
    }

    /// Returns a client.
    ///
    /// # Panics
    /// If the configuration is not valid.
    pub async fn client(&self) -> Client {
        install_crypto();
        let document = self.document(&self.user());
        let kubeconfig = KubeKubeconfig::from_yaml(&document.to_string()).expect("the kubeconfig just made");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let mut config = config.expect("a complete kubeconfig");
        // The test's servers are on this machine, whatever proxy it uses.
        config.proxy_url = None;
        Client::try_from(config).expect("a client")
    }

    /// Returns the kubeconfig as JSON, which is also YAML.
    fn document(&self, user: &Value) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{
                "name": "test",
                "context": { "cluster": "test", "user": "test", "namespace": self.namespace },
            }],
            "clusters": [{
                "name": "test",
                "cluster": {
                    "server": self.server,
                    "certificate-authority-data": BASE64.encode(self.authority.as_bytes()),
                },
            }],
            "users": [{ "name": "test", "user": user }],
        })
    }
}

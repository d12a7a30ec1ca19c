//! `coffer doctor` on an installation in which one thing after the other is broken: each line's
//! command, run as it is printed, mends it.

use std::sync::Arc;

use coffer_tests::Suite;
use serde_json::Value;

use crate::doctor_setup::{DoctorSetup, Examination};

pub(crate) fn tests(suite: Suite<DoctorSetup>) -> Suite<DoctorSetup> {
    suite
        .test("a_healthy_installation_has_nothing_but_ok", a_healthy_installation_has_nothing_but_ok)
        .test("the_driver_is_mended", |setup| mended(setup, DRIVER))
        .test("the_agents_are_mended", |setup| mended(setup, AGENTS))
        .test("rights_are_mended", |setup| mended(setup, RIGHTS))
        .test("the_api_server_is_mended", |setup| mended(setup, API_SERVER))
        .test("classes_are_mended", |setup| mended(setup, CLASSES))
        .test("a_second_fault_of_the_same_thing_is_mended", |setup| mended(setup, AGAIN))
        .test("vault_is_mended", vault_is_mended)
        .test("a_login_is_tried_where_it_is_asked_for", a_login_is_tried_where_it_is_asked_for)
        .test("what_may_not_be_seen_is_unknown", what_may_not_be_seen_is_unknown)
        .test("a_cluster_that_is_away_is_no_finding", a_cluster_that_is_away_is_no_finding)
}

/// Something that is broken.
struct Fault {
    /// The shell commands that break it.
    breaks: &'static str,
    /// The check that finds it.
    check: &'static str,
    status: &'static str,
    /// What its message says.
    says: &'static str,
    /// What no command of the doctor can do, such as kubelet's own part.
    afterwards: &'static str,
}

/// Faults that are there at once, and that do not hide each other.
const DRIVER: &[Fault] = &[
    Fault {
        breaks: "kubectl set image daemonset/csi-secrets-store --namespace kube-system \
                 secrets-store=registry.k8s.io/csi-secrets-store/driver:v1.2.4",
        check: "driver.version",
        status: "error",
        says: "DaemonSet kube-system/csi-secrets-store has version 1.2.4",
        afterwards: "",
    },
    Fault {
        breaks: "kubectl get daemonset csi-secrets-store --namespace kube-system --output=yaml \
                 | sed s/enable-secret-rotation=true/enable-secret-rotation=false/ | kubectl apply --filename -",
        check: "driver.rotation",
        status: "warning",
        says: "rotation is off",
        afterwards: "",
    },
    Fault {
        breaks: r#"kubectl patch csidriver secrets-store.csi.k8s.io --type=merge --patch '{"spec":{"tokenRequests":[{"audience":"other"}]}}'"#,
        check: "driver.tokens",
        status: "warning",
        says: "no tokenRequests for vault: coffer-csi mints these tokens itself",
        afterwards: "",
    },
    Fault {
        breaks: r#"kubectl patch csidriver secrets-store.csi.k8s.io --type=merge --patch '{"spec":{"podInfoOnMount":false}}'"#,
        check: "driver.object",
        status: "error",
        says: "no podInfoOnMount",
        afterwards: "",
    },
    Fault {
        breaks: r#"kubectl patch csinode n2 --type=merge --patch '{"spec":{"drivers":[]}}' &&
                   kubectl patch pod csi-secrets-store-n2 --namespace kube-system --subresource=status --type=merge --patch '{"status":{"conditions":[],"containerStatuses":[{"name":"secrets-store","image":"i","imageID":"","ready":false,"restartCount":3,"state":{"waiting":{"reason":"CrashLoopBackOff","message":"back-off"}},"lastState":{"terminated":{"exitCode":2,"reason":"Error"}}}]}}'"#,
        check: "driver.nodes",
        status: "error",
        says: "the driver is not ready on node n2: CrashLoopBackOff: the container ended with exit code 2 (Error)",
        // logs need a kubelet; what the log says is for the operator to mend
        afterwards: r#"kubectl patch csinode n2 --type=merge --patch '{"spec":{"drivers":[{"name":"secrets-store.csi.k8s.io","nodeID":"n2"}]}}'"#,
    },
];

const AGENTS: &[Fault] = &[
    Fault {
        breaks: r#"kubectl patch daemonset coffer-csi --namespace coffer --type=merge --patch '{"spec":{"template":{"spec":{"nodeSelector":{"pool":"a"}}}}}' &&
                   kubectl delete pod coffer-csi-n2 --namespace coffer --force --grace-period=0"#,
        check: "agents.nodes",
        status: "error",
        says: "coffer-csi is not ready on node n2: the nodeSelector of DaemonSet coffer/coffer-csi wants the label pool=a",
        afterwards: r#"kubectl patch daemonset coffer-csi --namespace coffer --type=merge --patch '{"spec":{"template":{"spec":{"nodeSelector":{"pool":null}}}}}'"#,
    },
    Fault {
        breaks: r#"kubectl patch daemonset coffer-csi --namespace coffer --type=json --patch '[{"op":"replace","path":"/spec/template/spec/volumes/0/hostPath/path","value":"/var/lib/providers"}]'"#,
        check: "driver.socket",
        status: "error",
        says: "DaemonSet coffer/coffer-csi makes its socket in /var/lib/providers, and the driver looks into \
               /var/run/secrets-store-csi-providers",
        afterwards: "",
    },
    Fault {
        breaks: "kubectl set image deployment/coffer-api-server --namespace coffer-api \
                 coffer-api-server=registry.example.com:5000/coffer/coffer-api-server:0.0.9",
        check: "agents.version",
        status: "warning",
        says: "Deployment coffer-api/coffer-api-server has version 0.0.9",
        afterwards: "",
    },
    Fault {
        breaks: "kubectl run stranger --namespace coffer --image=i",
        check: "agents.namespace",
        status: "warning",
        says: "namespace coffer is not coffer-csi's alone: stranger.",
        afterwards: "kubectl delete pod stranger --namespace coffer --force --grace-period=0",
    },
];

/// What broke before in another way.
const AGAIN: &[Fault] = &[
    Fault {
        breaks: r#"kubectl patch csidriver secrets-store.csi.k8s.io --type=merge --patch '{"spec":{"requiresRepublish":false}}'"#,
        check: "driver.rotation",
        status: "warning",
        says: "no requiresRepublish: kubelet does not ask",
        afterwards: "",
    },
    Fault {
        breaks: "kubectl delete clusterrolebinding coffer-csi &&
                 kubectl create namespace tenant-audience && kubectl apply --filename - <<'END'
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata: {name: own-audience, namespace: tenant-audience}
spec: {provider: vault, parameters: {roleName: r, audience: payments, objects: '[{objectName: a, secretPath: secret/data/a}]'}}
END",
        check: "driver.tokens",
        status: "error",
        says: "no tokenRequests for payments, and coffer-csi may not mint tokens",
        afterwards: "",
    },
    Fault {
        breaks: r#"kubectl patch daemonset coffer-csi --namespace coffer --type=json --patch '[{"op":"remove","path":"/spec/template/spec/tolerations"}]' &&
                   kubectl taint node n1 gpu=yes:NoSchedule && kubectl delete pod coffer-csi-n1 --namespace coffer --force --grace-period=0"#,
        check: "agents.nodes",
        status: "error",
        says: "does not tolerate the node's taint gpu=yes:NoSchedule",
        afterwards: "kubectl taint node n1 gpu-",
    },
    Fault {
        breaks: r#"kubectl create namespace vault && kubectl create --filename - <<'END'
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: vault-csi-provider, namespace: vault}
spec:
  selector: {matchLabels: {app: vault-csi-provider}}
  template:
    metadata: {labels: {app: vault-csi-provider}}
    spec:
      containers:
        - {name: provider, image: "hashicorp/vault-csi-provider:1.7.0", args: [-endpoint, /provider/vault.sock], volumeMounts: [{name: v, mountPath: /provider}]}
      volumes: [{name: v, hostPath: {path: /var/run/secrets-store-csi-providers}}]
END"#,
        check: "agents.socket",
        status: "error",
        says: "DaemonSet coffer/coffer-csi and DaemonSet vault/vault-csi-provider both make the socket \
               /var/run/secrets-store-csi-providers/vault.sock",
        afterwards: "",
    },
];

const RIGHTS: &[Fault] = &[
    Fault {
        breaks: "kubectl delete clusterrole/coffer-csi-pods",
        check: "rights.agent",
        status: "error",
        says: "service account coffer:coffer-csi may not list, watch pods in the cluster: no lease is kept",
        afterwards: "",
    },
    Fault {
        breaks: "kubectl delete clusterrolebinding/coffer-csi-events",
        check: "rights.agent",
        status: "warning",
        says: "may not create, patch events in the cluster: no event on a pod tells its owner",
        afterwards: "",
    },
    Fault {
        breaks: "kubectl delete rolebinding coffer-csi --namespace coffer",
        check: "rights.agent",
        status: "error",
        says: "may not get secrets vault-csi-provider-hmac-key in namespace coffer: the key of the versions",
        afterwards: "",
    },
    Fault {
        breaks: "kubectl delete clusterrolebinding/coffer-api-server",
        check: "rights.api-server",
        status: "error",
        says: "service account coffer-api:coffer-api-server may not list, watch secretproviderclasses in the cluster",
        afterwards: "",
    },
    Fault {
        breaks: "true",
        check: "rights.api-server",
        status: "error",
        says: "may not get, patch apiservices v1alpha1.custom.secrets.k8s.io in the cluster",
        afterwards: "",
    },
    Fault {
        breaks: "kubectl delete clusterrolebinding/coffer-api-server:system:auth-delegator",
        check: "rights.api-server",
        status: "error",
        says: "may not create tokenreviews in the cluster: nobody can be authenticated",
        afterwards: "",
    },
    Fault {
        breaks: "kubectl delete rolebinding coffer-api-server --namespace kube-system",
        check: "rights.api-server",
        status: "error",
        says: "may not get, list, watch configmaps extension-apiserver-authentication in namespace kube-system",
        afterwards: "",
    },
    Fault {
        breaks: "kubectl delete role coffer-api-server --namespace coffer-api",
        check: "rights.api-server",
        status: "error",
        says: "may not get, update secrets coffer-api-server-tls in namespace coffer-api",
        afterwards: "",
    },
];

const API_SERVER: &[Fault] = &[
    Fault {
        breaks: r#"kubectl patch apiservice v1alpha1.custom.secrets.k8s.io --type=merge --patch '{"spec":{"service":{"namespace":"default","name":"kubernetes"}}}'"#,
        check: "api.service",
        status: "error",
        says: "leads to Service default/kubernetes, not to that of Deployment coffer-api/coffer-api-server",
        afterwards: "",
    },
    Fault {
        breaks: "kubectl scale deployment coffer-api-server --namespace coffer-api --replicas=0",
        check: "api.replicas",
        status: "error",
        says: "Deployment coffer-api/coffer-api-server is scaled to 0",
        afterwards: "",
    },
    Fault {
        breaks: "kubectl create secret generic vault-csi-provider-hmac-key --namespace coffer-api \
                 --from-literal=key=another-key --dry-run=client --output=yaml | kubectl apply --filename -",
        check: "versions.key",
        status: "warning",
        says: "Secret coffer-api/vault-csi-provider-hmac-key has another key than coffer/vault-csi-provider-hmac-key",
        afterwards: "",
    },
];

const CLASSES: &[Fault] = &[
    Fault {
        breaks: "kubectl create namespace tenant-classes && kubectl apply --filename - <<'END'
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata: {name: wrong, namespace: tenant-classes}
spec: {provider: vault, parameters: {objects: '[]'}}
END",
        check: "classes.valid",
        status: "error",
        says: "classes with mistakes: tenant-classes/wrong",
        afterwards: "kubectl delete secretproviderclass wrong --namespace tenant-classes",
    },
    Fault {
        breaks: "kubectl apply --filename - <<'END'
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata: {name: bao, namespace: tenant-classes, annotations: {custom.secrets.k8s.io/service-account: app}}
spec: {provider: openbao, parameters: {roleName: r, objects: '[{objectName: a, secretPath: secret/data/a}]'}}
END",
        check: "classes.provider",
        status: "error",
        says: "classes are for provider openbao, which nobody serves, coffer-csi serves vault: tenant-classes/bao",
        afterwards: "",
    },
    Fault {
        breaks: "true",
        check: "classes.api",
        status: "warning",
        says: "classes of namespace tenant-classes have the annotation",
        afterwards: "",
    },
];

async fn a_healthy_installation_has_nothing_but_ok(setup: Arc<DoctorSetup>) {
    let healthy = setup.examine(&[]).await;
    healthy.assert_healthy();
    for check in [
        "driver.object",
        "driver.version",
        "driver.nodes",
        "driver.tokens",
        "driver.rotation",
        "driver.socket",
        "agents.installed",
        "agents.nodes",
        "agents.namespace",
        "agents.version",
        "agents.socket",
        "rights.agent",
        "rights.api-server",
        "vault.reachable",
        "vault.sealed",
        "vault.auth",
        "api.replicas",
        "api.service",
        "versions.key",
        "classes.valid",
        "classes.provider",
    ] {
        assert!(healthy.lines().any(|line| line["check"] == check), "{check}: {healthy:?}");
    }
    // as a plugin, and for people
    let text = setup.shell("kubectl coffer doctor").await;
    assert!(
        text.contains("ok       driver.object      CSIDriver secrets-store.csi.k8s.io is there\n"),
        "{text}"
    );
    assert!(text.ends_with("0 warning, 0 error, 0 unknown\n"), "{text}");
}

/// Breaks everything, follows the advice of each line, and looks again.
async fn mended(setup: Arc<DoctorSetup>, faults: &'static [Fault]) {
    setup.examine(&[]).await.assert_healthy();
    for fault in faults {
        setup.shell(fault.breaks).await;
    }
    let broken = setup.examine(&[]).await;
    assert_ne!(broken.code, 0, "{broken:?}");
    for fault in faults {
        let line = broken.line(fault.check, fault.says);
        assert_eq!(line["status"], fault.status, "{line}");
        assert!(line["command"].is_string(), "{line}");
    }
    follow(&setup, &broken).await;
    setup.play_kubelet().await;
    for fault in faults.iter().filter(|fault| !fault.afterwards.is_empty()) {
        setup.shell(fault.afterwards).await;
    }
    setup.api_is_available().await;
    setup.examine(&[]).await.assert_healthy();
}

/// Runs every command of a report. What only shows more may fail, since there is no kubelet here.
async fn follow(setup: &DoctorSetup, report: &Examination) {
    for line in report.lines().filter(|line| line["status"] != "ok") {
        let command = line["command"].as_str().unwrap_or_else(|| panic!("no command: {line}"));
        let only_shows = ["kubectl logs ", "kubectl describe ", "coffer check "];
        if only_shows.iter().any(|shown| command.starts_with(shown)) {
            setup.try_shell(command).await;
        } else {
            setup.shell(command).await;
        }
    }
}

async fn vault_is_mended(setup: Arc<DoctorSetup>) {
    setup.bao.seal().await;
    let sealed = setup.examine(&[]).await;
    assert_eq!(sealed.code, 1, "{sealed:?}");
    let unseal = sealed.line("vault.sealed", "is sealed: every mount fails")["command"].clone();
    let (unseal, key) = (unseal.as_str().unwrap(), setup.bao.unseal_key());
    setup.shell(&format!("{unseal} {key}")).await;

    let set = "kubectl set env daemonset/coffer-csi --namespace coffer";
    let patch = |mount: &str| {
        format!(
            "kubectl get daemonset coffer-csi --namespace coffer --output=yaml \
             | sed 's/vault-mount=[a-z-]*/vault-mount={mount}/' | kubectl apply --filename -"
        )
    };
    setup.shell(&patch("cluster-b")).await;
    let absent = setup.examine(&[]).await;
    let line = absent.line("vault.auth", "has no auth method for service accounts at auth/cluster-b");
    assert_eq!(line["status"], "error");
    setup.shell(line["command"].as_str().unwrap()).await;
    setup.examine(&[]).await.assert_healthy();
    setup.shell(&patch("kubernetes")).await;

    setup.shell(&format!("{set} VAULT_ADDR=http://127.0.0.1:1")).await;
    let away = setup.examine(&[]).await;
    away.line("vault.reachable", "from here: cannot reach Vault at http://127.0.0.1:1");
    // what the programs use counts no more
    setup.examine(&["--vault-addr", setup.bao.address()]).await.assert_healthy();
    setup.shell(&format!("{set} VAULT_ADDR=https://vault.secrets.svc:8200")).await;
    let hidden = setup.examine(&[]).await;
    assert_eq!(hidden.code, 2, "{hidden:?}");
    let line = hidden.line("vault.reachable", "is a name of the cluster, which this machine cannot look up");
    assert_eq!(line["status"], "unknown");
    assert_eq!(line["command"], "kubectl port-forward --namespace secrets service/vault 8200:8200");
    setup.shell(&format!("{set} VAULT_ADDR={}", setup.bao.address())).await;
    setup.examine(&[]).await.assert_healthy();
}

async fn a_login_is_tried_where_it_is_asked_for(setup: Arc<DoctorSetup>) {
    let namespace = setup.tenant("login").await;
    let login = format!("--login={namespace}/app");
    let before = setup.bao.logins();
    setup.examine(&[&login]).await.line("login", "can log in with class db");
    assert_eq!(setup.bao.logins(), before + 2, "one without a role, and one as the account");

    setup.shell(&format!("bao write auth/kubernetes/role/{namespace} audience=elsewhere")).await;
    let refused = setup.examine(&[&login]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    let line = refused.line("login", "and the audience vault");
    assert_eq!(line["status"], "error");
    let role = setup.shell(line["command"].as_str().unwrap()).await;
    assert!(role.contains("elsewhere"), "{role}");
    setup.shell(&format!("bao write auth/kubernetes/role/{namespace} audience=vault")).await;
    setup.examine(&[&login]).await.assert_healthy();

    let nobody = setup.examine(&[&format!("--login={namespace}/nobody")]).await;
    assert_eq!(nobody.line("login", "nobody")["status"], "error");
    let empty = setup.examine(&["--login=kube-system/default"]).await;
    assert_eq!(empty.code, 2, "{empty:?}");
}

async fn what_may_not_be_seen_is_unknown(setup: Arc<DoctorSetup>) {
    let blind = setup.examine_as("default", "default", &[]).await;
    assert_eq!(blind.code, 2, "{blind:?}");
    for (check, right) in [
        ("driver.object", "get csidrivers"),
        ("driver.version", "list daemonsets of the cluster"),
        ("driver.nodes", "list nodes of the cluster"),
        ("agents.installed", "list daemonsets of the cluster"),
        ("api.service", "get apiservices"),
        ("classes.valid", "list secretproviderclasses of the cluster"),
    ] {
        let line = blind.line(check, right);
        assert_eq!(line["status"], "unknown", "{line}");
        assert!(line["message"].as_str().unwrap().starts_with("the kubeconfig's user lacks the right to"));
    }
    assert!(blind.lines().all(|line| line["status"] == "unknown"), "{blind:?}");
}

async fn a_cluster_that_is_away_is_no_finding(setup: Arc<DoctorSetup>) {
    let output = setup.try_shell("KUBECONFIG=/nowhere coffer doctor --output=json").await;
    assert_eq!((output.code, output.out.as_str()), (2, ""), "{output:?}");
    assert!(output.err.starts_with("coffer: no connection to kube-apiserver: "), "{output:?}");
    let away = setup.away_kubeconfig();
    let output = setup.try_shell(&format!("coffer doctor --kubeconfig {}", away.display())).await;
    assert_eq!((output.code, output.out.as_str()), (2, ""), "{output:?}");
    assert!(output.err.starts_with("coffer: kube-apiserver cannot be reached: "), "{output:?}");
}

/// Returns a line's text, for messages of tests.
pub(crate) fn message(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

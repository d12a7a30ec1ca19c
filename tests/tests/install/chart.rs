//! The Helm chart and the plain manifests as text: both generations of Helm, no cluster.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use coffer_tests::kubernetes::{
    Helm, chart, objects, render_manifests, render_monitoring, shipped_folder, value_sets,
};
use coffer_tests::{Suite, coffer_binary};
use serde_json::{Map, Value, json};

pub(crate) fn tests(suite: Suite<()>) -> Suite<()> {
    suite
        .function("every_value_set_passes_helm_lint", every_value_set_passes_helm_lint)
        .function("both_helms_render_the_same", both_helms_render_the_same)
        .function("the_schema_refuses_what_is_misspelt", the_schema_refuses_what_is_misspelt)
        .function(
            "values_that_cannot_work_are_refused_with_the_reason",
            values_that_cannot_work_are_refused_with_the_reason,
        )
        .function(
            "every_value_has_a_comment_and_a_place_in_the_schema",
            every_value_has_a_comment_and_a_place_in_the_schema,
        )
        .function("the_agent_has_everything_that_leases_need", the_agent_has_everything_that_leases_need)
        .function("events_can_be_switched_off", events_can_be_switched_off)
        .function(
            "the_right_to_mint_is_left_out_where_kubelet_sends_tokens",
            the_right_to_mint_is_left_out_where_kubelet_sends_tokens,
        )
        .function("nobody_connects_without_need", nobody_connects_without_need)
        .function("every_container_is_hardened", every_container_is_hardened)
        .function("the_selinux_label_can_be_set", the_selinux_label_can_be_set)
        .function("the_scc_fits_the_pods", the_scc_fits_the_pods)
        .function("the_programs_accept_their_arguments", the_programs_accept_their_arguments)
        .function("names_namespaces_and_ports_can_be_set", names_namespaces_and_ports_can_be_set)
        .function(
            "the_plain_manifests_are_what_the_chart_renders",
            the_plain_manifests_are_what_the_chart_renders,
        )
}

fn every_value_set_passes_helm_lint() {
    for (name, values) in value_sets() {
        for helm in Helm::ALL {
            let chart = chart().display().to_string();
            let mut arguments = vec!["lint", "--strict", &chart];
            arguments.extend(values.iter().map(String::as_str));
            let output = helm.run(&arguments, None);
            assert!(output.status.success(), "Helm {helm}, {name}: {output:?}");
        }
    }
}

fn both_helms_render_the_same() {
    for (name, _) in value_sets() {
        let [old, new] = Helm::ALL.map(|helm| objects(&rendered(helm, &name)));
        assert!(old.len() > 5, "{name}: {old:?}");
        assert_eq!(old, new, "{name}");
    }
}

/// Every map of the schema refuses unknown keys.
fn the_schema_refuses_what_is_misspelt() {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let mut paths = Vec::new();
    let values = misspelt(&schema, &schema, "", &mut paths);
    assert!(paths.len() > 12, "{paths:?}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("values.yaml");
    fs::write(&file, values.to_string()).unwrap();
    for helm in Helm::ALL {
        let complaint = helm.template(&["--values", &file.display().to_string()]).unwrap_err().to_string();
        for path in &paths {
            let line = format!("at '{path}': additional properties 'mispelt' not allowed");
            assert!(complaint.contains(&line), "Helm {helm}: no {line:?} in {complaint}");
        }
    }
}

fn values_that_cannot_work_are_refused_with_the_reason() {
    for (set, reason) in [
        ("csi.healthPort=http", "/csi/healthPort"),
        ("csi.provider=a.b", "/csi/provider"),
        ("apiServer.tls.source=self", "/apiServer/tls/source"),
        ("vault.address=vault:8200", "/vault/address"),
        ("image.pullPolicy=always", "/image/pullPolicy"),
        ("apiServer.namespace=coffer", "must differ"),
        ("apiServer.hostNetwork=true", "kubelet's"),
        ("csi.updateStrategy.rollingUpdate.maxSurge=1", "needs csi.updateStrategy with maxSurge: 0"),
        ("csi.updateStrategy.rollingUpdate.maxSurge=10%", "needs csi.updateStrategy with maxSurge: 0"),
        ("vault.ca.pem=x,vault.ca.secret=y", "set one of"),
        ("apiServer.tls.source=secret", "needs apiServer.tls.caBundle"),
        ("prometheusRule.enabled=true,prometheusRule.disabled={CofferPolicy}", "no alert of this chart"),
        ("apiServer.tls.caBundle=x", "belongs to apiServer.tls.source secret"),
    ] {
        for helm in Helm::ALL {
            let refused = helm.template(&["--set", set]);
            let complaint = refused.expect_err(set).to_string();
            assert!(complaint.contains(reason), "Helm {helm}, {set}: {complaint}");
        }
    }
}

fn every_value_has_a_comment_and_a_place_in_the_schema() {
    let text = read("values.yaml");
    let mut before = "";
    for line in text.lines() {
        let is_key = line.trim_start().split(':').next().is_some_and(|key| {
            line.contains(':') && !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric())
        });
        let commented = before.trim_start().starts_with('#');
        assert!(!is_key || commented, "no comment above {line:?}");
        before = line;
    }

    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let values = objects(&text).remove(0);
    let mut listed = Vec::new();
    properties(&schema, &schema, "", &mut listed);
    for path in listed.iter().filter(|path| !["/global"].contains(&path.as_str())) {
        // The fields of an issuer have no defaults.
        let place = path.strip_suffix("/name").or(path.strip_suffix("/kind")).or(path.strip_suffix("/group"));
        let is_issuer = place.is_some_and(|place| place.ends_with("/issuerRef"));
        assert!(is_issuer || values.pointer(path).is_some(), "values.yaml lacks {path}");
    }
}

fn the_right_to_mint_is_left_out_where_kubelet_sends_tokens() {
    for (sets, mints) in [
        (&[][..], true),
        (&["--set=csiDriver.create=true"], false),
        (&["--set=csi.mintTokens=false"], false),
        (&["--set=csiDriver.create=true", "--set=csi.mintTokens=true"], true),
        (&["--set=csiDriver.create=true", "--set=csi.mintTokens=null"], false),
    ] {
        for helm in Helm::ALL {
            let objects = objects(&helm.template(sets).unwrap());
            let mint = |object: &Value| {
                object["kind"] == "ClusterRole"
                    && object["metadata"]["name"] == "coffer-csi"
                    && object["rules"][0]["resources"] == json!(["serviceaccounts/token"])
            };
            assert_eq!(objects.iter().any(mint), mints, "Helm {helm}, {sets:?}");
        }
    }
}

fn nobody_connects_without_need() {
    let policy = |name: &str, sets: &[&str]| {
        let objects = objects(&Helm::V4.template(sets).unwrap());
        let named = |object: &Value| object["kind"] == "NetworkPolicy" && object["metadata"]["name"] == name;
        objects.into_iter().find(named).map(|policy| policy["spec"].clone()).expect("a policy")
    };
    let agent = policy("coffer-csi", &[]);
    assert_eq!((&agent["policyTypes"], &agent["ingress"]), (&json!(["Ingress"]), &json!([])));
    assert_eq!(policy("coffer-api-server", &[])["ingress"], json!([{ "ports": [{ "port": "https" }] }]));

    let monitored = policy("coffer-csi", &["--set=serviceMonitor.enabled=true"]);
    let prometheus = json!({ "matchLabels": { "app.kubernetes.io/name": "prometheus" } });
    assert_eq!(monitored["ingress"][0]["from"][0]["podSelector"], prometheus);

    let metrics = "--set-json=networkPolicy.metricsFrom=[{\"podSelector\":{}}]";
    let cidrs = "--set-json=networkPolicy.kubeApiServerCIDRs=[\"10.0.0.0/28\"]";
    let narrowed = policy("coffer-api-server", &[metrics, cidrs]);
    let from = json!([{ "ipBlock": { "cidr": "10.0.0.0/28" } }, { "podSelector": {} }]);
    assert_eq!(narrowed["ingress"], json!([{ "ports": [{ "port": "https" }], "from": from }]));
    let scraped = policy("coffer-csi", &[metrics, cidrs]);
    assert_eq!(
        scraped["ingress"],
        json!([{ "ports": [{ "port": "health" }], "from": [{ "podSelector": {} }] }])
    );
}

/// Everything that leases require is there, or nothing of it.
fn the_agent_has_everything_that_leases_need() {
    let agent = |sets: &[&str]| {
        let arguments: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let objects = objects(&Helm::V4.template(&arguments).unwrap());
        let watches_pods = objects.iter().any(|object| {
            object["kind"] == "ClusterRole"
                && object["rules"]
                    == json!([
                        { "apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"] }
                    ])
        });
        let agent = objects.into_iter().find(|object| object["kind"] == "DaemonSet").unwrap();
        (agent, watches_pods)
    };
    let has = |list: &Value, item: &Value| list.as_array().unwrap().contains(item);
    let node = json!({ "name": "NODE_NAME", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } });
    let path = |agent: &Value, pointer: &str| agent.pointer(pointer).unwrap_or(&Value::Null).clone();
    let pod = "/spec/template/spec";

    let (with, watches_pods) = agent(&["csi.leases.revokeOnShutdown=true"]);
    assert!(watches_pods);
    assert_eq!(path(&with, "/spec/updateStrategy/rollingUpdate/maxSurge"), 0);
    assert!(has(&path(&with, &format!("{pod}/containers/0/env")), &node));
    let arguments = path(&with, &format!("{pod}/containers/0/args"));
    assert!(has(&arguments, &json!("--state-dir=/state")) && has(&arguments, &json!("--revoke-on-shutdown")));
    let mounts = path(&with, &format!("{pod}/containers/0/volumeMounts"));
    let mount = mounts.as_array().unwrap().iter().find(|mount| mount["mountPath"] == "/state").unwrap();
    let volumes = path(&with, &format!("{pod}/volumes"));
    let volume = volumes.as_array().unwrap().iter().find(|volume| volume["name"] == mount["name"]).unwrap();
    assert_eq!(volume["hostPath"], json!({ "path": "/run/coffer", "type": "DirectoryOrCreate" }));

    let (without, watches_pods) = agent(&[
        "csi.leases.enabled=false",
        "csi.updateStrategy.rollingUpdate.maxSurge=10%",
        "csi.updateStrategy.rollingUpdate.maxUnavailable=0",
    ]);
    assert!(!watches_pods && !without.to_string().contains("/run/coffer"), "{without}");
}

fn events_can_be_switched_off() {
    let parts = |sets: &[&str]| {
        let arguments: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let objects = objects(&Helm::V4.template(&arguments).unwrap());
        let rule = json!([
            { "apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"] }
        ]);
        let may_write = objects.iter().any(|object| object["rules"] == rule);
        let agent = objects.into_iter().find(|object| object["kind"] == "DaemonSet").unwrap();
        (may_write, agent.to_string())
    };
    let (may_write, agent) = parts(&["csi.leases.enabled=false"]);
    assert!(may_write && agent.contains("NODE_NAME") && !agent.contains("--pod-events"), "{agent}");
    let (may_write, agent) = parts(&["csi.events.enabled=false"]);
    assert!(!may_write && agent.contains("--pod-events=false"), "{agent}");
}

/// No value gives the containers more rights.
fn every_container_is_hardened() {
    for (name, _) in value_sets() {
        let workloads = workloads(&name);
        assert!(!workloads.is_empty(), "{name}");
        for workload in workloads {
            let pod = &workload["spec"]["template"]["spec"];
            let containers = pod["containers"].as_array().unwrap();
            let [container] = containers.as_slice() else { panic!("{name}: one container") };
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(context["capabilities"], json!({ "drop": ["ALL"] }), "{name}");
            assert_eq!(context["privileged"], Value::Null, "{name}");
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
            for probe in ["livenessProbe", "readinessProbe"] {
                assert!(container[probe]["httpGet"]["path"].is_string(), "{name}: {probe}");
            }
            let requests = &container["resources"]["requests"];
            match workload["kind"].as_str().unwrap() {
                "DaemonSet" => {
                    assert_eq!(*requests, json!({ "cpu": "10m", "memory": "16Mi" }));
                    assert_eq!(container["resources"]["limits"], json!({ "memory": "64Mi" }));
                }
                _ => assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}"),
            }
        }
    }
}

/// On nodes with SELinux, and on OpenShift by itself.
fn the_selinux_label_can_be_set() {
    let label = |set: &[&str]| {
        let flags: Vec<&str> = set.iter().flat_map(|value| ["--set", *value]).collect();
        let [old, new] = Helm::ALL.map(|helm| {
            let all = objects(&helm.template(&flags).unwrap());
            all.into_iter().find(|object| object["kind"] == "DaemonSet").unwrap()
        });
        assert_eq!(old, new);
        let container = &new["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["securityContext"]["runAsUser"], 0);
        container["securityContext"]["seLinuxOptions"].clone()
    };
    assert_eq!(label(&[]), Value::Null);
    assert_eq!(label(&["csi.seLinuxOptions.type=spc_t"]), json!({ "type": "spc_t" }));
    assert_eq!(label(&["openshift.enabled=true"]), json!({ "type": "spc_t", "level": "s0" }));
    assert_eq!(label(&["csi.securityContext.seLinuxOptions.type=own_t"]), json!({ "type": "own_t" }));
    let both = ["openshift.enabled=true", "csi.seLinuxOptions.type=own_t", "csi.seLinuxOptions.level=s0:c1"];
    assert_eq!(label(&both), json!({ "type": "own_t", "level": "s0:c1" }));
}

/// The SCC allows what the pods ask for, and nothing that it could do without.
fn the_scc_fits_the_pods() {
    for set in [&[][..], &["--set=csi.hostNetwork=true", "--set=csi.seLinuxOptions.type=own_t"]] {
        let objects =
            objects(&Helm::V4.template(&[&["--set=openshift.enabled=true"], set].concat()).unwrap());
        let find = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
        let (scc, agent) = (find("SecurityContextConstraints"), find("DaemonSet"));
        let template = &agent["spec"]["template"];
        let (pod, container) = (&template["spec"], &template["spec"]["containers"][0]["securityContext"]);

        assert_eq!(template["metadata"]["annotations"]["openshift.io/required-scc"], scc["metadata"]["name"]);
        assert_eq!(scc["runAsUser"], json!({ "type": "MustRunAs", "uid": container["runAsUser"] }));
        assert_eq!(scc["seLinuxContext"]["seLinuxOptions"], container["seLinuxOptions"]);
        // An SCC without a level gets that of the namespace, which the pods do not ask for.
        assert_eq!(scc["seLinuxContext"]["seLinuxOptions"]["level"], "s0");
        assert_eq!(scc["requiredDropCapabilities"], container["capabilities"]["drop"]);
        assert_eq!(scc["readOnlyRootFilesystem"], container["readOnlyRootFilesystem"]);
        assert_eq!(scc["allowHostNetwork"], pod["hostNetwork"].as_bool().unwrap_or(false));
        assert_eq!(scc["allowHostPorts"], scc["allowHostNetwork"]);
        for refused in
            ["allowPrivilegedContainer", "allowPrivilegeEscalation", "allowHostIPC", "allowHostPID"]
        {
            assert_eq!(scc[refused], false, "{refused}");
        }
        let allowed = scc["volumes"].as_array().unwrap();
        for volume in pod["volumes"].as_array().unwrap() {
            let kind = volume.as_object().unwrap().keys().find(|key| *key != "name").unwrap();
            assert!(allowed.contains(&json!(kind)), "{kind}");
        }
        let may_use = objects.iter().filter(|object| object["kind"] == "Role").any(|role| {
            role["rules"][0]["resourceNames"] == json!([scc["metadata"]["name"]])
                && role["rules"][0]["verbs"] == json!(["use"])
        });
        assert!(may_use);
    }
}

/// The binaries accept the flags that the templates write, with their values.
fn the_programs_accept_their_arguments() {
    for (name, _) in value_sets() {
        for workload in workloads(&name) {
            let container = &workload["spec"]["template"]["spec"]["containers"][0];
            let arguments: Vec<String> = serde_json::from_value(container["args"].clone()).unwrap();
            let binary = container["name"].as_str().unwrap();
            let output =
                Command::new(coffer_binary(binary)).args(arguments).arg("--version").output().unwrap();
            assert!(output.status.success(), "{name}, {binary}: {output:?}");
        }
    }
}

/// The API server's objects under other names, in a namespace of another name.
fn names_namespaces_and_ports_can_be_set() {
    let objects = objects(&rendered(Helm::V4, "custom-api.yaml"));
    let find = |kind: &str| {
        let found = objects
            .iter()
            .find(|object| object["kind"] == kind && object["metadata"]["name"] == "custom-api");
        found.unwrap_or_else(|| panic!("no {kind}"))
    };
    let (deployment, service) = (find("Deployment"), find("Service"));
    for object in [deployment, service] {
        assert_eq!(object["metadata"]["namespace"], "custom-metrics");
    }
    let port = &service["spec"]["ports"][0];
    assert_eq!(port["port"], 443);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["ports"][0], json!({ "name": port["targetPort"], "containerPort": 8443 }));
    let arguments = container["args"].as_array().unwrap();
    assert!(
        arguments.contains(&json!("--listen=:8443")) && arguments.contains(&json!("--service=custom-api"))
    );
    for object in &objects {
        let names = [&object["metadata"]["name"], &object["metadata"]["namespace"]];
        assert!(names.iter().all(|name| **name != "coffer-api-server" && **name != "coffer-api"), "{object}");
    }
}

fn the_plain_manifests_are_what_the_chart_renders() {
    for (folder, rendered) in
        [(shipped_folder(), render_manifests()), (shipped_folder().join("monitoring"), render_monitoring())]
    {
        let mut shipped = BTreeMap::new();
        let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        for file in entries.filter(|path| path.is_file()) {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            shipped.insert(name, fs::read_to_string(&file).unwrap());
        }
        let kustomization = objects(&shipped.remove("kustomization.yaml").unwrap()).remove(0);
        assert_eq!(shipped, rendered, "run `cargo xtask manifests`");

        let mut listed: Vec<String> = serde_json::from_value(kustomization["resources"].clone()).unwrap();
        listed.sort();
        assert_eq!(listed, rendered.into_keys().collect::<Vec<_>>());
    }
}

fn read(file: &str) -> String {
    let path: PathBuf = chart().join(file);
    fs::read_to_string(path).unwrap()
}

fn rendered(helm: Helm, name: &str) -> String {
    let values = value_sets().into_iter().find(|(other, _)| other == name).unwrap().1;
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    helm.template(&values).unwrap_or_else(|complaint| panic!("Helm {helm}, {name}: {complaint}"))
}

fn workloads(name: &str) -> Vec<Value> {
    let objects = objects(&rendered(Helm::V4, name));
    let works = |object: &Value| object["spec"]["template"]["spec"]["containers"].is_array();
    objects.into_iter().filter(works).collect()
}

/// Resolves a `$ref`.
fn resolved<'a>(schema: &'a Value, node: &'a Value) -> &'a Value {
    let reference = node["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    reference.map_or(node, |pointer| schema.pointer(pointer).expect("a definition"))
}

/// Returns values with an unknown key in every map of the schema that has its own keys, and
/// collects the paths of these maps.
fn misspelt(schema: &Value, node: &Value, path: &str, paths: &mut Vec<String>) -> Value {
    let mut values = Map::new();
    for (name, child) in resolved(schema, node)["properties"].as_object().into_iter().flatten() {
        let child = resolved(schema, child);
        if child["properties"].is_object() {
            values.insert(name.clone(), misspelt(schema, child, &format!("{path}/{name}"), paths));
        }
    }
    values.insert("mispelt".to_owned(), json!(true));
    paths.push(path.to_owned());
    values.into()
}

/// Collects the paths of all properties in the schema.
fn properties(schema: &Value, node: &Value, path: &str, listed: &mut Vec<String>) {
    for (name, child) in resolved(schema, node)["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        properties(schema, child, &path, listed);
        listed.push(path);
    }
}

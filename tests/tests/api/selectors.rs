//! Selectors: the same as kube-apiserver's own for a core resource.

use std::collections::BTreeSet;
use std::sync::Arc;

use coffer_tests::Suite;
use coffer_tests::kubernetes::Namespace;
use coffer_tests::kubernetes::aggregated::{API, ApiSetup, DirectClient};
use serde_json::{Value, json};

pub(crate) fn tests(suite: Suite<ApiSetup>) -> Suite<ApiSetup> {
    suite
        .test("label_selectors_are_judged_as_those_of_config_maps", label_selectors)
        .test("field_selectors_are_judged_as_those_of_config_maps", field_selectors)
        .test("a_selector_that_is_refused_is_named", refused_selectors)
}

/// Labels of the objects that are selected from, by name.
const LABELS: [(&str, &[(&str, &str)]); 5] = [
    ("plain", &[]),
    ("web", &[("app", "web"), ("tier", "front"), ("size", "7")]),
    ("db", &[("app", "db"), ("x.io/tier", ""), ("size", "x")]),
    ("words", &[("in", "notin"), ("notin", "in"), ("app", "")]),
    ("odd", &[("a", "b"), ("A", "B"), ("a.b-c_d", "0x7"), ("size", "10")]),
];

const LABEL_SELECTORS: &[&str] = &[
    "",
    " ",
    "\t\r\n",
    ",",
    "a,",
    ",a",
    "a,,b",
    "a, b",
    "a b",
    "app",
    "!app",
    "! app",
    "!!app",
    "!",
    "!,a",
    "app,!tier",
    "app=web",
    "app==web",
    "app===web",
    "app=!web",
    "app!=web",
    "app! =web",
    "app != web",
    "app = web ",
    " app=web",
    "app=",
    "app==",
    "app!=",
    "app=,tier",
    "app=web,app=db",
    "app=web,app=web",
    "app=web=db",
    "=web",
    "==web",
    "!=web",
    "x.io/tier",
    "x.io/tier=",
    "!x.io/tier",
    "x.io/tier=,app",
    "X.io/tier",
    "x.io//tier",
    "/tier",
    "x.io/",
    "a/b/c",
    "x_y/tier",
    "x..io/tier",
    "-x.io/tier",
    "x.io-/tier",
    "-x=y",
    "x=-y",
    "x-=y",
    "x=y-",
    "_x",
    "x_",
    ".x",
    "x.",
    "--x",
    "a.b-c_d",
    "a.b-c_d=0x7",
    "A=B",
    "A",
    "app in (web)",
    "app in(web)",
    "app in (web,db)",
    "app in (web, db )",
    "app in (web db)",
    "app in ()",
    "app in (,)",
    "app in (,,)",
    "app in (web,)",
    "app in (,web)",
    "app in (web,,db)",
    "app in (web,,,db)",
    "app in (web,,)",
    "app in web",
    "app in (web",
    "app in web)",
    "app in ((web))",
    "app in",
    "app in (web),tier",
    "app in (web) tier",
    "app in (in)",
    "app in (=)",
    "app in (-x)",
    "app notin (web)",
    "app notin ()",
    "app notin (web,db),tier",
    "app not in (web)",
    "app NOTIN (web)",
    "app IN (web)",
    "in",
    "notin",
    "!in",
    "in=notin",
    "in in (notin)",
    "in in (in)",
    "notin notin (in)",
    "in in in",
    "notin=in",
    "in,notin",
    "in(a)",
    "size>6",
    "size > 6",
    "size<8",
    "size>6,size<8",
    "size>=6",
    "size>-1",
    "size>x",
    "size>",
    "size>7.5",
    "size>0x7",
    "size>007",
    "size>99999999999999999999",
    "size>9223372036854775807",
    "app>1",
    "none>1",
    "size<>7",
    ">1",
    "<",
    "app=\"web\"",
    "'app'=web",
    "app=web;tier",
    "app:web",
    "app=w*b",
    "app=wéb",
    "äpp",
    "app&tier",
    "app|tier",
    "app=%77eb",
    "app+tier",
    "app\\=web",
    "app=we\\b",
    "@app",
    "a$b",
    "app=web#",
    "(app)",
    "(",
    ")",
    "app)",
    "()",
    "app()",
    "app=()",
    "app=(web)",
    "!app=web",
    "!app in (web)",
    "app!",
    "app!in (web)",
    "tier,app in (web),size>1,!none",
];

const FIELD_SELECTORS: &[&str] = &[
    "",
    ",",
    ",,",
    " ",
    "metadata.name=web",
    "metadata.name==web",
    "metadata.name===web",
    "metadata.name!=web",
    "metadata.name=web,",
    ",metadata.name=web",
    "metadata.name=web,,metadata.name=web",
    "metadata.name=web,metadata.name=web",
    "metadata.name=web,metadata.name=db",
    "metadata.name=db,metadata.name=web",
    "metadata.name=web,metadata.name!=db",
    "metadata.name=web,metadata.name!=web",
    "metadata.name!=web,metadata.name!=db",
    "metadata.name==web,metadata.name=web",
    "metadata.name=",
    "metadata.name==",
    "metadata.name!=",
    "metadata.name=,metadata.name=web",
    "metadata.name",
    "metadata.name>a",
    "metadata.name~web",
    "=web",
    "!=web",
    "==web",
    "=",
    "!",
    "metadata.name =web",
    " metadata.name=web",
    "metadata.name= web",
    "metadata.name=web ",
    "metadata.name=web, metadata.name=web",
    "Metadata.Name=web",
    "name=web",
    "metadata.uid=1",
    "metadata.labels=a",
    "data.password=x",
    "spec.provider=vault",
    "status.phase=Running",
    "metadata.name=a=b",
    "metadata.name=a\\=b",
    "metadata.name=a\\,b",
    "metadata.name=a\\\\b",
    "metadata.name=a\\b",
    "metadata.name=web\\",
    "metadata.name=\\web",
    "metadata.name\\=web",
    "metadata.name=a,b",
    "metadata.name=a!=b",
    "metadata.name=a!b",
    "metadata.name=web/x",
    "metadata.name=..",
    "metadata.name=.",
    "metadata.name=%",
    "metadata.name=*",
    "metadata.name=\"web\"",
    "metadata.name=WEB",
    "metadata.name=wéb",
    "metadata.name in (web)",
    "metadata.namespace=NS",
    "metadata.namespace!=NS",
    "metadata.namespace=other",
    "metadata.namespace=NS,metadata.name=web",
    "metadata.namespace=NS,metadata.namespace=NS",
    "metadata.namespace=NS,metadata.namespace=other",
    "metadata.namespace=",
    "metadata.name=web,data.x=y",
    "x=y,metadata.name=web",
];

async fn label_selectors(setup: Arc<ApiSetup>) {
    let lists = TwoLists::start(&setup, "labelselectors").await;
    let made = made_selectors(300);
    for selector in LABEL_SELECTORS.iter().copied().chain(made.iter().map(String::as_str)) {
        lists.compare("labelSelector", selector).await;
    }
}

async fn field_selectors(setup: Arc<ApiSetup>) {
    let lists = TwoLists::start(&setup, "fieldselectors").await;
    for selector in FIELD_SELECTORS {
        lists.compare("fieldSelector", &selector.replace("NS", lists.namespace.name())).await;
    }
}

async fn refused_selectors(setup: Arc<ApiSetup>) {
    let lists = TwoLists::start(&setup, "refusedselectors").await;
    for (parameter, selector, part) in [
        ("labelSelector", "-x=y", "label selector \\\"-x=y\\\": \\\"-x\\\" is no label's key"),
        (
            "labelSelector",
            "a=b c",
            "label selector \\\"a=b c\\\": found \\\"c\\\", expected: ',' or end of string",
        ),
        ("labelSelector", "a=-", "\\\"-\\\" is no label's value"),
        ("fieldSelector", "spec.provider=vault", "\\\"spec.provider\\\" is not a known field selector"),
        ("fieldSelector", "metadata.name", "field selector \\\"metadata.name\\\": can't understand"),
    ] {
        let (status, text) = lists.ours(parameter, selector).await;
        assert!(status == 400 && text.contains(part), "{selector}: {status} {text}");
    }
}

/// Classes and ConfigMaps with the same names and labels.
struct TwoLists {
    client: DirectClient,
    admin: String,
    namespace: Namespace,
}

impl TwoLists {
    async fn start(setup: &ApiSetup, name: &str) -> Self {
        let namespace = setup.cluster.namespace(name).await;
        let mut objects = Vec::new();
        for (name, labels) in LABELS {
            let labels: Value = labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
            let metadata = json!({ "name": name, "namespace": namespace.name(), "labels": labels });
            let spec = json!({ "provider": "vault", "parameters": { "roleName": "r", "objects": "[]" } });
            objects.push(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata }));
            objects.push(json!({
                "apiVersion": "secrets-store.csi.x-k8s.io/v1",
                "kind": "SecretProviderClass",
                "metadata": metadata,
                "spec": spec,
            }));
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string())
            .unwrap();
        let applied = setup.kubectl(["apply", "--filename", file.path().to_str().unwrap()]).await;
        assert!(applied.status.success(), "{applied:?}");
        for (name, _) in LABELS {
            setup.listed(&namespace, name).await;
        }
        Self { client: setup.through(), admin: setup.admin(), namespace }
    }

    async fn compare(&self, parameter: &str, selector: &str) {
        let core = format!("/api/v1/namespaces/{}/configmaps", self.namespace.name());
        let (expected, theirs) = self.get(&core, parameter, selector).await;
        let (status, ours) = self.ours(parameter, selector).await;
        assert_eq!(status, expected, "{parameter} {selector:?}: {ours}, where kube-apiserver says {theirs}");
        if status == 200 {
            assert_eq!(names(&ours), names(&theirs), "{parameter} {selector:?}");
        }
    }

    async fn ours(&self, parameter: &str, selector: &str) -> (u16, String) {
        self.get(&format!("{API}/namespaces/{}/secrets", self.namespace.name()), parameter, selector).await
    }

    async fn get(&self, path: &str, parameter: &str, selector: &str) -> (u16, String) {
        let encoded: String = selector.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let path = format!("{path}?{parameter}={encoded}");
        let (status, _, text) = self.client.get(&path, &[("authorization", &self.admin)]).await;
        (status, text)
    }
}

fn names(list: &str) -> BTreeSet<String> {
    let list: Value = serde_json::from_str(list).unwrap();
    let items = list["items"].as_array().unwrap().iter();
    let names = items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned());
    names.filter(|name| LABELS.iter().any(|(known, _)| known == name)).collect()
}

/// Returns selectors made of tokens in any order: always the same ones.
fn made_selectors(number: usize) -> Vec<String> {
    const TOKENS: [&str; 24] = [
        "app",
        "tier",
        "size",
        "web",
        "db",
        "in",
        "notin",
        "(",
        ")",
        ",",
        "=",
        "==",
        "!=",
        "!",
        ">",
        "<",
        " ",
        " ",
        "7",
        "-x",
        "x.io/tier",
        "(web,db)",
        "in (web",
        "=web",
    ];
    let mut state: u64 = 16;
    let mut next = || {
        // the constants of Knuth's MMIX
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap()
    };
    let mut selector = || (0..=next() % 6).map(|_| TOKENS[next() % TOKENS.len()]).collect::<String>();
    (0..number).map(|_| selector()).collect()
}

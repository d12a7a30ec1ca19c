//! What the output formats cost: republishes of one pod, alone, with one class each.

use coffer_tests::{Csi, coffer_binary};

use crate::load::MountLoad;
use crate::progress;
use crate::rounds::{self, RunSize, with_cpu};
use crate::series::{Series, milliseconds};
use crate::vault::BenchVault;

/// Classes, each with the number of its files. The first one is what the others are compared with.
const CLASSES: [(&str, &str, usize); 6] = [
    (
        "two keys by `secretKey`",
        "[{objectName: a, secretPath: secret/data/app, secretKey: username},
          {objectName: b, secretPath: secret/data/app, secretKey: password}]",
        2,
    ),
    ("50 keys, `format: files`", "[{objectName: ., secretPath: secret/data/keys, format: files}]", 50),
    ("50 keys, `format: dotenv`", "[{objectName: e, secretPath: secret/data/keys, format: dotenv}]", 1),
    ("50 keys, `format: yaml`", "[{objectName: y, secretPath: secret/data/keys, format: yaml}]", 1),
    (
        "the values of two secrets, by `secretKey`",
        "[{objectName: a, secretPath: secret/data/app, secretKey: username},
          {objectName: b, secretPath: secret/data/keys, secretKey: KEY_1}]",
        2,
    ),
    (
        "a template over the same two secrets",
        r#"[{"objectName": "t", "template": "{{ with secret \"secret/data/app\" }}user={{ .Data.data.username }}\n{{ end }}{{ with secret \"secret/data/keys\" }}{{ range $k, $v := .Data.data }}{{ $k }}={{ $v }}\n{{ end }}{{ end }}"}]"#,
        1,
    ),
];

/// Mounts with each class in turn, and prints the table.
pub(crate) async fn measure(size: RunSize) {
    let vault = BenchVault::start().await;
    let binary = coffer_binary("coffer-csi");
    let csi = Csi::options().binary(&binary).flag(format!("-vault-addr={}", vault.address())).start().await;
    let loads = CLASSES.map(|(_, objects, files)| MountLoad::one_pod(csi.client(), &vault, objects, files));
    let mut requests = Vec::new();
    for load in &loads {
        load.each_once(1).await;
        let before = vault.requests().await;
        load.each_once(1).await;
        requests.push(vault.requests().await - before);
        rounds::warm_up(1, size, load).await;
    }
    progress("republishes with each class in turn");
    let mut series = CLASSES.map(|_| Series::default());
    for _ in 0..size.rounds {
        for (series, load) in series.iter_mut().zip(&loads) {
            series.add(with_cpu(csi.process(), rounds::run(1, size.round_length, load)).await);
        }
    }
    print(&series, &requests);
}

fn print(series: &[Series], requests: &[f64]) {
    println!("| class | requests | p50 ms | CPU ms each | CPU to the first |");
    println!("|---|---:|---:|---:|---:|");
    for ((series_of_class, requests), (name, ..)) in series.iter().zip(requests).zip(CLASSES) {
        println!(
            "| {name} | {requests:.0} | {:.2} | {:.3} | {:.2} x |",
            series_of_class.median(|round| milliseconds(round.p50)),
            series_of_class.cpu_each(),
            series_of_class.cpu_each() / series[0].cpu_each(),
        );
    }
}

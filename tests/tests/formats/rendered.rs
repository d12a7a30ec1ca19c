//! Samples in a real OpenBao, and the files that `coffer-csi` makes of them.

use std::fs;
use std::path::Path;

use coffer_tests::{OpenBao, OpenBaoSetup, Servers, http_client};
use tempfile::TempDir;

use crate::sample::{Sample, SampleGenerator, SampleMap};

/// How many secrets are written and mounted.
const SECRETS: u64 = 8;

/// How many samples of each kind are in a secret.
const SAMPLES: usize = 20;

/// The files of all samples, in one directory.
pub(crate) struct RenderedSamples {
    setup: OpenBaoSetup,
    folder: TempDir,
    /// Maps with any keys and values: the files are `NAME.json`, `NAME.yaml`, `NAME.properties`.
    pub(crate) maps: Vec<(String, SampleMap)>,
    /// Maps of variables: the files are `NAME.dotenv`, `NAME.shell` and those below `NAME/`.
    pub(crate) variables: Vec<(String, SampleMap)>,
}

impl RenderedSamples {
    pub(crate) async fn start() -> Self {
        let setup = OpenBaoSetup::start().await;
        let mut rendered =
            Self { setup, folder: tempfile::tempdir().unwrap(), maps: Vec::new(), variables: Vec::new() };
        for seed in 0..SECRETS {
            rendered.add(seed).await;
        }
        rendered
    }

    /// Returns the directory.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the file of a sample.
    pub(crate) fn file(&self, name: &str, format: &str) -> String {
        let path = self.folder().join(format!("{name}.{format}"));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Writes a secret with samples, mounts a class that makes every format of each, and stores the
    /// files.
    async fn add(&mut self, seed: u64) {
        let mut generator = SampleGenerator::new(seed);
        let maps: Vec<_> = (0..SAMPLES).map(|n| (format!("map-{seed}-{n}"), generator.map())).collect();
        let variables: Vec<_> =
            (0..SAMPLES).map(|n| (format!("variables-{seed}-{n}"), generator.variables())).collect();
        let all = maps.iter().chain(&variables).cloned();
        let secret = Sample::Map(all.map(|(name, map)| (name, Sample::Map(map))).collect());
        self.write(seed, &secret).await;

        let mut objects = String::new();
        for (names, formats) in
            [(&maps, &["json", "yaml", "properties"][..]), (&variables, &["dotenv", "shell"])]
        {
            for (name, _) in names {
                for format in formats {
                    objects += &format!(
                        "- {{objectName: {name}.{format}, secretPath: secret/data/s{seed}, secretKey: {name}, format: {format}}}\n"
                    );
                }
            }
        }
        for (name, map) in &variables {
            if map.values().any(|value| !matches!(value, Sample::Null)) {
                objects += &format!(
                    "- {{objectName: {name}, secretPath: secret/data/s{seed}, secretKey: {name}, format: files}}\n"
                );
            }
        }
        let mounted = self.setup.mount(&objects).await.unwrap();
        for (path, file) in mounted.files {
            let path = self.folder().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file.contents).unwrap();
        }
        self.maps.extend(maps);
        self.variables.extend(variables);
    }

    /// Writes a secret with the digits of its numbers.
    async fn write(&self, seed: u64, secret: &Sample) {
        let url = format!("{}/v1/secret/data/s{seed}", self.setup.bao.address());
        let request = http_client().post(url).header("X-Vault-Token", OpenBao::ROOT_TOKEN);
        let answer = request.body(format!("{{\"data\":{}}}", secret.json())).send().await.unwrap();
        let (status, said) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{said}");
    }
}

impl Servers for RenderedSamples {
    fn show_logs(&self) {}
}

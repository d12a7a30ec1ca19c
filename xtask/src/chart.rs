//! `cargo xtask chart`: packages the chart as it is published, with the images of its registry.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::workspace;
use crate::files;
use crate::servers::{self, Server};
use crate::step;

/// The default of the value `image.registry`, which fits `cargo xtask image`.
const LOCAL: &str = "\n  registry: localhost\n";

const ANNOTATIONS: &str = "\nannotations:\n";

/// Packages the chart into `target/chart`, with the images in a registry such as `ghcr.io/owner` as
/// its default.
pub(crate) fn package(registry: &str) -> Result<()> {
    servers::bring(&[Server::Helm4])?;
    let place = workspace().join("target/chart");
    let chart = place.join("coffer");
    files::empty(&place)?;
    files::copy_tree(&workspace().join("charts/coffer"), &chart)?;
    change(&chart.join("values.yaml"), |text| with_registry(text, registry))?;
    change(&chart.join("Chart.yaml"), |text| with_images(text, registry))?;
    let mut package = Command::new(workspace().join("target/servers/helm-4/helm"));
    package.arg("package").arg(&chart).arg("--destination").arg(&place);
    step::run("packaging the chart into target/chart", &mut package)
}

fn change(file: &Path, change: impl FnOnce(&str) -> Result<String>) -> Result<()> {
    let changed = fs::read_to_string(file).context("no such file").and_then(|text| change(&text));
    let written = changed.and_then(|text| Ok(fs::write(file, text)?));
    written.with_context(|| format!("cannot change {}", file.display()))
}

fn with_registry(values: &str, registry: &str) -> Result<String> {
    if values.matches(LOCAL).count() != 1 {
        bail!("one line `registry: localhost` was expected");
    }
    Ok(values.replace(LOCAL, &format!("\n  registry: {registry}\n")))
}

/// Adds the list of images, which Artifact Hub scans.
fn with_images(chart: &str, registry: &str) -> Result<String> {
    let version = env!("CARGO_PKG_VERSION");
    if chart.matches(ANNOTATIONS).count() != 1 || !chart.contains(&format!("\nappVersion: {version}\n")) {
        bail!("annotations and the version {version} were expected");
    }
    let image = |name: &str| format!("    - {{name: {name}, image: \"{registry}/{name}:{version}\"}}\n");
    let images = image("coffer-csi") + &image("coffer-api-server");
    Ok(chart.replace(ANNOTATIONS, &format!("{ANNOTATIONS}  artifacthub.io/images: |\n{images}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_chart_names_the_registry() {
        let file = |name| fs::read_to_string(workspace().join("charts/coffer").join(name)).expect(name);
        let values = with_registry(&file("values.yaml"), "ghcr.io/shop").expect("values");
        assert!(values.contains("\n  registry: ghcr.io/shop\n") && !values.contains("registry: localhost"));
        let chart = with_images(&file("Chart.yaml"), "ghcr.io/shop").expect("a chart");
        let image = format!("\"ghcr.io/shop/coffer-csi:{}\"", env!("CARGO_PKG_VERSION"));
        assert!(chart.contains(&image), "{chart}");
    }

    #[test]
    fn a_chart_that_looks_otherwise_is_refused() {
        with_registry("image:\n  registry: elsewhere\n", "ghcr.io/shop").expect_err("no default");
        with_images("name: coffer\nannotations:\n", "ghcr.io/shop").expect_err("no version");
    }
}

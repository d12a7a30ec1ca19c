//! PyYAML, with which a test reads YAML 1.1: from PyPI into `target/pyyaml`.

use anyhow::Result;

use crate::cargo::workspace;
use crate::python;

/// The version that the tests were written against.
const PACKAGE: &str = "pyyaml==6.0.3";

/// Downloads PyYAML unless it is there. The tests find it by `tests/tests/formats/tools.rs`.
pub(crate) fn bring() -> Result<()> {
    let environment = workspace().join("target/pyyaml");
    if python::package_dir(&environment, "yaml").is_none() {
        eprintln!("PyYAML is not here yet: {PACKAGE} goes into target/pyyaml (1 MB, once)");
        python::install(&environment, PACKAGE)?;
    }
    Ok(())
}

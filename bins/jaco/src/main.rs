//! `jaco`, the command line of JACO.

use std::process::ExitCode;

fn main() -> ExitCode {
    jaco_cli::main()
}

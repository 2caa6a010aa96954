//! Developer commands of the workspace: `cargo xtask <command>`.
//!
//! The only home of developer scripts. Runs other programs and decides nothing about JACO itself.

mod bench;
mod build;
mod demo;
mod docs;
mod error;
mod fuzz;
mod machine;
mod package;
mod programs;
mod rig;
mod say;
mod setup;
mod tests;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer commands of JACO")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs the Debian packages that the rig needs
    Setup,
    /// Runs the shop on a real cluster on this machine
    Demo(demo::Demo),
    /// Runs every test; says what it skipped and why
    Test(tests::Test),
    /// Hosts with their own engines and daemons, for trying things out
    #[command(subcommand)]
    Rig(rig::Rig),
    /// Tests what needs another kernel than this machine's
    #[command(subcommand)]
    Vm(vm::Vm),
    /// Gives every reader what a fuzzer makes up; needs cargo-fuzz and a nightly toolchain
    Fuzz(fuzz::Fuzz),
    /// Writes the generated pages of the documentation
    Docs(docs::Docs),
    /// Packs the published crates, as a release would
    Package(package::Package),
    /// Measures the code, or JACO beside its peers
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Setup => setup::install_for_tests(),
        Command::Demo(demo) => demo.run(),
        Command::Test(test) => test.run(),
        Command::Rig(rig) => rig.run(),
        Command::Vm(vm) => vm.run(),
        Command::Fuzz(fuzz) => fuzz.run(),
        Command::Docs(docs) => docs.run(),
        Command::Package(package) => package.run(),
        Command::Bench(bench) => bench.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::error(&error);
            ExitCode::FAILURE
        }
    }
}

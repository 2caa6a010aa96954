//! `vm`: tests in a virtual machine, with a kernel that this machine need not have.
//!
//! Debian's kernel for clouds, a root of nothing but what is tested, and QEMU in software: it
//! boots in seconds and is judged by what it writes to its serial line.

mod machine;
mod root;

use std::process::Command;

use clap::{Args, Subcommand};

use crate::{
    error::{Result, TaskError},
    machine::{cargo, target},
    say, setup,
};

use self::{machine::Machine, root::Root};

/// A program and the package that brings it.
const NEEDED: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("cpio", "cpio"),
    ("depmod", "kmod"),
    ("busybox", "busybox-static"),
    ("ip", "iproute2"),
];
/// What the tests of the mesh need of the kernel.
const MODULES: &[&str] = &["wireguard", "veth", "bridge", "tun"];

#[derive(Subcommand)]
pub(crate) enum Vm {
    /// The mesh device of the kernel: its suite, and packets between two namespaces
    Mesh(Mesh),
}

#[derive(Args)]
pub(crate) struct Mesh {
    /// Tests to run: those whose name holds one of these
    #[arg(default_values = ["kernel::", "path::"])]
    tests: Vec<String>,
}

impl Vm {
    pub(crate) fn run(&self) -> Result<()> {
        match self {
            Self::Mesh(mesh) => mesh.run(),
        }
    }
}

impl Mesh {
    fn run(&self) -> Result<()> {
        setup::install_all(NEEDED)?;
        say::step("Building the tests");
        let tests = test_program("jaco-net", "mesh")?;
        say::step("Building the machine");
        let mut root = Root::create(&target().join("vm"))?;
        root.modules(MODULES)?;
        root.program("ip")?;
        root.file(&tests, "/t/mesh")?;
        let arguments = self.tests.join(" ");
        let machine = Machine::new(
            root,
            &format!("JACO_TEST_MESH=kernel /t/mesh --test-threads=1 {arguments}"),
        )?;
        say::step("Running the machine");
        match machine.run()? {
            0 => Ok(()),
            code => Err(TaskError::Check { what: format!("the tests ended with {code}") }),
        }
    }
}

/// Builds a test and says where it is.
fn test_program(package: &str, test: &str) -> Result<String> {
    let arguments = ["test", "-p", package, "--test", test, "--no-run", "--message-format=json"];
    let output = output(&mut cargo(&arguments))?;
    let mut built = output.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let executable = message["executable"].as_str()?.to_owned();
        (message["target"]["name"] == test).then_some(executable)
    });
    let nothing = || TaskError::Check { what: format!("cargo names no program of {test}") };
    built.next_back().ok_or_else(nothing)
}

/// What a command prints; its talk goes to this terminal.
fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let started = command.stderr(std::process::Stdio::inherit()).output();
    let output = started.map_err(|source| TaskError::Start { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(TaskError::Failed { line: program, status: output.status.to_string() })
}

//! `vm`: tests in a virtual machine, with a kernel that this machine need not have.
//!
//! Debian's kernel for clouds, a root of nothing but what is tested, and QEMU in software: it
//! boots in seconds and is judged by what it writes to its serial line.

mod machine;
mod root;

use clap::{Args, Subcommand};

use crate::{
    error::{Result, TaskError},
    machine::target,
    programs, say, setup,
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
        let [tests] = &programs::tests("jaco-net", &["mesh"])?[..] else {
            return Err(TaskError::Check {
                what: "the tests of the mesh are not one program".into(),
            });
        };
        say::step("Building the machine");
        let mut root = Root::create(&target().join("vm"))?;
        root.modules(MODULES)?;
        root.program("ip")?;
        root.file(tests.get_program(), "/t/mesh")?;
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

//! Network namespaces of a test, joined by a cable.

use std::{
    fs::File,
    os::fd::AsFd as _,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A network namespace that goes with its owner.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one, with its loopback up.
    pub(crate) fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("jmesh-{}-{count}", std::process::id());
        run(&["netns", "add", &name]);
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    /// Joins two, each with an address on `eth0`.
    pub(crate) fn join(&self, own: &str, other: &Self, theirs: &str) {
        let pair = ["type", "veth", "peer", "name", "eth0", "netns", &other.name];
        self.ip(&[&["link", "add", "eth0"][..], &pair].concat());
        for (namespace, address) in [(self, own), (other, theirs)] {
            namespace.ip(&["addr", "add", address, "dev", "eth0", "nodad"]);
            namespace.ip(&["link", "set", "eth0", "up"]);
        }
    }

    /// `ip` in the namespace; what it prints.
    pub(crate) fn ip(&self, arguments: &[&str]) -> String {
        self.shell().ip(arguments)
    }

    /// For `ip` in the namespace by somebody who does not own it.
    pub(crate) fn shell(&self) -> Shell {
        Shell(self.name.clone())
    }

    /// Runs on a thread in the namespace.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter();
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread, and whatever threads it starts, into the namespace.
    pub(crate) fn enter(&self) {
        let file = File::open(format!("/run/netns/{}", self.name)).unwrap();
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// A way into a namespace.
pub(crate) struct Shell(String);

impl Shell {
    pub(crate) fn ip(&self, arguments: &[&str]) -> String {
        run(&[&["-n", &self.0], arguments].concat())
    }
}

fn run(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().expect("iproute2 is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {said}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

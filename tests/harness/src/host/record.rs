//! The facts a host is made from, and the names that follow from them.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

/// The facts a host is made from.
#[derive(Debug, Clone)]
pub(crate) struct HostRecord {
    pub(crate) rig: String,
    pub(crate) number: u8,
    pub(crate) address: Ipv4Addr,
    pub(crate) gateway: Ipv4Addr,
    pub(crate) directory: PathBuf,
    pub(crate) resolv: PathBuf,
}

impl HostRecord {
    pub(super) fn namespace(&self) -> String {
        format!("{}-{}", self.rig, self.number)
    }

    pub(super) fn namespace_path(&self) -> PathBuf {
        Path::new("/run/netns").join(self.namespace())
    }

    pub(super) fn link(&self) -> String {
        format!("{}v{}", self.rig, self.number)
    }

    /// Parent of the control groups of its containers.
    pub(super) fn cgroup(&self) -> String {
        self.namespace()
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.directory.join("docker.sock")
    }

    pub(super) fn memory(&self) -> PathBuf {
        self.directory.join("run")
    }

    pub(super) fn pid_file(&self) -> PathBuf {
        self.directory.join("docker.pid")
    }

    pub(super) fn engine_log(&self) -> PathBuf {
        self.directory.join("docker.log")
    }
}

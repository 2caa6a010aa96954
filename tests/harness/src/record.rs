//! What a rig made, written down before it is made, so that anybody can remove it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{HarnessError, Result};

const FILE: &str = "rig.json";

/// Where rigs live. Short, because the path of a unix socket may have only 107 bytes.
pub(crate) fn root() -> PathBuf {
    std::env::var_os("JACO_RIG_DIR").map_or_else(|| PathBuf::from("/tmp/jaco-rig"), PathBuf::from)
}

/// The facts from which a rig can be removed or opened again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Name, and prefix of every interface, namespace and control group.
    pub(crate) name: String,
    /// Number of hosts.
    pub(crate) hosts: u8,
    /// Third byte of its addresses.
    pub(crate) block: u8,
    /// The process that takes it down.
    pub(crate) owner: i32,
    /// True when it outlives its owner.
    pub(crate) kept: bool,
}

impl Record {
    pub(crate) fn directory(&self) -> PathBuf {
        root().join(&self.name)
    }

    pub(crate) fn write(&self) -> Result<()> {
        let directory = self.directory();
        fs::create_dir_all(&directory).map_err(HarnessError::file("create", &directory))?;
        let path = directory.join(FILE);
        let text = json!({
            "name": self.name, "hosts": self.hosts, "block": self.block,
            "owner": self.owner, "kept": self.kept,
        });
        fs::write(&path, text.to_string()).map_err(HarnessError::file("write", path))
    }

    pub(crate) fn read(directory: &Path) -> Option<Self> {
        let text = fs::read_to_string(directory.join(FILE)).ok()?;
        let value: Value = serde_json::from_str(&text).ok()?;
        let number = |key: &str| value[key].as_u64();
        Some(Self {
            name: value["name"].as_str()?.to_owned(),
            hosts: number("hosts")?.try_into().ok()?,
            block: number("block")?.try_into().ok()?,
            owner: number("owner")?.try_into().ok()?,
            kept: value["kept"].as_bool()?,
        })
    }

    /// Every rig that has left a record.
    pub(crate) fn all() -> Vec<Self> {
        let list = fs::read_dir(root()).into_iter().flatten().flatten();
        let mut records: Vec<Self> = list.filter_map(|e| Self::read(&e.path())).collect();
        records.sort_by(|a, b| a.name.cmp(&b.name));
        records
    }
}

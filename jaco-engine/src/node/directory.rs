//! The data directory: what is kept where, and that only one node uses it.
//!
//! | path | content |
//! |---|---|
//! | `agent/` | which hooks of containers have ended, and when images were fetched |
//! | `raft/` | log, vote and snapshots |
//! | `node/` | `ca.crt`, the node's certificate and key, `member.json` |
//! | `keys/` | data keys, wrapped by the node's own key |
//! | `lock` | held while a node runs |
//! | `leaving` | there while the rest is being forgotten |

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use jaco_api::model::{ClusterId, NodeId, NodeName};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::NodeError;
use crate::{durable, raft::Member};

/// The data directory of this node, locked for as long as this value lives.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

/// What a node is in its cluster. Written last of all when it becomes a member: what it says is
/// committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberFile {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) name: NodeName,
    /// The other members when it was admitted: whom it asks before the log has told it of any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) others: BTreeMap<NodeId, Member>,
}

impl DataDirectory {
    /// Makes the directory (0700) where it is missing, checks that it can be written to, and locks
    /// it.
    pub(crate) fn open(path: &Path) -> Result<Self, NodeError> {
        let failed = |operation| {
            let path = path.to_owned();
            move |source| NodeError::DataDirectory { operation, path, source }
        };
        let missing = !path.exists();
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create"))?;
        if missing {
            durable::flush_directory_of(path).map_err(failed("create"))?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(failed("write to"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let opened = Self { path: path.to_owned(), _lock: lock };
                opened.finish_forgetting()?;
                Ok(opened)
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(NodeError::DataDirectoryInUse(path.to_owned()))
            }
            Err(e) => Err(failed("lock")(e.into())),
        }
    }

    pub(crate) fn raft(&self) -> PathBuf {
        self.path.join("raft")
    }
    pub(crate) fn node(&self) -> PathBuf {
        self.path.join("node")
    }
    pub(crate) fn agent(&self) -> PathBuf {
        self.path.join("agent")
    }
    pub(crate) fn mesh_key(&self) -> PathBuf {
        self.mesh().join("private.key")
    }
    fn mesh(&self) -> PathBuf {
        self.path.join("wg")
    }
    pub(crate) fn keys(&self) -> PathBuf {
        self.path.join("keys")
    }

    /// What this node is in its cluster, if it is a member.
    pub(crate) fn member(&self) -> Result<Option<MemberFile>, NodeError> {
        let path = self.member_path();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| NodeError::Damaged { path, source }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(NodeError::DataDirectory { operation: "read", path, source }),
        }
    }

    /// Notes what this node is in its cluster.
    pub(crate) fn set_member(&self, member: &MemberFile) -> Result<(), NodeError> {
        let path = self.member_path();
        let text = serde_json::to_vec(member).expect("a member has only strings and numbers");
        durable::private_directory(&self.node())
            .and_then(|()| durable::write_file(&path, 0o644, &text))
            .map_err(|source| NodeError::DataDirectory { operation: "write to", path, source })
    }

    /// Forgets the cluster. What is begun is finished, by the next start if need be: a log without the
    /// membership that it belongs to would be taken for that of a cluster in the making.
    pub(crate) fn forget_member(&self) -> Result<(), NodeError> {
        let mark = self.leaving();
        durable::write_file(&mark, 0o600, b"").map_err(self.cannot_empty(&mark))?;
        self.finish_forgetting()
    }

    /// Goes on where a crash has interrupted [`Self::forget_member`], if it has.
    fn finish_forgetting(&self) -> Result<(), NodeError> {
        let mark = self.leaving();
        if !mark.exists() {
            return Ok(());
        }
        for directory in [self.node(), self.agent(), self.mesh(), self.keys(), self.raft()] {
            match fs::remove_dir_all(&directory) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(self.cannot_empty(&directory)(e));
                }
                _ => {}
            }
        }
        durable::flush_directory_of(&mark).map_err(self.cannot_empty(&mark))?;
        fs::remove_file(&mark).map_err(self.cannot_empty(&mark))?;
        durable::flush_directory_of(&mark).map_err(self.cannot_empty(&mark))
    }

    fn cannot_empty(&self, path: &Path) -> impl FnOnce(io::Error) -> NodeError {
        let path = path.to_owned();
        move |source| NodeError::DataDirectory { operation: "empty", path, source }
    }

    /// There while the node forgets its cluster.
    fn leaving(&self) -> PathBuf {
        self.path.join("leaving")
    }

    fn member_path(&self) -> PathBuf {
        self.node().join("member.json")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_directory_is_private_and_has_one_user() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let first = DataDirectory::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(
            DataDirectory::open(&path),
            Err(NodeError::DataDirectoryInUse(p)) if p == path
        ));
        drop(first);
        DataDirectory::open(&path).unwrap();
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        let error = DataDirectory::open(&path).unwrap_err();
        assert!(matches!(error, NodeError::DataDirectory { operation: "create", .. }), "{error}");
    }

    #[test]
    fn a_cluster_that_was_half_forgotten_in_a_crash_is_forgotten_by_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(dir.path()).unwrap();
        for part in [data.node(), data.keys(), data.raft()] {
            fs::create_dir(&part).unwrap();
            fs::write(part.join("file"), "x").unwrap();
        }
        // The crash: the mark is there, and only the membership is gone.
        fs::write(data.leaving(), "").unwrap();
        fs::remove_dir_all(data.node()).unwrap();
        drop(data);
        let data = DataDirectory::open(dir.path()).unwrap();
        assert!(!data.raft().exists() && !data.keys().exists() && !data.leaving().exists());
        data.forget_member().unwrap();
    }

    #[test]
    fn membership_is_kept_and_damage_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(dir.path()).unwrap();
        assert_eq!(data.member().unwrap(), None);
        let member = MemberFile {
            cluster: "6f0c1f4e-4d1c-4a52-9b5c-0d2d1f3f5a6b".parse().unwrap(),
            node: NodeId(1),
            name: "a".parse().unwrap(),
            others: BTreeMap::from([(NodeId(2), Member::default())]),
        };
        data.set_member(&member).unwrap();
        assert_eq!(data.member().unwrap(), Some(member));
        fs::write(data.member_path(), "{").unwrap();
        assert!(matches!(data.member(), Err(NodeError::Damaged { .. })));
    }
}

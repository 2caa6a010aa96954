//! openraft's storage conformance suite on both storages.

use std::sync::Arc;

use openraft::{
    StorageError,
    testing::log::{StoreBuilder, Suite},
    type_config::TypeConfigExt as _,
};

use crate::raft::{
    log_store::LogStore,
    machine::Machine,
    storage::{DiskStorage, MemoryStorage, RaftStorage},
    types::C,
};

struct Memory;
struct Disk;

fn stores(storage: Arc<dyn RaftStorage>) -> (LogStore, Machine) {
    (LogStore::new(storage.clone()), Machine::load(storage).unwrap().0)
}

impl StoreBuilder<C, LogStore, Machine> for Memory {
    async fn build(&self) -> Result<((), LogStore, Machine), StorageError<C>> {
        let (log, machine) = stores(Arc::new(MemoryStorage::default()));
        Ok(((), log, machine))
    }
}

impl StoreBuilder<C, LogStore, Machine, tempfile::TempDir> for Disk {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, Machine), StorageError<C>> {
        let dir = tempfile::tempdir().unwrap();
        let (log, machine) = stores(Arc::new(DiskStorage::open(dir.path()).unwrap()));
        Ok((dir, log, machine))
    }
}

#[test]
fn memory_satisfies_openraft() {
    C::run(async { Suite::test_all(Memory).await.unwrap() });
}

#[test]
fn disk_satisfies_openraft() {
    C::run(async { Suite::test_all(Disk).await.unwrap() });
}

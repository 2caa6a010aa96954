//! openraft's log storage over the `RaftStorage` seam.

use std::{
    fmt::Debug,
    io,
    ops::{Bound, RangeBounds},
    sync::Arc,
};

use openraft::{
    LogState, OptionalSend, RaftLogReader,
    storage::{IOFlushed, RaftLogStorage},
};
use tokio::sync::oneshot;

use super::{
    error::io_error,
    format,
    storage::{Cell, RaftStorage, Record, StorageError},
    types::{C, Entry, LogId, Vote},
};

/// Clones read and write the same log.
#[derive(Clone)]
pub(crate) struct LogStore {
    storage: Arc<dyn RaftStorage>,
}

impl LogStore {
    pub(crate) fn new(storage: Arc<dyn RaftStorage>) -> Self {
        Self { storage }
    }
    fn log_id_cell(&self, cell: Cell) -> io::Result<Option<LogId>> {
        let Some(bytes) = self.storage.cell(cell) else { return Ok(None) };
        format::read_log_id(&bytes).map_err(io_error)
    }
}

fn shared_error(error: Arc<StorageError>) -> io::Error {
    io_error(super::error::RaftError::Storage(error))
}

impl RaftLogReader<C> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let start = match range.start_bound() {
            Bound::Included(first) => *first,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let records = self.storage.read(start..end).map_err(io_error)?;
        records.iter().map(|r| format::read_entry(r).map_err(io_error)).collect()
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        let Some(bytes) = self.storage.cell(Cell::Vote) else { return Ok(None) };
        format::read_vote(&bytes).map(Some).map_err(io_error)
    }
}

impl RaftLogStorage<C> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<C>> {
        let last_purged_log_id = self.log_id_cell(Cell::Purged)?;
        let extent = self.storage.extent();
        let last = self.storage.read(extent.end.saturating_sub(1)..extent.end).map_err(io_error)?;
        let last_log_id = match last.first() {
            Some(record) => Some(format::read_entry(record).map_err(io_error)?.log_id),
            None => last_purged_log_id,
        };
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (durable, done) = oneshot::channel();
        let completion = Box::new(move |result| {
            // Nobody waits any more: raft has stopped.
            let _ = durable.send(result);
        });
        self.storage.set_cell(Cell::Vote, format::write_vote(vote), Some(completion));
        let stopped = Arc::new(StorageError::Closed);
        done.await.unwrap_or(Err(stopped)).map_err(shared_error)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.storage.set_cell(Cell::Committed, format::write_log_id(committed), None);
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        self.log_id_cell(Cell::Committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<C>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let records: Vec<Record> = entries.into_iter().map(|e| format::write_entry(&e)).collect();
        let done = Box::new(move |result: Result<(), Arc<StorageError>>| {
            callback.io_completed(result.map_err(shared_error));
        });
        self.storage.append(records, done);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.storage.truncate(last.map_or(0, |last| last.index + 1));
        Ok(())
    }

    async fn purge(&mut self, through: LogId) -> io::Result<()> {
        self.storage.purge(through.index, format::write_log_id(Some(through)));
        Ok(())
    }
}

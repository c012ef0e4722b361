//! What a group's handle asks of its log on this node's disk, behind one type, so that it needs no type parameter for its store.

use std::io;

use crate::ids::{GroupId, LogId};
use crate::log_store::{LogChange, LogStore};
use crate::snapshot::BoxFuture;

/// One group's log on the disk.
pub(crate) trait OwnLog: Send + Sync {
    /// The last entry that a loss of power would leave there, as far as is known.
    fn synced(&self) -> Option<LogId>;
    /// Makes durable what was appended before.
    fn sync(&self) -> BoxFuture<'static, io::Result<()>>;
}

/// A store's.
pub(crate) struct StoredLog<L> {
    pub(crate) store: L,
    pub(crate) group: GroupId,
}

impl<L: LogStore> OwnLog for StoredLog<L> {
    fn synced(&self) -> Option<LogId> {
        self.store.synced(self.group)
    }

    fn sync(&self) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(self.store.submit_and_wait(self.group, LogChange::Sync))
    }
}

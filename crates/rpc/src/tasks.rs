//! The spawn site of this crate: one task per link. (Below it, hyper spawns two per connection on the same runtime.)

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Runs a link's task on the runtime that owns the links, whichever thread asked for the link.
pub(crate) fn spawn_link(runtime: &Handle, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    #[expect(clippy::disallowed_methods, reason = "a link's task ends with its PeerLinks, which own it")]
    runtime.spawn(task)
}

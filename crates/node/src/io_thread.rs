//! An I/O thread: its connections, from accept to close, and the inbox through which their replies come.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::clients::Client;
use crate::connection::Connection;
use crate::inbox::Desk;
use crate::node::Shared;
use crate::platform::{Platform, Socket};
use crate::session::Session;
use crate::stats::Tally;
use crate::tasks;

/// Accepted connections that may wait for their I/O thread.
pub(crate) const ACCEPTED_MAX: usize = 1024;

/// What the connections of one I/O thread share. Never leaves the thread.
pub(crate) struct Io<P: Platform> {
    pub(crate) number: u16,
    pub(crate) desk: Desk,
    pub(crate) node: Arc<Shared<P>>,
    /// What this thread counts.
    pub(crate) tally: Arc<Tally>,
}

/// A connection on its way to its I/O thread: admitted, and counted from then on.
pub(crate) struct Accepted<P: Platform> {
    pub(crate) socket: P::Socket,
    pub(crate) client: Arc<Client>,
}

/// Runs an I/O thread until the node stops and the last connection has closed.
pub(crate) async fn run<P: Platform>(number: u16, node: Arc<Shared<P>>, mut accepted: mpsc::Receiver<Accepted<P>>) {
    let io = Rc::new(Io { number, desk: Desk::default(), tally: node.stats.tally(), node });
    let distributing = {
        let io = Rc::clone(&io);
        tasks::beside(async move { io.node.inboxes[usize::from(number)].distribute(&io.desk).await })
    };
    let closing = {
        let io = Rc::clone(&io);
        tasks::beside(async move {
            let mut stopping = io.node.stopping.clone();
            while !*stopping.borrow_and_update() {
                // Told for CLIENT KILL as well, AFTER the client was marked.
                io.desk.close_killed();
                // Its end, too, is that of the node.
                if stopping.changed().await.is_err() {
                    break;
                }
            }
            io.desk.close();
        })
    };
    while let Some(Accepted { socket, client }) = accepted.recv().await {
        let session = Session::new(Arc::clone(&io.node), client, Arc::clone(&io.tally));
        let connection = Connection::new(Rc::clone(&io), session);
        match socket.open() {
            Ok(stream) => drop(tasks::beside(connection.serve(stream))),
            // The connection, dropped, takes itself out of the registry.
            Err(why) => tracing::warn!(%why, "an accepted connection could not be taken over"),
        }
    }
    // The node is stopping: connections end by themselves once they are idle and answered.
    // A task that was aborted or panicked has closed nothing, and nobody aborts this one.
    let _ = closing.await;
    while Rc::strong_count(&io) > 2 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    distributing.abort();
}

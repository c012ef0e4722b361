//! What this node has sent to its peers and received from them, since it started: whole messages, each a pack of frames.

use std::sync::atomic::{AtomicU64, Ordering};

use raft::{Class, Traffic};

use crate::generated::Message;

/// Counters by class: control, log, snapshot.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    sent: Direction,
    received: Direction,
}

#[derive(Debug, Default)]
struct Direction {
    messages: [AtomicU64; 3],
    bytes: AtomicU64,
}

impl Counters {
    /// A message goes out.
    pub(crate) fn sent(&self, class: Class, message: &Message) {
        self.sent.count(class, message);
    }

    /// A message came in.
    pub(crate) fn received(&self, class: Class, message: &Message) {
        self.received.count(class, message);
    }

    /// All of them: sent, received.
    pub(crate) fn read(&self) -> (Traffic, Traffic) {
        (self.sent.read(), self.received.read())
    }
}

impl Direction {
    fn count(&self, class: Class, message: &Message) {
        self.messages[place(class)].fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(message.frames.len() as u64, Ordering::Relaxed);
    }

    fn read(&self) -> Traffic {
        let of = |class| self.messages[place(class)].load(Ordering::Relaxed);
        Traffic {
            control: of(Class::Control),
            log: of(Class::Log),
            snapshot: of(Class::Snapshot),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// Where a class stands among the three.
pub(crate) fn place(class: Class) -> usize {
    match class {
        Class::Control => 0,
        Class::Log => 1,
        Class::Snapshot => 2,
    }
}

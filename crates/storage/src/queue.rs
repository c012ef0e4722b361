//! What waits for the log thread, and how that thread waits.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use raft::{Done, GroupId, LogChange, LogId};
use tokio::sync::oneshot;

/// The most bytes of entries in one round, but for one larger change: bounds how long a vote waits for its sync.
const ROUND_BYTES_MAX: usize = 1 << 20;

/// The most changes in one round.
const ROUND_CHANGES_MAX: usize = 4096;

/// One piece of work, in order.
pub(crate) enum Work {
    /// A change of a group's log.
    Change(GroupId, LogChange, Done),
    /// A complete snapshot has its name.
    Snapshot(GroupId, LogId),
    /// Answered once everything before it can be read.
    Barrier(oneshot::Sender<io::Result<()>>),
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Self::Change(_, LogChange::Append(entries), _) => entries.iter().map(|entry| entry.bytes.len()).sum(),
            _ => 0,
        }
    }

    /// Whether the log thread may as well find it when it wakes for another reason, soon.
    fn is_lazy(&self) -> bool {
        matches!(self, Self::Change(_, LogChange::Committed(_), _) | Self::Snapshot(..))
    }
}

/// How the log thread waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleep {
    Awake,
    /// It looks again soon by itself.
    Nap,
    Deep,
}

struct State {
    work: VecDeque<Work>,
    sleep: Sleep,
    closing: bool,
}

/// The queue. Bounded in bytes by those who fill it (`raft` pipelines few appends); one reader.
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

impl Queue {
    pub(crate) fn new() -> Self {
        let state = State { work: VecDeque::new(), sleep: Sleep::Awake, closing: false };
        Self { state: Mutex::new(state), wake: Condvar::new() }
    }

    /// Adds work; hands it back when the log thread takes no more.
    pub(crate) fn push(&self, work: Work) -> Result<(), Work> {
        let mut state = self.state.lock();
        if state.closing {
            return Err(work);
        }
        let wake = match state.sleep {
            Sleep::Awake => false,
            Sleep::Nap => !work.is_lazy(),
            Sleep::Deep => true,
        };
        state.work.push_back(work);
        if wake {
            state.sleep = Sleep::Awake;
            drop(state);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Whether work waits.
    pub(crate) fn is_busy(&self) -> bool {
        !self.state.lock().work.is_empty()
    }

    /// No more work is taken; the log thread ends when it has done what is there.
    pub(crate) fn close(&self) {
        self.state.lock().closing = true;
        self.wake.notify_one();
    }

    /// The next round, as far as there is any: waits at most so long for it, without a limit for `None`. `None` when
    /// the queue is closed and empty.
    pub(crate) fn round(&self, wait: Option<Duration>) -> Option<Vec<Work>> {
        let mut state = self.state.lock();
        if state.work.is_empty() && !state.closing {
            match wait {
                Some(wait) if wait.is_zero() => {}
                Some(wait) => {
                    state.sleep = Sleep::Nap;
                    self.wake.wait_for(&mut state, wait);
                }
                None => {
                    state.sleep = Sleep::Deep;
                    while state.sleep == Sleep::Deep && !state.closing {
                        self.wake.wait(&mut state);
                    }
                }
            }
            state.sleep = Sleep::Awake;
        }
        if state.closing && state.work.is_empty() {
            return None;
        }
        let (mut bytes, mut count) = (0, 0);
        while count < ROUND_CHANGES_MAX
            && let Some(work) = state.work.get(count)
        {
            bytes += work.bytes();
            if count > 0 && bytes > ROUND_BYTES_MAX {
                break;
            }
            count += 1;
        }
        Some(state.work.drain(..count).collect())
    }
}

//! What happened in a run, as one number: the same seed gives the same.
//!
//! Everything that could differ goes in, with its virtual time: what clients said and heard, what reached a disk,
//! what crossed a link, faults, and the digests of the replicas. On request every event is shown as a line, too.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

/// What an event is about; part of the hash.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Topic {
    /// A client sent commands or heard a reply.
    Client,
    /// A change was handed to a disk, or became durable.
    Disk,
    /// A message left or arrived.
    Net,
    /// Something went wrong, as planned.
    Fault,
    /// A replica was looked at.
    Replica,
}

/// Takes one event as a line of text.
pub type Show = fn(&str);

/// A run with more events than this does not end by itself.
const EVENTS_MAX: u64 = 20_000_000;

/// The record of one run. Clones share it.
#[derive(Clone)]
pub(crate) struct Trace(Arc<Mutex<Inner>>);

struct Inner {
    start: Instant,
    hash: u64,
    events: u64,
    show: Option<Show>,
}

impl Trace {
    /// An empty one, from now on.
    pub(crate) fn new(show: Option<Show>) -> Self {
        Self(Arc::new(Mutex::new(Inner { start: Instant::now(), hash: 0xcbf2_9ce4_8422_2325, events: 0, show })))
    }

    /// Notes an event of host or client `who`. `bytes` is what it is about.
    pub(crate) fn note(&self, topic: Topic, who: usize, what: &str, bytes: &[u8]) {
        let mut inner = self.0.lock();
        let at = inner.start.elapsed();
        inner.mix(&(topic as u64).to_le_bytes());
        inner.mix(&(who as u64).to_le_bytes());
        inner.mix(&at.as_nanos().to_le_bytes());
        inner.mix(what.as_bytes());
        inner.mix(bytes);
        inner.events += 1;
        assert!(inner.events < EVENTS_MAX, "a run without end");
        if let Some(show) = inner.show {
            show(&format!("{:>12.6} {topic:?} {who} {what} {}", at.as_secs_f64(), Shown(bytes)));
        }
    }

    /// The hash of everything so far.
    pub(crate) fn hash(&self) -> u64 {
        self.0.lock().hash
    }
}

impl Inner {
    /// FNV-1a over words, with the length first so that fields cannot run into each other.
    fn mix(&mut self, bytes: &[u8]) {
        self.mix_word(bytes.len() as u64);
        let mut words = bytes.chunks_exact(8);
        words.by_ref().for_each(|word| self.mix_word(u64::from_le_bytes(word.try_into().expect("eight bytes"))));
        let mut last = [0; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        self.mix_word(u64::from_le_bytes(last));
    }

    fn mix_word(&mut self, word: u64) {
        // The turn brings the high bits, where products differ most, back to where the next word is added.
        self.hash = ((self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3)).rotate_left(29);
    }
}

/// Bytes as a person reads them, not all of them.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_MAX: usize = 200;
        write!(f, "{}", self.0[..self.0.len().min(SHOWN_MAX)].escape_ascii())?;
        if self.0.len() > SHOWN_MAX { write!(f, "… ({} bytes)", self.0.len()) } else { Ok(()) }
    }
}

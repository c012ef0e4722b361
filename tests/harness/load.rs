//! Clients that write unique values without pause and remember what was acknowledged.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Client, wire};

/// How long a writer waits for a reply before it takes another connection.
const REPLY_WITHIN: Duration = Duration::from_millis(1000);

/// Between two attempts of a writer that is refused.
const AGAIN_AFTER: Duration = Duration::from_millis(10);

/// Several writers at work. Each adds members `writer-number` to its own set of keys, never the same twice.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<()>>,
    book: Arc<Mutex<Book>>,
}

/// What happened.
#[derive(Default)]
pub(crate) struct Book {
    /// Keys whose write was answered with OK.
    pub(crate) acknowledged: BTreeSet<String>,
    /// Acknowledged writes in order of time: seconds since the start of the load are differences of these.
    pub(crate) times: Vec<Instant>,
    /// Definite refusals: these keys must not exist. (DESIGN: a definite error did not and will not happen.)
    pub(crate) refused: BTreeSet<String>,
}

impl Load {
    /// Starts `count` writers that go round the ports until one takes their writes. `name` makes their keys unique.
    pub(crate) fn start(name: &str, ports: &[u16], count: usize) -> Self {
        let (stop, book) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Book::default())));
        let writers = (0..count).map(|writer| {
            let (stop, book) = (Arc::clone(&stop), Arc::clone(&book));
            let (ports, prefix) = (ports.to_vec(), format!("{name}-{writer}"));
            std::thread::spawn(move || write_until(&stop, &book, &ports, &prefix))
        });
        Self { writers: writers.collect(), stop, book }
    }

    /// How many writes were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.book.lock().expect("writers do not panic").acknowledged.len()
    }

    /// When the last write was acknowledged.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.book.lock().expect("writers do not panic").times.last().copied()
    }

    /// Stops the writers; what happened.
    pub(crate) fn finish(self) -> Book {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.writers {
            writer.join().expect("writers do not panic");
        }
        std::mem::take(&mut *self.book.lock().expect("writers do not panic"))
    }
}

impl Book {
    /// The longest time without an acknowledged write.
    pub(crate) fn gap(&self) -> Duration {
        self.times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// Fails unless every acknowledged key is there with its value, and no refused one.
    pub(crate) fn check(&self, client: &mut Client) {
        let (mut lost, mut undead) = (Vec::new(), Vec::new());
        for key in &self.acknowledged {
            if client.call(&[b"GET", key.as_bytes()]) != wire::Value::bulk(key) {
                lost.push(key);
            }
        }
        for key in &self.refused {
            if client.call(&[b"GET", key.as_bytes()]) != wire::Value::Null {
                undead.push(key);
            }
        }
        assert!(
            lost.is_empty(),
            "of {} acknowledged writes {} are lost: {lost:?}",
            self.acknowledged.len(),
            lost.len()
        );
        assert!(undead.is_empty(), "{} refused writes happened: {undead:?}", undead.len());
    }
}

fn write_until(stop: &AtomicBool, book: &Mutex<Book>, ports: &[u16], prefix: &str) {
    let (mut at, mut number) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut client) = Client::try_connect(wire::local(ports[at % ports.len()]), REPLY_WITHIN) else {
            at += 1;
            std::thread::sleep(AGAIN_AFTER);
            continue;
        };
        while !stop.load(Ordering::Relaxed) {
            number += 1;
            let key = format!("{prefix}-{number}");
            match client.try_call(&[b"SET", key.as_bytes(), key.as_bytes()]) {
                Ok(reply) if reply == wire::Value::ok() => {
                    let mut book = book.lock().expect("writers do not panic");
                    book.acknowledged.insert(key);
                    book.times.push(Instant::now());
                }
                Ok(reply) if reply.is_error("UNCERTAIN") => (),
                Ok(_) => {
                    book.lock().expect("writers do not panic").refused.insert(key);
                    at += 1;
                    std::thread::sleep(AGAIN_AFTER);
                    break;
                }
                // Unknown: the reply may have been on its way.
                Err(_) => {
                    at += 1;
                    break;
                }
            }
        }
    }
}

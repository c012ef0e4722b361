//! The registry of connected clients: what CLIENT LIST, CLIENT INFO and INFO show of them.
//!
//! A connection owns its session; here is only a summary, which the connection renews once per socket read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::blocking::Leaving;
use crate::shard::Shard;

/// All connected clients of a node, by id.
#[derive(Default)]
pub(crate) struct Clients {
    last_id: AtomicU64,
    list: Mutex<BTreeMap<u64, Arc<Client>>>,
    /// Connections accepted since the start.
    pub(crate) accepted: AtomicU64,
    /// Connections turned away because of `maxclients`.
    pub(crate) rejected: AtomicU64,
}

/// One connected client.
pub(crate) struct Client {
    /// Never used again while the process lives.
    pub(crate) id: u64,
    /// The client's address, `ip:port`.
    pub(crate) address: String,
    /// The server's, `ip:port`.
    pub(crate) local_address: String,
    /// When it connected, by the wall clock in ms.
    pub(crate) connected_ms: u64,
    /// Set by CLIENT KILL: the connection closes as soon as it looks.
    pub(crate) killed: AtomicBool,
    /// What its command waits for.
    pub(crate) waits_on: Mutex<Option<WaitsOn>>,
    /// What changes.
    pub(crate) summary: Mutex<Summary>,
}

/// What a client's command waits for, so that others can end that.
#[derive(Clone)]
pub(crate) enum WaitsOn {
    /// A key of this shard.
    Key(Arc<Shard>),
    /// Copies of what it wrote. Whoever ends the wait says here how, once.
    Copies(Arc<watch::Sender<Option<Leaving>>>),
}

/// What is shown as the last command before the first, and of one that is unknown.
pub(crate) const NO_COMMAND: &str = "NULL";

/// What a connection tells about itself.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) name: String,
    pub(crate) lib_name: String,
    pub(crate) lib_version: String,
    pub(crate) user: String,
    pub(crate) database: usize,
    pub(crate) protocol: u8,
    /// The number of queued commands inside MULTI.
    pub(crate) queued: Option<usize>,
    pub(crate) queued_bytes: usize,
    pub(crate) watching: usize,
    /// What HIMPORT has prepared takes.
    pub(crate) fieldset_bytes: usize,
    /// Its command waits, for a key or for copies.
    pub(crate) waits: bool,
    pub(crate) no_evict: bool,
    pub(crate) no_touch: bool,
    /// The name of the last command's row, or [`NO_COMMAND`].
    pub(crate) last_command: &'static str,
    pub(crate) last_active_ms: u64,
    pub(crate) input_bytes: usize,
    pub(crate) input_free_bytes: usize,
    pub(crate) output_bytes: usize,
}

impl Default for Summary {
    fn default() -> Self {
        Self {
            name: String::new(),
            lib_name: String::new(),
            lib_version: String::new(),
            user: "default".to_owned(),
            database: 0,
            protocol: 2,
            queued: None,
            queued_bytes: 0,
            watching: 0,
            fieldset_bytes: 0,
            waits: false,
            no_evict: false,
            no_touch: false,
            last_command: NO_COMMAND,
            last_active_ms: 0,
            input_bytes: 0,
            input_free_bytes: 0,
            output_bytes: 0,
        }
    }
}

impl Clients {
    /// Admits a connection, or not if there are `limit` already.
    pub(crate) fn admit(
        &self,
        address: String,
        local_address: String,
        now_ms: u64,
        limit: usize,
    ) -> Option<Arc<Client>> {
        let mut list = self.list.lock();
        if list.len() >= limit {
            self.rejected.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let summary = Mutex::new(Summary { last_active_ms: now_ms, ..Summary::default() });
        let client = Arc::new(Client {
            id,
            address,
            local_address,
            connected_ms: now_ms,
            killed: AtomicBool::new(false),
            waits_on: Mutex::default(),
            summary,
        });
        list.insert(id, Arc::clone(&client));
        Some(client)
    }

    /// Forgets a connection that has closed.
    pub(crate) fn remove(&self, id: u64) {
        self.list.lock().remove(&id);
    }

    /// The address and the name of a client; empty if it has gone.
    pub(crate) fn address_and_name(&self, id: u64) -> (String, String) {
        let client = self.list.lock().get(&id).cloned();
        client.map(|client| (client.address.clone(), client.summary.lock().name.clone())).unwrap_or_default()
    }

    /// A client that is connected.
    pub(crate) fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.list.lock().get(&id).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.list.lock().len()
    }

    /// All clients in the order of their ids.
    pub(crate) fn all(&self) -> Vec<Arc<Client>> {
        self.list.lock().values().cloned().collect()
    }
}

impl Summary {
    /// The letters that CLIENT LIST shows: inside MULTI, waiting, not to be evicted, not touching; N for none.
    pub(crate) fn flags(&self) -> String {
        let letters = [(self.queued.is_some(), 'x'), (self.waits, 'b'), (self.no_evict, 'e'), (self.no_touch, 'T')];
        let shown: String = letters.iter().filter(|(is_set, _)| *is_set).map(|(_, letter)| letter).collect();
        if shown.is_empty() { "N".to_owned() } else { shown }
    }
}

impl Client {
    /// Whether CLIENT KILL has met it.
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }

    /// Whether it connects from this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.address.starts_with("127.") || self.address.starts_with("[::1]")
    }

    /// The client's line in CLIENT LIST, as Redis 7.2 writes it, with a newline.
    pub(crate) fn line(&self, now_ms: u64, out: &mut String) {
        let s = self.summary.lock().clone();
        let seconds = |since: u64| now_ms.saturating_sub(since) / 1000;
        let flags = s.flags();
        // As Redis writes them: names in lower case, but that of none.
        let is_none = s.last_command == NO_COMMAND;
        let command = if is_none { NO_COMMAND.to_owned() } else { s.last_command.to_ascii_lowercase() };
        let multi = s.queued.map_or(-1, |n| i64::try_from(n).expect("a queue is bounded by memory"));
        let total = s.input_bytes + s.input_free_bytes + s.output_bytes + s.queued_bytes + s.fieldset_bytes;
        // Fields about buffers that Cairn does not keep apart are their sums or 0: Redis's readers expect every name.
        writeln!(
            out,
            "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={flags} db={} sub=0 psub=0 ssub=0 multi={multi} watch={} \
             qbuf={} qbuf-free={} argv-mem=0 multi-mem={} rbs={} rbp=0 obl={} oll=0 omem=0 tot-mem={total} events=r cmd={} user={} \
             redir=-1 resp={} lib-name={} lib-ver={}",
            self.id,
            self.address,
            self.local_address,
            -1,
            s.name,
            seconds(self.connected_ms),
            seconds(s.last_active_ms),
            s.database,
            s.watching,
            s.input_bytes,
            s.input_free_bytes,
            s.queued_bytes,
            s.output_bytes,
            s.output_bytes,
            command,
            s.user,
            s.protocol,
            s.lib_name,
            s.lib_version,
        )
        .expect("writing to a string does not fail");
    }
}

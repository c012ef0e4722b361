//! MIGRATE: keys go to another server as RESTORE takes them, and are removed here.
//!
//! ```text
//! marks of the keys -> DUMP and deadlines, by reads of the shard -> RESTORE there -> one transaction a key: DEL if it is still as marked
//! ```
//!
//! Redis holds all other commands while it migrates. Here a key may change between its dump and its removal: then it is not removed, but sent
//! once more. So a key is at one of both, or at both, and never at neither; and its last value is where it ends up.
//!
//! It knows nothing of slots that are on their way: keys of those need more than this.

use std::io;
use std::time::Duration;

use commands::Migration;
use keyspace::{Context, WatchMark};
use raft::Clock;
use resp::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Connection;
use crate::entry::Precondition;
use crate::platform::{Platform, Socket};

/// So many keys are sent before they are removed, and their answers waited for.
const KEYS_AT_ONCE: usize = 64;
/// So often a key is sent that changes again and again.
const ATTEMPTS_MAX: usize = 10;
/// The longest line that the other server may answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

const LOST_WRITING: &str = "IOERR error or timeout writing to target instance";

/// What ends a MIGRATE early: an error's line.
type Refusal = String;

/// A key as it is sent.
struct Packed {
    condition: Precondition,
    payload: Vec<u8>,
    /// The ms that it still has; 0 if it does not expire.
    ttl_ms: u64,
}

/// The connection to the other server.
struct Target<S> {
    stream: S,
    input: Vec<u8>,
    timeout: Duration,
}

impl<P: Platform> Connection<P> {
    pub(super) async fn migrate(&mut self, migration: &Migration) {
        match self.move_keys(migration).await {
            Ok(0) => self.exchange.reply.simple("NOKEY"),
            Ok(_) => self.exchange.reply.ok(),
            Err(refusal) => self.exchange.reply.error(refusal),
        }
    }

    /// Sends all keys; 0 if there was none.
    async fn move_keys(&mut self, migration: &Migration) -> Result<usize, Refusal> {
        let (mut target, mut refused, mut count) = (None, None, 0);
        for keys in migration.keys.chunks(KEYS_AT_ONCE) {
            let (mut left, mut replaces) = (keys.to_vec(), migration.replaces);
            for _ in 0..ATTEMPTS_MAX {
                let packed = self.pack(&left).await?;
                if packed.is_empty() {
                    left.clear();
                    break;
                }
                if target.is_none() {
                    target = Some(Target::<<P::Socket as Socket>::Stream>::open::<P>(migration).await?);
                }
                let open = target.as_mut().expect("just opened");
                let mut accepted = open.restore(&packed, replaces, &mut refused).await?;
                count += packed.len();
                left = if migration.copies { Vec::new() } else { self.remove_unchanged(&mut accepted).await? };
                if left.is_empty() {
                    break;
                }
                // What is there by now was sent from here.
                replaces = true;
            }
            if !left.is_empty() {
                return Err("ERR a key changes faster than it can be migrated: it was copied, and stays".to_owned());
            }
        }
        refused.map_or(Ok(count), Err)
    }

    /// The keys that are there, as they are sent.
    async fn pack(&mut self, keys: &[Vec<u8>]) -> Result<Vec<Packed>, Refusal> {
        // BEFORE they are dumped: a change in between is taken for one behind.
        let marks = self.marks(keys);
        let database = self.session.database();
        let mut replies = Vec::new();
        for key in keys {
            for name in [&b"DUMP"[..], b"PEXPIRETIME"] {
                let mut raw = Vec::new();
                resp::write_command(&mut raw, [name, key]);
                if !self.exchange.staged.has_room(raw.len()) {
                    replies.extend(self.settle_apart().await);
                }
                self.exchange.staged.read(database, &raw);
            }
        }
        replies.extend(self.settle_apart().await);
        let now_ms = self.io.node.clock.wall_ms();
        let mut values = Values(&replies);
        let mut packed = Vec::new();
        for (key, mark) in keys.iter().zip(marks) {
            let (dumped, deadline_ms) = (values.next()?, values.next()?);
            let (Value::Bulk(payload), Value::Integer(deadline_ms)) = (dumped, deadline_ms) else { continue };
            let ttl_ms = u64::try_from(deadline_ms).map_or(0, |at| at.saturating_sub(now_ms).max(1));
            packed.push(Packed { condition: Precondition { database, key: key.clone(), mark }, payload, ttl_ms });
        }
        Ok(packed)
    }

    fn marks(&self, keys: &[Vec<u8>]) -> Vec<WatchMark> {
        let wall_ms = self.io.node.clock.wall_ms();
        let data = self.session.replica().shard.data.read();
        let context = Context::of_read(usize::from(self.session.database()), data.clock_ms(), wall_ms, 0);
        keys.iter().map(|key| data.watch_mark(&context, key)).collect()
    }

    /// Removes the keys that are as they were marked; those that are not.
    async fn remove_unchanged(&mut self, sent: &mut Vec<Precondition>) -> Result<Vec<Vec<u8>>, Refusal> {
        let mut replies = Vec::new();
        for condition in &*sent {
            let mut raw = Vec::new();
            resp::write_command(&mut raw, [b"DEL", &condition.key[..]]);
            if !self.exchange.staged.has_room(raw.len() + condition.key.len()) {
                replies.extend(self.settle_apart().await);
            }
            self.exchange.staged.transaction(std::slice::from_ref(condition), 1);
            self.exchange.staged.transaction_command(condition.database, &raw);
        }
        replies.extend(self.settle_apart().await);
        let mut values = Values(&replies);
        let mut changed = Vec::new();
        for condition in sent.drain(..) {
            if matches!(values.next()?, Value::Null | Value::NullArray) {
                changed.push(condition.key);
            }
        }
        Ok(changed)
    }
}

/// Replies of this node, one after the other.
struct Values<'a>(&'a [u8]);

impl Values<'_> {
    /// The next one, unless it is an error.
    fn next(&mut self) -> Result<Value, Refusal> {
        let (value, length) =
            resp::parse_reply(self.0).ok().flatten().expect("a node answers each command it is given");
        self.0 = &self.0[length..];
        match value {
            Value::Error(line) => Err(String::from_utf8_lossy(&line).into_owned()),
            value => Ok(value),
        }
    }
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Target<S> {
    async fn open<P: Platform<Socket: Socket<Stream = S>>>(migration: &Migration) -> Result<Self, Refusal> {
        let timeout = Duration::from_millis(migration.timeout_ms);
        let host = if migration.host.contains(':') { format!("[{}]", migration.host) } else { migration.host.clone() };
        let connecting = P::Socket::connect(format!("{host}:{}", migration.port));
        let stream = match tokio::time::timeout(timeout, connecting).await {
            Ok(Ok(stream)) => stream,
            // Redis only notices when it writes.
            Ok(Err(why)) if why.kind() == io::ErrorKind::ConnectionRefused => return Err(LOST_WRITING.to_owned()),
            Ok(Err(_)) | Err(_) => return Err("IOERR error or timeout connecting to the client".to_owned()),
        };
        let mut target = Self { stream, input: Vec::new(), timeout };
        let mut greeting = Vec::new();
        if !migration.credentials.is_empty() {
            greeting.push([&[b"AUTH".to_vec()], &migration.credentials[..]].concat());
        }
        greeting.push(vec![b"SELECT".to_vec(), migration.database.to_string().into_bytes()]);
        let mut bytes = Vec::new();
        greeting.iter().for_each(|words| resp::write_command(&mut bytes, words));
        target.send(&bytes).await?;
        for _ in &greeting {
            if let Some(refusal) = target.answer().await? {
                return Err(refusal);
            }
        }
        Ok(target)
    }

    /// Has keys restored; those that were. The first refusal is kept.
    async fn restore(
        &mut self,
        packed: &[Packed],
        replaces: bool,
        refused: &mut Option<Refusal>,
    ) -> Result<Vec<Precondition>, Refusal> {
        let mut accepted = Vec::new();
        for Packed { condition, payload, ttl_ms } in packed {
            let ttl_ms = ttl_ms.to_string();
            let mut words = vec![&b"RESTORE"[..], &condition.key, ttl_ms.as_bytes(), payload];
            if replaces {
                words.push(b"REPLACE");
            }
            let mut bytes = Vec::new();
            resp::write_command(&mut bytes, words);
            self.send(&bytes).await?;
        }
        for Packed { condition, .. } in packed {
            match self.answer().await? {
                None => accepted.push(condition.clone()),
                Some(refusal) => *refused = refused.take().or(Some(refusal)),
            }
        }
        Ok(accepted)
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let sent = tokio::time::timeout(self.timeout, self.stream.write_all(bytes)).await;
        let sent = sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        sent.map_err(|_| LOST_WRITING.to_owned())
    }

    /// The next answer, if it is an error.
    async fn answer(&mut self) -> Result<Option<Refusal>, Refusal> {
        let lost = || "IOERR error or timeout reading from target instance".to_owned();
        loop {
            if let Some((value, length)) = resp::parse_reply(&self.input).map_err(|_| lost())? {
                self.input.drain(..length);
                let Value::Error(line) = value else { return Ok(None) };
                let line = String::from_utf8_lossy(&line).into_owned();
                return Ok(Some(format!("ERR Target instance replied with error: {line}")));
            }
            let reading = self.stream.read_buf(&mut self.input);
            let read = tokio::time::timeout(self.timeout, reading).await.unwrap_or(Ok(0));
            if read.unwrap_or(0) == 0 || self.input.len() > ANSWER_BYTES_MAX {
                return Err(lost());
            }
        }
    }
}

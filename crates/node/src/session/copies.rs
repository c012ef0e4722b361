//! WAIT and WAITAOF: what is asked for, and what is answered.

use std::sync::Arc;
use std::time::Duration;

use raft::Clock;
use resp::{Arguments, Reply};

use super::{Later, Session, Step};
use crate::blocking::DEMOTED;
use crate::copies::{Count, Counting, Kind, Wish};
use crate::platform::Platform;
use crate::shard::Standing;

const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
const NEITHER_0_NOR_1: &str = "ERR value is out of range, value must between 0 and 1";
const NOT_POSITIVE: &str = "ERR value is out of range, must be positive";
/// WAIT on a replica, in Redis's words.
const WAIT_ON_REPLICA: &str = "ERR WAIT cannot be used with replica instances. Please also note that if a replica is configured to be writable \
     (which is not the default) writes to replicas are just local and are not propagated.";
/// WAITAOF on one.
const WAITAOF_ON_REPLICA: &str = "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local \
     and are not propagated.";
/// There is a log either way; who says that there is none is answered as by Redis.
pub(crate) const NO_APPENDONLY: &str = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.";

impl<P: Platform> Session<P> {
    /// A shard has answered the connection up to this index of its log.
    pub(crate) fn wrote(&mut self, index: u64) {
        if index > 0 {
            self.written.note(&self.replica, index);
        }
    }

    pub(super) fn wait(&self, arguments: Arguments<'_>, reply: &mut Reply) -> Step {
        // Redis looks at the role first here, and last in WAITAOF.
        let wish = self.refuses_to_count(WAIT_ON_REPLICA).map_or_else(|| self.wait_wish(arguments), Err);
        then_wait(wish, reply)
    }

    pub(super) fn waitaof(&self, arguments: Arguments<'_>, reply: &mut Reply) -> Step {
        let wish = self.waitaof_wish(arguments);
        let wish = wish.and_then(|wish| self.refuses_to_count(WAITAOF_ON_REPLICA).map_or(Ok(wish), Err));
        let misses_log = |wish: &Wish| wish.needs_log() && !self.node.config.current().appendonly;
        then_wait(wish.and_then(|wish| if misses_log(&wish) { Err(NO_APPENDONLY.to_owned()) } else { Ok(wish) }), reply)
    }

    fn wait_wish(&self, arguments: Arguments<'_>) -> Result<Wish, String> {
        let others = arguments.get(1).and_then(keyspace::parse_integer).ok_or(NOT_AN_INTEGER)?;
        let timeout = self.patience(arguments.get(2))?;
        Ok(Wish { kind: Kind::Held, others: usize::try_from(others).unwrap_or(0), timeout })
    }

    fn waitaof_wish(&self, arguments: Arguments<'_>) -> Result<Wish, String> {
        let here = match arguments.get(1).and_then(keyspace::parse_integer).ok_or(NOT_AN_INTEGER)? {
            0 => false,
            1 => true,
            _ => return Err(NEITHER_0_NOR_1.to_owned()),
        };
        let others = arguments.get(2).and_then(keyspace::parse_integer);
        let others = others.and_then(|others| usize::try_from(others).ok()).ok_or(NOT_POSITIVE)?;
        Ok(Wish { kind: Kind::Stored { here }, others, timeout: self.patience(arguments.get(3))? })
    }

    fn patience(&self, text: Option<&[u8]>) -> Result<Option<Duration>, String> {
        let ms = commands::block_ms(text.unwrap_or_default(), self.node.clock.wall_ms());
        let ms = ms.map_err(|why| why.to_string())?;
        Ok((ms > 0).then(|| Duration::from_millis(ms)))
    }

    /// Why copies cannot be counted here, if they cannot.
    fn refuses_to_count(&self, on_replica: &str) -> Option<String> {
        let shard = &self.replica.shard;
        match shard.standing() {
            Standing::Leading => None,
            Standing::Following => Some(on_replica.to_owned()),
            Standing::Leaderless | Standing::Awaiting => shard.refusal().map(|why| shard.definite(why, None)),
        }
    }

    /// Begins to count copies of what this connection wrote. An error: another node leads one of its shards by now.
    pub(crate) fn counting(&mut self, wish: Wish) -> Result<Counting<P>, &'static str> {
        let parts = self.written.parts(&self.replica).map_err(|_| DEMOTED)?;
        Ok(Counting::new(Arc::clone(&self.node), parts, wish))
    }

    /// What is true now: in a transaction nobody waits.
    pub(super) fn count_now(&mut self, wish: Wish, reply: &mut Reply) {
        match self.counting(wish) {
            Ok(counting) => write_count(wish.kind, counting.count(), reply),
            Err(why) => reply.error(why),
        }
    }
}

/// Writes the reply.
pub(crate) fn write_count(kind: Kind, count: Count, reply: &mut Reply) {
    if kind != Kind::Held {
        reply.array(2);
        reply.integer(i64::from(count.here));
    }
    reply.count(count.others);
}

fn then_wait(wish: Result<Wish, String>, reply: &mut Reply) -> Step {
    match wish {
        Ok(wish) => Step::Later(Later::Copies(wish)),
        Err(why) => {
            reply.error(why);
            Step::Done
        }
    }
}

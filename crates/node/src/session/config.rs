//! CONFIG GET and CONFIG SET.

use resp::{Arguments, Reply};

use super::{Later, Session, Step};
use crate::platform::Platform;

impl<P: Platform> Session<P> {
    pub(super) fn config_get(&self, arguments: Arguments<'_>, reply: &mut Reply) {
        let patterns: Vec<&[u8]> = arguments.iter().skip(2).collect();
        let found = self.node.config.get(&patterns);
        reply.map(found.len());
        for (name, value) in found {
            reply.bulk(name);
            reply.bulk(value);
        }
    }

    /// CONFIG SET. What belongs to the shard becomes an entry first; the node's own part follows when that is applied.
    pub(super) fn config_set(&self, arguments: Arguments<'_>, reply: &mut Reply) -> Step {
        if !arguments.len().is_multiple_of(2) {
            reply.error("ERR wrong number of arguments for 'config|set' command");
            return Step::Done;
        }
        let words: Vec<&[u8]> = arguments.iter().skip(2).collect();
        let pairs: Vec<(&[u8], &[u8])> = words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        match self.node.config.plan(&pairs) {
            Err(error) => reply.error(error.to_string()),
            Ok(plan) if plan.shard().is_empty() => {
                self.node.config.commit(&plan);
                reply.ok();
            }
            Ok(plan) => match self.replica.shard.refusal() {
                Some(why) => reply.error(why),
                None => return Step::Later(Later::Config(plan)),
            },
        }
        Step::Done
    }
}

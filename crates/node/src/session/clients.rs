//! The commands about other clients' sessions: CLIENT LIST, KILL, PAUSE and UNPAUSE.

use std::time::Duration;

use raft::Clock;
use resp::{Arguments, Reply};

use super::client_filter::ClientFilter;
use super::{Session, Step};
use crate::platform::Platform;

impl<P: Platform> Session<P> {
    pub(super) fn client_list(&self, arguments: Arguments<'_>, reply: &mut Reply) {
        self.summarize();
        let wanted = match ClientFilter::parse(arguments, self.node.config.current().databases) {
            Ok(wanted) => wanted,
            Err(error) => return reply.error(error),
        };
        let now_ms = self.node.clock.wall_ms();
        let mut lines = String::new();
        for client in self.node.clients.all() {
            if wanted.accepts(&client, self.client.id, now_ms) {
                client.line(now_ms, &mut lines);
            }
        }
        reply.verbatim(b"txt", lines);
    }

    /// CLIENT KILL: `address` alone answers OK, filters the number of those that were met.
    pub(super) fn client_kill(&self, arguments: Arguments<'_>, reply: &mut Reply) -> Step {
        self.summarize();
        let alone = arguments.get(2).filter(|_| arguments.len() == 3);
        let wanted = match alone {
            Some(address) => ClientFilter::of_address(address),
            None => match ClientFilter::parse(arguments, self.node.config.current().databases) {
                Ok(wanted) => wanted.without_me(),
                Err(error) => {
                    reply.error(error);
                    return Step::Done;
                }
            },
        };
        let now_ms = self.node.clock.wall_ms();
        let (mut killed, mut me) = (0, false);
        for client in self.node.clients.all() {
            if wanted.accepts(&client, self.client.id, now_ms) {
                killed += 1;
                // Who kills itself is told so first.
                if client.id == self.client.id {
                    me = true;
                } else {
                    self.node.kill(&client);
                }
            }
        }
        match alone {
            Some(_) if killed == 0 => reply.error("ERR No such client"),
            Some(_) => reply.ok(),
            None => reply.count(killed),
        }
        if me { Step::Close } else { Step::Done }
    }

    pub(super) fn client_pause(&self, arguments: Arguments<'_>, reply: &mut Reply) {
        let all = match arguments.get(3).filter(|_| arguments.len() == 4) {
            None => true,
            Some(mode) if mode.eq_ignore_ascii_case(b"write") => false,
            Some(mode) if mode.eq_ignore_ascii_case(b"all") => true,
            Some(_) => return reply.error("ERR CLIENT PAUSE mode must be WRITE or ALL"),
        };
        let Some(timeout_ms) = arguments.get(2).and_then(keyspace::parse_integer) else {
            return reply.error("ERR timeout is not an integer or out of range");
        };
        match u64::try_from(timeout_ms) {
            Ok(timeout_ms) => {
                self.node.pause.begin(&self.node.clock, Duration::from_millis(timeout_ms), all);
                reply.ok();
            }
            Err(_) => reply.error("ERR timeout is negative"),
        }
    }

    pub(super) fn client_unpause(&self, reply: &mut Reply) {
        self.node.pause.end();
        reply.ok();
    }
}

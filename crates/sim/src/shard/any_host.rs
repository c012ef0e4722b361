//! A client that knows the hosts of one shard, and nothing of who leads: where it is refused, it tries another.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;
use tokio::time;

use crate::client::{Broken, Command, Connection};
use crate::heard::Heard;
use crate::hosts::SharedHosts;
use crate::oracle::{Oracle, Span};
use crate::reach::Reach;
use crate::trace::Topic;
use crate::workload::PAUSE;

/// See the module.
pub(crate) struct AnyHost {
    number: usize,
    hosts: SharedHosts,
    oracle: Rc<RefCell<Oracle>>,
    connection: Option<Connection>,
    /// The host it speaks with, or tries next.
    host: usize,
}

impl AnyHost {
    /// Of the client of this number.
    pub(crate) fn new(number: usize, hosts: SharedHosts, oracle: Rc<RefCell<Oracle>>) -> Self {
        Self { number, hosts, oracle, connection: None, host: number }
    }

    /// The host that it tries first.
    pub(crate) fn beginning_at(self, host: usize) -> Self {
        Self { host, ..self }
    }

    async fn connect(&mut self, random: &mut SmallRng) {
        loop {
            let count = self.hosts.borrow().count();
            let stream = self.hosts.borrow().connect(self.host % count, self.number);
            if let Some(stream) = stream {
                self.connection = Some(Connection::new(stream));
                return;
            }
            self.host = random.random_range(0..count);
            time::sleep(PAUSE).await;
        }
    }

    fn trace(&self, what: &str, bytes: &[u8]) {
        self.hosts.borrow().trace().note(Topic::Client, self.number, what, bytes);
    }
}

impl Reach for AnyHost {
    async fn call(&mut self, random: &mut SmallRng, _: &str, commands: &[Command], patience: Duration) -> Heard {
        if self.connection.is_none() {
            self.connect(random).await;
        }
        self.call_again(random, commands, patience).await
    }

    fn is_linked(&self) -> bool {
        self.connection.is_some()
    }

    async fn call_again(&mut self, random: &mut SmallRng, commands: &[Command], patience: Duration) -> Heard {
        let start = self.oracle.borrow_mut().event();
        for command in commands {
            self.trace("sends", &command.join(&b' '));
        }
        let host = self.host % self.hosts.borrow().count();
        let connection = self.connection.as_mut().expect("it is there");
        let mut replies = Vec::new();
        let outcome = connection.call(commands, patience, &mut replies).await;
        let broken = outcome.is_err();
        let heard = if broken { "hears, and no more," } else { "hears" };
        self.hosts.borrow().trace().note(Topic::Client, self.number, heard, connection.heard());
        let end = self.oracle.borrow_mut().event();
        if broken || replies.iter().any(|reply| reply.as_error().is_some()) {
            // Somebody else may know better.
            self.connection = None;
            self.host = random.random_range(0..self.hosts.borrow().count());
        }
        Heard { replies, span: Span { start, end }, by_leader: None, host, gave_up: outcome == Err(Broken::GivenUp) }
    }
}

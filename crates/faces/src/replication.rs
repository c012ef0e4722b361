//! What ROLE and INFO say about replication on a node of a cluster.

use std::fmt::Write as _;

use resp::Reply;
use topology::{NodeId, Role, ViewNode};

use crate::face::{Face, Transport, port};
use crate::reports::NodeFacts;

impl Face {
    /// ROLE.
    ///
    /// `offset` of this node is taken from the facts, as those of its replicas are.
    pub fn role(&self, transport: Transport, facts: &dyn NodeFacts, reply: &mut Reply) {
        let own = offset_of(self.settings().myself, facts);
        match self.master() {
            Ok(place) => {
                let replicas = || self.view().followers(place).filter(|node| node.is_member);
                reply.array(3);
                reply.bulk("master");
                reply.integer(own);
                reply.array(replicas().count());
                for node in replicas() {
                    reply.array(3);
                    reply.bulk(&node.endpoint.ip);
                    reply.bulk(port(&node.endpoint, transport).to_string());
                    reply.bulk(offset_of(node.id, facts).to_string());
                }
            }
            Err(master) => {
                let (ip, port) =
                    master.map_or(("", 0), |node| (node.endpoint.ip.as_str(), port(&node.endpoint, transport)));
                reply.array(5);
                reply.bulk("slave");
                reply.bulk(ip);
                reply.integer(i64::from(port));
                reply.bulk(if self.is_connected(master) { "connected" } else { "connect" });
                reply.integer(own);
            }
        }
    }

    /// The lines of INFO's section Replication that say who is whose replica, from `role` to the last `slaveN`.
    pub fn replication_lines(&self, transport: Transport, facts: &dyn NodeFacts) -> String {
        let mut lines = String::new();
        let mut add = |line: std::fmt::Arguments<'_>| write!(lines, "{line}\r\n").expect("a string takes any text");
        let own = offset_of(self.settings().myself, facts);
        match self.master() {
            Ok(place) => {
                let replicas = || self.view().followers(place).filter(|node| node.is_member);
                add(format_args!("role:master"));
                add(format_args!("connected_slaves:{}", replicas().count()));
                for (number, node) in replicas().enumerate() {
                    let (ip, port) = (&node.endpoint.ip, port(&node.endpoint, transport));
                    let offset = offset_of(node.id, facts);
                    let state = if self.link(node.id).is_up { "online" } else { "wait_bgsave" };
                    add(format_args!(
                        "slave{number}:ip={ip},port={port},state={state},offset={offset},lag=0,type=replica"
                    ));
                }
            }
            Err(master) => {
                let (ip, port) =
                    master.map_or(("", 0), |node| (node.endpoint.ip.as_str(), port(&node.endpoint, transport)));
                let is_up = self.is_connected(master);
                add(format_args!("role:slave"));
                add(format_args!("master_host:{ip}"));
                add(format_args!("master_port:{port}"));
                add(format_args!("master_link_status:{}", if is_up { "up" } else { "down" }));
                add(format_args!("master_last_io_seconds_ago:{}", if is_up { 0 } else { -1 }));
                add(format_args!("master_sync_in_progress:0"));
                add(format_args!("slave_read_repl_offset:{own}"));
                add(format_args!("slave_repl_offset:{own}"));
                add(format_args!("slave_priority:100"));
                add(format_args!("slave_read_only:1"));
                add(format_args!("replica_announced:1"));
                add(format_args!("connected_slaves:0"));
            }
        }
        lines
    }

    /// This node's place if it is a master; otherwise its master, if it knows one.
    fn master(&self) -> Result<usize, Option<&ViewNode>> {
        let Some(place) = self.view().place(self.settings().myself) else { return Err(None) };
        match self.view().nodes()[place].role {
            Role::Leading => Ok(place),
            Role::Following(of) => Err(of.map(|of| &self.view().nodes()[of])),
        }
    }

    fn is_connected(&self, master: Option<&ViewNode>) -> bool {
        master.is_some_and(|node| self.link(node.id).is_up)
    }
}

fn offset_of(node: NodeId, facts: &dyn NodeFacts) -> i64 {
    i64::try_from(facts.offset(node)).unwrap_or(i64::MAX)
}

//! The commands of Redis Cluster.
//!
//! What is asked is answered as Valkey answers it. What is changed is changed for the whole cluster at once, by a majority of the meta group, so it
//! is an error where that is not there. Where that makes a difference:
//!
//! | command | what is different, and why |
//! | --- | --- |
//! | ADDSLOTS, DELSLOTS | True on every node when they are answered. DELSLOTS is for slots of this node: those of others cannot be taken from here |
//! | DELSLOTS, then ADDSLOTS elsewhere | Refused while the old node has keys of the slot: they would be neither served nor gone |
//! | SETSLOT | STABLE, and NODE with the present owner, are OK; everything else is an error until slots can be moved |
//! | SET-CONFIG-EPOCH, BUMPEPOCH | As in Redis, for what is shown: nothing is decided by a config epoch |
//! | MEET | Joins, as in Redis, some time after its OK, which takes up to a second where nobody answers; a node with slots keeps them. Two clusters of more than one node each do not merge (an error), nor do two that both have a slot. Of a node of the same cluster it says where that is now |
//! | REPLICATE | Further replicas, hidden on other nodes, make three voters of one or two; none of them is shown |
//! | FORGET | Once is enough, for all nodes; again it is OK. Refused for a node that serves slots, and where a group would lose its majority. The node can come back after CLUSTER RESET |
//! | RESET | Leaves the cluster as FORGET does, with the same refusals. HARD draws a new node id |
//! | FAILOVER | The leader hands over, and OK is answered when the replica leads; nothing is lost and nothing refused. Of two nodes the replica takes the only vote over, too. FORCE goes on when the leader is dead: whoever a majority of the shard's voters elects hands over |
//! | FAILOVER TAKEOVER | An error: without a majority no replica of a Raft group can know that it has every acknowledged write |
//! | NODES | `connected` and `disconnected` are what the node that answers has, as in Redis. `fail` is what the leader of the cluster's metadata says, so it is the same on all nodes; there is no `fail?` |
//! | INFO | `cluster_state` is `fail` also where the cluster's metadata has no leader; slots are served all the same while their shard has a majority |
//! | LINKS | The connections that there are: one, or up to three each way |
//! | SHARDS | Offsets are those that each shard's leader tells, so the same on all nodes |
//! | COUNT-FAILURE-REPORTS | What this node was told: nothing is decided by it |
//! | SAVECONFIG | OK: what was answered is on disk already |
//! | inside of MULTI | Each is made or refused by itself, as in Redis |

mod answer;
mod arguments;
mod changes;
mod refused;
mod slot_stats;

pub use answer::Answer;

use commands::ClusterCommand;
use resp::{Arguments, Reply};
use slot::Slot;
use topology::{Change, ShardId};

use crate::face::{Face, Transport};
use crate::reports::{NodeFacts, SlotStats};
use arguments::{integer, slot};
use refused::Refused;

/// What is to be done for a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: the reply is written.
    Replied,
    /// Propose these changes as one command of the meta group, then write what `answer` makes of the outcome. In a transaction,
    /// all of its commands go into one entry.
    Propose {
        /// The changes, which are made together or not at all.
        changes: Vec<Change>,
        /// How to answer.
        answer: Answer,
    },
    /// Join the cluster of the node that listens there, or let it join; answer OK at once.
    Meet {
        /// Its address.
        ip: String,
        /// Its port for clients.
        port: u16,
        /// Its port for peers.
        peer_port: u16,
    },
    /// Propose [`Change::Replicate`] of this node with this shard and a new replica id, then answer as [`Answer::Ok`].
    Replicate {
        /// The shard that becomes this node's home.
        shard: ShardId,
    },
    /// Let this node lead its home shard, then answer OK.
    Failover(FailoverMode),
    /// Leave the cluster and become a cluster of one, with new data and, if `hard`, a new node id; then answer OK.
    Reset {
        /// RESET HARD.
        hard: bool,
    },
    /// Make the state of the cluster durable, which it is; then answer OK.
    SaveConfig,
    /// Answer with how many keys this node holds of a slot.
    CountKeysInSlot(Slot),
    /// Answer with an array of some keys that this node holds of a slot: as many as there are, at most so many.
    KeysInSlot(Slot, usize),
    /// Count, and let [`SlotStats::write`] answer.
    SlotStats(SlotStats),
    /// Answer with [`write_links`](crate::write_links).
    Links,
    /// Let the session's next command into a slot that is imported, and answer OK.
    Asking,
}

/// How CLUSTER FAILOVER is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailoverMode {
    /// The leader hands over.
    HandOver,
    /// FORCE: the leader is not asked; a majority of voters elects.
    Force,
    /// TAKEOVER: in Redis without a majority, which no Raft group can do.
    Takeover,
}

/// Answers a command of the cluster on a node that is in none: all but CLUSTER KEYSLOT with an error.
pub fn disabled(command: ClusterCommand, arguments: Arguments<'_>, reply: &mut Reply) {
    if command == ClusterCommand::KeySlot {
        key_slot(arguments, reply);
    } else {
        reply.error("ERR This instance has cluster support disabled");
    }
}

/// Answers a command of the cluster on a node that knows no topology yet. It may be of a cluster that was lost before it told this node
/// anything: then RESET is its way out.
pub fn unready(command: ClusterCommand, arguments: Arguments<'_>, reply: &mut Reply) -> Action {
    let action = match command {
        ClusterCommand::KeySlot => Ok(key_slot(arguments, reply)),
        ClusterCommand::Reset => changes::is_hard_reset(arguments).map(|hard| Action::Reset { hard }),
        _ => Err(Refused::Loading),
    };
    action.unwrap_or_else(|refused| {
        reply.error(refused.to_string());
        Action::Replied
    })
}

/// CLUSTER KEYSLOT key
fn key_slot(arguments: Arguments<'_>, reply: &mut Reply) -> Action {
    reply.integer(i64::from(Slot::of_key(arguments.get(2).unwrap_or_default()).number()));
    Action::Replied
}

impl Face {
    /// Answers a command, or says what has to be done for it. `arguments` have the arity of the command's row.
    pub fn run(
        &self,
        command: ClusterCommand,
        arguments: Arguments<'_>,
        transport: Transport,
        facts: &dyn NodeFacts,
        reply: &mut Reply,
    ) -> Action {
        let action = match command {
            ClusterCommand::Asking => Ok(Action::Asking),
            ClusterCommand::Slots => Ok(self.slots(transport, reply)),
            ClusterCommand::Nodes => Ok(self.nodes(transport, reply)),
            ClusterCommand::Shards => {
                self.shards(facts, reply);
                Ok(Action::Replied)
            }
            ClusterCommand::Info => Ok(self.info(facts, reply)),
            ClusterCommand::MyId => Ok(self.my_id(reply)),
            ClusterCommand::MyShardId => self.my_shard_id(reply),
            ClusterCommand::KeySlot => Ok(key_slot(arguments, reply)),
            ClusterCommand::Help => Ok(help(reply)),
            ClusterCommand::Replicas => self.replicas(arguments, transport, reply),
            ClusterCommand::CountFailureReports => self.count_failure_reports(arguments, reply),
            ClusterCommand::CountKeysInSlot => count_keys_in_slot(arguments),
            ClusterCommand::GetKeysInSlot => keys_in_slot(arguments),
            ClusterCommand::SlotStats => self.slot_stats(arguments),
            ClusterCommand::Links => Ok(Action::Links),
            ClusterCommand::SaveConfig => Ok(Action::SaveConfig),
            ClusterCommand::AddSlots
            | ClusterCommand::AddSlotsRange
            | ClusterCommand::DelSlots
            | ClusterCommand::DelSlotsRange => self.assign(command, arguments),
            ClusterCommand::FlushSlots => self.flush_slots(facts),
            ClusterCommand::SetSlot => self.set_slot(arguments, reply),
            ClusterCommand::SetConfigEpoch => self.set_config_epoch(arguments),
            ClusterCommand::BumpEpoch => Ok(self.bump_epoch()),
            ClusterCommand::Meet => changes::meet(arguments),
            ClusterCommand::Replicate => self.replicate(arguments, facts, reply),
            ClusterCommand::Forget => self.forget(arguments),
            ClusterCommand::Failover => self.failover(arguments),
            ClusterCommand::Reset => self.reset(arguments, facts),
        };
        action.unwrap_or_else(|refused| {
            reply.error(refused.to_string());
            Action::Replied
        })
    }

    /// CLUSTER MYID
    fn my_id(&self, reply: &mut Reply) -> Action {
        reply.bulk(self.settings().myself.to_string());
        Action::Replied
    }

    /// CLUSTER MYSHARDID
    fn my_shard_id(&self, reply: &mut Reply) -> Result<Action, Refused> {
        let myself = self.myself().ok_or(Refused::NotAMember)?;
        reply.bulk(myself.shard.to_string());
        Ok(Action::Replied)
    }

    /// CLUSTER REPLICAS node-id
    fn replicas(&self, arguments: Arguments<'_>, transport: Transport, reply: &mut Reply) -> Result<Action, Refused> {
        let (place, node) = self.known(arguments)?;
        if !node.leads() {
            return Err(Refused::NotAMaster);
        }
        reply.array(self.view().followers(place).count());
        self.view().followers(place).for_each(|node| reply.bulk(self.node_line(node, transport)));
        Ok(Action::Replied)
    }

    /// CLUSTER COUNT-FAILURE-REPORTS node-id
    fn count_failure_reports(&self, arguments: Arguments<'_>, reply: &mut Reply) -> Result<Action, Refused> {
        let (_, node) = self.known(arguments)?;
        reply.integer(i64::from(self.link(node.id).failure_reports));
        Ok(Action::Replied)
    }
}

/// CLUSTER HELP
fn help(reply: &mut Reply) -> Action {
    commands::write_help("CLUSTER", reply);
    Action::Replied
}

/// CLUSTER COUNTKEYSINSLOT slot
fn count_keys_in_slot(arguments: Arguments<'_>) -> Result<Action, Refused> {
    slot(integer(arguments, 2)?).map(Action::CountKeysInSlot).ok_or(Refused::NoSlot)
}

/// CLUSTER GETKEYSINSLOT slot count
fn keys_in_slot(arguments: Arguments<'_>) -> Result<Action, Refused> {
    let (number, count) = (integer(arguments, 2)?, integer(arguments, 3)?);
    match (slot(number), usize::try_from(count)) {
        (Some(slot), Ok(count)) => Ok(Action::KeysInSlot(slot, count)),
        _ => Err(Refused::NoSlotOrCount),
    }
}

#[cfg(test)]
mod tests;

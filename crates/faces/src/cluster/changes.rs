//! The commands that change something.

use std::net::IpAddr;

use commands::{ClusterCommand, CommandError};
use resp::{Arguments, Reply};
use slot::Slot;
use topology::{Change, Mark, Role, ViewNode};

use super::arguments::{assigned_slot, integer, is, node_id, ranges, shape, shown, slots};
use super::refused::Refused;
use super::{Action, Answer, FailoverMode};
use crate::face::Face;
use crate::reports::NodeFacts;

/// The distance of the port for peers from that for clients, unless told otherwise.
const PEER_PORT_DISTANCE: i64 = 10_000;

fn propose(change: Change) -> Action {
    Action::Propose { changes: vec![change], answer: Answer::Ok }
}

/// CLUSTER MEET ip port [cluster-bus-port]
pub(super) fn meet(arguments: Arguments<'_>) -> Result<Action, Refused> {
    if arguments.len() > 5 {
        return Err(shape(arguments));
    }
    let port = integer(arguments, 3).map_err(|_| Refused::BasePort(shown(arguments, 3)))?;
    let peer_port = match arguments.get(4) {
        Some(_) => integer(arguments, 4).map_err(|_| Refused::BusPort(shown(arguments, 4)))?,
        None => port.saturating_add(PEER_PORT_DISTANCE),
    };
    let in_range = |port: i64| u16::try_from(port).ok().filter(|&port| port != 0);
    let valid_port = in_range(port).ok_or(Refused::PortRange)?;
    let peer_port = in_range(peer_port).ok_or(Refused::BusPortRange)?;
    let text = shown(arguments, 2);
    let ip: IpAddr = text.parse().map_err(|_| Refused::Address(text, port))?;
    Ok(Action::Meet { ip: ip.to_string(), port: valid_port, peer_port })
}

impl Face {
    fn member(&self) -> Result<&ViewNode, Refused> {
        self.myself().ok_or(Refused::NotAMember)
    }

    /// CLUSTER ADDSLOTS, ADDSLOTSRANGE, DELSLOTS, DELSLOTSRANGE
    pub(super) fn assign(&self, command: ClusterCommand, arguments: Arguments<'_>) -> Result<Action, Refused> {
        let node = self.settings().myself;
        let (by_range, adds, name) = match command {
            ClusterCommand::AddSlots => (false, true, "cluster|addslots"),
            ClusterCommand::AddSlotsRange => (true, true, "cluster|addslotsrange"),
            ClusterCommand::DelSlots => (false, false, "cluster|delslots"),
            _ => (true, false, "cluster|delslotsrange"),
        };
        if by_range && !arguments.len().is_multiple_of(2) {
            return Err(CommandError::WrongArity(name.to_owned()).into());
        }
        // Redis looks at one slot after the other: one that stands there twice is told so unless it could not be taken once.
        let is_wrong = |slot: Slot| match self.view().route(slot) {
            Some(_) => adds.then_some(Refused::Busy(slot.number())),
            None => (!adds).then_some(Refused::Unassigned(slot.number())),
        };
        let slots = if by_range { ranges(arguments, 2, is_wrong)? } else { slots(arguments, 2, is_wrong)? };
        Ok(propose(if adds { Change::AddSlots { node, slots } } else { Change::DelSlots { node, slots } }))
    }

    /// CLUSTER FLUSHSLOTS
    pub(super) fn flush_slots(&self, facts: &dyn NodeFacts) -> Result<Action, Refused> {
        if facts.key_count() > 0 {
            return Err(Refused::KeysBeforeFlush);
        }
        Ok(propose(Change::FlushSlots { node: self.settings().myself }))
    }

    /// CLUSTER SETSLOT slot STABLE | NODE node-id | ...: what is so already is done; the rest comes with slots on the move.
    pub(super) fn set_slot(&self, arguments: Arguments<'_>, reply: &mut Reply) -> Result<Action, Refused> {
        let myself = self.member()?;
        if !myself.leads() {
            return Err(Refused::SetSlotOnReplica);
        }
        let slot = assigned_slot(arguments, 2)?;
        let with_node = arguments.len() >= 5;
        let done = if is(arguments, 3, "stable") {
            true
        } else if is(arguments, 3, "node") && with_node {
            let id = node_id(arguments, 4)?;
            let node = self.view().node(id).ok_or(id)?;
            if !node.leads() {
                return Err(Refused::SlotToReplica);
            }
            node.slots.contains(slot)
        } else if is(arguments, 3, "migrating") && with_node {
            return Err(self.migrating(myself, slot, arguments));
        } else if is(arguments, 3, "importing") && with_node {
            return Err(self.importing(myself, slot, arguments));
        } else {
            return Err(Refused::SetSlotAction);
        };
        if !done {
            return Err(Refused::SetSlotToCome("NODE"));
        }
        reply.ok();
        Ok(Action::Replied)
    }

    fn migrating(&self, myself: &ViewNode, slot: Slot, arguments: Arguments<'_>) -> Refused {
        if !myself.slots.contains(slot) {
            return Refused::NotTheOwner(slot.number());
        }
        match self.other_end(arguments) {
            Ok(node) if node.id == myself.id => Refused::SlotToMyself,
            Ok(_) => Refused::SetSlotToCome("MIGRATING"),
            Err(refused) => refused,
        }
    }

    fn importing(&self, myself: &ViewNode, slot: Slot, arguments: Arguments<'_>) -> Refused {
        if myself.slots.contains(slot) {
            return Refused::TheOwner(slot.number());
        }
        self.other_end(arguments).err().unwrap_or(Refused::SetSlotToCome("IMPORTING"))
    }

    /// The master that a slot would be moved to or from.
    fn other_end(&self, arguments: Arguments<'_>) -> Result<&ViewNode, Refused> {
        let unknown = || Refused::SlotToUnknown(shown(arguments, 4));
        let id = node_id(arguments, 4).map_err(|_| unknown())?;
        let node = self.view().node(id).ok_or_else(unknown)?;
        if node.leads() { Ok(node) } else { Err(Refused::SlotToReplica) }
    }

    /// CLUSTER SET-CONFIG-EPOCH config-epoch
    pub(super) fn set_config_epoch(&self, arguments: Arguments<'_>) -> Result<Action, Refused> {
        let epoch = integer(arguments, 2)?;
        let valid = u64::try_from(epoch).map_err(|_| Refused::InvalidEpoch(epoch))?;
        Ok(propose(Change::SetConfigEpoch { node: self.settings().myself, epoch: valid }))
    }

    /// CLUSTER BUMPEPOCH
    pub(super) fn bump_epoch(&self) -> Action {
        let changes = vec![Change::BumpEpoch { node: self.settings().myself }];
        Action::Propose { changes, answer: Answer::Epoch }
    }

    /// CLUSTER REPLICATE node-id
    pub(super) fn replicate(
        &self,
        arguments: Arguments<'_>,
        facts: &dyn NodeFacts,
        reply: &mut Reply,
    ) -> Result<Action, Refused> {
        if arguments.len() > 3 {
            return self.replicate_no_one(arguments, reply);
        }
        let (place, node) = self.known(arguments)?;
        let myself = self.member()?;
        if node.id == myself.id {
            return Err(Refused::ReplicateMyself);
        }
        if !node.leads() {
            return Err(Refused::ReplicateReplica);
        }
        if myself.leads() && !(myself.slots.is_empty() && facts.key_count() == 0) {
            return Err(Refused::NotEmpty);
        }
        if myself.role == Role::Following(Some(place)) {
            reply.ok();
            return Ok(Action::Replied);
        }
        Ok(Action::Replicate { shard: node.shard })
    }

    fn replicate_no_one(&self, arguments: Arguments<'_>, reply: &mut Reply) -> Result<Action, Refused> {
        if arguments.len() != 4 || !is(arguments, 2, "no") || !is(arguments, 3, "one") {
            return Err(shape(arguments));
        }
        if !self.member()?.leads() {
            return Err(Refused::ReplicateNoOne);
        }
        reply.ok();
        Ok(Action::Replied)
    }

    /// CLUSTER FORGET node-id
    pub(super) fn forget(&self, arguments: Arguments<'_>) -> Result<Action, Refused> {
        // Who is not in the view may have been forgotten before, which the topology knows.
        let node = node_id(arguments, 2)?;
        if node == self.settings().myself {
            return Err(Refused::ForgetMyself);
        }
        let place = self.view().place(node);
        if place.is_some() && self.myself().is_some_and(|myself| myself.role == Role::Following(place)) {
            return Err(Refused::ForgetMaster);
        }
        Ok(propose(Change::Forget { node }))
    }

    /// CLUSTER FAILOVER [FORCE | TAKEOVER]
    pub(super) fn failover(&self, arguments: Arguments<'_>) -> Result<Action, Refused> {
        let mut mode = FailoverMode::HandOver;
        for place in 2..arguments.len() {
            mode = match () {
                () if is(arguments, place, "force") => FailoverMode::Force,
                () if is(arguments, place, "takeover") => FailoverMode::Takeover,
                () => return Err(CommandError::Syntax.into()),
            };
        }
        let place = match self.member()?.role {
            Role::Leading => return Err(Refused::FailoverOfMaster),
            Role::Following(None) => return Err(Refused::FailoverOfNobody),
            Role::Following(Some(place)) => place,
        };
        let master = &self.view().nodes()[place];
        let is_gone = master.mark == Mark::Failed || !self.link(master.id).is_up;
        if mode == FailoverMode::HandOver && is_gone {
            return Err(Refused::FailoverOfDead);
        }
        Ok(Action::Failover(mode))
    }

    /// CLUSTER RESET [HARD | SOFT]
    pub(super) fn reset(&self, arguments: Arguments<'_>, facts: &dyn NodeFacts) -> Result<Action, Refused> {
        let hard = is_hard_reset(arguments)?;
        if facts.key_count() > 0 && self.myself().is_some_and(ViewNode::leads) {
            return Err(Refused::KeysBeforeReset);
        }
        Ok(Action::Reset { hard })
    }
}

/// Whether CLUSTER RESET [HARD | SOFT] is hard.
pub(super) fn is_hard_reset(arguments: Arguments<'_>) -> Result<bool, Refused> {
    if arguments.len() > 3 {
        return Err(shape(arguments));
    }
    let hard = is(arguments, 2, "hard");
    if arguments.len() == 3 && !hard && !is(arguments, 2, "soft") {
        return Err(CommandError::Syntax.into());
    }
    Ok(hard)
}

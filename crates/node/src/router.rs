//! Where a command of a cluster's client is run: here, on which replica, or somewhere else.
//!
//! A hint, made of the view and the replicas that are here. The truth about a slot is in its shard's own log (fence.rs).

use std::sync::Arc;

use commands::Spec;
use faces::{CROSS_SLOT, DOWN, DOWN_FOR_WRITES, NOT_SERVED, Transport};
use resp::Arguments;
use slot::Slot;
use topology::Mark;

use crate::cluster::Routes;
use crate::config::Settings;
use crate::replica::Replica;
use crate::shard::Standing;

/// Where a command goes.
pub(crate) enum Way {
    /// It has no keys: to the home shard's replica.
    Home,
    /// To this replica.
    Here(Arc<Replica>),
    /// Nowhere: the error says why, or where to.
    Refused(String),
    /// Nobody is shown to lead the slot's shard; somebody may be soon. `hidden`: somebody leads who hands over to one that is shown.
    Unknown { hidden: bool },
}

/// The slot of a command's keys; `None` without keys.
///
/// # Errors
/// When they are in different slots.
pub(crate) fn slot_of(spec: &Spec, arguments: Arguments<'_>) -> Result<Option<Slot>, &'static str> {
    let Some(places) = spec.keys(arguments) else { return Ok(None) };
    let mut slot = None;
    for key in places.filter_map(|place| arguments.get(place)) {
        let of_key = Slot::of_key(key);
        if *slot.get_or_insert(of_key) != of_key {
            return Err(CROSS_SLOT);
        }
    }
    Ok(slot)
}

/// The way to a slot. `stale`: the client takes what a replica here knows (READONLY, and a command that reads).
pub(crate) fn way_to(routes: &Routes, slot: Slot, settings: &Settings, reads: bool, stale: bool) -> Way {
    let Some(face) = &routes.face else { return Way::Refused(DOWN.to_owned()) };
    let view = face.view();
    let Some(route) = view.route(slot) else { return Way::Refused(NOT_SERVED.to_owned()) };
    // By the rule of CLUSTER INFO's cluster_state, but that a shard with a majority serves also while the meta group has none.
    if !face.is_ok() {
        match (settings.cluster_allow_reads_when_down, reads) {
            (true, true) => (),
            (true, false) => return Way::Refused(DOWN_FOR_WRITES.to_owned()),
            (false, _) => return Way::Refused(DOWN.to_owned()),
        }
    }
    let here = routes.replica(route.shard);
    // BEFORE the view is asked: a leader knows of itself first.
    if let Some(replica) = here.filter(|replica| replica.leads() || stale && routes.home() == Some(route.shard)) {
        return Way::Here(Arc::clone(replica));
    }
    // Then whoever is shown leads no more: nobody is sent to a leader that is older than one that is known.
    let hidden = here.is_some_and(|replica| replica.shard.standing() == Standing::Awaiting);
    match route.node {
        // A client that is sent to a node that has failed only comes back.
        Some(node) if !hidden && node.id != face.settings().myself && node.mark != Mark::Failed => {
            Way::Refused(face.moved(slot, node, Transport::Plain))
        }
        // It is said to lead, and does not (yet, or any more).
        Some(_) | None => Way::Unknown { hidden },
    }
}

//! How clusters form, change and end, command by command.

use super::*;
use crate::Joiner;
use crate::fixture::{add, node, shard, single, slot, slots};

/// What the node brings when it joins a cluster.
fn joiner(own: &mut Topology, other: &Topology, meta_replica: u64) -> Joiner {
    own.apply(&Change::Joining { cluster: other.cluster() }).unwrap();
    own.joiner(ReplicaId(meta_replica)).unwrap()
}

#[test]
fn slots_are_closed_before_they_are_free() {
    let mut cluster = single(1);
    let mut second = single(2);
    let change = Change::Join(Box::new(joiner(&mut second, &cluster, 7)));
    assert_eq!(cluster.apply(&change), Ok(Outcome::Changed));
    assert_eq!(cluster.apply(&change), Ok(Outcome::Unchanged));
    assert_eq!(cluster.apply(&add(1, "0-9")), Ok(Outcome::Changed));
    let busy = |number| Err(Refusal::SlotBusy(slot(number)));
    assert_eq!(cluster.apply(&add(2, "9-12")), busy(9));
    let del = Change::DelSlots { node: node(1), slots: slots("5") };
    assert_eq!(cluster.apply(&Change::DelSlots { node: node(2), slots: slots("5") }), {
        Err(Refusal::SlotOfAnother(slot(5)))
    });
    assert_eq!(cluster.apply(&del), Ok(Outcome::Changed));
    assert_eq!(cluster.apply(&del), Err(Refusal::SlotUnassigned(slot(5))));
    let closing = cluster.shards()[&shard(1)].closing[0].clone();
    assert_eq!(closing.number, cluster.shards()[&shard(1)].fence().version);
    assert_eq!(cluster.shards()[&shard(1)].fence().slots, slots("0-4 6-9"));
    assert_eq!(cluster.apply(&add(2, "5")), busy(5));
    let closed = Change::SlotsClosed { shard: shard(1), number: closing.number, kept: slots("5") };
    assert_eq!(cluster.apply(&closed), Ok(Outcome::Changed));
    assert_eq!(cluster.apply(&closed), Ok(Outcome::Unchanged));
    assert_eq!(cluster.apply(&add(2, "5")), Err(Refusal::SlotHasKeys(slot(5))));
    assert_eq!(cluster.apply(&Change::KeysGone { shard: shard(1), slots: slots("5") }), Ok(Outcome::Changed));
    assert_eq!(cluster.apply(&add(2, "5")), Ok(Outcome::Changed));
}

#[test]
fn a_slot_that_is_given_back_is_not_closed_by_an_old_word() {
    let mut cluster = single(1);
    cluster.apply(&add(1, "0-9")).unwrap();
    let del = Change::DelSlots { node: node(1), slots: slots("5-6") };
    cluster.apply(&del).unwrap();
    let first = cluster.shards()[&shard(1)].closing[0].number;
    cluster.apply(&add(1, "5-6")).unwrap();
    cluster.apply(&del).unwrap();
    let stale = Change::SlotsClosed { shard: shard(1), number: first, kept: slots("") };
    assert_eq!(cluster.apply(&stale), Ok(Outcome::Unchanged));
    assert!(cluster.owner(slot(5)).is_some());
}

//! How clusters form, change and end, command by command.

use slot::SlotSet;

use super::{First, Topology};
use crate::{Change, ClusterId, Endpoint, Joiner, NodeId, Outcome, Refusal, ReplicaId, ShardId};

fn slots(text: &str) -> SlotSet {
    text.parse().unwrap()
}

fn node(number: u8) -> NodeId {
    NodeId([number; 20])
}

fn shard(number: u8) -> ShardId {
    ShardId(u128::from(number))
}

fn single(number: u8) -> Topology {
    let own = u64::from(number) * 1000;
    Topology::single(First {
        cluster: ClusterId(u128::from(number)),
        node: node(number),
        endpoint: Endpoint { ip: "127.0.0.1".to_owned(), port: 7000 + u16::from(number), ..Endpoint::default() },
        meta_replica: ReplicaId(own),
        shard: shard(number),
        replica: ReplicaId(own + 1),
    })
}

fn add(number: u8, of: &str) -> Change {
    Change::AddSlots { node: node(number), slots: slots(of) }
}

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
    let busy = |number| Err(Refusal::SlotBusy(slot::Slot::new(number).unwrap()));
    assert_eq!(cluster.apply(&add(2, "9-12")), busy(9));
    let del = Change::DelSlots { node: node(1), slots: slots("5") };
    assert_eq!(cluster.apply(&Change::DelSlots { node: node(2), slots: slots("5") }), {
        Err(Refusal::SlotOfAnother(slot::Slot::new(5).unwrap()))
    });
    assert_eq!(cluster.apply(&del), Ok(Outcome::Changed));
    assert_eq!(cluster.apply(&del), Err(Refusal::SlotUnassigned(slot::Slot::new(5).unwrap())));
    let closing = cluster.shards()[&shard(1)].closing[0].clone();
    assert_eq!(closing.number, cluster.shards()[&shard(1)].fence().version);
    assert_eq!(cluster.shards()[&shard(1)].fence().slots, slots("0-4 6-9"));
    assert_eq!(cluster.apply(&add(2, "5")), busy(5));
    let closed = Change::SlotsClosed { shard: shard(1), number: closing.number, kept: slots("5") };
    assert_eq!(cluster.apply(&closed), Ok(Outcome::Changed));
    assert_eq!(cluster.apply(&closed), Ok(Outcome::Unchanged));
    assert_eq!(cluster.apply(&add(2, "5")), Err(Refusal::SlotHasKeys(slot::Slot::new(5).unwrap())));
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
    assert!(cluster.owner(slot::Slot::new(5).unwrap()).is_some());
}

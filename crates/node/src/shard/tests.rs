use super::*;

const ROUTE: Route = Route { io: 0, place: 0, generation: 0, client: 0 };

fn leading_shard() -> Arc<Shard> {
    let keyspace = Keyspace::new(keyspace::Settings::new([1, 2]));
    let shard = Arc::new(Shard::new(keyspace, Fence::All, Arc::from([Inbox::default()]), Arc::default()));
    shard.stand(Standing::Leading);
    shard
}

/// A shard of a cluster whose slots are served elsewhere once it is told so.
fn leading_shard_of_a_cluster() -> (Arc<Shard>, Arc<AtomicBool>) {
    let keyspace = Keyspace::new(keyspace::Settings::new([1, 2]));
    let shard = Arc::new(Shard::new(keyspace, Fence::closed(), Arc::from([Inbox::default()]), Arc::default()));
    let is_known = Arc::new(AtomicBool::new(false));
    let known = Arc::clone(&is_known);
    shard.redirect_by(Box::new(move |slot| known.load(Ordering::Relaxed).then(|| format!("MOVED {slot} there"))));
    shard.stand(Standing::Leading);
    (shard, is_known)
}

fn add_write(shard: &Shard) {
    let mut staged = Staged::default();
    staged.write(0, b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n");
    assert_eq!(shard.add(&mut staged, ROUTE, Protocol::Resp2), Added::Accepted);
}

fn context() -> SealContext {
    SealContext { term: 1, now_ns: 1, wall_ms: 1, seed: 1, tick: false }
}

#[test]
fn a_refused_batch_is_not_sealed_anew_before_a_tick() {
    let shard = leading_shard();
    add_write(&shard);
    let sealed = shard.seal(context()).unwrap();
    sealed.waiter.refused(Refusal::NoLease);
    assert!(shard.seal(context()).is_none(), "asking without a pause would never end");
    shard.retry();
    assert!(shard.seal(context()).is_some());
}

#[test]
fn a_refused_batch_is_sealed_anew_when_the_standing_changes() {
    let shard = leading_shard();
    add_write(&shard);
    shard.seal(context()).unwrap().waiter.refused(Refusal::NotLeader);
    shard.stand(Standing::Leaderless);
    shard.stand(Standing::Leading);
    assert!(shard.seal(SealContext { term: 2, ..context() }).is_some());
}

#[test]
fn what_waits_while_a_hidden_replica_leads_is_sent_to_the_one_that_it_hands_over_to() {
    let (shard, is_known) = leading_shard_of_a_cluster();
    shard.pause(true);
    add_write(&shard);
    shard.stand(Standing::Leaderless);
    // It was on its way to the batch when the leadership ended.
    add_write(&shard);
    shard.stand(Standing::Awaiting);
    add_write(&shard);
    shard.give_up_overdue(1);
    shard.give_up_overdue(1 + HOLD_MAX_NS + 1);
    assert_eq!(shard.inboxes[0].take(), "");
    is_known.store(true, Ordering::Relaxed);
    shard.stand(Standing::Following);
    assert_eq!(shard.inboxes[0].take(), "-MOVED 3432 there\r\n".repeat(3));
    let mut staged = Staged::default();
    staged.write(0, b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n");
    assert_eq!(shard.add(&mut staged, ROUTE, Protocol::Resp2), Added::Refused(READONLY));
}

#[test]
fn what_waits_for_a_hidden_replica_in_vain_is_told_that_nobody_serves_it() {
    let (shard, _) = leading_shard_of_a_cluster();
    shard.pause(true);
    add_write(&shard);
    shard.stand(Standing::Awaiting);
    shard.give_up_overdue(1);
    shard.give_up_overdue(1 + AWAIT_MAX_NS + 1);
    assert_eq!(shard.inboxes[0].take(), format!("-{}\r\n", faces::DOWN));
}

#[test]
fn elsewhere_than_in_a_cluster_nothing_is_kept_for_the_next_leader() {
    let shard = leading_shard();
    shard.stand(Standing::Leaderless);
    let mut staged = Staged::default();
    staged.write(0, b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n");
    assert_eq!(shard.add(&mut staged, ROUTE, Protocol::Resp2), Added::Refused(NOREPLICAS));
}

/// Like raft and apply: commits an entry, runs it if it follows `last`, and finishes its waiter.
fn apply(shard: &Shard, sealed: Sealed, last: &mut u64) -> Option<u64> {
    let Sealed { payload, mut waiter, term } = sealed;
    waiter.committed(LogId { term, index: 1 });
    let mut ranges = resp::ArgumentRanges::default();
    let (header, _) = crate::entry::Reader::open(&payload, &mut ranges).unwrap();
    let follows = header.sequence == *last + 1;
    let taken = if follows { waiter.take().and_then(|batch| batch.ordinal) } else { None };
    if follows {
        *last = header.sequence;
    }
    shard.applied(1, term, Some(*last));
    waiter.finish();
    taken
}

/// A shard whose first entry was applied: the sequence is known.
fn shard_with_history() -> (Arc<Shard>, u64) {
    let shard = leading_shard();
    shard.seal(SealContext { tick: true, ..context() }).unwrap();
    shard.applied(1, 1, Some(0));
    (shard, 0)
}

/// Seals a batch that is worth a round of its own.
fn seal_worth(shard: &Arc<Shard>) -> Sealed {
    (0..BATCH_COMMANDS_WORTH).for_each(|_| add_write(shard));
    shard.seal(context()).unwrap()
}

#[test]
fn refused_batches_keep_the_order_of_their_first_sealing() {
    let (shard, mut last) = shard_with_history();
    let [one, two, three] = std::array::from_fn(|_| seal_worth(&shard));
    // The first is refused, the second accepted and found out of sequence, after the third was refused.
    one.waiter.refused(Refusal::NoLease);
    three.waiter.refused(Refusal::NoLease);
    add_write(&shard);
    shard.retry();
    assert!(shard.seal(context()).is_none(), "while one is on its way nothing can be sealed behind it");
    assert_eq!(apply(&shard, two, &mut last), None);
    let again: Vec<_> = (0..4)
        .map(|_| {
            let sealed = shard.seal(context()).unwrap();
            apply(&shard, sealed, &mut last)
        })
        .collect();
    assert_eq!(again, [Some(2), Some(3), Some(4), Some(5)]);
}

#[test]
fn what_was_answered_as_uncertain_still_counts_in_the_sequence() {
    let (shard, mut last) = shard_with_history();
    let late = seal_worth(&shard);
    // Raft has it, and nothing is heard of it for so long that its clients are answered.
    shard.give_up_overdue(UNCERTAIN_AFTER_NS + 2);
    let [two, three] = std::array::from_fn(|_| seal_worth(&shard));
    // Were its place in the sequence given away, the second would be refused and land behind the third.
    assert_eq!(apply(&shard, late, &mut last), None, "it is applied, for nobody");
    assert_eq!(apply(&shard, two, &mut last), Some(3));
    assert_eq!(apply(&shard, three, &mut last), Some(4));
}

#[test]
fn what_is_large_and_what_is_behind_it_is_given_more_time_and_keeps_its_bytes() {
    let (shard, mut last) = shard_with_history();
    let mut staged = Staged::default();
    let value = vec![b'x'; 4 << 20];
    let mut raw = Vec::new();
    resp::write_command(&mut raw, [&b"SET"[..], b"n", &value]);
    staged.write(0, &raw);
    assert_eq!(shard.add(&mut staged, ROUTE, Protocol::Resp2), Added::Accepted);
    assert!(staged.is_empty(), "the run is the batch's now");
    let large = shard.seal(context()).unwrap();
    let behind = seal_worth(&shard);
    assert!(large.payload.ends_with(&raw));
    shard.give_up_overdue(UNCERTAIN_AFTER_NS + 4 * PATIENCE_PER_MIB_NS);
    assert_eq!(apply(&shard, large, &mut last), Some(2));
    assert_eq!(apply(&shard, behind, &mut last), Some(3));
}

/// A client that waits for `k`.
fn park(shard: &Shard) {
    let (raw, mut ranges) = (b"*3\r\n$5\r\nBLPOP\r\n$1\r\nk\r\n$1\r\n0\r\n", resp::ArgumentRanges::default());
    let spec = commands::resolve(resp::parse_stored(raw, &mut ranges).unwrap()).unwrap();
    let waiter = crate::blocking::Waiter::new(ROUTE, Protocol::Resp2, 0, raw, spec, false);
    assert!(shard.with_waiters(|blocking| blocking.park(waiter)).is_ok());
}

fn add_push(shard: &Shard) {
    let mut staged = Staged::default();
    staged.write(0, b"*3\r\n$5\r\nRPUSH\r\n$1\r\nk\r\n$1\r\nx\r\n");
    assert_eq!(shard.add(&mut staged, ROUTE, Protocol::Resp2), Added::Accepted);
}

#[test]
fn who_waits_is_told_when_leadership_ends() {
    let shard = leading_shard();
    park(&shard);
    shard.stand(Standing::Leaderless);
    assert!(shard.inboxes[0].take().starts_with("-UNBLOCKED force unblock"));
    assert!(!shard.is_waited_on());
}

#[test]
fn what_a_waiter_popped_in_a_lost_entry_is_uncertain() {
    let shard = leading_shard();
    park(&shard);
    add_push(&shard);
    let sealed = shard.seal(context()).unwrap();
    assert_eq!(shard.unblock(ROUTE.client, crate::blocking::Leaving::Unblocked), Ended::NotYet);
    drop(sealed.waiter);
    assert_eq!(shard.inboxes[0].take(), format!("-{UNCERTAIN}\r\n").repeat(2));
    assert!(!shard.is_waited_on());
}

#[test]
fn a_waiter_whose_entry_is_refused_has_its_place_again() {
    let shard = leading_shard();
    park(&shard);
    add_push(&shard);
    shard.seal(context()).unwrap().waiter.refused(Refusal::NoLease);
    shard.give_up_overdue(2 + HOLD_MAX_NS);
    assert_eq!(shard.inboxes[0].take(), format!("-{NOREPLICAS}\r\n"));
    // It is launched once more, in case that there was something for it already.
    shard.retry();
    let again = shard.seal(context()).unwrap();
    assert_eq!(shard.unblock(ROUTE.client, crate::blocking::Leaving::Unblocked), Ended::NotYet);
    drop(again);
    assert!(shard.inboxes[0].take().starts_with("-UNCERTAIN"));
}

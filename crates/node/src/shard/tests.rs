use super::*;

const ROUTE: Route = Route { io: 0, place: 0, generation: 0 };

fn leading_shard() -> Arc<Shard> {
    let keyspace = Keyspace::new(keyspace::Settings::new([1, 2]));
    let shard = Arc::new(Shard::new(keyspace, Arc::from([Inbox::default()])));
    shard.stand(Standing::Leading);
    shard
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

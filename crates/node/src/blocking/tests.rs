use super::*;

fn waiter(client: u64, line: &str) -> Waiter {
    let (mut raw, mut ranges) = (Vec::new(), ArgumentRanges::default());
    resp::write_command(&mut raw, line.split(' ').collect::<Vec<_>>());
    let spec = commands::resolve(resp::parse_stored(&raw, &mut ranges).unwrap()).unwrap();
    Waiter::new(Route { io: 0, place: 0, generation: 0, client }, Protocol::Resp2, 0, &raw, spec, false)
}

fn waiting(lines: &[&str]) -> Blocking {
    let mut blocking = Blocking::default();
    blocking.lead(true);
    for (client, line) in (1..).zip(lines) {
        assert!(blocking.park(waiter(client, line)).is_ok());
    }
    blocking
}

#[test]
fn they_stand_in_the_order_in_which_they_came() {
    let mut blocking = waiting(&["BLPOP a b 0", "BRPOP b 0", "BLMOVE b a LEFT LEFT 0"]);
    assert_eq!(blocking.launchable(0, b"b", 9, |_| true), [1, 2, 3]);
    assert_eq!(blocking.launchable(0, b"b", 2, |wants| wants == ValueType::List), [1, 2]);
    assert_eq!(blocking.launchable(0, b"b", 9, |wants| wants == ValueType::Stream), []);
    // Nobody waits for the list that elements are moved to.
    assert_eq!(blocking.launchable(0, b"a", 9, |_| true), [1]);
    assert!(blocking.launch(1).is_some() && blocking.launch(1).is_none());
    assert_eq!(blocking.launchable(0, b"b", 9, |_| true), [2, 3]);
    assert!(blocking.come_back(1).is_none());
    assert_eq!(blocking.launchable(0, b"b", 9, |_| true), [1, 2, 3]);
    assert_eq!(blocking.key_counts(), (2, 0));
}

#[test]
fn who_is_in_flight_leaves_with_the_outcome() {
    let mut blocking = waiting(&["BLPOP a 0", "BLPOP a 0"]);
    blocking.launch(1);
    assert!(matches!(blocking.withdraw(1, Leaving::Timeout, true), Withdrawn::InFlight));
    assert!(blocking.dismiss(|_| true).iter().all(|waiter| waiter.route.client == 2));
    let (left, leaving) = blocking.come_back(1).unwrap();
    assert_eq!(left.farewell(leaving).unwrap(), b"*-1\r\n");
    assert!(matches!(blocking.withdraw(1, Leaving::Gone, true), Withdrawn::NotThere));
    assert_eq!((blocking.len(), blocking.key_counts()), (0, (0, 0)));
}

#[test]
fn nobody_waits_for_a_pop_where_another_replica_leads() {
    let mut blocking = waiting(&[]);
    blocking.lead(false);
    assert!(blocking.park(waiter(1, "BLPOP a 0")).is_err());
    let stale = Waiter { stale: true, ..waiter(2, "XREAD BLOCK 0 STREAMS a 0") };
    assert!(blocking.park(stale).is_ok());
    blocking.close();
    assert!(blocking.park(Waiter { stale: true, ..waiter(3, "XREAD BLOCK 0 STREAMS a 0") }).is_err());
}

#[test]
fn consumers_of_groups_hear_of_deletions() {
    let blocking =
        waiting(&["XREADGROUP GROUP g c BLOCK 0 STREAMS a b > >", "BZPOPMIN a 0", "XREAD BLOCK 0 STREAMS a 0"]);
    assert_eq!(blocking.key_counts(), (2, 2));
    assert!(blocking.is_waited_for(0, b"a", false) && !blocking.is_waited_for(0, b"b", false));
    assert!(!blocking.is_waited_for(1, b"a", true));
}

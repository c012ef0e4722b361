use super::*;

const fn log(index: u64) -> Option<LogId> {
    Some(LogId { term: 1, index })
}

/// Which of the voters 0, 1, … go on that are in doubt, given what is so of each.
fn go_on(voters: &[Known]) -> Vec<u64> {
    let all: BTreeMap<_, _> = (0..).map(ReplicaId).zip(voters.iter().copied()).collect();
    let needed = |(&replica, known): (&ReplicaId, &Known)| {
        let Doubtful(last) = *known else { return None };
        let others = all.iter().filter(|(id, _)| **id != replica).map(|(id, known)| (*id, *known)).collect();
        is_needed((last, replica), &others, |these| these.len() * 2 > voters.len()).then_some(replica.0)
    };
    all.iter().filter_map(needed).collect()
}

use Known::{Doubtful, Gone, Whole};

#[test]
fn as_few_go_on_as_can_decide_and_they_have_the_longest_logs() {
    assert_eq!(go_on(&[Doubtful(log(5)), Doubtful(log(7)), Doubtful(log(6))]), [1, 2]);
    assert_eq!(
        go_on(&[Doubtful(None), Doubtful(log(7)), Doubtful(log(6)), Doubtful(log(9)), Doubtful(log(8))]),
        [1, 3, 4]
    );
    assert_eq!(go_on(&[Doubtful(log(5)), Whole, Doubtful(log(6))]), [2]);
    assert_eq!(go_on(&[Doubtful(log(5)), Doubtful(log(6))]), [0, 1]);
    assert_eq!(go_on(&[Doubtful(None)]), [0]);
}

#[test]
fn nobody_goes_on_where_the_others_can_decide() {
    assert_eq!(go_on(&[Doubtful(log(5)), Whole, Whole]), [0; 0]);
    assert_eq!(go_on(&[Doubtful(log(9)), Whole, Whole, Whole, Doubtful(log(8))]), [0; 0]);
}

#[test]
fn equal_logs_go_on_together_unless_somebody_is_whole() {
    assert_eq!(go_on(&[Doubtful(log(5)); 3]), [0, 1, 2]);
    assert_eq!(go_on(&[Doubtful(log(5)), Doubtful(log(5)), Doubtful(log(4))]), [0, 1]);
    // A majority of two that are alike could decide without the one that may have more.
    assert_eq!(go_on(&[Whole, Doubtful(log(5)), Doubtful(log(5))]), [2]);
}

#[test]
fn nobody_waits_for_a_voter_that_is_gone() {
    assert_eq!(go_on(&[Gone, Doubtful(log(5)), Doubtful(log(6))]), [1, 2]);
    assert_eq!(go_on(&[Gone, Whole, Doubtful(None)]), [2]);
    // Had this one waited for the fresh replica on the node of the one that is gone, nobody would ever lead.
    assert_eq!(go_on(&[Whole, Gone, Doubtful(log(1)), Gone, Doubtful(log(2))]), [2, 4]);
}

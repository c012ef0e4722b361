//! What is durable when: shown by a store that withholds, and by `appendfsync`.

use raft::{Durability, LogChange, LogStore};

use super::*;

/// Long enough to copy a directory in it.
const HELD: Duration = Duration::from_millis(500);

fn withholding(dir: &TestDir) -> Store {
    open(&Options { withhold: Some(HELD), ..dir.options() }).unwrap().store
}

#[test]
fn nothing_is_on_the_disk_before_its_sync_and_everything_after_it() {
    let dir = TestDir::new();
    let store = withholding(&dir);
    write(&store, GROUP, append(1, 0..1, 10));
    let wait = submit(&store, GROUP, append(1, 1..2, 10));
    let before = dir.copy();
    assert!(wait.try_recv().is_err(), "the copy has to be made while the sync is held up");
    wait.recv().unwrap().unwrap();
    let after = dir.copy();
    assert_eq!(before.open().store.load(GROUP).unwrap().last, Some(id(1, 0)));
    assert_eq!(after.open().store.load(GROUP).unwrap().last, Some(id(1, 1)));
}

#[test]
fn a_vote_is_durable_and_marked_when_it_is_answered_also_in_a_relaxed_group() {
    let dir = TestDir::new();
    let store = withholding(&dir);
    store.set_durability(GROUP, Durability::No);
    write(&store, GROUP, LogChange::Vote(bytes("first")));
    let after = dir.copy();
    let marks = crate::marks::Marks::open(&after.data().join("marks")).unwrap().unwrap();
    assert_eq!(marks.groups[&GROUP].vote, bytes("first"));
    assert_eq!(after.open().store.load(GROUP).unwrap().vote, Some(bytes("first")));
}

#[test]
fn a_relaxed_group_answers_before_its_sync_and_loses_only_what_marks_does_not_name() {
    for durability in [Durability::EverySecond, Durability::No] {
        let dir = TestDir::new();
        let store = withholding(&dir);
        store.set_durability(GROUP, durability);
        write(&store, GROUP, append(1, 0..3, 10));
        assert_eq!(dir.copy().open().store.load(GROUP).unwrap().last, None);
        // A sync for another group takes it along.
        write(&store, OTHER, append(1, 0..1, 10));
        assert_eq!(dir.copy().open().store.load(GROUP).unwrap().last, Some(id(1, 2)));
    }
}

/// Opens the directory as after a loss of power: what was not synced is taken for lost.
fn open_after_power_loss(dir: &TestDir) -> Store {
    open(&Options { withhold: Some(Duration::ZERO), ..dir.options() }).unwrap().store
}

fn is_unsure(store: &Store, group: GroupId) -> bool {
    store.load(group).unwrap().unsure
}

#[test]
fn a_relaxed_log_is_unsure_after_a_loss_of_power_until_it_is_vouched_for() {
    let dir = TestDir::new();
    let store = dir.open().store;
    store.set_durability(GROUP, Durability::No);
    write(&store, GROUP, append(1, 0..3, 10));
    write(&store, OTHER, append(1, 0..3, 10));
    let cut = dir.copy();
    assert!(!is_unsure(&cut.open().store, GROUP), "the machine runs on, and has all that was written");
    let store = open_after_power_loss(&dir.copy());
    assert!(is_unsure(&store, GROUP) && !is_unsure(&store, OTHER));
    store.close();

    let cut = dir.copy();
    let store = open_after_power_loss(&cut);
    store.close();
    let store = open_after_power_loss(&cut);
    assert!(is_unsure(&store, GROUP), "an orderly stop in between changes nothing");
    write(&store, GROUP, append(1, 3..4, 10));
    assert!(is_unsure(&store, GROUP), "neither does what is appended");
    write(&store, GROUP, LogChange::Vouch);
    assert!(!is_unsure(&store, GROUP));
    let again = open_after_power_loss(&cut.copy());
    assert!(!is_unsure(&again, GROUP), "it was not relaxed since");
    write(&store, GROUP, LogChange::Doubt);
    assert!(is_unsure(&store, GROUP) && is_unsure(&cut.copy().open().store, GROUP), "whether power is lost or not");
    write(&store, GROUP, LogChange::Forget);
    assert!(!is_unsure(&store, GROUP));
}

/// What a sync notes of a group is written later; the first answer without one must not come before it.
#[test]
fn a_relaxed_log_is_unsure_also_right_behind_its_first_sync() {
    let dir = TestDir::new();
    let store = dir.open().store;
    store.set_durability(GROUP, Durability::EverySecond);
    write(&store, GROUP, LogChange::Sync);
    write(&store, GROUP, append(1, 0..3, 10));
    let cut = dir.copy();
    assert!(is_unsure(&open_after_power_loss(&cut), GROUP));
}

#[test]
fn a_relaxed_log_that_was_closed_or_became_strict_is_not_unsure() {
    let dir = TestDir::new();
    let store = open_after_power_loss(&dir);
    store.set_durability(GROUP, Durability::EverySecond);
    write(&store, GROUP, append(1, 0..3, 10));
    store.close();
    drop(store);
    let store = open_after_power_loss(&dir);
    assert!(!is_unsure(&store, GROUP));
    store.set_durability(GROUP, Durability::EverySecond);
    write(&store, GROUP, append(1, 3..6, 10));
    store.set_durability(GROUP, Durability::Always);
    write(&store, GROUP, append(1, 6..9, 10));
    write(&store, GROUP, LogChange::Vote(bytes("writes marks")));
    assert!(!is_unsure(&open_after_power_loss(&dir.copy()), GROUP));
}

#[test]
fn a_sync_makes_a_relaxed_group_durable() {
    let dir = TestDir::new();
    let store = withholding(&dir);
    store.set_durability(GROUP, Durability::No);
    write(&store, GROUP, append(1, 0..3, 10));
    assert_eq!(store.synced(GROUP), None, "it was answered, and is not on the disk");
    write(&store, GROUP, LogChange::Sync);
    assert_eq!(store.synced(GROUP), Some(id(1, 2)));
    assert_eq!(dir.copy().open().store.load(GROUP).unwrap().last, Some(id(1, 2)));
    write(&store, GROUP, append(1, 3..5, 10));
    assert_eq!(store.synced(GROUP), Some(id(1, 2)));
    write(&store, GROUP, LogChange::Truncate { keep: Some(1) });
    assert_eq!(store.synced(GROUP), Some(id(1, 1)), "what is cut off is not there any more");
}

#[test]
fn every_second_is_synced_without_being_asked() {
    let dir = TestDir::new();
    let store = open(&Options { withhold: Some(Duration::ZERO), ..dir.options() }).unwrap().store;
    store.set_durability(GROUP, Durability::EverySecond);
    write(&store, GROUP, append(1, 0..3, 10));
    let deadline = Duration::from_secs(10);
    wait_for(deadline, || dir.copy().open().store.load(GROUP).unwrap().last == Some(id(1, 2)));
}

#[test]
fn marks_and_commit_marks_follow_without_being_asked() {
    let dir = TestDir::new();
    let store = dir.open().store;
    write(&store, GROUP, append(1, 0..3, 10));
    write(&store, GROUP, LogChange::Committed(id(1, 1)));
    wait_for(Duration::from_secs(10), || {
        let copy = dir.copy();
        let marks = crate::marks::Marks::open(&copy.data().join("marks")).unwrap().unwrap();
        let marked = marks.groups.get(&GROUP).is_some_and(|mark| mark.durable == Some(id(1, 2)));
        marked && copy.open().store.load(GROUP).unwrap().committed == Some(id(1, 1))
    });
}

/// Looks again and again until the condition holds.
#[expect(clippy::disallowed_methods, reason = "a deadline for a store that has threads of its own")]
fn wait_for(deadline: Duration, mut holds: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !holds() {
        assert!(begin.elapsed() < deadline, "still not");
    }
}

use crate::*;

fn keyspace() -> Keyspace {
    Keyspace::new(Settings::new([1, 2]))
}

fn at(now_ms: u64) -> Context {
    Context::of_entry(0, now_ms, 0)
}

fn text(keyspace: &Keyspace, context: &Context, key: &[u8]) -> Option<Vec<u8>> {
    keyspace.string(context, key).unwrap().map(|string| string.to_bytes().into_owned())
}

#[test]
fn sets_replaces_and_removes() {
    let (mut keyspace, now) = (keyspace(), at(1));
    for length in [0, 1, 64, 64, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, 100_000, 3] {
        let value = vec![b'v'; length];
        keyspace.set_string(&now, b"key", &value, DeadlineChange::Clear);
        assert_eq!(text(&keyspace, &now, b"key"), Some(value));
        assert_eq!(keyspace.key_count(0), 1);
    }
    assert!(keyspace.remove(&now, b"key"));
    assert!(!keyspace.remove(&now, b"key"));
    assert_eq!((keyspace.key_count(0), keyspace.allocated_bytes()), (0, 0));
}

/// A small hash is in the record of its key; on its way to a big one and back, and with deadlines, it is booked as what it is.
#[test]
fn small_hashes_are_booked_as_they_grow_and_go() {
    let (mut keyspace, now) = (keyspace(), at(1));
    let settings = *keyspace.settings();
    for (length, round) in [3, 40, 60, 200].into_iter().cycle().zip(0..12u8) {
        for field in 0..round + 1 {
            keyspace.begin_command();
            let mut hash = keyspace.edit_or_new::<HashValue>(&now, b"hash").unwrap();
            hash.insert(&[b'f', field], &vec![b'v'; length], DeadlineChange::Keep, &settings);
            drop(hash);
            keyspace.set_deadline(&now, b"hash", (round % 2 == 0).then_some(1000));
        }
        let context = at(2);
        let hash = keyspace.read_hash(&context, b"hash").unwrap().unwrap();
        assert_eq!(hash.get(&[b'f', 0]), Some(&vec![b'v'; length][..]));
        assert_eq!(keyspace.deadline_ms(&context, b"hash"), Some((round % 2 == 0).then_some(1000)));
        assert_eq!(keyspace.string(&context, b"hash").err(), Some(DataError::WrongType));
        assert!(keyspace.edit::<SetValue>(&context, b"hash").is_err());
        if round % 3 == 2 {
            let (value, _) = keyspace.take(&context, b"hash").unwrap();
            assert_eq!(keyspace.allocated_bytes(), 0);
            keyspace.put(&context, b"hash", value, None);
        }
    }
    let fields = 12u8;
    for field in 0..fields {
        keyspace.edit::<HashValue>(&now, b"hash").unwrap().unwrap().remove(&[b'f', field]);
    }
    assert_eq!((keyspace.key_count(0), keyspace.allocated_bytes()), (0, 0));
}

#[test]
fn big_values_are_handed_out() {
    let (mut keyspace, now) = (keyspace(), at(1));
    keyspace.set_string(&now, b"key", &[0; 1_000_000], DeadlineChange::Clear);
    keyspace.remove(&now, b"key");
    assert_eq!(keyspace.take_effects().discarded.len(), 1);
}

#[test]
fn deadlines_hide_and_remove() {
    let mut keyspace = keyspace();
    keyspace.set_string(&at(1), b"a", b"1", DeadlineChange::At(10));
    keyspace.set_string(&at(1), b"b", b"1", DeadlineChange::At(5));
    keyspace.set_string(&at(1), b"b", b"2", DeadlineChange::Keep);
    assert_eq!(keyspace.next_deadline_ms(), Some(5));
    assert!(keyspace.exists(&at(4), b"b"));
    assert!(!keyspace.exists(&at(5), b"b"));
    assert_eq!(keyspace.remove_due(20, 1), 1);
    assert_eq!(keyspace.key_count(0), 1);
    // A write does not see what is due but still there.
    assert_eq!(keyspace.increment(&at(20), b"a", 1), Ok(1));
    assert_eq!(keyspace.deadline_ms(&at(20), b"a"), Some(None));
    assert_eq!(keyspace.remove_due(20, 9), 0);
    assert_eq!(keyspace.take_effects().expired_count, 2);
}

#[test]
fn what_nothing_else_removes_goes_with_the_entry_that_meets_it() {
    let mut keyspace = keyspace();
    keyspace.set_expires_actively(false);
    for key in [b"a", b"b", b"c"] {
        keyspace.set_string(&at(1), key, b"1", DeadlineChange::At(10));
    }
    assert_eq!((keyspace.remove_due(20, 9), keyspace.key_count(0)), (0, 3));
    // By the wall clock alone it is due: the entry will see it so.
    let between = Context::of_read(0, 9, 10, 0);
    assert!(keyspace.exists(&between, b"a") && between.leaves.get());
    let context = at(20);
    assert!(!keyspace.exists(&context, b"c") && context.leaves.get());
    keyspace.remove_met(&context);
    assert_eq!(keyspace.key_count(0), 2);
    assert!(keyspace.scan(&context, 0, 9, |_| true).keys.is_empty());
    keyspace.set_string(&context, b"a", b"2", DeadlineChange::Clear);
    keyspace.remove_met(&context);
    assert_eq!(keyspace.key_count(0), 1, "a was written since it was met");
}

#[test]
fn a_read_tells_that_only_the_wall_clock_sees_a_deadline_pass() {
    let mut keyspace = keyspace();
    keyspace.set_string(&at(1), b"a", b"1", DeadlineChange::At(10));
    let before = Context::of_read(0, 5, 9, 0);
    assert!(keyspace.exists(&before, b"a") && !before.met_deadline.get());
    let between = Context::of_read(0, 5, 10, 0);
    assert!(keyspace.exists(&between, b"a") && between.met_deadline.get());
    let after = Context::of_read(0, 10, 11, 0);
    assert!(!keyspace.exists(&after, b"a") && !after.met_deadline.get());
}

#[test]
fn a_read_marks_the_time_of_the_read() {
    let mut keyspace = keyspace();
    keyspace.set_string(&at(1_000), b"key", b"value", DeadlineChange::Clear);
    // The log stands still while nothing is written.
    let read = |wall_ms| Context::of_read(0, 1_000, wall_ms, 0);
    assert!(keyspace.touch(&read(1_000), b"key"));
    assert_eq!(keyspace.idle_seconds(&read(9_000), b"key"), Some(8));
    assert!(keyspace.touch(&read(9_000), b"key"));
    assert_eq!(keyspace.idle_seconds(&read(9_000), b"key"), Some(0));
    assert_eq!(keyspace.idle_seconds(&read(11_000), b"key"), Some(2));
}

#[test]
fn watch_sees_changes_and_nothing_else() {
    let (mut keyspace, now) = (keyspace(), at(1));
    let absent = keyspace.watch_mark(&now, b"a");
    keyspace.begin_command();
    keyspace.set_string(&now, b"b", b"1", DeadlineChange::Clear);
    assert!(keyspace.is_unchanged(&now, b"a", absent));
    keyspace.begin_command();
    keyspace.set_string(&now, b"a", b"1", DeadlineChange::Clear);
    assert!(!keyspace.is_unchanged(&now, b"a", absent));
    let present = keyspace.watch_mark(&now, b"a");
    assert!(keyspace.is_unchanged(&now, b"a", present));
    keyspace.begin_command();
    keyspace.remove(&now, b"a");
    // It is absent again, but it was there.
    assert!(!keyspace.is_unchanged(&now, b"a", absent));
    assert!(!keyspace.is_unchanged(&now, b"a", present));
    let absent = keyspace.watch_mark(&now, b"a");
    for round in 0..=4096 {
        assert!(keyspace.is_unchanged(&now, b"a", absent), "{round}");
        keyspace.begin_command();
        keyspace.set_string(&now, b"c", b"1", DeadlineChange::Clear);
        keyspace.remove(&now, b"c");
    }
    assert!(!keyspace.is_unchanged(&now, b"a", absent), "its deletion may be among the forgotten ones");
}

/// A key that was due when it was watched has not changed by being removed; one that came after, and is due by now, has.
#[test]
fn watch_overlooks_that_what_is_due_is_removed() {
    let removals: [fn(&mut Keyspace, &Context); 5] = [
        |keyspace, now| assert!(!keyspace.remove(now, b"a")),
        |keyspace, now| assert_eq!(keyspace.remove_due(now.now_ms, 10), 1),
        |keyspace, _| assert!(keyspace.flush(0)),
        |keyspace, _| keyspace.swap(0, 1),
        |_, _| (),
    ];
    for remove in removals {
        let mut keyspace = keyspace();
        let due = |keyspace: &mut Keyspace, now: &Context| {
            keyspace.begin_command();
            keyspace.set_string(now, b"a", b"1", DeadlineChange::At(now.now_ms + 10));
            keyspace.clock_ms = now.now_ms + 10;
        };
        due(&mut keyspace, &at(1));
        // The leader's clock is in front of the log's.
        let by_wall = keyspace.watch_mark(&Context::of_read(0, 5, 20, 0), b"a");
        let by_log = keyspace.watch_mark(&at(20), b"a");
        assert!(!by_wall.present && by_wall == by_log);
        assert!(keyspace.is_unchanged(&Context::of_read(0, 5, 20, 0), b"a", by_wall));
        keyspace.begin_command();
        remove(&mut keyspace, &at(20));
        assert!(keyspace.is_unchanged(&at(20), b"a", by_log));
        due(&mut keyspace, &at(20));
        assert!(!keyspace.is_unchanged(&at(30), b"a", by_log), "it came and is due again");
        keyspace.begin_command();
        remove(&mut keyspace, &at(30));
        assert!(!keyspace.is_unchanged(&at(30), b"a", by_log), "it came and went");
    }
}

/// Many keys that expire after a long time do not make those be forgotten that were deleted lately.
#[test]
fn old_keys_that_expire_take_no_room_among_the_deletions() {
    let (mut keyspace, now) = (keyspace(), at(1));
    for number in 0..5000u32 {
        keyspace.set_string(&now, &number.to_le_bytes(), b"", DeadlineChange::At(10));
    }
    for number in 0..4096u32 {
        keyspace.begin_command();
        keyspace.set_string(&now, b"b", b"", DeadlineChange::Clear);
        keyspace.remove(&now, b"b");
        assert_eq!(keyspace.deletions.parts().1.len(), number as usize + 1);
    }
    let absent = keyspace.watch_mark(&now, b"a");
    assert_eq!(keyspace.remove_due(10, 5000), 5000);
    assert!(keyspace.is_unchanged(&at(10), b"a", absent));
    assert!(keyspace.deletions.parts().1.is_sorted_by_key(|(revision, _)| revision));
}

#[test]
fn one_command_draws_one_revision() {
    let (mut keyspace, now) = (keyspace(), at(1));
    keyspace.begin_command();
    keyspace.remove(&now, b"a");
    assert_eq!(keyspace.revision(), 0);
    keyspace.set_string(&now, b"a", b"1", DeadlineChange::Clear);
    keyspace.set_string(&now, b"b", b"1", DeadlineChange::Clear);
    assert_eq!(keyspace.revision(), 1);
}

#[test]
fn a_frozen_state_stays() {
    let (mut keyspace, now) = (keyspace(), at(1));
    for number in 0..1000 {
        keyspace.set_string(&now, format!("key:{number}").as_bytes(), b"old", DeadlineChange::Clear);
    }
    let (frozen, digest) = (keyspace.freeze(), keyspace.digest());
    for number in 0..1000 {
        let key = format!("key:{number}").into_bytes();
        match number % 3 {
            0 => keyspace.set_string(&now, &key, b"new", DeadlineChange::At(100)),
            1 => drop(keyspace.remove(&now, &key)),
            _ => drop(keyspace.append(&now, &key, b"er").unwrap()),
        }
    }
    assert_eq!(frozen.digest(), digest);
    assert_ne!(keyspace.digest(), digest);
    assert_eq!(frozen.keys().count(), 1000);
    assert!(frozen.keys().all(|key| key.string.unwrap().to_bytes() == &b"old"[..]));
}

/// One slot of many keys is divided; everything stays findable, in order, and scans return everything once.
#[test]
fn a_slot_of_many_keys() {
    let (mut keyspace, now) = (keyspace(), at(1));
    let count = 30_000;
    let key = |number: usize| format!("{{tag}}{number}").into_bytes();
    for number in 0..count {
        keyspace.set_string(
            &now,
            &key(number),
            &vec![1; if number % 500 == 0 { 20_000 } else { 8 }],
            DeadlineChange::Clear,
        );
    }
    assert!((0..count).all(|number| keyspace.exists(&now, &key(number))));
    assert_eq!(keyspace.keys(&now).count(), count);
    let (mut cursor, mut seen) = (SCAN_DONE, Vec::new());
    loop {
        let page = keyspace.scan(&now, cursor, 1000, |_| true);
        seen.extend(page.keys.iter().map(|key| key.name.to_vec()));
        cursor = page.cursor;
        if cursor == SCAN_DONE {
            break;
        }
    }
    assert_eq!(seen.len(), count);
    assert!(keyspace.keys(&now).eq(seen.iter().map(Vec::as_slice)));
    for number in 0..count {
        assert!(keyspace.remove(&now, &key(number)));
    }
    assert_eq!((keyspace.key_count(0), keyspace.allocated_bytes()), (0, 0));
    assert_eq!(keyspace.random_key(&now), None);
}

/// A key that is there during the whole walk is returned once, whatever happens to the others.
#[test]
fn a_scan_survives_changes() {
    let (mut keyspace, now) = (keyspace(), at(1));
    let stays = |number: usize| format!("stays:{number}").into_bytes();
    let moves = |number: usize| format!("{{x}}{number}").into_bytes();
    for number in 0..500 {
        keyspace.set_string(&now, &stays(number), b"", DeadlineChange::Clear);
    }
    let (mut cursor, mut seen, mut step) = (SCAN_DONE, Vec::new(), 0);
    loop {
        let page = keyspace.scan(&now, cursor, 7, |_| true);
        seen.extend(page.keys.iter().map(|key| key.name.to_vec()).filter(|key| key.starts_with(b"stays")));
        cursor = page.cursor;
        if cursor == SCAN_DONE {
            break;
        }
        let numbers = if step < 30 { step * 300..(step + 1) * 300 } else { 0..0 };
        for number in numbers {
            keyspace.set_string(&now, &moves(number), b"", DeadlineChange::Clear);
            keyspace.remove(&now, &moves(number / 2));
        }
        step += 1;
    }
    seen.sort();
    let mut all: Vec<_> = (0..500).map(stays).collect();
    all.sort();
    assert_eq!(seen, all);
}

#[test]
fn random_keys_are_fair() {
    let (mut keyspace, now) = (keyspace(), at(1));
    for number in 0..10u8 {
        keyspace.set_string(&now, &[b'{', number % 3, b'}', number], b"", DeadlineChange::Clear);
    }
    let mut drawn = [0; 10];
    for seed in 0..10_000 {
        let context = Context::of_entry(0, 1, seed);
        drawn[usize::from(keyspace.random_key(&context).unwrap()[3])] += 1;
    }
    assert!(drawn.iter().all(|&count| (800..1200).contains(&count)), "{drawn:?}");
}

#[test]
fn databases_are_flushed_and_swapped() {
    let (mut keyspace, now) = (keyspace(), at(1));
    let absent = keyspace.watch_mark(&now, b"a");
    keyspace.set_string(&now.in_database(3), b"a", b"3", DeadlineChange::Clear);
    keyspace.begin_command();
    keyspace.swap(0, 3);
    assert_eq!(text(&keyspace, &now, b"a"), Some(b"3".to_vec()));
    keyspace.swap(3, 0);
    assert!(!keyspace.is_unchanged(&now, b"a", absent));
    assert!(keyspace.flush(3) && !keyspace.flush(3) && !keyspace.flush(0));
    assert_eq!(keyspace.allocated_bytes(), 0);
    assert_eq!(keyspace.take_effects().flushed.len(), 1);
}

/// What was frozen can be put back, and is the same state.
#[test]
fn a_frozen_state_is_restored() {
    let mut keyspace = keyspace();
    keyspace.remove_due(50, 1);
    for number in 0..500usize {
        let context = Context::of_entry(number % 3, 50, 0);
        let deadline = if number % 4 == 0 { DeadlineChange::At(1000) } else { DeadlineChange::Clear };
        keyspace.begin_command();
        keyspace.set_string(&context, format!("key:{number}").as_bytes(), &vec![7; number * 50], deadline);
        keyspace.append(&context, b"raw", b"x").unwrap();
        keyspace.remove(&context, format!("key:{}", number / 2).as_bytes());
    }
    let frozen = keyspace.freeze();
    let mut restored = Keyspace::restore(frozen.settings, frozen.clock_ms, frozen.revision, frozen.deletions.clone());
    for key in frozen.keys() {
        assert!(restored.restore_key(key.database, key.key, key.to_value(), key.deadline_ms, key.revision));
    }
    assert_eq!(restored.digest(), keyspace.digest());
    assert_eq!(restored.allocated_bytes(), keyspace.allocated_bytes());
    assert_eq!(restored.next_deadline_ms(), keyspace.next_deadline_ms());
    let forged = restored.revision() + 1;
    assert!(!restored.restore_key(0, b"k", Value::String(Vec::new(), false), None, forged));
}

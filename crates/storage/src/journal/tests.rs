//! Files that were cut, damaged, used again: what is handed over is a run of records without a gap, or an error.

use std::fs;

use super::*;
use crate::tests::TestDir;

const FILE_BYTES: u64 = 4096;

/// A record with one change, of a length that depends on nothing but `length`.
fn record(number: u64, length: usize) -> Record {
    let mut record = Record::new();
    record.insert(&number.to_be_bytes(), &vec![number.to_le_bytes()[0]; length]);
    record
}

/// A journal in a directory of its own that has the records `1..=last`.
fn filled(last: u64, length: usize, start: u64) -> (TestDir, Journal) {
    let dir = TestDir::new();
    Journal::create(&dir.data(), FILE_BYTES).unwrap();
    let mut journal = Journal::begin(&dir.data(), FILE_BYTES, 0, start).unwrap();
    append(&mut journal, 1..last + 1, length);
    (dir, journal)
}

fn append(journal: &mut Journal, numbers: Range<u64>, length: usize) {
    for number in numbers {
        let mut record = record(number, length);
        if !journal.fits(&record) {
            journal.turn().unwrap();
        }
        assert_eq!(journal.append(&mut record).unwrap(), number);
        journal.sync().unwrap();
    }
}

/// The numbers that are handed over; each record's changes are checked.
fn replayed(dir: &TestDir, held: u64, start: u64) -> Result<Vec<u64>, Error> {
    let mut numbers = Vec::new();
    let last = replay(&dir.data(), Path::new("raft"), held, start, |number, body, _| {
        let found: Vec<_> = changes(body).map(Option::unwrap).collect();
        assert!(matches!(found[..], [(key, Some(value))] if key == number.to_be_bytes()
            && value.iter().all(|byte| *byte == number.to_le_bytes()[0])));
        numbers.push(number);
        Ok(())
    })?;
    assert_eq!(last, numbers.last().copied().unwrap_or(held));
    Ok(numbers)
}

#[test]
fn changes_come_back_as_they_were_recorded_and_cut_ones_do_not() {
    let mut record = Record::new();
    assert!(record.is_empty());
    record.insert(b"key", b"value");
    record.remove(b"gone");
    record.insert(b"empty", b"");
    let found: Vec<_> = changes(record.body()).map(Option::unwrap).collect();
    assert_eq!(found, [(&b"key"[..], Some(&b"value"[..])), (b"gone", None), (b"empty", Some(b""))]);
    let cut = &record.body()[..record.body().len() - 1];
    assert_eq!(changes(cut).last(), Some(None));
}

#[test]
fn a_tail_that_was_cut_at_any_byte_ends_the_journal_there() {
    let (dir, journal) = filled(5, 30, 1);
    let path = dir.data().join("0");
    let whole = fs::read(&path).unwrap();
    let (end, length) = (usize::try_from(journal.at()).unwrap(), record(1, 30).bytes.len());
    for cut in 0..=end {
        for rest in [0, 0xFF] {
            let mut torn = whole.clone();
            torn[cut..].fill(rest);
            fs::write(&path, &torn).unwrap();
            let expected: Vec<u64> = (1..=(cut / length) as u64).collect();
            assert_eq!(replayed(&dir, 0, 1).unwrap(), expected, "cut at {cut}");
        }
    }
}

#[test]
fn a_flipped_byte_ends_the_journal_too() {
    let (dir, journal) = filled(3, 10, 1);
    let path = dir.data().join("0");
    let whole = fs::read(&path).unwrap();
    let (end, length) = (usize::try_from(journal.at()).unwrap(), record(1, 10).bytes.len());
    for at in 0..end {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&path, &flipped).unwrap();
        assert_eq!(replayed(&dir, 0, 1).unwrap(), (1..=(at / length) as u64).collect::<Vec<_>>(), "byte {at}");
    }
}

#[test]
fn what_an_earlier_turn_left_is_not_taken_for_a_record() {
    // 19 records of 205 bytes a turn: file 0 has its third turn, over records of the same length.
    let (dir, journal) = filled(43, 164, 1);
    assert_eq!((journal.current, journal.generation & 0xFF), (0, 2));
    assert_eq!(replayed(&dir, 19, 1).unwrap(), (20..=43).collect::<Vec<_>>());
    // Also with the new turn's records cut at any byte, back to the first one.
    let path = dir.data().join("0");
    let whole = fs::read(&path).unwrap();
    let (earlier, end) = (filled(19, 164, 1), usize::try_from(journal.at()).unwrap());
    let earlier = fs::read(earlier.0.data().join("0")).unwrap();
    for cut in 0..=end {
        let mut torn = whole.clone();
        torn[cut..].copy_from_slice(&earlier[cut..]);
        fs::write(&path, &torn).unwrap();
        let numbers = replayed(&dir, 19, 1).unwrap();
        let complete = u64::try_from(cut / record(1, 164).bytes.len()).unwrap();
        assert!(numbers == (20..=38 + complete).collect::<Vec<_>>(), "cut at {cut}: {numbers:?}");
    }
}

#[test]
fn what_an_earlier_start_left_is_not_taken_for_a_record() {
    // Records 4 to 6 were lost to sled, and other ones with these numbers take their places, of the same lengths.
    let (dir, journal) = filled(6, 20, 1);
    drop(journal);
    let mut journal = Journal::begin(&dir.data(), FILE_BYTES, 3, 2).unwrap();
    append(&mut journal, 4..5, 3 * record(1, 20).bytes.len() + 20 - record(1, 20).bytes.len());
    // Behind it, where a record of this start would be, is number 5 of the earlier one or a part of it.
    assert_eq!(replayed(&dir, 3, 2).unwrap(), [4]);
}

#[test]
fn a_gap_is_damage_unless_sled_holds_what_is_in_it() {
    let (dir, _journal) = filled(30, 164, 1);
    let path = dir.data().join("0");
    let mut bytes = fs::read(&path).unwrap();
    bytes[5 * 205 + 100] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = replayed(&dir, 3, 1).unwrap_err();
    assert!(error.is_damage(), "{error}");
    assert!(error.to_string().contains("ends at record 5, but") && error.to_string().contains("with 20"), "{error}");
    assert_eq!(replayed(&dir, 19, 1).unwrap(), (20..=30).collect::<Vec<_>>());
}

#[test]
fn sled_that_is_of_an_earlier_start_than_the_journal_is_damage() {
    let (dir, _journal) = filled(5, 10, 3);
    assert!(replayed(&dir, 2, 2).unwrap_err().is_damage());
    assert_eq!(replayed(&dir, 5, 4).unwrap(), [], "all is there: the store was opened again and not written");
}

#[test]
fn a_record_that_is_longer_than_a_file_has_a_turn_of_its_own() {
    let (dir, mut journal) = filled(3, 10, 1);
    append(&mut journal, 4..5, 10_000);
    append(&mut journal, 5..7, 10);
    assert_eq!(journal.current, 0);
    assert_eq!(replayed(&dir, 3, 1).unwrap(), [4, 5, 6]);
    append(&mut journal, 7..60, 164);
    let lengths = paths(&dir.data()).map(|path| fs::metadata(path).unwrap().len());
    assert_eq!(lengths, [FILE_BYTES; 2], "the file is as long as the other one again");
}

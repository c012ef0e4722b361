use super::*;
use crate::random::Random;

fn settings(sparse_bytes_max: usize) -> Settings {
    Settings { hyperloglog_sparse_bytes_max: sparse_bytes_max, ..Settings::new([1, 2]) }
}

fn counts(sketch: &HyperLogLog<'_>) -> Vec<u8> {
    sketch.counts().unwrap().collect()
}

fn of(bytes: &[u8]) -> Result<HyperLogLog<'_>, DataError> {
    HyperLogLog::of(StringRef::Inline(bytes, false))
}

/// From valkey-server: PFADD k a b c, GET k.
#[test]
fn has_the_bytes_of_redis() {
    let mut sketch = HyperLogLog::empty();
    assert_eq!(sketch.as_bytes(), b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
    for element in [b"a", b"b", b"c"] {
        assert_eq!(sketch.add(element, &settings(3000)), Ok(true));
        assert_eq!(sketch.add(element, &settings(3000)), Ok(false));
    }
    sketch.invalidate();
    assert_eq!(sketch.count(), Ok(3));
    let wanted = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80";
    assert_eq!(sketch.as_bytes()[..HEADER_BYTES], wanted[..]);
}

/// Whatever the encoding, the registers are those of a plain array, and so is the estimate.
#[test]
fn sparse_dense_and_plain_registers_agree() {
    let mut random = Random::new(4);
    for limit in [0, 30, 300, 3000, usize::MAX] {
        let (mut sketch, mut plain) = (HyperLogLog::empty(), vec![0u8; REGISTER_COUNT]);
        let mut dense = HyperLogLog::empty();
        dense.make_dense().unwrap();
        for round in 0..4_000 {
            // Neighbours and equal values, so that runs are split and joined.
            let index = if round % 2 == 0 { random.below(40) } else { random.below(REGISTER_COUNT) };
            let count = u8::try_from(1 + random.below(3) * random.below(8)).unwrap();
            let is_raised = sketch.raise(index, count, &settings(limit)).unwrap();
            assert_eq!(dense.raise(index, count, &settings(limit)), Ok(is_raised));
            assert_eq!(is_raised, plain[index] < count);
            plain[index] = plain[index].max(count);
            assert!(sketch.is_dense() || sketch.as_bytes().len() <= limit.max(HEADER_BYTES + 2));
        }
        assert_eq!(counts(&sketch), plain);
        assert_eq!(counts(&dense), plain);
        sketch.invalidate();
        dense.invalidate();
        assert_eq!(sketch.count(), dense.count());
        assert_eq!(of(sketch.as_bytes()).unwrap().count(), dense.count());
    }
}

#[test]
fn a_count_that_runs_cannot_hold_makes_it_dense() {
    let mut sketch = HyperLogLog::empty();
    assert_eq!(sketch.raise(5, 32, &settings(3000)), Ok(true));
    assert!(!sketch.is_dense());
    assert_eq!(sketch.raise(REGISTER_COUNT - 1, 33, &settings(3000)), Ok(true));
    assert!(sketch.is_dense());
    let counts = counts(&sketch);
    assert_eq!((counts[5], counts[REGISTER_COUNT - 1], counts.iter().filter(|count| **count > 0).count()), (32, 33, 2));
}

#[test]
fn estimates_within_a_few_percent() {
    let (mut sketch, settings) = (HyperLogLog::empty(), settings(3000));
    let mut next = 10;
    for number in 1..=100_000u64 {
        sketch.add(&number.to_le_bytes(), &settings).unwrap();
        if number == next {
            sketch.invalidate();
            let error = sketch.count().unwrap().abs_diff(number);
            assert!(error * 100 <= number * 5, "{number}: off by {error}");
            next *= 10;
        }
    }
    assert!(sketch.is_dense());
}

#[test]
fn merges_as_if_all_had_been_added_to_one() {
    let settings = settings(3000);
    let mut random = Random::new(5);
    let (mut both, mut parts) = (HyperLogLog::empty(), [HyperLogLog::empty(), HyperLogLog::empty()]);
    for number in 0..3_000u32 {
        both.add(&number.to_le_bytes(), &settings).unwrap();
        parts[random.below(2)].add(&number.to_le_bytes(), &settings).unwrap();
    }
    let mut registers = Registers::default();
    parts.iter().for_each(|part| part.merge_into(&mut registers).unwrap());
    let mut merged = HyperLogLog::empty();
    merged.merge(&registers, &settings).unwrap();
    assert_eq!(counts(&merged), counts(&both));
    both.invalidate();
    assert_eq!(Ok(registers.count()), both.count());
}

/// Bytes from anywhere are refused or read, and never more.
#[test]
fn nonsense_is_an_error() {
    let mut random = Random::new(6);
    let header = HyperLogLog::empty().as_bytes()[..HEADER_BYTES].to_vec();
    for bad in [&b""[..], b"HYLL", b"HYLX\x01\0\0\0\0\0\0\0\0\0\0\0", b"HYLL\x02\0\0\0\0\0\0\0\0\0\0\0\x7f\xff"] {
        assert_eq!(of(bad).err(), Some(DataError::NotHyperLogLog));
    }
    assert_eq!(of(b"HYLL\0\0\0\0\0\0\0\0\0\0\0\0\0").err(), Some(DataError::NotHyperLogLog));
    for _ in 0..3_000 {
        let mut bytes = header.clone();
        bytes[HEADER_BYTES - 1] = 0x80;
        bytes.extend((0..random.below(6)).map(|_| random.bits().to_le_bytes()[0]));
        let mut sketch = of(&bytes).unwrap();
        let is_sound = sketch.count().is_ok();
        assert_eq!(sketch.runs_text().is_ok(), is_sound);
        let added = sketch.add(&random.bits().to_le_bytes(), &settings(3000));
        assert!(added.is_ok() || !is_sound);
        assert_eq!(sketch.make_dense().is_ok() && sketch.count().is_ok(), is_sound || sketch.is_dense());
    }
}

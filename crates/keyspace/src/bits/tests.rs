use super::*;
use crate::big_string::BigString;
use crate::collection::{CollectionValue, Value};
use crate::random::Random;
use crate::settings::Settings;

/// Lengths at the edges of words and chunks, and any.
fn bytes(random: &mut Random) -> Vec<u8> {
    const LENGTHS: [usize; 9] = [0, 1, 7, 8, 9, 64, 16 * 1024, 16 * 1024 + 1, 40_000];
    let length = if random.below(2) == 0 { LENGTHS[random.below(LENGTHS.len())] } else { random.below(200) };
    let fill = [0, 0xff, 0x55][random.below(3)];
    let mut bytes = vec![fill; length];
    for _ in 0..random.below(4).min(length) {
        bytes[random.below(length)] = random.bits().to_le_bytes()[0];
    }
    bytes
}

fn bit(bytes: &[u8], bit: usize) -> bool {
    bytes.get(bit / 8).is_some_and(|byte| byte >> (7 - bit % 8) & 1 == 1)
}

/// A string as the keyspace keeps it: in one piece or in chunks.
fn with_string<T>(bytes: &[u8], f: impl Fn(StringRef<'_>) -> T) -> T {
    if bytes.len() <= crate::INLINE_BYTES_MAX {
        return f(StringRef::Inline(bytes, false));
    }
    let mut big = BigString::empty();
    big.append(bytes);
    f(StringRef::Big(&big))
}

#[test]
fn counts_and_finds_as_bit_by_bit() {
    let mut random = Random::new(1);
    for _ in 0..400 {
        let bytes = bytes(&mut random);
        let (start, end) = (random.below(bytes.len() * 8 + 1), random.below(bytes.len() * 8 + 1));
        let range = start.min(end)..start.max(end);
        let ones = range.clone().filter(|&place| bit(&bytes, place)).count();
        assert_eq!(with_string(&bytes, |string| string.count_ones(range.clone())), ones, "{range:?}");
        for wanted in [false, true] {
            let first = range.clone().find(|&place| bit(&bytes, place) == wanted);
            assert_eq!(with_string(&bytes, |string| string.find_bit(wanted, range.clone())), first, "{range:?}");
        }
        assert_eq!(with_string(&bytes, |string| string.bit(start)), bit(&bytes, start));
    }
}

fn naive(operation: BitOperation, bits: &[bool]) -> bool {
    let (first, others) = (bits[0], &bits[1..]);
    let in_others = others.contains(&true);
    match operation {
        BitOperation::And => !bits.contains(&false),
        BitOperation::Or => bits.contains(&true),
        BitOperation::Xor => bits.iter().filter(|bit| **bit).count() % 2 == 1,
        BitOperation::Not => !first,
        BitOperation::Diff => first && !in_others,
        BitOperation::Diff1 => !first && in_others,
        BitOperation::AndOr => first && in_others,
        BitOperation::One => bits.iter().filter(|bit| **bit).count() == 1,
    }
}

#[test]
fn combines_as_bit_by_bit() {
    const ALL: [BitOperation; 8] = [
        BitOperation::And,
        BitOperation::Or,
        BitOperation::Xor,
        BitOperation::Not,
        BitOperation::Diff,
        BitOperation::Diff1,
        BitOperation::AndOr,
        BitOperation::One,
    ];
    let mut random = Random::new(2);
    for round in 0..80 {
        let operation = ALL[round % ALL.len()];
        let count = if operation == BitOperation::Not { 1 } else { 2 + random.below(3) };
        let sources: Vec<Vec<u8>> = (0..count).map(|_| bytes(&mut random)).collect();
        let mut keyspace = Keyspace::new(Settings::new([1, 2]));
        let context = Context::of_entry(0, 1, 1);
        for (number, source) in sources.iter().enumerate() {
            keyspace.put(&context, &[b'0' + u8::try_from(number).unwrap()], Value::String(source.clone(), false), None);
        }
        let found: Vec<_> = (b'0'..).take(count).map(|key| keyspace.string(&context, &[key]).unwrap()).collect();
        let length = sources.iter().map(Vec::len).max().unwrap();
        let Some((value, result_length)) = combine_bits(operation, &found) else {
            assert_eq!(length, 0);
            continue;
        };
        assert_eq!(result_length, length);
        keyspace.put(&context, b"result", value, None);
        let result = keyspace.string(&context, b"result").unwrap().unwrap().to_bytes();
        assert_eq!(result.len(), length);
        for place in 0..length * 8 {
            let bits: Vec<bool> = sources.iter().map(|source| bit(source, place)).collect();
            assert_eq!(bit(&result, place), naive(operation, &bits), "{operation:?} at {place}");
        }
    }
}

/// Every bit and field that is written is read again, and nothing else changes.
#[test]
fn writes_what_it_reads() {
    let mut random = Random::new(3);
    let mut keyspace = Keyspace::new(Settings::new([1, 2]));
    let context = Context::of_entry(0, 1, 1);
    let mut model: Vec<u8> = Vec::new();
    for round in 0..2_000 {
        let spread = if round < 1_000 { 400 } else { 400_000 };
        let field = BitField {
            is_signed: random.below(2) == 0,
            width: u32::try_from(1 + random.below(63)).unwrap(),
            offset: random.below(spread),
        };
        let number = field.fit(i128::from(random.bits().cast_signed()), Overflow::Wrap).unwrap();
        keyspace.grow_string(&context, b"k", field.end_bytes()).unwrap();
        keyspace.set_bit_field(&context, b"k", field, number).unwrap();
        model.resize(model.len().max(field.end_bytes()), 0);
        for place in 0..field.width {
            let at = field.offset + place as usize;
            let mask = 0x80 >> (at % 8);
            let is_set = number >> (field.width - 1 - place) & 1 == 1;
            model[at / 8] = model[at / 8] & !mask | if is_set { mask } else { 0 };
        }
        let string = keyspace.string(&context, b"k").unwrap();
        assert_eq!(field.read(string), number);
        assert_eq!(string.unwrap().len(), model.len());
        let at = random.below(spread);
        let was = keyspace.set_bit(&context, b"k", at, round % 2 == 0).unwrap();
        assert_eq!(was, bit(&model, at));
        model.resize(model.len().max(at / 8 + 1), 0);
        model[at / 8] = model[at / 8] & !(0x80 >> (at % 8)) | if round % 2 == 0 { 0x80 >> (at % 8) } else { 0 };
    }
    assert_eq!(keyspace.string(&context, b"k").unwrap().unwrap().to_bytes(), model);
}

#[test]
fn a_number_that_does_not_fit_is_wrapped_bounded_or_refused() {
    let field = |is_signed, width| BitField { is_signed, width, offset: 0 };
    let all = |field: BitField, number| {
        [Overflow::Wrap, Overflow::Saturate, Overflow::Fail].map(|overflow| field.fit(number, overflow))
    };
    assert_eq!(all(field(false, 8), 256), [Some(0), Some(255), None]);
    assert_eq!(all(field(false, 8), -1), [Some(255), Some(0), None]);
    assert_eq!(all(field(true, 8), 128), [Some(-128), Some(127), None]);
    assert_eq!(all(field(true, 8), -129), [Some(127), Some(-128), None]);
    assert_eq!(all(field(true, 8), 127), [Some(127); 3]);
    let (least, most) = (i128::from(i64::MIN), i128::from(i64::MAX));
    assert_eq!(all(field(true, 64), most + 1), [Some(i64::MIN), Some(i64::MAX), None]);
    assert_eq!(all(field(true, 64), least - 1), [Some(i64::MAX), Some(i64::MIN), None]);
    assert_eq!(all(field(false, 63), most + 1), [Some(0), Some(i64::MAX), None]);
    assert_eq!(all(field(true, 1), 1), [Some(-1), Some(0), None]);
}

#[test]
fn a_bit_that_is_as_wanted_is_no_change() {
    let mut keyspace = Keyspace::new(Settings::new([1, 2]));
    let context = Context::of_entry(0, 1, 1);
    let mut set = |bit, is_set| {
        keyspace.begin_command();
        let before = keyspace.revision();
        keyspace.set_bit(&context, b"k", bit, is_set).unwrap();
        keyspace.revision() != before
    };
    assert!(set(7, false), "the key is new");
    assert!(!set(7, false));
    assert!(set(7, true));
    assert!(!set(7, true));
    assert!(set(8, false), "the string grows");
    assert_eq!(keyspace.set_bit(&context, b"k", STRING_BYTES_MAX * 8, true), Err(DataError::StringTooLong));
}

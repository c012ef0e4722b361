//! Bitmaps: strings of which single bits are read and written. BITFIELD is in `bitmaps/field.rs`.

mod field;

use keyspace::{BitOperation, Context, Keyspace, STRING_BYTES_MAX, StringRef, combine_bits, parse_integer};
use resp::Reply;

use crate::args::Args;
use crate::error::{BitmapError, CommandError, CommandResult};
use crate::spec::{Arity::*, KeyUse, Keys, Spec};

const ONE: Keys = Keys::One(1);

#[rustfmt::skip]
pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("SETBIT",      Exactly(4), ONE, setbit,             "Sets a bit of a string and returns what it was.").denyoom().uses(&[KeyUse::READ_AND_CHANGE]),
    Spec::read ("GETBIT",      Exactly(3), ONE, getbit,             "Returns a bit of a string.").fast(),
    Spec::read ("BITCOUNT",    AtLeast(2), ONE, bitcount,           "Counts the bits of a string that are set."),
    Spec::read ("BITPOS",      AtLeast(3), ONE, bitpos,             "Finds the first bit of a string that is set, or that is not."),
    Spec::write("BITOP",       AtLeast(4), Keys::Range { first: 2, last: -1, step: 1 }, bitop, "Combines strings bit by bit and stores the result.").denyoom().uses(&[KeyUse::OVERWRITE, KeyUse::READ]),
    Spec::write("BITFIELD",    AtLeast(2), ONE, field::bitfield,    "Reads and changes integers within a string.").denyoom().variable_use(&[KeyUse::READ_AND_CHANGE.with(KeyUse::VARIABLE)], field::key_use),
    Spec::read ("BITFIELD_RO", AtLeast(2), ONE, field::bitfield_ro, "Reads integers within a string.").fast(),
];

/// An offset that a string can have.
fn bit_offset(text: &[u8]) -> Result<usize, CommandError> {
    let offset = parse_integer(text).and_then(|offset| usize::try_from(offset).ok());
    offset.filter(|offset| offset / 8 < STRING_BYTES_MAX).ok_or(CommandError::Bitmap(BitmapError::Offset))
}

fn setbit(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, offset) = (args.bytes()?, bit_offset(args.bytes()?)?);
    let is_set = match args.bytes()? {
        b"0" => false,
        b"1" => true,
        _ => return Err(BitmapError::NotABit.into()),
    };
    args.end()?;
    reply.integer(i64::from(keyspace.set_bit(context, key, offset, is_set)?));
    Ok(())
}

fn getbit(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, offset) = (args.bytes()?, bit_offset(args.bytes()?)?);
    args.end()?;
    let bit = keyspace.string(context, key)?.is_some_and(|string| string.bit(offset));
    reply.integer(i64::from(bit));
    Ok(())
}

/// A part of a string: from a first to a last byte or bit, negative ones counted from the end.
#[derive(Clone, Copy)]
struct Part {
    first: i64,
    last: Option<i64>,
    is_in_bits: bool,
}

impl Part {
    /// Takes `[start [end [BYTE | BIT]]]`. `None`: the whole string.
    fn parse(args: &mut Args<'_>) -> Result<Option<Self>, CommandError> {
        match args.remaining() {
            0 => return Ok(None),
            1..=3 => {}
            _ => return Err(CommandError::Syntax),
        }
        let first = args.integer()?;
        let last = if args.is_empty() { None } else { Some(args.bytes()?) };
        // redis: bitops.c bitcountCommand looks at the unit before it looks at the end.
        let is_in_bits = args.keyword("BIT");
        if !is_in_bits && !args.is_empty() && !args.keyword("BYTE") {
            return Err(CommandError::Syntax);
        }
        let last = last.map(|text| parse_integer(text).ok_or(CommandError::NotInteger)).transpose()?;
        Ok(Some(Self { first, last, is_in_bits }))
    }

    /// The bits of the part, which may be none, in a string of this length.
    fn bits(self, length: usize) -> std::ops::Range<usize> {
        let unit_bits = if self.is_in_bits { 1 } else { 8 };
        let total = i64::try_from(length * 8 / unit_bits).expect("a string has at most 512 MiB");
        let place = |place: i64| if place < 0 { (total + place.max(-total)).max(0) } else { place };
        let first = place(self.first);
        let end = place(self.last.unwrap_or(-1)).min(total - 1) + 1;
        let bit = |place: i64| usize::try_from(place).expect("not negative") * unit_bits;
        if first < end { bit(first)..bit(end) } else { 0..0 }
    }
}

fn bitcount(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let part = Part::parse(args)?;
    let Some(string) = keyspace.string(context, key)? else {
        reply.integer(0);
        return Ok(());
    };
    let bits = match part {
        None => 0..string.len() * 8,
        // A part that ends in front of its beginning is none, even where both lie in front of the string.
        Some(Part { first, last: Some(last), .. }) if first < 0 && last < 0 && first > last => 0..0,
        Some(part) => part.bits(string.len()),
    };
    reply.count(string.count_ones(bits));
    Ok(())
}

fn bitpos(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let is_set = match args.integer()? {
        0 => false,
        1 => true,
        _ => return Err(BitmapError::NeitherZeroNorOne.into()),
    };
    let part = Part::parse(args)?;
    let has_end = part.is_some_and(|part| part.last.is_some());
    let Some(string) = keyspace.string(context, key)? else {
        reply.integer(if is_set { -1 } else { 0 });
        return Ok(());
    };
    let all = 0..string.len() * 8;
    let bits = part.map_or_else(|| all.clone(), |part| part.bits(string.len()));
    match string.find_bit(is_set, bits.clone()) {
        Some(bit) => reply.count(bit),
        // Without an end the string goes on in zeros.
        None if !is_set && !has_end && !bits.is_empty() => reply.count(all.end),
        None => reply.integer(-1),
    }
    Ok(())
}

/// The operation of BITOP and its name.
fn operation(word: &[u8]) -> Result<(BitOperation, &'static str), CommandError> {
    const ALL: [(BitOperation, &str); 8] = [
        (BitOperation::And, "AND"),
        (BitOperation::Or, "OR"),
        (BitOperation::Xor, "XOR"),
        (BitOperation::Not, "NOT"),
        (BitOperation::Diff, "DIFF"),
        (BitOperation::Diff1, "DIFF1"),
        (BitOperation::AndOr, "ANDOR"),
        (BitOperation::One, "ONE"),
    ];
    let named = ALL.into_iter().find(|(_, name)| word.eq_ignore_ascii_case(name.as_bytes()));
    named.ok_or(CommandError::Syntax)
}

fn bitop(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let ((operation, name), destination) = (operation(args.bytes()?)?, args.bytes()?);
    let keys = args.take_rest();
    match (operation, keys.clone().count()) {
        (BitOperation::Not, 2..) => return Err(BitmapError::NotOfSeveral.into()),
        (BitOperation::Diff | BitOperation::Diff1 | BitOperation::AndOr, 1) => {
            return Err(BitmapError::OperationOfOne(name).into());
        }
        _ => {}
    }
    let sources = keys.map(|key| keyspace.string(context, key)).collect::<Result<Vec<Option<StringRef<'_>>>, _>>()?;
    match combine_bits(operation, &sources) {
        Some((value, length)) => {
            keyspace.put(context, destination, value, None);
            reply.count(length);
        }
        None => {
            keyspace.remove(context, destination);
            reply.integer(0);
        }
    }
    Ok(())
}

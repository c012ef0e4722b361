//! BITFIELD and BITFIELD_RO.

use keyspace::{BitField, Context, Keyspace, Overflow, STRING_BYTES_MAX, parse_integer};
use resp::{Arguments, Reply};

use crate::args::Args;
use crate::error::{BitmapError, CommandError, CommandResult};
use crate::spec::KeyUse;

/// What is done with one field.
#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64, Overflow),
    Add(i64, Overflow),
}

/// One of the operations of a BITFIELD.
struct Operation {
    field: BitField,
    action: Action,
}

impl Operation {
    /// Takes all operations.
    fn parse_all(args: &mut Args<'_>) -> Result<Vec<Self>, CommandError> {
        let (mut operations, mut overflow) = (Vec::new(), Overflow::Wrap);
        while !args.is_empty() {
            let left = args.remaining();
            if left > 2 && args.keyword("GET") {
                operations.push(Self { field: field(args)?, action: Action::Get });
            } else if left > 3 && args.keyword("SET") {
                operations.push(Self { field: field(args)?, action: Action::Set(args.integer()?, overflow) });
            } else if left > 3 && args.keyword("INCRBY") {
                operations.push(Self { field: field(args)?, action: Action::Add(args.integer()?, overflow) });
            } else if left > 1 && args.keyword("OVERFLOW") {
                overflow = match () {
                    () if args.keyword("WRAP") => Overflow::Wrap,
                    () if args.keyword("SAT") => Overflow::Saturate,
                    () if args.keyword("FAIL") => Overflow::Fail,
                    () => return Err(BitmapError::InvalidOverflow.into()),
                };
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(operations)
    }

    fn is_write(&self) -> bool {
        !matches!(self.action, Action::Get)
    }
}

/// Takes the type of a field, and its offset: in bits or, behind a `#`, in fields.
fn field(args: &mut Args<'_>) -> Result<BitField, CommandError> {
    let (is_signed, width) = match args.bytes()? {
        [b'i', width @ ..] => (true, width),
        [b'u', width @ ..] => (false, width),
        _ => return Err(BitmapError::InvalidFieldType.into()),
    };
    let width_max = if is_signed { 64 } else { 63 };
    let width = parse_integer(width).and_then(|width| u32::try_from(width).ok());
    let width = width.filter(|width| (1..=width_max).contains(width)).ok_or(BitmapError::InvalidFieldType)?;
    let (text, unit) = match args.bytes()? {
        [b'#', text @ ..] => (text, width as usize),
        text => (text, 1),
    };
    let offset = parse_integer(text).and_then(|offset| usize::try_from(offset).ok()?.checked_mul(unit));
    let offset = offset.filter(|offset| offset / 8 < STRING_BYTES_MAX).ok_or(BitmapError::Offset)?;
    Ok(BitField { is_signed, width, offset })
}

/// BITFIELD changes its key only if one of its operations does.
pub(super) fn key_use(arguments: Arguments<'_>) -> KeyUse {
    let mut args = Args::new(arguments, 2);
    // As far as the arguments make sense: wrong ones change nothing.
    while let Some(word) = args.peek() {
        let length = match () {
            () if word.eq_ignore_ascii_case(b"GET") => 3,
            () if word.eq_ignore_ascii_case(b"OVERFLOW") => 2,
            () => break,
        };
        (0..length).for_each(|_| drop(args.bytes()));
    }
    let is_write = args.keyword("SET") || args.keyword("INCRBY");
    if is_write && args.remaining() >= 3 { KeyUse::READ_AND_CHANGE } else { KeyUse::READ }
}

pub(super) fn bitfield(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let key = args.bytes()?;
    let operations = Operation::parse_all(args)?;
    let writes = operations.iter().filter(|operation| operation.is_write());
    match writes.map(|operation| operation.field.end_bytes()).max() {
        // It grows as far as any operation writes, be that one refused for an overflow.
        Some(length) => keyspace.grow_string(context, key, length)?,
        None => return read_all(keyspace, context, key, &operations, reply),
    }
    reply.array(operations.len());
    for Operation { field, action } in operations {
        let old = field.read(keyspace.string(context, key)?);
        let (new, overflow) = match action {
            Action::Get => {
                reply.integer(old);
                continue;
            }
            // To an unsigned field a negative number is one of 64 bits, too big for it.
            Action::Set(number, overflow) if !field.is_signed => (i128::from(number.cast_unsigned()), overflow),
            Action::Set(number, Overflow::Saturate) if is_mistaken_for_high(field, number) => {
                (i128::from(i64::MAX), Overflow::Saturate)
            }
            Action::Set(number, overflow) => (i128::from(number), overflow),
            Action::Add(by, overflow) => (i128::from(old) + i128::from(by), overflow),
        };
        match field.fit(new, overflow) {
            Some(new) => {
                keyspace.set_bit_field(context, key, field, new)?;
                reply.integer(if matches!(action, Action::Set(..)) { old } else { new });
            }
            None => reply.null(),
        }
    }
    Ok(())
}

/// Whether a number is so low that SAT makes the highest of it.
///
/// redis: bitops.c checkSignedBitfieldOverflow: the way from there to the highest number of the field does not fit into 64 bits, so it counts as
/// negative, and the number as too high.
fn is_mistaken_for_high(field: BitField, number: i64) -> bool {
    field.width < i64::BITS && ((1i64 << (field.width - 1)) - 1).checked_sub(number).is_none()
}

pub(super) fn bitfield_ro(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let key = args.bytes()?;
    let operations = Operation::parse_all(args)?;
    if operations.iter().any(Operation::is_write) {
        return Err(BitmapError::FieldReadOnly.into());
    }
    read_all(keyspace, context, key, &operations, reply)
}

fn read_all(
    keyspace: &Keyspace,
    context: &Context,
    key: &[u8],
    operations: &[Operation],
    reply: &mut Reply,
) -> CommandResult {
    let string = keyspace.string(context, key)?;
    reply.array(operations.len());
    operations.iter().for_each(|operation| reply.integer(operation.field.read(string)));
    Ok(())
}

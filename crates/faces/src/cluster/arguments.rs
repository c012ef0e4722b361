//! What the arguments of CLUSTER's subcommands say.

use commands::Args;
use resp::Arguments;
use slot::{Slot, SlotRange, SlotSet};
use topology::{NodeId, ViewNode};

use super::refused::Refused;
use crate::face::Face;

/// The integer at a place.
pub(super) fn integer(arguments: Arguments<'_>, place: usize) -> Result<i64, Refused> {
    Ok(Args::new(arguments, place).integer()?)
}

/// The slot of a number.
pub(super) fn slot(number: i64) -> Option<Slot> {
    u16::try_from(number).ok().and_then(Slot::new)
}

/// The slot at a place, where slots are assigned.
pub(super) fn assigned_slot(arguments: Arguments<'_>, place: usize) -> Result<Slot, Refused> {
    integer(arguments, place).ok().and_then(slot).ok_or(Refused::InvalidSlot)
}

/// The slots from a place on, one by one. Where one stands there twice, what is wrong with it or with one before comes first.
pub(super) fn slots(
    arguments: Arguments<'_>,
    place: usize,
    is_wrong: impl Fn(Slot) -> Option<Refused>,
) -> Result<SlotSet, Refused> {
    let all: Result<Vec<Slot>, Refused> =
        (place..arguments.len()).map(|place| assigned_slot(arguments, place)).collect();
    let all = all?;
    collect(|| all.iter().copied(), is_wrong)
}

/// As [`slots`], by first and last.
pub(super) fn ranges(
    arguments: Arguments<'_>,
    place: usize,
    is_wrong: impl Fn(Slot) -> Option<Refused>,
) -> Result<SlotSet, Refused> {
    let places = (place..arguments.len()).step_by(2);
    let all: Result<Vec<SlotRange>, Refused> = places.map(|place| range(arguments, place, false)).collect();
    let all = all?;
    collect(|| all.iter().flat_map(|range| range.iter()), is_wrong)
}

fn collect<I: Iterator<Item = Slot>>(
    all: impl Fn() -> I,
    is_wrong: impl Fn(Slot) -> Option<Refused>,
) -> Result<SlotSet, Refused> {
    let mut slots = SlotSet::new();
    for (number, slot) in all().enumerate() {
        if !slots.insert(slot) {
            let earlier = all().take(number).find_map(is_wrong);
            return Err(earlier.unwrap_or_else(|| Refused::Twice(slot.number())));
        }
    }
    Ok(slots)
}

/// No form of the subcommand has so many arguments, or such.
pub(super) fn shape(arguments: Arguments<'_>) -> Refused {
    Refused::Shape(shown(arguments, 1))
}

/// The range whose ends stand at a place and behind it.
pub(super) fn range(arguments: Arguments<'_>, place: usize, capital: bool) -> Result<SlotRange, Refused> {
    let (first, last) = (assigned_slot(arguments, place)?, assigned_slot(arguments, place + 1)?);
    SlotRange::new(first, last).ok_or_else(|| Refused::Backwards(first.number(), last.number(), capital))
}

/// Whether the argument at a place is this word, in any case.
pub(super) fn is(arguments: Arguments<'_>, place: usize, word: &str) -> bool {
    arguments.get(place).is_some_and(|argument| argument.eq_ignore_ascii_case(word.as_bytes()))
}

/// An argument as part of an error's line; a zero byte ends it, as it ends the strings of Redis.
pub(super) fn shown(arguments: Arguments<'_>, place: usize) -> String {
    let bytes = arguments.get(place).unwrap_or_default();
    String::from_utf8_lossy(bytes.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned()
}

/// The node id at a place; only in lower case is it one.
pub(super) fn node_id(arguments: Arguments<'_>, place: usize) -> Result<NodeId, Refused> {
    let text = arguments.get(place).filter(|text| !text.iter().any(u8::is_ascii_uppercase));
    text.and_then(NodeId::parse).ok_or_else(|| Refused::UnknownNode(shown(arguments, place)))
}

impl Face {
    /// The node that the third argument names, and its place in the view.
    pub(super) fn known(&self, arguments: Arguments<'_>) -> Result<(usize, &ViewNode), Refused> {
        let id = node_id(arguments, 2)?;
        let place = self.view().place(id).ok_or(id)?;
        Ok((place, &self.view().nodes()[place]))
    }
}

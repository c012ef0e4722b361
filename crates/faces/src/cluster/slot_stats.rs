//! CLUSTER SLOT-STATS: which slots are counted, and in which order they are shown.

use commands::CommandError;
use resp::Arguments;
use slot::{SLOT_COUNT, SlotSet};
use topology::Role;

use super::Action;
use super::arguments::{integer, is, range, shape};
use super::refused::Refused;
use crate::face::Face;
use crate::reports::SlotStats;

impl Face {
    /// CLUSTER SLOT-STATS SLOTSRANGE start-slot end-slot | ORDERBY metric [LIMIT limit] [ASC | DESC]
    pub(super) fn slot_stats(&self, arguments: Arguments<'_>) -> Result<Action, Refused> {
        let mut slots = self.slots_of_my_shard();
        let most = if is(arguments, 2, "slotsrange") && arguments.len() == 5 {
            slots.intersect_with(&SlotSet::from(range(arguments, 3, true)?));
            None
        } else if is(arguments, 2, "orderby") {
            Some(order(arguments)?)
        } else {
            return Err(shape(arguments));
        };
        Ok(Action::SlotStats(SlotStats { slots, most }))
    }

    /// The slots that this node serves, or its master.
    fn slots_of_my_shard(&self) -> SlotSet {
        let master = self.myself().and_then(|myself| match myself.role {
            Role::Leading => Some(myself),
            Role::Following(place) => place.map(|place| &self.view().nodes()[place]),
        });
        master.map_or_else(SlotSet::new, |node| node.slots.clone())
    }
}

/// How many, and whether the most come first.
fn order(arguments: Arguments<'_>) -> Result<(usize, bool), Refused> {
    if !is(arguments, 3, "key-count") {
        return Err(Refused::Metric);
    }
    let (mut limit, mut most_first) = (None, None);
    let mut place = 4;
    while place < arguments.len() {
        let is_again = if is(arguments, place, "limit") && place + 1 < arguments.len() {
            place += 1;
            let number = integer(arguments, place).ok().and_then(|number| usize::try_from(number).ok());
            let number = number.filter(|number| (1..=usize::from(SLOT_COUNT)).contains(number));
            limit.replace(number.ok_or(Refused::Limit)?).is_some()
        } else if is(arguments, place, "asc") {
            most_first.replace(false).is_some()
        } else if is(arguments, place, "desc") {
            most_first.replace(true).is_some()
        } else {
            return Err(CommandError::Syntax.into());
        };
        if is_again {
            return Err(Refused::SameFilter);
        }
        place += 1;
    }
    Ok((limit.unwrap_or_else(|| usize::from(SLOT_COUNT)), most_first.unwrap_or(true)))
}

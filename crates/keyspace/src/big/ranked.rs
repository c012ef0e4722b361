//! Rows by place and by name, of which all or some stand in an order, too: members by score, fields by deadline.
//!
//! What stands in the order is a row's place, so whatever moves a row moves the place there. The order is by (key, name).

use std::ops::Range;

use super::dense::{Dense, Head};
use super::order::{Order, Sought};
use super::rows::{Body, Row};
use crate::fetch::{FAR_ROWS_MIN, first_of};

/// A head that says where its row stands in an order.
pub(crate) trait Keyed: Head {
    /// What comes first in the order; `None`: the row does not stand in it.
    fn key(self, bytes: &[u8]) -> Option<u64>;
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Ranked<H> {
    rows: Dense<H>,
    order: Order,
}

impl<H: Keyed> Ranked<H> {
    /// Without rows.
    pub(crate) fn new(hash_key: [u64; 2]) -> Self {
        Self { rows: Dense::new(hash_key), order: Order::new() }
    }

    /// The rows, to be read.
    pub(crate) fn rows(&self) -> &Dense<H> {
        &self.rows
    }

    /// The bytes of everything.
    pub(crate) fn allocated_bytes(&self) -> usize {
        self.rows.allocated_bytes() + self.order.allocated_bytes()
    }

    /// How many rows stand in the order.
    pub(crate) fn ranked_count(&self) -> usize {
        self.order.len()
    }

    /// The rank of the row at a place, if it stands in the order.
    pub(crate) fn rank(&self, place: usize) -> Option<usize> {
        let key = self.key(place)?;
        Some(self.order.rank(&sought(&self.rows, key, place)))
    }

    /// The row with a rank below the number of rows that stand in the order.
    pub(crate) fn at_rank(&self, rank: usize) -> Row<'_, H> {
        self.rows.at(self.order.at(rank))
    }

    /// The rows with these ranks, which are at most the number of rows that stand in the order.
    pub(crate) fn range(&self, ranks: Range<usize>) -> impl DoubleEndedIterator<Item = Row<'_, H>> {
        self.order.range(ranks).map(|place| self.rows.at(place))
    }

    /// How many rows stand in front of the first whose key does not satisfy the predicate; those in front all do.
    pub(crate) fn partition_point(&self, satisfies: impl Fn(u64) -> bool) -> usize {
        self.order.partition_point(satisfies)
    }

    /// Brings near what comes first when rows with these names are put under these keys. See `fetch`.
    pub(crate) fn fetch<'a>(&self, rows: impl Iterator<Item = (u64, &'a [u8])> + Clone) {
        self.rows.fetch(rows.clone().map(|(_, name)| name));
        if self.order.len() >= FAR_ROWS_MIN {
            let (keys, count) = first_of(rows.map(|(key, _)| key));
            self.order.fetch(&keys[..count]);
        }
    }

    /// Adds a row whose name is not there.
    pub(crate) fn push(&mut self, head: H, body: Body<'_>) {
        let place = self.rows.len();
        self.rows.push(head, body);
        self.enlist(self.key(place), place);
    }

    /// Changes the head of a row, but not where its name is.
    pub(crate) fn set_head(&mut self, place: usize, head: H) {
        let before = self.key(place);
        self.rows.set_head(place, head);
        self.rekey(place, before);
    }

    /// Puts other contents under the same name into a row.
    pub(crate) fn replace(&mut self, place: usize, head: H, body: Body<'_>) {
        let before = self.key(place);
        self.rows.replace(place, head, body);
        self.rekey(place, before);
    }

    /// Takes out the row at a place below the length. The last one gets its place.
    pub(crate) fn remove(&mut self, place: usize) {
        self.strike(self.key(place), place);
        self.remove_struck(place);
    }

    /// Takes out the rows with these ranks, which are at most the number of rows that stand in the order, one after the other.
    pub(crate) fn remove_range(&mut self, ranks: Range<usize>) {
        for _ in ranks.clone() {
            let place = self.order.remove_at(ranks.start);
            self.remove_struck(place);
        }
    }

    /// Keeps only the rows that stand in the order, but not with these ranks, which are at most the number of those. They get places in their order.
    pub(crate) fn keep_around(&mut self, ranks: Range<usize>) {
        let mut kept = Self { rows: Dense::new_like(&self.rows), order: Order::new() };
        let (front, back) = (self.order.range(0..ranks.start), self.order.range(ranks.end..self.order.len()));
        front.chain(back).for_each(|place| kept.push(self.rows.head(place), self.rows.body(place)));
        *self = kept;
    }

    fn key(&self, place: usize) -> Option<u64> {
        let Row { head, bytes } = self.rows.at(place);
        head.key(bytes)
    }

    /// Lets a row go that does not stand in the order any more.
    fn remove_struck(&mut self, place: usize) {
        let last = self.rows.len() - 1;
        if place < last
            && let Some(key) = self.key(last)
        {
            self.order.relocate(&sought(&self.rows, key, last), place);
        }
        self.rows.remove(place);
    }

    /// Puts a row where its key says, which may be another than before.
    fn rekey(&mut self, place: usize, before: Option<u64>) {
        let after = self.key(place);
        if after != before {
            self.strike(before, place);
            self.enlist(after, place);
        }
    }

    /// Puts a row into the order.
    fn enlist(&mut self, key: Option<u64>, place: usize) {
        if let Some(key) = key {
            self.order.insert(&sought(&self.rows, key, place));
        }
    }

    /// Takes a row, which stands there under this key, out of the order.
    fn strike(&mut self, key: Option<u64>, place: usize) {
        if let Some(key) = key {
            self.order.remove(&sought(&self.rows, key, place));
        }
    }
}

/// The item of a row, by its key and its name.
fn sought<H: Head>(rows: &Dense<H>, key: u64, place: usize) -> Sought<impl Fn(usize) -> std::cmp::Ordering> {
    let name = rows.name(place);
    Sought { key, place, names: move |other| rows.name(other).cmp(name) }
}

#[cfg(test)]
mod tests;

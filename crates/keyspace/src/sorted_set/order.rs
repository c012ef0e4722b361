//! The order of a big sorted set: handles of its members in chunks, and the counts of the chunks.
//!
//! ```text
//! chunks: [ Arc -> up to 256 handles ][ Arc -> ... ] ...      by (score, member), within a chunk and from chunk to chunk; none is empty
//! counts: Fenwick tree over the chunks' lengths: sums[i] holds those of the `i & -i` chunks that end with chunk i - 1
//! ```
//!
//! A member's chunk is found by binary search over the chunks' last members, its rank by a sum of counts; a rank's member the other
//! way round. All of that is O(log n). A full chunk is halved, small neighbours are merged; then the counts are added up
//! anew, a step per chunk, which happens once in a hundred changes. How the chunks grew shows nowhere.

use std::cmp::Ordering;
use std::ops::Range;

use triomphe::Arc;

use super::packed::by_order;
use crate::set::members::Member;

/// A handle of a member with its score.
pub(super) type Scored = Member<f64>;

const CHUNK_HANDLES_MAX: usize = 256;
/// A chunk with fewer handles looks for a neighbour to merge with.
const CHUNK_HANDLES_MIN: usize = 64;
/// Merged chunks leave room, so that they are not halved at the next insertion.
const MERGED_HANDLES_MAX: usize = 192;

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Order {
    chunks: Vec<Arc<Vec<Scored>>>,
    counts: Counts,
}

impl Order {
    /// What the order takes for a member, on average, its chunks being seven tenths full.
    pub(super) const HANDLE_BYTES: usize = 11;

    /// Adds a member that is not there.
    pub(super) fn insert(&mut self, member: Scored) {
        if self.chunks.is_empty() {
            self.chunks.push(Arc::new(vec![member]));
            return self.recount();
        }
        let mut at = self.chunk_of(&member).min(self.chunks.len() - 1);
        if self.chunks[at].len() == CHUNK_HANDLES_MAX {
            at = self.make_room(at, &member);
        }
        let chunk = Arc::make_mut(&mut self.chunks[at]);
        let place = chunk.partition_point(|other| compare(other, &member).is_lt());
        chunk.insert(place, member);
        self.counts.add(at, 1);
    }

    /// Removes a member that is there.
    pub(super) fn remove(&mut self, member: &Scored) {
        let (at, place) = self.locate(member);
        let chunk = Arc::make_mut(&mut self.chunks[at]);
        chunk.remove(place);
        let left = chunk.len();
        self.counts.subtract(at, 1);
        if left == 0 {
            self.chunks.remove(at);
            self.recount();
        } else if left < CHUNK_HANDLES_MIN {
            self.maybe_merge(at);
        }
    }

    /// Removes the members with these ranks and returns them.
    pub(super) fn remove_range(&mut self, ranks: Range<usize>) -> Vec<Scored> {
        let mut removed = Vec::with_capacity(ranks.len());
        if ranks.is_empty() {
            return removed;
        }
        let (first, mut place) = self.counts.locate(ranks.start);
        let (mut at, mut emptied) = (first, None::<Range<usize>>);
        while removed.len() < ranks.len() {
            let chunk = Arc::make_mut(&mut self.chunks[at]);
            let taken = (ranks.len() - removed.len()).min(chunk.len() - place);
            removed.extend(chunk.drain(place..place + taken));
            if chunk.is_empty() {
                emptied.get_or_insert(at..at).end = at + 1;
            } else {
                self.counts.subtract(at, taken);
            }
            (at, place) = (at + 1, 0);
        }
        if let Some(emptied) = emptied {
            self.chunks.drain(emptied);
            self.recount();
        }
        removed
    }

    /// The rank of a member that is there.
    pub(super) fn rank(&self, member: &Scored) -> usize {
        let (at, place) = self.locate(member);
        self.counts.before(at) + place
    }

    /// How many members stand in front of the first that does not satisfy the predicate; those in front all do.
    pub(super) fn partition_point(&self, satisfies: impl Fn(f64, &[u8]) -> bool) -> usize {
        let satisfied = |member: &Scored| satisfies(member.header.header, &member.slice);
        let at = self.chunks.partition_point(|chunk| satisfied(last(chunk)));
        let within = self.chunks.get(at).map_or(0, |chunk| chunk.partition_point(satisfied));
        self.counts.before(at) + within
    }

    /// The members with these ranks, in order.
    pub(super) fn range(&self, ranks: Range<usize>) -> impl DoubleEndedIterator<Item = &Scored> {
        let bounds = if ranks.is_empty() {
            None
        } else {
            Some((self.counts.locate(ranks.start), self.counts.locate(ranks.end - 1)))
        };
        let ((first, from), (last, to)) = bounds.unwrap_or_default();
        let chunks = if bounds.is_some() { &self.chunks[first..=last] } else { &[] };
        chunks.iter().enumerate().flat_map(move |(at, chunk)| {
            let start = if at == 0 { from } else { 0 };
            let end = if first + at == last { to + 1 } else { chunk.len() };
            chunk[start..end].iter()
        })
    }

    /// The first chunk whose last member does not come before this one.
    fn chunk_of(&self, member: &Scored) -> usize {
        self.chunks.partition_point(|chunk| compare(last(chunk), member).is_lt())
    }

    /// Chunk and place of a member that is there.
    fn locate(&self, member: &Scored) -> (usize, usize) {
        let at = self.chunk_of(member);
        let place = self.chunks[at].partition_point(|other| compare(other, member).is_lt());
        debug_assert!(compare(&self.chunks[at][place], member).is_eq(), "the member is there");
        (at, place)
    }

    /// Divides a full chunk and returns where a member now belongs. Behind everything begins a chunk of its own, so that
    /// members that come in order leave full chunks.
    fn make_room(&mut self, at: usize, member: &Scored) -> usize {
        let is_behind = compare(last(&self.chunks[at]), member).is_lt();
        let kept = if is_behind { CHUNK_HANDLES_MAX } else { CHUNK_HANDLES_MAX / 2 };
        let upper = Arc::make_mut(&mut self.chunks[at]).split_off(kept);
        self.chunks.insert(at + 1, Arc::new(upper));
        self.recount();
        at + usize::from(compare(last(&self.chunks[at]), member).is_lt())
    }

    fn maybe_merge(&mut self, at: usize) {
        let lower = if at + 1 < self.chunks.len() { at } else { at.saturating_sub(1) };
        let Some([low, high]) = self.chunks.get_mut(lower..lower + 2) else { return };
        if low.len() + high.len() <= MERGED_HANDLES_MAX {
            Arc::make_mut(low).extend_from_slice(high);
            self.chunks.remove(lower + 1);
            self.recount();
        }
    }

    fn recount(&mut self) {
        self.counts = Counts::new(self.chunks.iter().map(|chunk| chunk.len()));
    }
}

fn compare(left: &Scored, right: &Scored) -> Ordering {
    by_order((left.header.header, &left.slice), (right.header.header, &right.slice))
}

fn last(chunk: &[Scored]) -> &Scored {
    chunk.last().expect("no chunk is empty")
}

/// Prefix sums of the chunks' lengths: see the module.
#[derive(Clone, Default)]
struct Counts {
    sums: Vec<usize>,
}

impl Counts {
    fn new(lengths: impl Iterator<Item = usize>) -> Self {
        let mut sums: Vec<_> = std::iter::once(0).chain(lengths).collect();
        for at in 1..sums.len() {
            let next = at + lowest_bit(at);
            if next < sums.len() {
                sums[next] += sums[at];
            }
        }
        Self { sums }
    }

    fn add(&mut self, chunk: usize, count: usize) {
        self.climb(chunk, |sum| *sum += count);
    }

    fn subtract(&mut self, chunk: usize, count: usize) {
        self.climb(chunk, |sum| *sum -= count);
    }

    fn climb(&mut self, chunk: usize, change: impl Fn(&mut usize)) {
        let mut at = chunk + 1;
        while at < self.sums.len() {
            change(&mut self.sums[at]);
            at += lowest_bit(at);
        }
    }

    /// The sum of the lengths of the chunks in front of this one.
    fn before(&self, chunk: usize) -> usize {
        let (mut at, mut sum) = (chunk, 0);
        while at > 0 {
            sum += self.sums[at];
            at -= lowest_bit(at);
        }
        sum
    }

    /// The chunk and the place in it of a rank that is below the sum of all.
    fn locate(&self, rank: usize) -> (usize, usize) {
        let (mut at, mut left) = (0, rank);
        let mut step = self.sums.len().next_power_of_two();
        while step > 0 {
            if let Some(&sum) = self.sums.get(at + step)
                && sum <= left
            {
                at += step;
                left -= sum;
            }
            step /= 2;
        }
        (at, left)
    }
}

fn lowest_bit(number: usize) -> usize {
    number & number.wrapping_neg()
}

//! A small sorted set: one block of bytes, in order.
//!
//! ```text
//! entry:  [ score: 8 bytes, little-endian f64 ][ element ]      an element is a length and so many bytes, see `block`
//! block:  entry entry entry ...                              by (score, member)
//! ```

use std::cmp::Ordering;

use crate::block;

const SCORE_BYTES: usize = size_of::<f64>();

/// See the module.
#[derive(Clone, Default)]
pub(super) struct PackedScores {
    block: Vec<u8>,
    count: usize,
}

/// A member, its score and the bytes of its entry in the block.
#[derive(Clone, Copy)]
struct Entry<'a> {
    member: &'a [u8],
    score: f64,
    start: usize,
    end: usize,
}

impl PackedScores {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        self.block.capacity()
    }

    /// The members with their scores, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], f64)> {
        self.entries().map(|entry| (entry.member, entry.score))
    }

    /// The rank and the score of a member.
    pub(super) fn find(&self, member: &[u8]) -> Option<(usize, f64)> {
        self.iter().enumerate().find(|(_, entry)| entry.0 == member).map(|(rank, entry)| (rank, entry.1))
    }

    /// Adds a member that is not there.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) {
        // redis: t_zset.c zzlInsertAt writes the score as text, of which a negative zero comes back as zero.
        let score = score + 0.0;
        let after = self.entries().find(|entry| by_order((entry.score, entry.member), (score, member)).is_gt());
        let place = after.map_or(self.block.len(), |entry| entry.start);
        let room = block::replace(&mut self.block, place..place, SCORE_BYTES + block::element_bytes(member));
        let (score_room, member_room) = room.split_at_mut(SCORE_BYTES);
        score_room.copy_from_slice(&score.to_le_bytes());
        block::write_element(member_room, member);
        self.count += 1;
    }

    /// Removes a member and returns its score, if it is there.
    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let Entry { score, start, end, .. } = self.entries().find(|entry| entry.member == member)?;
        block::replace(&mut self.block, start..end, 0);
        self.count -= 1;
        Some(score)
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let (score, rest) = self.block[start..].split_first_chunk::<SCORE_BYTES>()?;
            let (member, behind) = block::split_element(rest);
            let end = self.block.len() - behind.len();
            let entry = Entry { member, score: f64::from_le_bytes(*score), start, end };
            start = end;
            Some(entry)
        })
    }
}

/// The order of a sorted set: by score, then by the bytes of the member.
pub(super) fn by_order(left: (f64, &[u8]), right: (f64, &[u8])) -> Ordering {
    let by_score = left.0.partial_cmp(&right.0).expect("a score is a number");
    by_score.then_with(|| left.1.cmp(right.1))
}

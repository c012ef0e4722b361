//! Chunks in order, with counts: where an index lies, and what is in front of a chunk.
//!
//! ```text
//! groups: [ count, bytes, mark | Arc -> links ][ count, bytes, mark | Arc -> links ] ...     none is empty
//! links:  [ count, bytes, mark | Arc -> chunk ] ... at most 16                               no chunk is empty
//! counts: a Fenwick tree over the counts of the groups
//! ```
//!
//! A chunk may have a *mark*, by which it is searched for: it is beside whatever refers to the chunk, so that a search looks into none. A group has the
//! mark of its last chunk.
//!
//! The ends are O(1), an index is found in O(log n). A full group is divided, small neighbours are merged; then the counts of the groups
//! are added up anew, a step per group, once in some thousand changes.

use std::ops::Range;

use triomphe::Arc;

use super::ARC_BYTES;
use crate::fenwick::Counts;
use crate::fetch::{FETCHED_MAX, look};

const GROUP_LINKS_MAX: usize = 16;
/// A group with fewer links looks for a neighbour to merge with.
const GROUP_LINKS_MIN: usize = 3;
/// Merged groups leave room, so that they are not divided at the next insertion.
const MERGED_LINKS_MAX: usize = 12;

/// A chunk of a [`Spine`].
pub(crate) trait Counted: Clone {
    /// What it is searched for by.
    type Mark: Copy;
    /// How many elements it holds; at least one while it is in a spine.
    fn count(&self) -> usize;
    /// The bytes that it refers to.
    fn held_bytes(&self) -> usize;
    /// Its mark; anything while it holds no element.
    fn mark(&self) -> Self::Mark;
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Spine<C: Counted> {
    groups: Vec<Group<C>>,
    counts: Counts,
    bytes: usize,
}

#[derive(Clone)]
struct Group<C: Counted> {
    count: u32,
    bytes: usize,
    mark: C::Mark,
    links: Arc<Vec<Link<C>>>,
}

#[derive(Clone)]
struct Link<C: Counted> {
    count: u32,
    bytes: u32,
    mark: C::Mark,
    chunk: Arc<C>,
}

/// The place of a chunk. Good until chunks are inserted or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    group: usize,
    link: usize,
}

/// How many items stand in front of the first that does not satisfy the predicate; those in front all do. Looks at three at a time, which
/// takes hardly longer than one, where each look waits for the memory.
pub(super) fn partition_point<T>(items: &[T], satisfies: impl Fn(&T) -> bool) -> usize {
    let mut left = 0..items.len();
    while left.len() > 3 {
        let step = left.len() / 4;
        let looked = [1, 2, 3].map(|quarter| left.start + quarter * step);
        let satisfied = looked.map(|at| satisfies(&items[at]));
        left = match satisfied {
            [false, ..] => left.start..looked[0],
            [_, false, _] => looked[0] + 1..looked[1],
            [_, _, false] => looked[1] + 1..looked[2],
            _ => looked[2] + 1..left.end,
        };
    }
    left.start + items[left].iter().take_while(|item| satisfies(item)).count()
}

impl<C: Counted> Link<C> {
    fn new(chunk: C) -> Self {
        let (count, bytes) = weigh(&chunk);
        Self { count, bytes, mark: chunk.mark(), chunk: Arc::new(chunk) }
    }
}

fn weigh<C: Counted>(chunk: &C) -> (u32, u32) {
    let bytes = chunk.held_bytes() + ARC_BYTES + size_of::<C>() + size_of::<Link<C>>();
    let count = u32::try_from(chunk.count()).expect("a chunk holds few elements");
    (count, u32::try_from(bytes).expect("an element is at most 512 MiB"))
}

fn last_mark<C: Counted>(links: &[Link<C>]) -> C::Mark {
    links.last().expect("no group is empty").mark
}

impl<C: Counted> Group<C> {
    fn new(links: Vec<Link<C>>) -> Self {
        let count = links.iter().map(|link| link.count).sum();
        let bytes = links.iter().map(|link| link.bytes as usize).sum();
        Self { count, bytes, mark: last_mark(&links), links: Arc::new(links) }
    }
}

impl<C: Counted> Spine<C> {
    /// Without chunks.
    pub(crate) fn new() -> Self {
        Self { groups: Vec::new(), counts: Counts::default(), bytes: 0 }
    }

    /// How many elements all chunks hold.
    pub(crate) fn len(&self) -> usize {
        self.counts.total()
    }

    /// The bytes of the chunks and of what refers to them.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let per_group = size_of::<Group<C>>() + ARC_BYTES + size_of::<Vec<Link<C>>>();
        self.bytes + self.groups.len() * per_group + self.counts.allocated_bytes()
    }

    fn link(&self, at: At) -> &Link<C> {
        &self.groups[at.group].links[at.link]
    }

    /// The chunk at a place.
    pub(crate) fn chunk(&self, at: At) -> &C {
        &self.link(at).chunk
    }

    /// The first chunk, if there is any.
    pub(crate) fn first(&self) -> Option<At> {
        if self.groups.is_empty() { None } else { Some(At { group: 0, link: 0 }) }
    }

    /// The last chunk, if there is any.
    pub(crate) fn last(&self) -> Option<At> {
        let group = self.groups.len().checked_sub(1)?;
        Some(At { group, link: self.groups[group].links.len() - 1 })
    }

    /// The chunk behind this one.
    pub(crate) fn next(&self, at: At) -> Option<At> {
        let next = At { link: at.link + 1, ..at };
        if next.link < self.groups[at.group].links.len() {
            return Some(next);
        }
        if at.group + 1 < self.groups.len() { Some(At { group: at.group + 1, link: 0 }) } else { None }
    }

    /// The chunk in front of this one.
    pub(crate) fn previous(&self, at: At) -> Option<At> {
        if let Some(link) = at.link.checked_sub(1) {
            return Some(At { link, ..at });
        }
        let group = at.group.checked_sub(1)?;
        Some(At { group, link: self.groups[group].links.len() - 1 })
    }

    /// The chunk of an index below the length, and the index within.
    pub(crate) fn locate(&self, index: usize) -> (At, usize) {
        let (group, mut left) = self.counts.locate(index);
        for (link, found) in self.groups[group].links.iter().enumerate() {
            if left < found.count as usize {
                return (At { group, link }, left);
            }
            left -= found.count as usize;
        }
        unreachable!("a group's count is the sum of its links'")
    }

    /// How many elements are in front of a chunk.
    pub(crate) fn before(&self, at: At) -> usize {
        let links = &self.groups[at.group].links[..at.link];
        self.counts.before(at.group) + links.iter().map(|link| link.count as usize).sum::<usize>()
    }

    /// The first chunk whose mark does not satisfy the predicate; those in front all do, and none behind may.
    pub(crate) fn partition_point(&self, satisfies: impl Fn(C::Mark) -> bool) -> Option<At> {
        let group = partition_point(&self.groups, |group| satisfies(group.mark));
        let link = partition_point(&self.groups.get(group)?.links, |link| satisfies(link.mark));
        Some(At { group, link })
    }

    /// Brings near what searches for several items look at, as far as `looks` go into a chunk. See `fetch`.
    pub(crate) fn fetch<S>(&self, sought: &[S], is_behind: impl Fn(&S, C::Mark) -> bool, looks: &[fn(&C) -> usize]) {
        let mut groups: [Option<&Group<C>>; FETCHED_MAX] = [None; FETCHED_MAX];
        for (group, sought) in groups.iter_mut().zip(sought) {
            *group = self.groups.get(partition_point(&self.groups, |group| is_behind(sought, group.mark)));
        }
        look(groups.iter().flatten().map(|group| group.links.len()));
        let mut chunks: [Option<&Arc<C>>; FETCHED_MAX] = [None; FETCHED_MAX];
        for ((chunk, group), sought) in chunks.iter_mut().zip(groups).zip(sought) {
            let Some(group) = group else { continue };
            let link = partition_point(&group.links, |link| is_behind(sought, link.mark));
            *chunk = group.links.get(link).map(|link| &link.chunk);
        }
        looks.iter().for_each(|look_at| look(chunks.iter().flatten().map(|chunk| look_at(chunk))));
    }

    /// The chunks, in order.
    pub(crate) fn chunks(&self) -> impl DoubleEndedIterator<Item = &C> + Clone {
        self.groups.iter().flat_map(|group| group.links.iter()).map(|link| &*link.chunk)
    }

    /// The chunks from one to another, both included, with their places.
    pub(crate) fn between(&self, first: At, last: At) -> impl DoubleEndedIterator<Item = (At, &C)> + Clone {
        let groups = self.groups[first.group..=last.group].iter().enumerate();
        groups.flat_map(move |(step, found)| {
            let group = first.group + step;
            let start = if group == first.group { first.link } else { 0 };
            let end = if group == last.group { last.link + 1 } else { found.links.len() };
            let links = found.links[start..end].iter().enumerate();
            links.map(move |(step, link)| (At { group, link: start + step }, &*link.chunk))
        })
    }

    /// Changes a chunk and the books with it. Copies what a clone shares. Whoever empties a chunk takes it out.
    pub(crate) fn change<R>(&mut self, at: At, change: impl FnOnce(&mut C) -> R) -> R {
        let group = &mut self.groups[at.group];
        let links = Arc::make_mut(&mut group.links);
        let link = &mut links[at.link];
        let before = (link.count, link.bytes);
        let result = change(Arc::make_mut(&mut link.chunk));
        (link.count, link.bytes) = weigh(&*link.chunk);
        link.mark = link.chunk.mark();
        let link = &links[at.link];
        group.bytes = group.bytes - before.1 as usize + link.bytes as usize;
        group.mark = last_mark(links);
        self.bytes = self.bytes - before.1 as usize + link.bytes as usize;
        if link.count > before.0 {
            group.count += link.count - before.0;
            self.counts.add(at.group, link.count - before.0);
        } else if link.count < before.0 {
            group.count -= before.0 - link.count;
            self.counts.subtract(at.group, before.0 - link.count);
        }
        result
    }

    /// Puts a chunk, which is not empty, behind another; `None`: in front of all. Returns its place.
    pub(crate) fn insert_after(&mut self, at: Option<At>, chunk: C) -> At {
        debug_assert!(chunk.count() > 0, "no chunk is empty");
        let new = Link::new(chunk);
        self.bytes += new.bytes as usize;
        let (group, link) = at.map_or((0, 0), |at| (at.group, at.link + 1));
        let Some(found) = self.groups.get_mut(group).filter(|found| found.links.len() < GROUP_LINKS_MAX) else {
            let at = self.insert_beside(group, link, new);
            self.recount();
            return at;
        };
        let count = new.count;
        (found.count, found.bytes) = (found.count + count, found.bytes + new.bytes as usize);
        let links = Arc::make_mut(&mut found.links);
        if links.len() == links.capacity() {
            links.reserve_exact(links.len().max(2).min(GROUP_LINKS_MAX - links.len()));
        }
        links.insert(link, new);
        found.mark = last_mark(links);
        self.counts.add(group, count);
        At { group, link }
    }

    /// Puts a link where its group is full, or where there is none yet.
    fn insert_beside(&mut self, group: usize, link: usize, new: Link<C>) -> At {
        // Beyond the ends begins a group of its own, so that what is pushed there leaves full groups.
        if group == 0 && link == 0 {
            if self.groups.is_empty() {
                // Most spines have one.
                self.groups.reserve_exact(1);
            }
            self.groups.insert(0, Group::new(vec![new]));
            return At { group, link };
        }
        if link == GROUP_LINKS_MAX && group + 1 == self.groups.len() {
            self.groups.push(Group::new(vec![new]));
            return At { group: group + 1, link: 0 };
        }
        let mut lower = self.groups[group].links.to_vec();
        lower.insert(link, new);
        let upper = lower.split_off(GROUP_LINKS_MAX / 2);
        self.groups[group] = Group::new(lower);
        self.groups.insert(group + 1, Group::new(upper));
        let half = GROUP_LINKS_MAX / 2;
        if link < half { At { group, link } } else { At { group: group + 1, link: link - half } }
    }

    /// Puts a chunk, which is not empty, behind all others.
    pub(crate) fn push(&mut self, chunk: C) {
        self.insert_after(self.last(), chunk);
    }

    /// Takes a chunk out.
    pub(crate) fn remove(&mut self, at: At) {
        let group = &mut self.groups[at.group];
        let link = Arc::make_mut(&mut group.links).remove(at.link);
        (group.count, group.bytes) = (group.count - link.count, group.bytes - link.bytes as usize);
        self.bytes -= link.bytes as usize;
        self.counts.subtract(at.group, link.count);
        let left = group.links.len();
        if left == 0 {
            self.groups.remove(at.group);
            self.recount();
            return;
        }
        group.mark = last_mark(&group.links);
        if left < GROUP_LINKS_MIN {
            self.maybe_merge(at.group);
        }
    }

    fn maybe_merge(&mut self, group: usize) {
        let lower = if group + 1 < self.groups.len() { group } else { group.saturating_sub(1) };
        let Some([low, high]) = self.groups.get(lower..lower + 2) else { return };
        if low.links.len() + high.links.len() <= MERGED_LINKS_MAX {
            let links = low.links.iter().chain(high.links.iter()).cloned().collect();
            self.groups[lower] = Group::new(links);
            self.groups.remove(lower + 1);
            self.recount();
        }
    }

    /// Takes out the chunks that lie as a whole outside of a range of indexes within the length. Returns how many elements of the range's
    /// surroundings are left in front of it and behind it.
    pub(crate) fn keep_chunks(&mut self, range: Range<usize>) -> (usize, usize) {
        if range.is_empty() {
            *self = Self::new();
            return (0, 0);
        }
        let ((first, front), (last, within)) = (self.locate(range.start), self.locate(range.end - 1));
        let back = self.link(last).count as usize - within - 1;
        let kept = |spine: &Self, group: usize| {
            let links = &spine.groups[group].links;
            let start = if group == first.group { first.link } else { 0 };
            let end = if group == last.group { last.link + 1 } else { links.len() };
            Group::new(links[start..end].to_vec())
        };
        let (first_group, last_group) = (kept(self, first.group), kept(self, last.group));
        self.groups[first.group] = first_group;
        self.groups[last.group] = last_group;
        self.groups.truncate(last.group + 1);
        self.groups.drain(..first.group);
        self.bytes = self.groups.iter().map(|group| group.bytes).sum();
        self.recount();
        (front, back)
    }

    /// Takes out the chunks that [`Spine::change`] has emptied. A step per chunk.
    pub(crate) fn drop_empty_chunks(&mut self) {
        self.groups.retain(|group| group.links.iter().any(|link| link.count > 0));
        for group in &mut self.groups {
            if group.links.iter().any(|link| link.count == 0) {
                let left = group.links.iter().filter(|link| link.count > 0).cloned().collect();
                *group = Group::new(left);
            }
        }
        self.bytes = self.groups.iter().map(|group| group.bytes).sum();
        self.recount();
    }

    fn recount(&mut self) {
        self.counts = self.groups.iter().map(|group| group.count).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_looks_at_a_time_find_what_one_finds() {
        for length in 0..70 {
            let items: Vec<usize> = (0..length).collect();
            for bound in 0..=length {
                assert_eq!(partition_point(&items, |&item| item < bound), bound);
            }
        }
    }
}

//! Many members: a dense vector of them in chunks, and a hash index to find them in it.
//!
//! ```text
//! chunks:      [ Arc -> 128 members ][ Arc -> 128 members ] ... [ Arc -> 1 to 128 members ]
//! partitions:  [ (0, Arc -> table of places) ][ (first hash, Arc -> table of places) ] ...      in order of the hash
//! member:      ThinArc [ count of sharers | header | length | bytes ]
//! ```
//!
//! A new member goes to the end; when one leaves, the last takes its place. So the order is a function of the history of changes
//! alone, a random member is one look away, and a walk from the end to the front returns what is there throughout, however
//! much comes and goes: what moves, moves towards the front.
//!
//! A frozen view shares everything; a change copies one chunk (of handles, not of members) and one or two tables of at most
//! [`PARTITION_MEMBERS_MAX`] places. No table grows for longer than it takes to hash so many members.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use siphasher::sip::SipHasher13;
use triomphe::{Arc, ThinArc};

/// A member and what is kept with it: nothing in a set, the score in a sorted set.
pub(crate) type Member<H> = ThinArc<H, u8>;

const CHUNK_MEMBERS: usize = 128;
const PARTITION_MEMBERS_MAX: usize = 4096;
/// Places that a fresh chunk has room for.
const CHUNK_MEMBERS_FIRST: usize = 4;
/// What the index takes for a member, on average: four bytes of place, one of control, and the free places of a table.
const INDEX_BYTES: usize = 8;
/// A member's counter and length, beside its header and bytes.
const MEMBER_HEAD_BYTES: usize = 2 * size_of::<usize>();

/// See the module.
#[derive(Clone)]
pub(crate) struct Members<H: Copy> {
    hash_key: [u64; 2],
    chunks: Vec<Arc<Vec<Member<H>>>>,
    partitions: Vec<(u64, Arc<HashTable<u32>>)>,
    count: usize,
    /// The bytes of all members, without handles and index.
    member_bytes: usize,
}

impl<H: Copy> Members<H> {
    pub(crate) fn new(hash_key: [u64; 2]) -> Self {
        Self {
            hash_key,
            chunks: Vec::new(),
            partitions: vec![(0, Arc::new(HashTable::new()))],
            count: 0,
            member_bytes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn allocated_bytes(&self) -> usize {
        self.member_bytes + self.count * (size_of::<Member<H>>() + INDEX_BYTES)
    }

    /// The member at a place below the length.
    pub(crate) fn at(&self, place: usize) -> &Member<H> {
        &self.chunks[place / CHUNK_MEMBERS][place % CHUNK_MEMBERS]
    }

    pub(crate) fn find(&self, bytes: &[u8]) -> Option<&Member<H>> {
        self.place(self.hash(bytes), bytes).map(|place| self.at(place))
    }

    /// The members in order of their places.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Member<H>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Adds a member that is not there. Returns another handle to it.
    pub(crate) fn push(&mut self, header: H, bytes: &[u8]) -> Member<H> {
        let member = Member::from_header_and_slice(header, bytes);
        let hash = self.hash(bytes);
        let place = u32::try_from(self.count).expect("memory holds fewer members");
        if self.count.is_multiple_of(CHUNK_MEMBERS) {
            self.chunks.push(Arc::new(Vec::with_capacity(CHUNK_MEMBERS_FIRST)));
        }
        let last = Arc::make_mut(self.chunks.last_mut().expect("pushed if there was none"));
        if last.len() == last.capacity() {
            last.reserve_exact(last.len().clamp(CHUNK_MEMBERS_FIRST, CHUNK_MEMBERS - last.len()));
        }
        last.push(member.clone());
        self.count += 1;
        self.member_bytes += allocated_bytes::<H>(bytes.len());
        let (hash_key, chunks) = (self.hash_key, &self.chunks);
        let index = partition_of(&self.partitions, hash);
        let table = Arc::make_mut(&mut self.partitions[index].1);
        table.insert_unique(hash, place, |&other| hash_at(hash_key, chunks, other));
        if table.len() > PARTITION_MEMBERS_MAX {
            self.split(index);
        }
        member
    }

    /// Gives a member that is there another header. Returns its handles before and after.
    pub(crate) fn replace(&mut self, header: H, bytes: &[u8]) -> (Member<H>, Member<H>) {
        let place = self.place(self.hash(bytes), bytes).expect("the member is there");
        let member = Member::from_header_and_slice(header, bytes);
        let before = std::mem::replace(self.at_mut(place), member.clone());
        (before, member)
    }

    /// Removes a member, if it is there.
    pub(crate) fn remove(&mut self, bytes: &[u8]) -> Option<Member<H>> {
        let hash = self.hash(bytes);
        let place = self.unindex(hash, bytes)?;
        let chunk = self.chunks.last_mut().expect("a member is there");
        let last = Arc::make_mut(chunk).pop().expect("no chunk is empty");
        if chunk.is_empty() {
            self.chunks.pop();
        }
        self.count -= 1;
        let removed = if place == self.count {
            last
        } else {
            let moved_hash = self.hash(&last.slice);
            let index = partition_of(&self.partitions, moved_hash);
            let table = Arc::make_mut(&mut self.partitions[index].1);
            let indexed = table.find_mut(moved_hash, |&other| other as usize == self.count);
            *indexed.expect("every member is indexed") = u32::try_from(place).expect("a place that was indexed");
            std::mem::replace(self.at_mut(place), last)
        };
        self.member_bytes -= allocated_bytes::<H>(bytes.len());
        Some(removed)
    }

    fn at_mut(&mut self, place: usize) -> &mut Member<H> {
        &mut Arc::make_mut(&mut self.chunks[place / CHUNK_MEMBERS])[place % CHUNK_MEMBERS]
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        hash_of(self.hash_key, bytes)
    }

    fn place(&self, hash: u64, bytes: &[u8]) -> Option<usize> {
        let table = &self.partitions[partition_of(&self.partitions, hash)].1;
        table.find(hash, |&place| self.at(place as usize).slice == *bytes).map(|&place| place as usize)
    }

    /// Takes a member out of the index and says where it is.
    fn unindex(&mut self, hash: u64, bytes: &[u8]) -> Option<usize> {
        let place = self.place(hash, bytes)?;
        let (hash_key, chunks) = (self.hash_key, &self.chunks);
        let index = partition_of(&self.partitions, hash);
        let table = Arc::make_mut(&mut self.partitions[index].1);
        let rehash = |&other: &u32| hash_at(hash_key, chunks, other);
        let Entry::Occupied(found) = table.entry(hash, |&other| other as usize == place, rehash) else {
            unreachable!("it was found there");
        };
        found.remove();
        if table.capacity() > 64 && table.len() < table.capacity() / 8 {
            table.shrink_to(table.len() * 2, rehash);
        }
        Some(place)
    }

    /// Divides a partition at the middle of its range of hashes.
    fn split(&mut self, index: usize) {
        let start = self.partitions[index].0;
        let end = self.partitions.get(index + 1).map_or(u64::MAX, |next| next.0);
        let middle = start + (end - start) / 2;
        if middle == start {
            return;
        }
        let rehash = |&place: &u32| hash_at(self.hash_key, &self.chunks, place);
        let half = PARTITION_MEMBERS_MAX / 2;
        let (mut lower, mut upper) = (HashTable::with_capacity(half), HashTable::with_capacity(half));
        for place in self.partitions[index].1.iter() {
            let hash = rehash(place);
            let table = if hash < middle { &mut lower } else { &mut upper };
            table.insert_unique(hash, *place, rehash);
        }
        self.partitions[index].1 = Arc::new(lower);
        self.partitions.insert(index + 1, (middle, Arc::new(upper)));
    }
}

fn hash_of(hash_key: [u64; 2], bytes: &[u8]) -> u64 {
    SipHasher13::new_with_keys(hash_key[0], hash_key[1]).hash(bytes)
}

fn hash_at<H>(hash_key: [u64; 2], chunks: &[Arc<Vec<Member<H>>>], place: u32) -> u64 {
    hash_of(hash_key, &chunks[place as usize / CHUNK_MEMBERS][place as usize % CHUNK_MEMBERS].slice)
}

fn partition_of(partitions: &[(u64, Arc<HashTable<u32>>)], hash: u64) -> usize {
    partitions.partition_point(|&(start, _)| start <= hash) - 1
}

/// The bytes of a member's allocation.
fn allocated_bytes<H>(length: usize) -> usize {
    (MEMBER_HEAD_BYTES + size_of::<H>() + length).next_multiple_of(size_of::<usize>())
}

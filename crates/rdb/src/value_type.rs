//! The numbers that RDB gives to the ways of writing a value.

/// A string.
pub(crate) const STRING: u8 = 0;
/// Elements, each a string.
pub(crate) const LIST: u8 = 1;
/// Members, each a string.
pub(crate) const SET: u8 = 2;
/// Members, each a string, with scores in digits.
pub(crate) const SORTED_SET_OLD: u8 = 3;
/// Fields and values, each a string.
pub(crate) const HASH: u8 = 4;
/// Members, each a string, with scores in binary.
pub(crate) const SORTED_SET: u8 = 5;
/// Fields and values in one zipmap.
pub(crate) const HASH_ZIPMAP: u8 = 9;
/// Elements in one ziplist.
pub(crate) const LIST_ZIPLIST: u8 = 10;
/// A set of integers in one string.
pub(crate) const SET_INTEGERS: u8 = 11;
/// Members and scores in one ziplist.
pub(crate) const SORTED_SET_ZIPLIST: u8 = 12;
/// Fields and values in one ziplist.
pub(crate) const HASH_ZIPLIST: u8 = 13;
/// Pieces, each a ziplist of elements.
pub(crate) const LIST_ZIPLISTS: u8 = 14;
/// Fields and values in one listpack.
pub(crate) const HASH_PACKED: u8 = 16;
/// Members and scores in one listpack.
pub(crate) const SORTED_SET_PACKED: u8 = 17;
/// Fields and values, each a string, with deadlines: signed, in ms since 1970; -1 stands for none. Valkey's;
/// release candidates of Redis 7.4 gave the number to fields and values behind deadlines, as lengths; 0 stands for none.
pub(crate) const HASH_EXPIRING: u8 = 22;
/// Fields, values and such deadlines in one listpack, from release candidates of Redis 7.4.
pub(crate) const HASH_PACKED_EXPIRING_CANDIDATE: u8 = 23;
/// The first deadline, then fields and values behind deadlines that count from it, from 1 on. Redis 7.4.
pub(crate) const HASH_EXPIRING_FROM: u8 = 24;
/// The first deadline, then as in 23. Redis 7.4.
pub(crate) const HASH_PACKED_EXPIRING: u8 = 25;
/// Pieces, each an element or a listpack of them.
pub(crate) const LIST_PIECES: u8 = 18;
/// Members in one listpack.
pub(crate) const SET_PACKED: u8 = 20;

/// A stream, as Redis 5 writes it.
pub(crate) const STREAM_5: u8 = 15;
/// A stream, as Redis 7.0 writes it.
pub(crate) const STREAM_7: u8 = 19;
/// A stream, as Redis 7.2 writes it.
pub(crate) const STREAM: u8 = 21;

/// A stream with all that is known of it here. Only in snapshots: no other server knows the number.
pub(crate) const STREAM_WHOLE: u8 = 200;

/// The deadline of a field that does not expire.
pub(crate) const NO_DEADLINE: i64 = -1;

/// A piece of a list that is one element, as it is.
pub(crate) const PIECE_PLAIN: u64 = 1;
/// A piece of a list that is a listpack.
pub(crate) const PIECE_PACKED: u64 = 2;

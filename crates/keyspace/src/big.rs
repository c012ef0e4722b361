//! What big collections are made of, whatever their type.
//!
//! ```text
//! set:         Dense                       members by place and by name
//! sorted set:  Ranked                      the same, and their places by (score, member)
//! hash:        Ranked                      fields by position and by name; those that expire by (deadline, field), too
//! list:        Spine of blocks             elements by index
//!
//! Ranked = Dense + Order
//! Dense  = Rows + Index       `rows`: bytes in chunks            `index`: from a name's hash to a place, in partitions
//! Order  = Spine of places    `spine`: chunks with counts, in groups; what is in front of one, and where an index lies, in O(log n)
//! ```
//!
//! Invariants, for ten million elements as for ten:
//!
//! * Everything is behind two levels of `Arc`. Cloning clones the upper level, one pointer for some hundred to thousand elements; a write behind
//!   a clone copies one group of pointers, one chunk, and one partition of the index.
//! * A chunk is a few blocks of at most some KiB, however many rows are in it: nothing is counted or freed for each of them.
//! * Nothing ever grows as a whole: a chunk, a group or a partition is divided, which moves a few hundred or thousand words.
//! * How the pieces were divided shows nowhere.

mod dense;
mod index;
mod order;
mod ranked;
mod rows;
mod spine;

pub(crate) use dense::{Dense, Head};
pub(crate) use ranked::{Keyed, Ranked};
pub(crate) use rows::{Body, Row};
pub(crate) use spine::{At, Counted, Spine};

/// So many elements are few: a look at each is as fast as a hash of the one that is looked for.
pub(crate) const FEW_MAX: usize = 16;
/// Few elements may be kept in one block while it takes no more: whoever changes it shifts what follows, and copies all of it
/// while a snapshot shares it.
pub(crate) const FEW_BYTES_MAX: usize = 2048;

/// What an `Arc` has in front of its contents.
pub(crate) const ARC_BYTES: usize = size_of::<usize>();

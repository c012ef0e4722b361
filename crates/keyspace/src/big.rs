//! What big collections are made of, whatever their type.
//!
//! ```text
//! set:         Dense                       members by place and by name
//! sorted set:  Dense + Order               the same, and the handles by (score, member)
//! hash:        Dense + Order               fields by position and by name; those that expire by (deadline, field), too
//! list:        Spine of blocks             elements by index
//!
//! Dense = Rows + Index        `rows`: a vector in chunks         `index`: from a name's hash to a place, in partitions
//! Order = Spine of handles    `spine`: chunks with counts, in groups; what is in front of one, and where an index lies, in O(log n)
//! ```
//!
//! Invariants, for ten million elements as for ten:
//!
//! * Everything is behind two levels of `Arc`. Cloning clones the upper level, one pointer for some thousand elements; a write behind
//!   a clone copies one group of pointers, one chunk, and one partition of the index.
//! * Nothing ever grows as a whole: a chunk, a group or a partition is divided, which moves a few hundred or thousand words.
//! * How the pieces were divided shows nowhere.

mod dense;
mod index;
mod order;
mod rows;
mod spine;

pub(crate) use dense::{Dense, Named};
pub(crate) use order::{Order, Ranked};
pub(crate) use spine::{At, Counted, Spine};

/// What an `Arc` has in front of its contents.
const ARC_BYTES: usize = size_of::<usize>();

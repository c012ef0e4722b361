//! The whole state at one moment, and its fingerprint.

use std::borrow::Cow;

use slot::Slot;
use triomphe::Arc;

use crate::context::DATABASE_COUNT;
use crate::deletions::Deletions;
use crate::digest::Digest;
use crate::keyspace::{Found, Keyspace};
use crate::part::{Part, Placed};
use crate::record::Body;
use crate::settings::Settings;
use crate::span::Span;
use crate::strings::StringRef;
use crate::{Collection, Value};

/// The state as it was when [`Keyspace::freeze`] was called. Shares all data with the keyspace; what a later write touches is copied, a
/// part of a span at a time.
pub struct Frozen {
    /// The settings of the shard.
    pub settings: Settings,
    /// The log clock.
    pub clock_ms: u64,
    /// The revision of the last changing command.
    pub revision: u64,
    /// See [`Keyspace::expires_actively`].
    pub expires_actively: bool,
    /// The last deletions.
    pub deletions: Deletions,
    /// The spans that hold keys, in order of (database, slot).
    spans: Vec<(usize, Arc<Span>)>,
}

/// A key of a frozen state.
pub struct FrozenKey<'a> {
    /// The key's database.
    pub database: usize,
    /// Its name.
    pub key: &'a [u8],
    /// Its value: a string, or
    pub string: Option<StringRef<'a>>,
    /// a collection. One of the two is there.
    pub collection: Option<Cow<'a, Collection>>,
    /// When it expires, in ms since 1970.
    pub deadline_ms: Option<u64>,
    /// The revision of the command that changed it last.
    pub revision: u64,
}

impl Frozen {
    /// The number of spans that hold keys, over all databases. A span is sixteen neighbouring slots of one database; they come in order of
    /// (database, slot).
    pub fn span_count(&self) -> usize {
        self.spans.len()
    }

    /// How many parts the span with this index has. A part holds few hundred keys.
    pub fn part_count(&self, index: usize) -> usize {
        self.spans[index].1.part_count()
    }

    /// The keys of a part of a span, in (slot, hash, key) order: the first part's come before the second's. For whoever walks with breaks: what
    /// was walked over before is not sorted again.
    pub fn keys_of_part(&self, index: usize, part: usize) -> impl Iterator<Item = FrozenKey<'_>> {
        let (database, span) = &self.spans[index];
        self.keys_of(*database, span.part_at(part))
    }

    fn keys_of<'a>(&self, database: usize, part: &'a Part) -> impl Iterator<Item = FrozenKey<'a>> + use<'a> {
        part.sorted_from(self.settings.hash_key, Slot::FIRST, 0).into_iter().map(move |Placed { record, .. }| {
            let found = Found { record, part };
            let collection = match record.body {
                Body::Inline { .. } => None,
                Body::PackedHash { block } => Some(Cow::Owned(Collection::of_block(block))),
                Body::Beside { place, .. } => Some(Cow::Borrowed(part.value(place))),
            };
            FrozenKey {
                database,
                key: record.key,
                string: found.string().ok(),
                collection,
                deadline_ms: record.deadline_ms,
                revision: record.revision,
            }
        })
    }

    /// Every key, in the order of the keyspace.
    pub fn keys(&self) -> impl Iterator<Item = FrozenKey<'_>> {
        let parts = self.spans.iter().flat_map(|(database, span)| span.parts_from(0).map(move |part| (database, part)));
        parts.flat_map(|(database, part)| self.keys_of(*database, part))
    }

    /// A fingerprint of everything that a snapshot keeps: two replicas that applied the same entries agree on it.
    pub fn digest(&self) -> u64 {
        let mut head = Digest::new();
        head.number(self.clock_ms);
        head.number(self.revision);
        head.number(u64::from(self.expires_actively));
        let (forgotten, ring) = self.deletions.parts();
        head.number(forgotten);
        ring.for_each(|(revision, _)| head.number(revision));
        self.keys().fold(head.finish(), |sum, key| sum.wrapping_add(key.digest()))
    }
}

impl FrozenKey<'_> {
    /// The whole value, sharing what is big: what [`Keyspace::restore_key`] takes.
    pub fn to_value(&self) -> Value {
        match (self.string, &self.collection) {
            (Some(StringRef::Inline(bytes, raw)), _) => Value::String(bytes.to_vec(), raw),
            (_, Some(collection)) => Value::Collection(Collection::clone(collection)),
            (_, None) => unreachable!("a value is a string or a collection"),
        }
    }

    fn digest(&self) -> u64 {
        let mut digest = Digest::new();
        digest.number(self.database as u64);
        digest.bytes(self.key);
        digest.number(self.revision);
        digest.number(self.deadline_ms.map_or(0, |deadline_ms| deadline_ms.saturating_add(1)));
        match (self.string, &self.collection) {
            (Some(StringRef::Inline(bytes, raw)), _) => {
                digest.number(u64::from(raw));
                digest.bytes(bytes);
            }
            (_, Some(collection)) => {
                digest.number(2 + collection.value_type() as u64);
                collection.digest(&mut digest);
            }
            (_, None) => unreachable!("a value is a string or a collection"),
        }
        digest.finish()
    }
}

impl Keyspace {
    /// The state as it is now, to be encoded while the keyspace goes on. Takes one step per span of sixteen slots.
    pub fn freeze(&self) -> Frozen {
        let databases = self.databases.iter().enumerate().take(DATABASE_COUNT);
        let spans = databases.flat_map(|(at, database)| {
            database.iter().flat_map(|database| database.spans()).map(move |span| (at, span.clone()))
        });
        Frozen {
            settings: *self.settings(),
            clock_ms: self.clock_ms(),
            revision: self.revision(),
            expires_actively: self.expires_actively(),
            deletions: self.deletions.clone(),
            spans: spans.collect(),
        }
    }

    /// The fingerprint of the state: see [`Frozen::digest`].
    pub fn digest(&self) -> u64 {
        self.freeze().digest()
    }
}

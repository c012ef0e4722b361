//! The keyspace itself: finding, putting and removing keys, and the books that are kept with it.

use slot::Slot;

use crate::access::{self, Accesses};
use crate::collection::{Collection, CollectionValue, KeptBeside, Value, ValueType};
use crate::context::{Context, DATABASE_COUNT};
use crate::database::Database;
use crate::deletions::{Deleted, Deletions};
use crate::effects::{Effects, TouchedKey};
use crate::error::DataError;
use crate::frozen::FrozenKey;
use crate::hash::{HashValue, HashView, LiveHash};
use crate::part::{NewBody, Part, Removed, Stamp, hash_of};
use crate::record::{Body, REVISION_MAX};
use crate::records::Kept;
use crate::settings::Settings;

/// All keys of one shard replica. See the crate's head.
pub struct Keyspace {
    settings: Settings,
    accesses: Accesses,
    pub(crate) databases: Vec<Option<Box<Database>>>,
    pub(crate) clock_ms: u64,
    revision: u64,
    /// Whether the running command has drawn its revision.
    drawn: bool,
    pub(crate) deletions: Deletions,
    pub(crate) effects: Effects,
    listening: bool,
    expires_actively: bool,
    scratch: Vec<u8>,
}

/// Where a key is kept, whether it is there or not.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) database: usize,
    pub(crate) slot: Slot,
    pub(crate) hash: u64,
}

/// A key that is there: its record, and the part with the value beside it.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) record: Kept<'a>,
    pub(crate) part: &'a Part,
}

impl<'a> Found<'a> {
    /// The value beside the key, if it is of this type.
    pub(crate) fn value<T: KeptBeside>(self) -> Result<&'a T, DataError> {
        let place = self.record.place().ok_or(DataError::WrongType)?;
        T::of_collection(self.part.value(place)).ok_or(DataError::WrongType)
    }

    /// The whole value, sharing what is big.
    pub(crate) fn to_value(self) -> Value {
        match self.record.body {
            Body::Inline { bytes, raw } => Value::String(bytes.to_vec(), raw),
            Body::PackedHash { block } => Value::Collection(Collection::of_block(block)),
            Body::Beside { place, .. } => Value::Collection(self.part.value(place).clone()),
        }
    }

    /// The hash at the key.
    fn hash(self) -> Result<HashView<'a>, DataError> {
        match self.record.body {
            Body::PackedHash { block } => Ok(HashView::of_block(block)),
            Body::Inline { .. } => Err(DataError::WrongType),
            Body::Beside { place, .. } => {
                HashValue::of_collection(self.part.value(place)).map(HashValue::view).ok_or(DataError::WrongType)
            }
        }
    }
}

impl Keyspace {
    /// A keyspace without keys, at revision 0 and clock 0.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            accesses: Accesses::Timed,
            databases: (0..DATABASE_COUNT).map(|_| None).collect(),
            clock_ms: 0,
            revision: 0,
            drawn: false,
            deletions: Deletions::default(),
            effects: Effects::default(),
            listening: false,
            expires_actively: true,
            scratch: Vec::new(),
        }
    }

    /// The settings of the shard.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes the settings, by an entry. The hash key stays what it is; values keep their encoding until they are changed.
    pub fn set_settings(&mut self, settings: Settings) {
        assert_eq!(settings.hash_key, self.settings.hash_key, "the hash key never changes in the life of a shard");
        self.settings = settings;
    }

    /// What accesses leave at a key.
    pub fn accesses(&self) -> Accesses {
        self.accesses
    }

    /// Changes that. It is no part of the state, as the marks are none: whoever keeps the shard's settings says it here, too.
    pub fn set_accesses(&mut self, accesses: Accesses) {
        self.accesses = accesses;
    }

    /// Whether entries remove what is due. If not, it is hidden all the same, and removed by the first command of an entry that meets it.
    pub fn expires_actively(&self) -> bool {
        self.expires_actively
    }

    /// Changes that, by an entry: for tests of what is due and not removed.
    pub fn set_expires_actively(&mut self, expires_actively: bool) {
        self.expires_actively = expires_actively;
    }

    /// Puts what was written and read back into the place of what is there, each value as `load` makes it anew. `false`: it is not the same, and
    /// nothing was changed.
    pub fn reload(&mut self, read_back: Self, load: impl Fn(&FrozenKey<'_>) -> Value) -> bool {
        if read_back.digest() != self.digest() || read_back.settings != self.settings {
            return false;
        }
        let mut loaded = Self::restore(self.settings, self.clock_ms, self.revision, Deletions::default());
        for key in read_back.freeze().keys() {
            let is_sound = loaded.restore_key(key.database, key.key, load(&key), key.deadline_ms, key.revision);
            assert!(is_sound, "a value was there");
        }
        let old = std::mem::replace(&mut self.databases, loaded.databases);
        self.effects.flushed.extend(old.into_iter().chain(read_back.databases).flatten());
        true
    }

    /// The log clock: the time of the last entry, in ms since 1970.
    pub fn clock_ms(&self) -> u64 {
        self.clock_ms
    }

    /// The revision of the last changing command.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The bytes that keys and values take, their buckets included. What a frozen view keeps alive is not counted.
    pub fn allocated_bytes(&self) -> usize {
        self.databases.iter().flatten().map(|database| database.allocated_bytes).sum()
    }

    /// Asks for `Effects::touched`, or no longer.
    pub fn listen(&mut self, listening: bool) {
        self.listening = listening;
    }

    /// What happened since this was last called. To be called after every command, or after every batch if nobody listens.
    pub fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    /// Begins a command: the first change that follows draws a new revision.
    pub fn begin_command(&mut self) {
        self.drawn = false;
    }

    /// The keys of a database, those that are due but not removed yet included.
    pub fn key_count(&self, database: usize) -> usize {
        self.databases[database].as_ref().map_or(0, |database| database.counts.total())
    }

    /// The keys of a database that have a deadline, and the mean of the deadlines in ms since 1970.
    pub fn expiring(&self, database: usize) -> (usize, Option<u64>) {
        let Some(database) = &self.databases[database] else { return (0, None) };
        (database.deadlines.count(), database.deadlines.mean_ms())
    }

    /// How many hashes of a database have fields that expire.
    pub fn expiring_hash_count(&self, database: usize) -> usize {
        self.databases[database].as_ref().map_or(0, |database| database.field_deadlines.count())
    }

    // Places.

    pub(crate) fn place(&self, database: usize, key: &[u8]) -> Place {
        Place { database, slot: Slot::of_key(key), hash: hash_of(self.settings.hash_key, key) }
    }

    pub(crate) fn part(&self, place: Place) -> Option<&Part> {
        self.databases[place.database].as_ref()?.part(place.slot, place.hash)
    }

    /// The part of a key that is there.
    pub(crate) fn part_mut(&mut self, place: Place) -> &mut Part {
        let database = self.databases[place.database].as_mut().expect("the key is there");
        database.part_mut(place.slot, place.hash).expect("the key is there")
    }

    // Reading.

    /// A key as a read sees it, without marking the access.
    pub(crate) fn peek(&self, context: &Context, key: &[u8]) -> Option<Found<'_>> {
        self.peek_at(context, self.place(context.database, key), key)
    }

    fn peek_at(&self, context: &Context, place: Place, key: &[u8]) -> Option<Found<'_>> {
        let found = self.find(place, key).filter(|found| !self.is_hidden(context, &found.record));
        let counter = if found.is_some() { &context.hits } else { &context.misses };
        counter.set(counter.get() + 1);
        found
    }

    /// Whether a read does not see a key, because it is due. Takes note of it where nothing else removes it.
    pub(crate) fn is_hidden(&self, context: &Context, record: &Kept<'_>) -> bool {
        let is_due = context.is_due(record.deadline_ms);
        if !self.expires_actively && (is_due || context.met_deadline.get()) {
            context.leaves.set(true);
            if is_due {
                context.met_due.borrow_mut().push(record.key.into());
            }
        }
        is_due
    }

    /// Ends a command of an entry: removes the keys that it has met though they are due.
    pub fn remove_met(&mut self, context: &Context) {
        for key in context.met_due.take() {
            let place = self.place(context.database, &key);
            // The command may have changed the key since.
            if self.find(place, &key).is_some_and(|found| context.is_due(found.record.deadline_ms)) {
                self.expire(place, &key);
            }
        }
    }

    /// A key as a read sees it. Marks the access.
    pub(crate) fn look_up(&self, context: &Context, key: &[u8]) -> Option<Found<'_>> {
        let place = self.place(context.database, key);
        let found = self.peek_at(context, place, key)?;
        self.mark_access(context, place, found);
        Some(found)
    }

    /// Marks the access to a key, unless the client leaves no marks. A command that looks at it several times in a row accesses it once.
    pub(crate) fn mark_access(&self, context: &Context, place: Place, found: Found<'_>) {
        if !context.no_touch && context.marked.replace(Some(place.hash)) != Some(place.hash) {
            let mark = self.accesses.next(found.record.access_mark(), context.wall_ms, context.seed ^ place.hash);
            found.record.mark_access(mark);
        }
    }

    /// A key, due or not.
    pub(crate) fn find(&self, place: Place, key: &[u8]) -> Option<Found<'_>> {
        let part = self.part(place)?;
        Some(Found { record: part.find(place.hash, key)?, part })
    }

    /// The collection of type `T` at a key, for a command that only reads. `None`: no such key.
    pub fn read<T: KeptBeside>(&self, context: &Context, key: &[u8]) -> Result<Option<&T>, DataError> {
        self.look_up(context, key).map(Found::value).transpose()
    }

    /// The hash at a key, for a command that only reads. `None`: no such key, or all of its fields are due.
    pub fn read_hash<'a>(&'a self, context: &'a Context, key: &[u8]) -> Result<Option<LiveHash<'a>>, DataError> {
        let hash = self.look_up(context, key).map(Found::hash).transpose()?.map(|hash| hash.live(context));
        Ok(hash.filter(|hash| !hash.is_empty()))
    }

    /// Whether the key is there.
    pub fn exists(&self, context: &Context, key: &[u8]) -> bool {
        self.peek(context, key).is_some()
    }

    /// The same for a command that goes on to change it, or would have: that is an access.
    pub fn finds(&self, context: &Context, key: &[u8]) -> bool {
        self.look_up(context, key).is_some()
    }

    /// Marks the access, also for a client that leaves no marks, and says whether the key is there.
    pub fn touch(&self, context: &Context, key: &[u8]) -> bool {
        let place = self.place(context.database, key);
        let found = self.peek_at(context, place, key);
        if let Some(found) = found {
            let mark = self.accesses.next(found.record.access_mark(), context.wall_ms, context.seed ^ place.hash);
            found.record.mark_access(mark);
        }
        found.is_some()
    }

    /// The type of a key's value.
    pub fn value_type(&self, context: &Context, key: &[u8]) -> Option<ValueType> {
        Some(self.peek(context, key)?.record.value_type())
    }

    /// The deadline of a key: `None`, no such key; `Some(None)`, it does not expire.
    pub fn deadline_ms(&self, context: &Context, key: &[u8]) -> Option<Option<u64>> {
        Some(self.peek(context, key)?.record.deadline_ms)
    }

    /// The same for a command that goes on to change it, or would have: that is an access.
    pub fn deadline_to_change(&self, context: &Context, key: &[u8]) -> Option<Option<u64>> {
        Some(self.look_up(context, key)?.record.deadline_ms)
    }

    /// The seconds since the last access of a key, on this replica.
    pub fn idle_seconds(&self, context: &Context, key: &[u8]) -> Option<u64> {
        let mark = self.peek(context, key)?.record.access_mark();
        Some(u64::from(access::idle_seconds(mark, context.wall_ms)))
    }

    /// How often a key was accessed lately, on this replica: the logarithm of it that LFU policies go by.
    pub fn frequency(&self, context: &Context, key: &[u8]) -> Option<u8> {
        let mark = self.peek(context, key)?.record.access_mark();
        Some(self.accesses.frequency(mark, context.wall_ms))
    }

    /// Makes a key look as if it was not accessed for so many seconds, on this replica; if that is what marks tell.
    pub fn set_idle_seconds(&self, context: &Context, key: &[u8], idle_seconds: u64) {
        if self.accesses == Accesses::Timed
            && let Some(found) = self.inspect(context, key)
        {
            found.record.mark_access(access::idle_for(idle_seconds, context.now_ms));
        }
    }

    /// Makes a key look as if it was accessed so often, on this replica; if that is what marks tell.
    pub fn set_frequency(&self, context: &Context, key: &[u8], frequency: u8) {
        if self.accesses != Accesses::Timed
            && let Some(found) = self.inspect(context, key)
        {
            found.record.mark_access(access::counted(frequency, context.now_ms));
        }
    }

    /// A key as somebody sees it who inspects the keyspace, and meets nothing there.
    fn inspect(&self, context: &Context, key: &[u8]) -> Option<Found<'_>> {
        let found = self.find(self.place(context.database, key), key)?;
        Some(found).filter(|found| !context.is_due(found.record.deadline_ms))
    }

    /// The bytes of memory that a key and its value take.
    pub fn key_bytes(&self, context: &Context, key: &[u8]) -> Option<usize> {
        let found = self.inspect(context, key)?;
        let beside = found.record.place().map_or(0, |place| found.part.value(place).allocated_bytes());
        Some(found.record.allocated_bytes() + beside)
    }

    /// A copy of a key's value, with its deadline. Shares what is big.
    pub fn value(&self, context: &Context, key: &[u8]) -> Option<(Value, Option<u64>)> {
        let found = self.look_up(context, key)?;
        Some((found.to_value(), found.record.deadline_ms))
    }

    /// The same, for who inspects the keyspace: that is no access.
    pub fn inspect_value(&self, context: &Context, key: &[u8]) -> Option<(Value, Option<u64>)> {
        let found = self.inspect(context, key)?;
        Some((found.to_value(), found.record.deadline_ms))
    }

    // Writing.

    /// The place of a key that a command is about to change. A due key is removed first, so that what is found there counts. Marks the access
    /// to one that is there.
    pub(crate) fn place_to_write(&mut self, context: &Context, key: &[u8]) -> Place {
        let place = self.place_to_put(context, key);
        if let Some(found) = self.find(place, key) {
            self.mark_access(context, place, found);
        }
        place
    }

    /// The same for a command that has looked at the key before.
    pub(crate) fn place_to_put(&mut self, context: &Context, key: &[u8]) -> Place {
        let place = self.place(context.database, key);
        if let Some(found) = self.find(place, key)
            && context.is_due(found.record.deadline_ms)
        {
            self.expire(place, key);
        }
        place
    }

    /// Removes a key that is due. Nobody sees it go: for WATCH it has been absent since its deadline, and what came last was its last change.
    pub(crate) fn expire(&mut self, place: Place, key: &[u8]) {
        let Some(removed) = self.unlink_at(place, key) else { return };
        self.effects.expired_count += 1;
        self.draw_revision();
        self.note_deleted(place, removed.revision);
        if let Value::Collection(collection) = removed.value {
            self.discard(collection);
        }
    }

    /// The revision of the running command; draws it at its first change.
    pub(crate) fn draw_revision(&mut self) -> u64 {
        if !self.drawn {
            self.drawn = true;
            self.revision += 1;
        }
        self.effects.changed = true;
        self.revision
    }

    fn note_touched(&mut self, place: Place, key: &[u8]) {
        if self.listening {
            self.effects.touched.push(TouchedKey { database: place.database, key: key.into() });
        }
    }

    pub(crate) fn discard(&mut self, collection: Collection) {
        if collection.is_slow_to_free() {
            self.effects.discarded.push(collection);
        }
    }

    /// The database of a key that is there.
    pub(crate) fn database_mut(&mut self, place: Place) -> &mut Database {
        self.databases[place.database].as_mut().expect("the key is there")
    }

    /// Gives a key a value and a deadline, whatever was there.
    pub(crate) fn put_at(&mut self, place: Place, key: &[u8], new: NewBody<'_>, deadline_ms: Option<u64>) {
        let revision = self.draw_revision();
        self.note_touched(place, key);
        if let NewBody::Beside(collection) = &new {
            debug_assert!(!collection.is_empty(), "the keyspace holds no empty collection");
        }
        let hash;
        let new = match new {
            NewBody::Beside(Collection::Hash(small)) if small.small_block().is_some() => {
                hash = small;
                NewBody::PackedHash(hash.small_block().expect("it was looked at"))
            }
            new => new,
        };
        let (beside_bytes, field_deadline_ms) = (new.beside_bytes(), new.next_deadline_ms());
        let hash_key = self.settings.hash_key;
        let database = self.databases[place.database].get_or_insert_with(|| Box::new(Database::new()));
        let (access_mark, keeps_mark) = (self.accesses.first(self.clock_ms), self.accesses != Accesses::Timed);
        let stamp = Stamp { revision, deadline_ms, access_mark, keeps_mark };
        let put = database.part_or_new(place.slot, place.hash).put(&stamp, place.hash, key, new);
        database.note_put(hash_key, place.slot, place.hash, put.replaced.is_none());
        let slot = place.slot.number();
        let before_ms = put.replaced.flatten();
        database.deadlines.change(before_ms, deadline_ms, slot, place.hash);
        let field_before_ms = put.collection.as_ref().and_then(Collection::next_deadline_ms);
        database.field_deadlines.change(field_before_ms, field_deadline_ms, slot, place.hash);
        database.account(put.record_bytes.0, put.record_bytes.1 + beside_bytes);
        if let Some(collection) = put.collection {
            database.account(collection.allocated_bytes(), 0);
            self.discard(collection);
        }
    }

    /// Removes a key and gives back what it held, and its deadline.
    pub(crate) fn take_at(&mut self, place: Place, key: &[u8]) -> Option<(Value, Option<u64>)> {
        let removed = self.unlink_at(place, key)?;
        let revision = self.draw_revision();
        self.note_deleted(place, revision);
        Some((removed.value, removed.deadline_ms))
    }

    /// Takes a key out, and the books with it, but for the note that it is gone.
    fn unlink_at(&mut self, place: Place, key: &[u8]) -> Option<Removed> {
        let database = self.databases[place.database].as_mut()?;
        let removed = database.part_mut(place.slot, place.hash)?.remove(place.hash, key)?;
        database.count_removed(place.slot, place.hash);
        database.deadlines.change(removed.deadline_ms, None, place.slot.number(), place.hash);
        let collection = if let Value::Collection(collection) = &removed.value { Some(collection) } else { None };
        let field_deadline_ms = collection.and_then(Collection::next_deadline_ms);
        database.field_deadlines.change(field_deadline_ms, None, place.slot.number(), place.hash);
        database.account(removed.bytes, 0);
        self.note_touched(place, key);
        Some(removed)
    }

    fn note_deleted(&mut self, Place { database, slot, hash }: Place, revision: u64) {
        self.deletions.push(revision, Deleted::Key { database, slot: slot.number(), hash });
    }

    /// Removes a key; says whether it was there.
    pub(crate) fn remove_at(&mut self, place: Place, key: &[u8]) -> bool {
        let Some((value, _)) = self.take_at(place, key) else { return false };
        if let Value::Collection(collection) = value {
            self.discard(collection);
        }
        true
    }

    /// Stamps a key that is there with the command's revision, after its value was changed in place.
    pub(crate) fn stamp_at(&mut self, place: Place, key: &[u8]) {
        let deadline_ms = self.find(place, key).expect("the key is there").record.deadline_ms;
        self.restamp_at(place, key, deadline_ms);
    }

    /// Stamps a key that is there with the command's revision and a deadline.
    fn restamp_at(&mut self, place: Place, key: &[u8], deadline_ms: Option<u64>) {
        let revision = self.draw_revision();
        self.note_touched(place, key);
        let database = self.databases[place.database].as_mut().expect("the key is there");
        let part = database.part_mut(place.slot, place.hash).expect("the key is there");
        let put = part.restamp(&mut self.scratch, place.hash, key, revision, deadline_ms);
        database.deadlines.change(put.replaced.flatten(), deadline_ms, place.slot.number(), place.hash);
        database.account(put.record_bytes.0, put.record_bytes.1);
    }

    /// Removes a key; says whether it was there.
    pub fn remove(&mut self, context: &Context, key: &[u8]) -> bool {
        let place = self.place_to_write(context, key);
        self.remove_at(place, key)
    }

    /// Removes a key and gives back what it held, and its deadline.
    pub fn take(&mut self, context: &Context, key: &[u8]) -> Option<(Value, Option<u64>)> {
        let place = self.place_to_write(context, key);
        self.take_at(place, key)
    }

    /// Gives a key a value and a deadline (in the future), whatever was there. An empty collection removes the key.
    pub fn put(&mut self, context: &Context, key: &[u8], value: Value, deadline_ms: Option<u64>) {
        let place = self.place_to_write(context, key);
        match value {
            Value::String(bytes, raw) => self.put_string_at(place, key, &bytes, raw, deadline_ms),
            Value::Collection(collection) if collection.is_empty() => {
                self.remove_at(place, key);
            }
            Value::Collection(collection) => self.put_at(place, key, NewBody::Beside(collection), deadline_ms),
        }
    }

    /// The same for what comes from elsewhere: nobody has accessed it as this key.
    pub fn put_anew(&mut self, context: &Context, key: &[u8], value: Value, deadline_ms: Option<u64>) {
        self.put(context, key, value, deadline_ms);
        if self.accesses != Accesses::Timed
            && let Some(found) = self.find(self.place(context.database, key), key)
        {
            found.record.mark_access(self.accesses.first(self.clock_ms));
        }
    }

    /// Changes when a key expires; `None`: never. A deadline that has passed removes the key. Says whether it was there.
    pub fn set_deadline(&mut self, context: &Context, key: &[u8], deadline_ms: Option<u64>) -> bool {
        let place = self.place_to_write(context, key);
        if self.find(place, key).is_none() {
            return false;
        }
        match deadline_ms {
            Some(deadline_ms) if deadline_ms <= context.now_ms => {
                self.remove_at(place, key);
            }
            _ => self.restamp_at(place, key, deadline_ms),
        }
        true
    }

    // Restoring.

    /// A keyspace at this clock and revision, to be filled by [`Keyspace::restore_key`]: the counterpart of [`crate::Frozen`].
    pub fn restore(settings: Settings, clock_ms: u64, revision: u64, deletions: Deletions) -> Self {
        Self { clock_ms, revision, deletions, ..Self::new(settings) }
    }

    /// Puts back a key as a frozen state gave it: with its own revision, and whether or not it is due. `false`: the value is empty or longer
    /// than any may be, or the revision is newer than the keyspace's; nothing was put.
    pub fn restore_key(
        &mut self,
        database: usize,
        key: &[u8],
        value: Value,
        deadline_ms: Option<u64>,
        revision: u64,
    ) -> bool {
        let is_sound = match &value {
            Value::String(bytes, _) => bytes.len() <= crate::STRING_BYTES_MAX,
            Value::Collection(collection) => !collection.is_empty(),
        };
        is_sound
            && self.restore_with(database, key, revision, |keyspace, place| match value {
                Value::String(bytes, raw) => keyspace.put_string_at(place, key, &bytes, raw, deadline_ms),
                Value::Collection(collection) => {
                    keyspace.put_at(place, key, NewBody::Beside(collection), deadline_ms);
                }
            })
    }

    /// [`Keyspace::restore_key`] for a string, which is copied from where it is read.
    pub fn restore_string(
        &mut self,
        database: usize,
        key: &[u8],
        bytes: &[u8],
        raw: bool,
        deadline_ms: Option<u64>,
        revision: u64,
    ) -> bool {
        bytes.len() <= crate::STRING_BYTES_MAX
            && self.restore_with(database, key, revision, |keyspace, place| {
                keyspace.put_string_at(place, key, bytes, raw, deadline_ms);
            })
    }

    fn restore_with(&mut self, database: usize, key: &[u8], revision: u64, put: impl FnOnce(&mut Self, Place)) -> bool {
        if revision > self.revision.min(REVISION_MAX) || database >= DATABASE_COUNT {
            return false;
        }
        let place = self.place(database, key);
        let now_at = std::mem::replace(&mut self.revision, revision);
        self.drawn = true;
        put(self, place);
        self.revision = now_at;
        self.begin_command();
        true
    }
}

#[cfg(test)]
mod tests;

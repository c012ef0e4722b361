//! Apply's part in commands that wait: it parks what found nothing, runs what only reads where its key changed, and takes down the outcome of
//! what was placed for waiters. See [`crate::blocking`].

use std::sync::atomic::Ordering;

use commands::Spec;
use keyspace::{Context, Effects, ValueType};
use raft::Clock;
use resp::{ArgumentRanges, Arguments, Protocol, Reply};

use super::{Applied, Apply, Place, Turn, run_command, run_item};
use crate::batch::Run;
use crate::blocking::{Blocking, DEMOTED, Number, Waiter};
use crate::entry::{EntryError, Item, Reader};
use crate::fence::NOT_SERVED;
use crate::inbox::{Delivery, Route};

/// A call that reads and waits, on its way to the apply thread.
pub(crate) struct Reading {
    pub(crate) route: Route,
    pub(crate) protocol: Protocol,
    pub(crate) database: u8,
    pub(crate) raw: Vec<u8>,
    /// What a follower has is good enough.
    pub(crate) stale: bool,
}

impl<C: Clock> Apply<C> {
    /// Runs a call that reads once more and answers it, or parks it: no entry comes between.
    pub(super) fn read_or_park(&self, reading: Reading) {
        let Reading { route, protocol, database, raw, stale } = reading;
        let (mut reply, mut ranges) = (Reply::new(protocol), ArgumentRanges::default());
        let arguments = resp::parse_stored(&raw, &mut ranges).expect("it was a command that decoded");
        let spec = commands::resolve(arguments).expect("it was resolved before");
        let data = self.shard.data.read();
        let clock_ms = data.clock_ms();
        let now_ms = if stale { clock_ms.max(self.clock.wall_ms()) } else { clock_ms };
        let context = Context::of_entry(usize::from(database), now_ms, 0);
        let fixed = if data.fence.admits(spec, arguments) {
            commands::read_or_wait(spec, &data, arguments, &context, &mut reply)
        } else {
            reply.error(NOT_SERVED);
            None
        };
        let mut delivery = Delivery::default();
        match fixed {
            None => delivery.add(route, reply.as_bytes()),
            Some(raw) => {
                let waiter = Waiter::new(route, protocol, database, &raw, spec, stale);
                match self.shard.with_waiters(|blocking| blocking.park(waiter)) {
                    Ok(()) => delivery.parked.push(route),
                    Err(waiter) => delivery.add(route, &waiter.error(DEMOTED)),
                }
            }
        }
        drop(data);
        self.shard.deliver_to(route, delivery);
    }
}

impl<C: Clock> Turn<'_, C> {
    /// Runs a command that waits if it finds nothing. Returns whether it does.
    pub(super) fn run_or_park(
        &mut self,
        reader: &mut Reader<'_>,
        place: &mut Place,
        run: &Run,
        reply: &mut Reply,
    ) -> Result<bool, EntryError> {
        self.ahead.maybe_fetch(reader, &self.data);
        let Item::Command = reader.item()? else { return Err(EntryError::Malformed("a transaction that waits")) };
        let (database, arguments) = reader.command()?;
        let (context, mark) = (self.context(place, database), reply.mark());
        self.may_wait = true;
        run_command(self, arguments, &context, reply);
        self.may_wait = false;
        let is_parked = match commands::resolve(arguments) {
            Ok(spec) if commands::is_null(reply.since(mark)) => {
                reply.rollback(mark);
                self.park(run, database, spec, arguments, reply)
            }
            _ => false,
        };
        self.serve_readers();
        self.pass();
        Ok(is_parked)
    }

    fn park(&mut self, run: &Run, database: u8, spec: &Spec, arguments: Arguments<'_>, reply: &mut Reply) -> bool {
        let waiter = Waiter::new(run.route, run.protocol, database, arguments.raw(), spec, false);
        match self.shard.with_waiters(|blocking| blocking.park(waiter)) {
            Ok(()) => {
                // From now on it counts what is touched.
                self.data.listen(true);
                true
            }
            Err(_) => {
                reply.error(DEMOTED);
                false
            }
        }
    }

    /// Runs the command of a waiter and takes down what it found.
    pub(super) fn run_for_waiter(&mut self, number: Number, reader: &mut Reader<'_>, place: &mut Place) -> Applied {
        let before = (self.client, self.no_touch);
        let found = self
            .shard
            .with_waiters(|blocking| blocking.get(number).map(|waiter| (waiter.protocol, waiter.route.client)));
        let (protocol, client) = found.expect("a waiter in flight stays until its outcome is known");
        let mut reply = Reply::new(protocol);
        (self.client, self.no_touch, self.may_wait) = (Some(client), false, true);
        run_item(self, reader, place, &mut reply)?;
        ((self.client, self.no_touch), self.may_wait) = (before, false);
        if commands::is_null(reply.as_bytes()) || self.is_in_vain(number, reply.as_bytes()) {
            let left = self.shard.with_waiters(|blocking| blocking.come_back(number));
            let farewell = left.and_then(|(waiter, leaving)| Some((waiter.route, waiter.farewell(leaving)?)));
            self.answers.extend(farewell);
        } else if let Some(waiter) = self.shard.with_waiters(|blocking| blocking.remove(number)) {
            if waiter.is_gone() {
                self.shard.popped_for_nobody.fetch_add(1, Ordering::Relaxed);
            }
            // It may have taken something else than what it was launched for: that is another's then.
            self.ready.extend(Blocking::keys_of(&waiter));
            self.answers.push((waiter.route, reply.into_bytes()));
        }
        Ok(())
    }

    /// Whether an error is none of the waiter's: what was written at its key is of a type that it does not wait for.
    fn is_in_vain(&self, number: Number, reply: &[u8]) -> bool {
        if !reply.starts_with(b"-") {
            return false;
        }
        self.shard.with_waiters(|blocking| {
            let Some(waiter) = blocking.get(number) else { return false };
            let context = Context::of_entry(usize::from(waiter.database), self.data.clock_ms(), 0);
            let keys = Blocking::keys_of(waiter);
            keys.iter().all(|(_, key)| commands::servable(&self.data, &context, key, waiter.wants) == 0)
        })
    }

    /// Takes note of the keys that were changed, as far as somebody waits for them.
    pub(super) fn note_touched(&mut self, effects: &mut Effects) {
        if !self.shard.is_waited_on() {
            return;
        }
        let touched = std::mem::take(&mut effects.touched);
        self.shard.with_waiters(|blocking| {
            let in_number = |database| u8::try_from(database).expect("there are 16 databases");
            let touched = touched.into_iter().map(|touched| (in_number(touched.database), touched.key));
            self.touched.extend(touched.filter(|(database, key)| blocking.on(*database, key).next().is_some()));
            if effects.swapped || !effects.flushed.is_empty() {
                self.touched.extend(blocking.all_keys());
            }
        });
    }

    /// After an item: answers those who only read and wait for a stream that was changed. Who pops waits for the end.
    pub(super) fn serve_readers(&mut self) {
        for (database, key) in std::mem::take(&mut self.touched) {
            let context = Context::of_entry(usize::from(database), self.data.clock_ms(), 0);
            if self.data.value_type(&context, &key) == Some(ValueType::Stream) {
                let shard = self.shard;
                shard.with_waiters(|blocking| self.read_for_waiters(blocking, database, &key, &context));
            }
            self.ready.push((database, key));
        }
    }

    fn read_for_waiters(&mut self, blocking: &mut Blocking, database: u8, key: &[u8], context: &Context) {
        let mut ranges = ArgumentRanges::default();
        let mut answered = Vec::new();
        for (number, waiter) in blocking.on(database, key).filter(|(_, waiter)| !waiter.writes) {
            let (spec, arguments) = waiter.command(&mut ranges);
            let mut reply = Reply::new(waiter.protocol);
            commands::run_read(spec, &self.data, arguments, context, &mut reply);
            if !commands::is_null(reply.as_bytes()) {
                answered.push((number, reply.into_bytes()));
            }
        }
        for (number, reply) in answered {
            let waiter = blocking.remove(number);
            self.answers.extend(waiter.map(|waiter| (waiter.route, reply)));
        }
    }

    /// Everybody who waits is looked at: the data is another.
    pub(super) fn touch_all(&mut self) {
        self.touched.extend(self.shard.with_waiters(|blocking| blocking.all_keys()));
        self.serve_readers();
    }
}

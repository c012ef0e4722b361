//! Who waits for a key: clients in BLPOP and its like, in the order in which they came.
//!
//! One table for each replica, changed by apply (which parks a command that found nothing, in the same step), by the sealer (which places
//! commands of waiters behind the writes that may serve them) and by whoever ends a wait. None of it is state of the shard: entries hold
//! ordinary commands, and a replica that takes over begins without waiters.
//!
//! ```text
//! parked  --launched: its command is put into an entry-->  in flight
//!   ^                                                          |-- found something: answered
//!   `---------------- found nothing: its old place ------------|-- the entry is lost: UNCERTAIN
//! ```
//!
//! At most one command of a waiter is in flight; until its outcome is known a timeout, an UNBLOCK and a close are only noted. What only reads
//! (XREAD) is never in flight: apply runs it where a key of its changed. Places are numbers that only grow, so whoever comes back stands where
//! it stood. There is one waiter at most for each client, so `maxclients` bounds the table.

use std::collections::{BTreeMap, BTreeSet};

use commands::{KeyUse, Spec};
use keyspace::ValueType;
use resp::{ArgumentRanges, Arguments, Protocol, Reply};
use slot::Slot;

use crate::inbox::Route;

/// What waiters are told when the replica that they wait on leads no more, in Redis's words.
pub(crate) const DEMOTED: &str =
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";
/// What CLIENT UNBLOCK with ERROR makes of a wait.
pub(crate) const UNBLOCKED: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

/// The number of a place: less than that of everybody who came later.
pub(crate) type Number = u64;

/// A command that found nothing, and whom to answer.
pub(crate) struct Waiter {
    pub(crate) route: Route,
    pub(crate) protocol: Protocol,
    pub(crate) database: u8,
    /// The RESP array of its command, as it is to be run again.
    pub(crate) raw: Box<[u8]>,
    /// The type of value that it waits for.
    pub(crate) wants: ValueType,
    /// Its command is part of the log; else it reads.
    pub(crate) writes: bool,
    /// It reads what a follower has, and goes on when others lead.
    pub(crate) stale: bool,
    state: State,
    leaving: Option<Leaving>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Parked,
    /// As parked; the sealer was told to launch it.
    Due,
    InFlight,
}

/// Why a wait ends without having found anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// Time is up, or CLIENT UNBLOCK says so.
    Timeout,
    /// CLIENT UNBLOCK with ERROR.
    Unblocked,
    /// The client has gone.
    Gone,
}

/// What became of the wish to end a wait.
pub(crate) enum Withdrawn {
    /// It has ended. If its command was due, that of the others is now.
    Yes(Waiter, Vec<Number>),
    /// Its command is in flight: it ends with that, whatever that finds.
    InFlight,
    /// There is no such wait (any more): it is answered.
    NotThere,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Blocking {
    /// The replica leads: commands of the log may wait here.
    leads: bool,
    /// Nobody may wait here any more.
    closed: bool,
    last: Number,
    waiters: BTreeMap<Number, Waiter>,
    /// By the ids of their clients.
    clients: BTreeMap<u64, Number>,
    /// By database and key.
    keys: BTreeMap<u8, BTreeMap<Box<[u8]>, BTreeSet<Number>>>,
}

impl Waiter {
    /// A waiter for a call that found nothing.
    pub(crate) fn new(route: Route, protocol: Protocol, database: u8, raw: &[u8], spec: &Spec, stale: bool) -> Self {
        let wants = spec.waits.expect("only what waits is parked").wants;
        let (writes, raw) = (spec.is_write(), raw.into());
        Self { route, protocol, database, raw, wants, writes, stale, state: State::Parked, leaving: None }
    }

    /// Its command's row and arguments.
    pub(crate) fn command<'a>(&'a self, ranges: &'a mut ArgumentRanges) -> (&'static Spec, Arguments<'a>) {
        let arguments = resp::parse_stored(&self.raw, ranges).expect("it was read before");
        (commands::resolve(arguments).expect("it was resolved before"), arguments)
    }

    /// The slot of its keys.
    pub(crate) fn slot(&self) -> Option<Slot> {
        let mut ranges = ArgumentRanges::default();
        let (spec, arguments) = self.command(&mut ranges);
        spec.keys(arguments)?.next().and_then(|place| arguments.get(place)).map(Slot::of_key)
    }

    /// Its answer, if the wait ends so; `None` where nobody is left to be told.
    pub(crate) fn farewell(&self, leaving: Leaving) -> Option<Vec<u8>> {
        let mut reply = Reply::new(self.protocol);
        match leaving {
            Leaving::Timeout => reply.null_array(),
            Leaving::Unblocked => reply.error(UNBLOCKED),
            Leaving::Gone => return None,
        }
        Some(reply.into_bytes())
    }

    /// An error as its answer.
    pub(crate) fn error(&self, line: &str) -> Vec<u8> {
        let mut reply = Reply::new(self.protocol);
        reply.error(line);
        reply.into_bytes()
    }

    /// The client has gone while its command was in flight.
    pub(crate) fn is_gone(&self) -> bool {
        self.leaving == Some(Leaving::Gone)
    }
}

impl Blocking {
    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// How many keys are waited for; and how many of them by those who also hear that they are gone.
    pub(crate) fn key_counts(&self) -> (usize, usize) {
        let hears = |number: &Number| self.waiters[number].hears_of_deletions();
        let keys = || self.keys.values().flat_map(BTreeMap::values);
        (keys().count(), keys().filter(|numbers| numbers.iter().any(hears)).count())
    }

    /// The replica leads, or no longer.
    pub(crate) fn lead(&mut self, leads: bool) {
        self.leads = leads;
    }

    /// Lets nobody wait any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Parks a waiter behind all others. It is given back where nobody may wait (any more).
    pub(crate) fn park(&mut self, waiter: Waiter) -> Result<(), Waiter> {
        if self.closed || !(self.leads || waiter.stale) {
            return Err(waiter);
        }
        self.last += 1;
        let keys = self.keys.entry(waiter.database).or_default();
        for_each_key(&waiter, |key| {
            if !keys.contains_key(key) {
                keys.insert(key.into(), BTreeSet::new());
            }
            keys.get_mut(key).expect("it was just put there").insert(self.last);
        });
        let before = self.clients.insert(waiter.route.client, self.last);
        assert!(before.is_none(), "a client waits once at a time");
        self.waiters.insert(self.last, waiter);
        Ok(())
    }

    /// Takes a waiter out.
    pub(crate) fn remove(&mut self, number: Number) -> Option<Waiter> {
        let waiter = self.waiters.remove(&number)?;
        self.clients.remove(&waiter.route.client);
        let keys = self.keys.get_mut(&waiter.database).expect("it waits in this database");
        for_each_key(&waiter, |key| {
            if let Some(numbers) = keys.get_mut(key) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    keys.remove(key);
                }
            }
        });
        Some(waiter)
    }

    /// A waiter that is there.
    pub(crate) fn get(&self, number: Number) -> Option<&Waiter> {
        self.waiters.get(&number)
    }

    /// Ends a client's wait; where its command is in flight it may be noted that it ends with that.
    pub(crate) fn withdraw(&mut self, client: u64, leaving: Leaving, is_noted: bool) -> Withdrawn {
        let Some(&number) = self.clients.get(&client) else { return Withdrawn::NotThere };
        let waiter = self.waiters.get_mut(&number).expect("every client's waiter is there");
        if waiter.state == State::InFlight {
            if is_noted {
                waiter.leaving = Some(leaving);
            }
            return Withdrawn::InFlight;
        }
        let was_due = waiter.state == State::Due;
        let Some(waiter) = self.remove(number) else { return Withdrawn::NotThere };
        let successors = if was_due { self.successors(&waiter) } else { Vec::new() };
        Withdrawn::Yes(waiter, successors)
    }

    /// Those who stand behind one who was to be served, and has left: they are due instead.
    pub(crate) fn successors(&mut self, left: &Waiter) -> Vec<Number> {
        let mut numbers = Vec::new();
        for_each_key(left, |key| {
            let next = self.parked_on(left.database, key).next().map(|(number, _)| number);
            if let Some(number) = next {
                numbers.extend(Some(number).filter(|_| self.make_due(number)));
            }
        });
        numbers
    }

    /// The keys that a waiter waits for, with their database.
    pub(crate) fn keys_of(waiter: &Waiter) -> Vec<(u8, Box<[u8]>)> {
        let mut keys = Vec::new();
        for_each_key(waiter, |key| keys.push((waiter.database, key.into())));
        keys
    }

    /// Whether somebody waits for a key whose command is part of the log, or does not.
    pub(crate) fn is_waited_for(&self, database: u8, key: &[u8], writes: bool) -> bool {
        self.on(database, key).any(|(_, waiter)| waiter.writes == writes)
    }

    /// Those who wait for a key, in order.
    pub(crate) fn on(&self, database: u8, key: &[u8]) -> impl Iterator<Item = (Number, &Waiter)> {
        let numbers = self.keys.get(&database).and_then(|keys| keys.get(key));
        numbers.into_iter().flatten().map(|number| (*number, &self.waiters[number]))
    }

    /// As [`Self::on`]: those whose command is part of the log, and neither due nor in flight.
    pub(crate) fn parked_on(&self, database: u8, key: &[u8]) -> impl Iterator<Item = (Number, &Waiter)> {
        self.on(database, key).filter(|(_, waiter)| waiter.writes && waiter.state == State::Parked)
    }

    /// Every key that is waited for, with its database.
    pub(crate) fn all_keys(&self) -> Vec<(u8, Box<[u8]>)> {
        let keys = self.keys.iter();
        keys.flat_map(|(database, keys)| keys.keys().map(|key| (*database, key.clone()))).collect()
    }

    /// Notes that the sealer is told of a waiter. `false`: it is already, or in flight.
    pub(crate) fn make_due(&mut self, number: Number) -> bool {
        self.change(number, State::Parked, State::Due)
    }

    /// A waiter's command is put into an entry, unless one is in flight.
    pub(crate) fn launch(&mut self, number: Number) -> Option<&Waiter> {
        let is_launched =
            self.change(number, State::Parked, State::InFlight) || self.change(number, State::Due, State::InFlight);
        self.waiters.get(&number).filter(|_| is_launched)
    }

    /// Those who wait for a key and could be launched, in order: at most so many whose wish fits.
    pub(crate) fn launchable(
        &self,
        database: u8,
        key: &[u8],
        most: usize,
        fits: impl Fn(ValueType) -> bool,
    ) -> Vec<Number> {
        let parked = self.on(database, key).filter(|(_, waiter)| waiter.writes && waiter.state != State::InFlight);
        parked.filter(|(_, waiter)| fits(waiter.wants)).take(most).map(|(number, _)| number).collect()
    }

    /// What was in flight found nothing. The waiter has its old place again, unless it was to leave: then it is returned.
    pub(crate) fn come_back(&mut self, number: Number) -> Option<(Waiter, Leaving)> {
        self.change(number, State::InFlight, State::Parked);
        let leaving = self.waiters.get(&number)?.leaving?;
        Some((self.remove(number)?, leaving))
    }

    /// Takes out all those who are not in flight and have to go.
    pub(crate) fn dismiss(&mut self, has_to_go: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let parked = self.waiters.iter().filter(|(_, waiter)| waiter.state != State::InFlight && has_to_go(waiter));
        let numbers: Vec<Number> = parked.map(|(number, _)| *number).collect();
        numbers.into_iter().filter_map(|number| self.remove(number)).collect()
    }

    /// Whether those who wait for what is written may go on to do so.
    pub(crate) fn leads(&self) -> bool {
        self.leads && !self.closed
    }

    fn change(&mut self, number: Number, from: State, to: State) -> bool {
        let Some(waiter) = self.waiters.get_mut(&number).filter(|waiter| waiter.state == from) else { return false };
        waiter.state = to;
        true
    }
}

impl Waiter {
    /// A consumer of a group hears when its stream or its group is gone.
    fn hears_of_deletions(&self) -> bool {
        self.writes && self.wants == ValueType::Stream
    }
}

fn for_each_key(waiter: &Waiter, mut each: impl FnMut(&[u8])) {
    let mut ranges = ArgumentRanges::default();
    let (spec, arguments) = waiter.command(&mut ranges);
    let is_target =
        |number: usize| waiter.wants == ValueType::List && spec.key_use(number, arguments).contains(KeyUse::INSERT);
    let places = spec.keys(arguments).into_iter().flatten().enumerate();
    // The list that it moves elements to is none that it waits for.
    places.filter(|(number, _)| !is_target(*number)).filter_map(|(_, place)| arguments.get(place)).for_each(&mut each);
}

#[cfg(test)]
mod tests;

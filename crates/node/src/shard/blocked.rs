//! The shard's part in commands that wait: who is launched, who comes back, who has to go. See [`crate::blocking`].

use std::sync::atomic::Ordering;

use keyspace::{Context, Keyspace};
use resp::ArgumentRanges;

use super::{Batch, Shard, UNCERTAIN};
use crate::blocking::{Blocking, DEMOTED, Leaving, Number, Waiter, Withdrawn};
use crate::fence::Fence;
use crate::inbox::{Delivery, Route};

/// What became of the wish to end a client's wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It has ended; the client is told.
    Yes,
    /// A command of it is in flight.
    NotYet,
    /// It does not wait (any more).
    NotThere,
}

impl Shard {
    /// Whether anybody waits for a key here.
    pub(crate) fn is_waited_on(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Does something with those who wait.
    pub(crate) fn with_waiters<T>(&self, action: impl FnOnce(&mut Blocking) -> T) -> T {
        let mut blocking = self.blocking.lock();
        let result = action(&mut blocking);
        self.waiting.store(blocking.len(), Ordering::Release);
        result
    }

    /// How many keys are waited for; and how many of them by those who also hear that they are gone.
    pub(crate) fn waited_keys(&self) -> (usize, usize) {
        if self.is_waited_on() { self.blocking.lock().key_counts() } else { (0, 0) }
    }

    /// Ends a client's wait. One that is in flight ends with its outcome.
    pub(crate) fn withdraw(&self, client: u64, leaving: Leaving) {
        self.end(client, leaving, true);
    }

    /// Ends a client's wait for another client's sake: one that is in flight goes on, and is asked about again.
    pub(crate) fn unblock(&self, client: u64, leaving: Leaving) -> Ended {
        self.end(client, leaving, false)
    }

    fn end(&self, client: u64, leaving: Leaving, is_noted: bool) -> Ended {
        match self.with_waiters(|blocking| blocking.withdraw(client, leaving, is_noted)) {
            Withdrawn::Yes(waiter, successors) => {
                let farewell = waiter.farewell(leaving);
                self.make_due(successors);
                self.deliver_each(farewell.map(|reply| (waiter.route, reply)));
                Ended::Yes
            }
            Withdrawn::InFlight => Ended::NotYet,
            Withdrawn::NotThere => Ended::NotThere,
        }
    }

    /// Those who wait for keys that were changed, and for whom there is something now, are launched with the next entry.
    pub(crate) fn launch_ready(&self, keys: &[(u8, Box<[u8]>)], keyspace: &Keyspace) {
        let mut due = Vec::new();
        self.with_waiters(|blocking| {
            for (database, key) in keys {
                due.extend(ready_on(blocking, *database, key, keyspace));
            }
        });
        self.make_due(due);
    }

    /// Has the commands of these waiters put into the next entry.
    fn make_due(&self, mut due: Vec<Number>) {
        if !due.is_empty() {
            self.open.lock().due_waiters.append(&mut due);
            self.due.notify_one();
        }
    }

    /// This replica leads, or no longer: then those who wait are told so, but for those whose command is in flight.
    pub(super) fn lead_waiters(&self, leads: bool) {
        if leads {
            return self.with_waiters(|blocking| blocking.lead(true));
        }
        let dismissed = self.with_waiters(|blocking| {
            blocking.lead(false);
            blocking.dismiss(|waiter| !waiter.stale)
        });
        self.open.lock().due_waiters.clear();
        self.deliver_each(dismissed.iter().map(|waiter| (waiter.route, waiter.error(DEMOTED))));
    }

    /// The cluster is down: those who wait are told so.
    pub(crate) fn send_waiters_away(&self, why: &str) {
        if self.is_waited_on() {
            let dismissed = self.with_waiters(|blocking| blocking.dismiss(|_| true));
            self.deliver_each(dismissed.iter().map(|waiter| (waiter.route, waiter.error(why))));
        }
    }

    /// Nobody may wait here any more. Who does is told so, or left to his connection.
    pub(super) fn close_waiters(&self, are_told: bool) {
        let dismissed = self.with_waiters(|blocking| {
            blocking.close();
            blocking.dismiss(|_| true)
        });
        self.open.lock().due_waiters.clear();
        if are_told {
            self.deliver_each(dismissed.iter().map(|waiter| (waiter.route, waiter.error(DEMOTED))));
        }
    }

    /// The fence was moved: those who wait for keys that are served elsewhere now are sent there.
    pub(crate) fn redirect_waiters(&self, fence: &Fence) {
        if !self.is_waited_on() {
            return;
        }
        let is_outside = |waiter: &Waiter| waiter.slot().is_some_and(|slot| !fence.serves(slot));
        let dismissed = self.with_waiters(|blocking| blocking.dismiss(is_outside));
        let told = |waiter: &Waiter| waiter.error(&self.definite(crate::fence::NOT_SERVED, waiter.slot()));
        self.deliver_each(dismissed.iter().map(|waiter| (waiter.route, told(waiter))));
    }

    /// A batch was certainly not applied: the waiters whose commands it held have their places again, and are launched anew; if they may.
    pub(super) fn return_waiters(&self, batch: &Batch) {
        let mut due = Vec::new();
        let told: Vec<(Route, Vec<u8>)> = self.with_waiters(|blocking| {
            let mut told = Vec::new();
            for number in batch.served() {
                if let Some((waiter, leaving)) = blocking.come_back(number) {
                    due.extend(blocking.successors(&waiter));
                    told.extend(waiter.farewell(leaving).map(|reply| (waiter.route, reply)));
                } else if blocking.leads() {
                    due.extend(Some(number).filter(|_| blocking.make_due(number)));
                } else if let Some(waiter) = blocking.remove(number) {
                    told.push((waiter.route, waiter.error(DEMOTED)));
                }
            }
            told
        });
        self.deliver_each(told);
        self.make_due(due);
    }

    /// Whether a batch was applied is not known: nor what its waiters have popped.
    pub(super) fn lose_waiters(&self, batch: &Batch) {
        let mut due = Vec::new();
        let lost: Vec<_> = self.with_waiters(|blocking| {
            let lost: Vec<_> = batch.served().filter_map(|number| blocking.remove(number)).collect();
            // If it was not applied, there is something for others.
            lost.iter().for_each(|waiter| due.extend(blocking.successors(waiter)));
            lost
        });
        self.make_due(due);
        self.deliver_each(lost.iter().map(|waiter: &Waiter| (waiter.route, waiter.error(UNCERTAIN))));
    }

    /// Gives a delivery to the connections of one I/O thread: that of this one.
    pub(crate) fn deliver_to(&self, route: Route, delivery: Delivery) {
        self.inboxes[usize::from(route.io)].deliver(delivery);
    }

    /// Answers clients who waited.
    pub(crate) fn deliver_each(&self, replies: impl IntoIterator<Item = (Route, Vec<u8>)>) {
        for (route, reply) in replies {
            let mut delivery = Delivery::default();
            delivery.add(route, &reply);
            self.deliver_to(route, delivery);
        }
    }
}

/// Those who wait for a key, and may find something there now.
fn ready_on(blocking: &mut Blocking, database: u8, key: &[u8], keyspace: &Keyspace) -> Vec<Number> {
    let context = Context::of_entry(usize::from(database), keyspace.clock_ms(), 0);
    let mut ranges = ArgumentRanges::default();
    let mut left = None;
    let mut ready: Vec<Number> = Vec::new();
    for (number, waiter) in blocking.parked_on(database, key) {
        // A key is of one type: all whose wish fits share what it holds.
        let servable = commands::servable(keyspace, &context, key, waiter.wants);
        let (spec, arguments) = waiter.command(&mut ranges);
        if servable > 0 && commands::has_answer(spec, keyspace, arguments, &context) {
            let left = left.get_or_insert(servable);
            if *left == 0 {
                break;
            }
            *left -= 1;
            ready.push(number);
        }
    }
    ready.retain(|number| blocking.make_due(*number));
    ready
}

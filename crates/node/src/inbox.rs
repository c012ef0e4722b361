//! How replies come back to connections: one inbox and one wake per I/O thread and batch.
//!
//! Apply writes the replies of an entry's runs for one I/O thread into one buffer, a [`Delivery`]. The I/O thread
//! hands each connection its slice. An inbox is bounded by what is in flight: a connection has at most a few
//! tickets, and stops reading while one is open.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clients::Client;

/// Names a connection on its I/O thread. Places are used again, generations are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) io: u16,
    pub(crate) place: u32,
    pub(crate) generation: u32,
    /// The client's id, by which the rest of the node knows it.
    pub(crate) client: u64,
}

/// The replies of one entry for the connections of one I/O thread.
#[derive(Default)]
pub(crate) struct Delivery {
    /// The encoded replies, run after run.
    pub(crate) bytes: Vec<u8>,
    /// Whose they are: a connection and the end of its slice, which begins where the one before ends.
    pub(crate) parts: Vec<(Route, usize)>,
    /// Connections whose command found nothing and waits: their reply comes later.
    pub(crate) parked: Vec<Route>,
    /// Up to where in the shard's log all of this is; 0 where it is not from the log.
    pub(crate) index: u64,
}

impl Delivery {
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.parked.is_empty()
    }

    /// Adds a reply.
    pub(crate) fn add(&mut self, route: Route, reply: &[u8]) {
        self.bytes.extend_from_slice(reply);
        self.parts.push((route, self.bytes.len()));
    }
}

/// Where deliveries for one I/O thread wait.
#[derive(Default)]
pub(crate) struct Inbox {
    queue: Mutex<Vec<Delivery>>,
    arrived: Notify,
}

impl Inbox {
    /// Adds a delivery and wakes the I/O thread.
    pub(crate) fn deliver(&self, delivery: Delivery) {
        let mut queue = self.queue.lock();
        queue.push(delivery);
        let first = queue.len() == 1;
        drop(queue);
        if first {
            self.arrived.notify_one();
        }
    }

    /// The bytes that were delivered and not yet handed out, for tests.
    #[cfg(test)]
    pub(crate) fn take(&self) -> String {
        let deliveries = std::mem::take(&mut *self.queue.lock());
        deliveries.iter().map(|delivery| String::from_utf8_lossy(&delivery.bytes).into_owned()).collect()
    }

    /// Hands deliveries to `desk` for ever. Runs as a task of the I/O thread.
    pub(crate) async fn distribute(&self, desk: &Desk) {
        let mut taken = Vec::new();
        loop {
            self.arrived.notified().await;
            std::mem::swap(&mut *self.queue.lock(), &mut taken);
            for delivery in taken.drain(..) {
                desk.hand_out(&delivery);
            }
        }
    }
}

/// The connections of one I/O thread, as replies find them. Never leaves its thread.
#[derive(Default)]
pub(crate) struct Desk {
    places: RefCell<Places>,
}

#[derive(Default)]
struct Places {
    list: Vec<(u32, Option<Rc<Mailbox>>)>,
    free: Vec<u32>,
    are_closed: bool,
}

/// One connection's replies that have come back and were not yet taken.
#[derive(Default)]
pub(crate) struct Mailbox {
    replies: RefCell<Vec<u8>>,
    outstanding: Cell<usize>,
    /// Up to where in the shard's log the replies since the last look are.
    index: Cell<u64>,
    /// What is outstanding is a reply that may never come: the command waits.
    is_parked: Cell<bool>,
    waker: Cell<Option<Waker>>,
    is_closed: Cell<bool>,
    /// Whose replies they are.
    client: OnceCell<Arc<Client>>,
}

/// What a connection hears of while its command waits.
pub(crate) enum Heard<T> {
    /// The reply.
    Answered,
    /// The node goes down, or the client was killed.
    Closed,
    /// Something else that it waited for.
    Input(T),
}

impl Desk {
    /// Gives a connection a place and its mailbox.
    pub(crate) fn register(&self, io: u16, client: Arc<Client>) -> (Route, Rc<Mailbox>) {
        let client_id = client.id;
        let mailbox = Rc::new(Mailbox { client: OnceCell::from(client), ..Mailbox::default() });
        let mut places = self.places.borrow_mut();
        mailbox.is_closed.set(places.are_closed);
        let place = places.free.pop().unwrap_or_else(|| {
            places.list.push((0, None));
            u32::try_from(places.list.len() - 1).expect("maxclients is below 2^32")
        });
        let (generation, held) = &mut places.list[place as usize];
        *held = Some(Rc::clone(&mailbox));
        (Route { io, place, generation: *generation, client: client_id }, mailbox)
    }

    /// Takes a connection's place back; replies that still come are dropped.
    pub(crate) fn release(&self, route: Route) {
        let mut places = self.places.borrow_mut();
        let (generation, held) = &mut places.list[route.place as usize];
        assert_eq!(*generation, route.generation, "a place is released once");
        *generation = generation.wrapping_add(1);
        *held = None;
        places.free.push(route.place);
    }

    /// CLIENT KILL has marked clients: those of this thread that wait for anything look.
    pub(crate) fn close_killed(&self) {
        let places = self.places.borrow();
        let mailboxes = places.list.iter().filter_map(|(_, mailbox)| mailbox.as_ref());
        mailboxes.filter(|mailbox| mailbox.is_killed()).for_each(|mailbox| mailbox.wake());
    }

    /// The node is going down: connections that wait for input wait no longer, now and later.
    pub(crate) fn close(&self) {
        let mut places = self.places.borrow_mut();
        places.are_closed = true;
        for (_, mailbox) in &places.list {
            mailbox.iter().for_each(|mailbox| mailbox.close());
        }
    }

    fn hand_out(&self, delivery: &Delivery) {
        let places = self.places.borrow();
        // BEFORE the replies: one of them may end the wait.
        delivery.parked.iter().filter_map(|route| places.mailbox(*route)).for_each(|mailbox| mailbox.park());
        let mut start = 0;
        for &(route, end) in &delivery.parts {
            if let Some(mailbox) = places.mailbox(route) {
                mailbox.index.set(mailbox.index.get().max(delivery.index));
                mailbox.put(&delivery.bytes[start..end]);
            }
            start = end;
        }
    }
}

impl Places {
    /// The mailbox of a connection that is still there.
    fn mailbox(&self, route: Route) -> Option<&Rc<Mailbox>> {
        let (generation, mailbox) = self.list.get(route.place as usize)?;
        mailbox.as_ref().filter(|_| *generation == route.generation)
    }
}

impl Mailbox {
    /// Notes that one more run was handed to the shard.
    pub(crate) fn expect_one(&self) {
        self.outstanding.set(self.outstanding.get() + 1);
    }

    /// Whether replies are still on their way.
    pub(crate) fn is_waiting(&self) -> bool {
        self.outstanding.get() > 0
    }

    /// Appends what has come back to `output`.
    pub(crate) fn take_into(&self, output: &mut Vec<u8>) {
        let mut replies = self.replies.borrow_mut();
        if output.is_empty() {
            std::mem::swap(&mut *replies, output);
        } else {
            output.append(&mut replies);
        }
    }

    /// Up to where in the log of the shard that it was asked of what has come back is, since the last call; 0 if it is none of it.
    pub(crate) fn take_index(&self) -> u64 {
        self.index.take()
    }

    /// Whether what has come back is so.
    pub(crate) fn holds(&self, is_so: impl FnOnce(&[u8]) -> bool) -> bool {
        is_so(&self.replies.borrow())
    }

    /// Waits until every run that was handed in is answered.
    pub(crate) async fn answered(&self) {
        std::future::poll_fn(|context| {
            if !self.is_waiting() {
                return Poll::Ready(());
            }
            self.waker.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Waits until what was handed in last is answered, or waits itself. `true`: it waits.
    pub(crate) async fn parked(&self) -> bool {
        std::future::poll_fn(|context| {
            if !self.is_waiting() || self.is_parked.get() {
                return Poll::Ready(self.is_parked.replace(false) && self.is_waiting());
            }
            self.waker.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await
    }

    /// What comes first while a command waits: its reply, the end of the client, or `input`.
    pub(crate) async fn answered_or<T>(&self, input: impl Future<Output = T>) -> Heard<T> {
        match self.unless(|| !self.is_waiting() || self.is_closed.get() || self.is_killed(), input).await {
            Some(input) => Heard::Input(input),
            None if self.is_waiting() => Heard::Closed,
            None => Heard::Answered,
        }
    }

    /// What `input` gives; `None` once the desk is closed, or the client killed. Not to be waited for together with
    /// [`Self::answered`].
    pub(crate) async fn unless_closed<T>(&self, input: impl Future<Output = T>) -> Option<T> {
        self.unless(|| self.is_closed.get() || self.is_killed(), input).await
    }

    /// What `output` gives; `None` once the client is killed: a node that goes down still writes its answers.
    pub(crate) async fn unless_killed<T>(&self, output: impl Future<Output = T>) -> Option<T> {
        self.unless(|| self.is_killed(), output).await
    }

    async fn unless<T>(&self, is_over: impl Fn() -> bool, input: impl Future<Output = T>) -> Option<T> {
        let mut input = pin!(input);
        std::future::poll_fn(|context| {
            if let Poll::Ready(input) = input.as_mut().poll(context) {
                return Poll::Ready(Some(input));
            }
            if is_over() {
                return Poll::Ready(None);
            }
            // Mostly the one that is there already: a connection is one task.
            let waker = self.waker.take().filter(|waker| waker.will_wake(context.waker()));
            self.waker.set(waker.or_else(|| Some(context.waker().clone())));
            Poll::Pending
        })
        .await
    }

    fn is_killed(&self) -> bool {
        self.client.get().is_some_and(|client| client.is_killed())
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn close(&self) {
        self.is_closed.set(true);
        self.wake();
    }

    fn park(&self) {
        self.is_parked.set(true);
        self.wake();
    }

    fn put(&self, bytes: &[u8]) {
        self.replies.borrow_mut().extend_from_slice(bytes);
        let before = self.outstanding.get();
        assert!(before > 0, "a reply answers a run that waits for it");
        self.outstanding.set(before - 1);
        if before == 1
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }
}

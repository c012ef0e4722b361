//! What clients do: a mix of operations on few keys, each noted in the oracle with what came of it.
//!
//! In a cluster every key has a tag: the tag's slot says which shard it belongs to, and what is done at once is of one tag.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use resp::Value;
use tokio::time;

use crate::client::{Command, command};
use crate::heard::{Heard, number};
use crate::kept::Kept;
use crate::oracle::{ACCOUNTS, BALANCE_FIRST, Count, Oracle, Outcome};
use crate::reach::Reach;

/// Few keys, so that operations meet.
const REGISTERS: usize = 3;
const LISTS: usize = 2;
/// The list that bursts go to, and how many pushes one has: enough that an entry is proposed beside others in flight.
const BURST_LIST: &str = "burst";
const BURST_PUSHES: std::ops::RangeInclusive<usize> = 32..=40;
/// A client that found nobody waits this long before it looks again.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// After this long a node knows, or says that it does not, what became of a command that waits no more.
const OUTCOME_WITHIN: Duration = Duration::from_secs(8);
/// For so long, in ms, a node may hold a command whose client has gone before it proposes it, if it ever does.
const GRACE_MS: u64 = 4000;

/// The tags that keys have; none outside of a cluster.
#[derive(Clone, Default)]
pub(crate) struct Tags {
    /// Of slots that stay with their shard.
    pub(crate) steady: Rc<[String]>,
    /// Of slots that move from shard to shard: their keys are gone by themselves soon.
    pub(crate) wandering: Rc<[String]>,
}

/// One client.
pub(crate) struct Client<R> {
    number: usize,
    reach: R,
    oracle: Rc<RefCell<Oracle>>,
    start: time::Instant,
    tags: Tags,
    random: SmallRng,
    /// Unique values come from here.
    values: u64,
    /// The most that it waits between two operations, in ms.
    think_ms_max: u64,
    /// Of how many shares it draws an operation: those above the twenty of everybody are bursts.
    operations: u32,
    /// The last key with a deadline that it wrote, and its value.
    last_mortal: Option<(String, u64)>,
    /// It draws from a list, and waits for an element; else from a set.
    waits: bool,
    /// Of ten operations so many are draws from a list, and of ten of these so many add to it.
    draws_of_ten: u32,
    adds_of_ten: u32,
    /// It writes values that stay, and asks who has them, now and then.
    keeps: bool,
}

impl Tags {
    fn tagged(tag: &str, name: &str) -> String {
        format!("{{{tag}}}{name}")
    }

    /// A key that there is once.
    fn fixed(&self, place: usize, name: &str) -> String {
        match self.steady.len() {
            0 => name.to_owned(),
            count => Self::tagged(&self.steady[place % count], name),
        }
    }

    /// The keys of this name of all tags.
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        (0..self.steady.len().max(1)).map(|place| self.fixed(place, name))
    }
}

impl<R: Reach> Client<R> {
    /// A client that began to work at `start`.
    pub(crate) fn new(
        number: usize,
        reach: R,
        oracle: Rc<RefCell<Oracle>>,
        start: time::Instant,
        tags: Tags,
        seed: u64,
    ) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let think_ms_max = [2, 10, 40][random.random_range(0..3)];
        let operations = [20, 21, 24][random.random_range(0..3)];
        Self {
            number,
            reach,
            oracle,
            start,
            tags,
            random,
            values: 0,
            think_ms_max,
            operations,
            last_mortal: None,
            waits: false,
            draws_of_ten: 0,
            adds_of_ten: 0,
            keeps: false,
        }
    }

    /// A client that waits for elements of a list. Every second one does little else, so that there is always somebody who waits.
    pub(crate) fn who_waits(self) -> Self {
        let (draws_of_ten, adds_of_ten) = if self.number % 2 == 1 { (9, 0) } else { (5, 6) };
        Self { waits: true, draws_of_ten, adds_of_ten, ..self }
    }

    /// A client that asks WAIT and WAITAOF.
    pub(crate) fn who_keeps(self) -> Self {
        Self { keeps: true, ..self }
    }

    /// Works while this says so, then ends what it is about. The first of all opens the bank before.
    pub(crate) async fn work(mut self, mut goes_on: impl FnMut() -> bool) {
        if self.number == 0 {
            self.open_bank().await;
        }
        while goes_on() {
            let ms = self.random.random_range(0..=self.think_ms_max);
            time::sleep(Duration::from_millis(ms)).await;
            self.operate().await;
        }
    }

    async fn operate(&mut self) {
        if self.waits && self.random.random_range(0..10) < self.draws_of_ten {
            return self.draw().await;
        }
        if self.keeps && self.random.random_range(0..10) == 0 {
            return self.keep().await;
        }
        match self.random.random_range(0..self.operations) {
            0..4 => self.write().await,
            4..9 => self.read().await,
            9..11 => self.push().await,
            11..13 => self.range().await,
            13..15 => self.transfer().await,
            15 => self.look_at_bank().await,
            16 => self.pipeline().await,
            17 => self.write_mortal().await,
            18 => self.read_mortal().await,
            19 => self.draw().await,
            _ => self.burst().await,
        }
    }

    /// Virtual time, in ms since the run began.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).expect("a run is short")
    }

    /// A value that nobody else writes.
    fn value(&mut self) -> u64 {
        self.values += 1;
        self.number as u64 * 1_000_000 + self.values
    }

    /// Which tag the next keys have.
    fn draw_tag(&mut self) -> usize {
        match self.tags.steady.len() {
            0 => 0,
            count => self.random.random_range(0..count),
        }
    }

    fn register(&mut self) -> String {
        let name = format!("r{}", self.random.random_range(0..REGISTERS));
        let tag = self.draw_tag();
        self.tags.fixed(tag, &name)
    }

    /// Two of one tag, perhaps the same.
    fn registers(&mut self) -> (String, String) {
        let [one, other] = [(); 2].map(|()| format!("r{}", self.random.random_range(0..REGISTERS)));
        let tag = self.draw_tag();
        (self.tags.fixed(tag, &one), self.tags.fixed(tag, &other))
    }

    fn list(&mut self) -> String {
        let name = format!("l{}", self.random.random_range(0..LISTS));
        let tag = self.draw_tag();
        self.tags.fixed(tag, &name)
    }

    fn burst_list(&self) -> String {
        self.tags.fixed(2, BURST_LIST)
    }

    fn account(&self, number: usize) -> String {
        self.tags.fixed(0, &format!("a{number}"))
    }

    fn pool(&self) -> String {
        self.tags.fixed(1, "pool")
    }

    /// Where marks are.
    fn marks(&self) -> String {
        self.tags.fixed(1, "marks")
    }

    /// A key for a value that is gone by itself after a while.
    fn mortal(&mut self, value: u64) -> String {
        let name = format!("m{value}");
        match self.tags.wandering.len() {
            0 => name,
            count => Tags::tagged(&self.tags.wandering[self.random.random_range(0..count)], &name),
        }
    }

    fn patience(&mut self) -> Duration {
        // Most clients give up soon; some wait until the node has no more to say.
        let patience_ms_max = if self.random.random_range(0..8) == 0 { 8000 } else { 700 };
        Duration::from_millis(self.random.random_range(100..patience_ms_max))
    }

    /// Sends commands about a key, and others of its slot, to whoever takes them.
    async fn call(&mut self, key: &str, commands: &[Command]) -> Heard {
        let patience = self.patience();
        self.reach.call(&mut self.random, key, commands, patience).await
    }

    /// The same over the connection of the last call, which is still there.
    async fn call_again(&mut self, commands: &[Command]) -> Heard {
        let patience = self.patience();
        self.reach.call_again(&mut self.random, commands, patience).await
    }

    async fn write(&mut self) {
        let (key, value) = (self.register(), self.value());
        let heard = self.call(&key, &[command(["SET", &key, &value.to_string()])]).await;
        self.oracle.borrow_mut().registers.wrote(&key, value, heard.write_span(0), heard.outcome(0));
    }

    async fn read(&mut self) {
        let key = self.register();
        let heard = self.call(&key, &[command(["GET", &key]), command(["INFO", "replication"])]).await;
        self.note_read(&key, &heard, 0);
    }

    /// Notes the GET at this place, which an INFO follows.
    fn note_read(&mut self, key: &str, heard: &Heard, place: usize) {
        let Some(reply) = heard.good(place) else { return };
        let mut oracle = self.oracle.borrow_mut();
        match heard.was_leader(place + 1) {
            true => oracle.registers.read(key, number(reply), heard.span),
            false => oracle.registers.read_stale(key, number(reply), heard.span),
        }
    }

    async fn push(&mut self) {
        let (key, element) = (self.list(), self.value());
        let heard = self.call(&key, &[command(["RPUSH", &key, &element.to_string()])]).await;
        let (span, outcome) = (heard.write_span(0), heard.outcome(0));
        self.oracle.borrow_mut().lists.pushed(&key, element, span, outcome, heard.length(0));
    }

    /// Many pushes in one write, and now and then a look at what came of all bursts.
    async fn burst(&mut self) {
        let list = self.burst_list();
        if self.random.random_range(0..4) == 0 {
            return self.range_of(&list).await;
        }
        let count = self.random.random_range(BURST_PUSHES);
        let elements: Vec<u64> = (0..count).map(|_| self.value()).collect();
        let push = |element: &u64| command(["RPUSH", &list, &element.to_string()]);
        let commands: Vec<_> = elements.iter().map(push).collect();
        let heard = self.call(&list, &commands).await;
        let lists = &mut self.oracle.borrow_mut().lists;
        for (place, &element) in elements.iter().enumerate() {
            lists.pushed(&list, element, heard.write_span(place), heard.outcome(place), heard.length(place));
        }
        lists.sent_in_row(&list, elements);
    }

    async fn range(&mut self) {
        let key = self.list();
        self.range_of(&key).await;
    }

    async fn range_of(&mut self, key: &str) {
        let heard = self.call(key, &[command(["LRANGE", key, "0", "-1"]), command(["INFO", "replication"])]).await;
        let Some(elements) = heard.good(0).and_then(Value::as_array) else { return };
        let elements = elements.iter().filter_map(number).collect();
        self.oracle.borrow_mut().lists.read(key, elements, heard.span, heard.was_leader(1));
    }

    /// Several commands in one write: reads behind writes ride along.
    async fn pipeline(&mut self) {
        let (key, other) = self.registers();
        let (value, second) = (self.value(), self.value());
        let commands = [
            command(["SET", &key, &value.to_string()]),
            command(["GET", &other]),
            command(["INFO", "replication"]),
            command(["SET", &other, &second.to_string()]),
        ];
        let heard = self.call(&key, &commands).await;
        {
            let mut oracle = self.oracle.borrow_mut();
            oracle.registers.wrote(&key, value, heard.write_span(0), heard.outcome(0));
            oracle.registers.wrote(&other, second, heard.write_span(3), heard.outcome(3));
        }
        self.note_read(&other, &heard, 1);
    }

    async fn transfer(&mut self) {
        let from = self.random.random_range(0..ACCOUNTS);
        let to = (from + self.random.random_range(1..ACCOUNTS)) % ACCOUNTS;
        let (from, to) = (self.account(from), self.account(to));
        let heard = self.call(&from, &[command(["WATCH", &from, &to]), command(["MGET", &from, &to])]).await;
        let balances: Vec<i64> = heard.good(1).and_then(Value::as_array).map_or_else(Vec::new, |balances| {
            balances.iter().filter_map(|balance| number(balance).and_then(|n| i64::try_from(n).ok())).collect()
        });
        let [mine, theirs] = balances[..] else { return };
        // What is watched is known to this connection alone.
        if heard.good(0).is_none() || !self.reach.is_linked() {
            return;
        }
        let amount = self.random.random_range(0..=mine);
        let commands = [
            command(["MULTI"]),
            command(["SET", &from, &(mine - amount).to_string()]),
            command(["SET", &to, &(theirs + amount).to_string()]),
            command(["EXEC"]),
        ];
        let heard = self.call_again(&commands).await;
        let outcome = match heard.replies.get(3) {
            Some(reply) if reply.is_null() => Outcome::Refused,
            _ => heard.outcome(3),
        };
        self.oracle.borrow_mut().bank.transferred(outcome);
    }

    async fn look_at_bank(&mut self) {
        let mut look: Command = vec![b"MGET".to_vec()];
        look.extend((0..ACCOUNTS).map(|account| self.account(account).into_bytes()));
        let heard = self.call(&self.account(0), &[look]).await;
        let Some(balances) = heard.good(0).and_then(Value::as_array) else { return };
        let balances: Vec<_> =
            balances.iter().map(|balance| number(balance).and_then(|n| i64::try_from(n).ok())).collect();
        self.oracle.borrow_mut().bank.looked(&balances);
    }

    async fn write_mortal(&mut self) {
        let (value, ms) = (self.value(), self.random.random_range(1..3000_u64));
        let key = self.mortal(value);
        let sent_ms = self.now_ms();
        let heard = self.call(&key, &[command(["SET", &key, "1", "PX", &ms.to_string()])]).await;
        let due_ms = (sent_ms + ms, self.now_ms() + ms);
        self.oracle.borrow_mut().sets.wrote_mortal(value, heard.write_span(0), heard.outcome(0), due_ms);
        self.last_mortal = Some((key, value));
    }

    async fn read_mortal(&mut self) {
        let Some((key, value)) = self.last_mortal.clone() else { return };
        let sent_ms = self.now_ms();
        let heard = self.call(&key, &[command(["EXISTS", &key]), command(["INFO", "replication"])]).await;
        if let Some(found) = heard.integer(0).filter(|_| heard.was_leader(1)) {
            let moments = (sent_ms, self.now_ms());
            self.oracle.borrow_mut().sets.read_mortal(value, found == 1, heard.span, moments);
        }
    }

    /// Adds to a set, or draws from it.
    async fn draw(&mut self) {
        let pool = self.pool();
        let adds = if self.waits {
            self.random.random_range(0..10) < self.adds_of_ten
        } else {
            self.random.random_range(0..3) > 0
        };
        if adds {
            self.add(&pool).await;
        } else if self.waits && self.random.random_range(0..12) == 0 {
            self.look_at_pool(&pool).await;
        } else {
            let (draw, longest) = self.draw_from(&pool);
            // Who goes before the answer cannot say what was drawn, and hides what is lost: most stay.
            let patience = match self.waits && self.number > 0 {
                true => longest + OUTCOME_WITHIN,
                false => self.patience(),
            };
            let sent_ms = self.now_ms();
            let heard = self.reach.call(&mut self.random, &pool, &[draw], patience).await;
            // A popped element stands behind the name of its list.
            let member = |reply: &Value| number(reply.as_array().and_then(<[_]>::last).unwrap_or(reply));
            if let Some(member) = heard.good(0).and_then(member) {
                self.oracle.borrow_mut().sets.popped(member, heard.span);
            } else if heard.outcome(0) == Outcome::Unknown {
                // What a node takes up later than this has its place behind what others sent meanwhile.
                let grace_ms = if heard.gave_up { GRACE_MS } else { 0 };
                self.oracle.borrow_mut().sets.popped_perhaps((sent_ms, self.now_ms() + grace_ms));
            }
        }
    }

    /// Adds a member; to a list now and then with a mark, in one transaction: who does not hear what became of that learns it from
    /// the mark in the end.
    async fn add(&mut self, pool: &str) {
        let (member, sent_ms) = (self.value(), self.now_ms());
        let text = member.to_string();
        let (commands, place) = if !self.waits {
            (vec![command(["SADD", pool, &text])], 0)
        } else if self.random.random_range(0..2) == 0 {
            (vec![command(["RPUSH", pool, &text])], 0)
        } else {
            let (add, mark) = (command(["RPUSH", pool, &text]), command(["RPUSH", &self.marks(), &text]));
            (vec![command(["MULTI"]), add, mark, command(["EXEC"])], 3)
        };
        let heard = self.call(pool, &commands).await;
        let (span, outcome) = match heard.replies.get(place) {
            // What the connection watched before has changed.
            Some(reply) if reply.is_null() => (heard.span, Outcome::Refused),
            _ => (heard.write_span(place), heard.outcome(place)),
        };
        self.oracle.borrow_mut().sets.added(member, span, outcome, (sent_ms, self.now_ms()));
    }

    /// Reads all that is there to be drawn from a list, if a leader answers.
    async fn look_at_pool(&mut self, pool: &str) {
        let sent_ms = self.now_ms();
        let heard = self.call(pool, &[command(["LRANGE", pool, "0", "-1"]), command(["INFO", "replication"])]).await;
        if let Some(members) = heard.good(0).and_then(Value::as_array).filter(|_| heard.was_leader(1)) {
            let members = members.iter().filter_map(number).collect();
            self.oracle.borrow_mut().sets.looked(members, (sent_ms, self.now_ms()));
        }
    }

    /// What draws a member, and for how long that waits at most: from a list it waits for one, at either end.
    fn draw_from(&self, pool: &str) -> (Command, Duration) {
        if !self.waits {
            return (command(["SPOP", pool]), Duration::ZERO);
        }
        match self.number % 3 {
            0 => (command(["BLPOP", "nothing", pool, "0.4"]), Duration::from_millis(400)),
            1 => (command(["BRPOP", pool, "0.05"]), Duration::from_millis(50)),
            _ => (command(["BLPOP", pool, "1"]), Duration::from_secs(1)),
        }
    }

    /// Writes a value that stays, and asks how many have it.
    async fn keep(&mut self) {
        let value = self.value();
        let (here, others) = (self.random.random_range(0..2), self.random.random_range(0..3));
        let ms = [1, 50, 300][self.random.random_range(0..3)];
        let ask = match self.random.random_range(0..4) {
            0 => command(["WAIT", &others.to_string(), &ms.to_string()]),
            _ => command(["WAITAOF", &here.to_string(), &others.to_string(), &ms.to_string()]),
        };
        self.keep_and(value, ask).await;
    }

    /// Writes a value that stays, and asks this; what is answered, if both are.
    async fn keep_and(&mut self, value: u64, ask: Command) -> Option<Count> {
        let key = Kept::key(value);
        let heard = self.call(&key, &[command(["SET", &key, "1"]), ask]).await;
        let count = match heard.good(1)? {
            Value::Integer(others) => Count::Held(*others),
            reply => {
                let counts: Vec<i64> = reply.as_array()?.iter().filter_map(Value::as_integer).collect();
                let [here, others] = counts[..] else { return None };
                Count::Stored { here: here == 1, others }
            }
        };
        heard.good(0)?;
        self.oracle.borrow_mut().copies.counted(value, heard.host, count);
        Some(count)
    }

    /// Has a value stored by a node and another one, and by no more if they are quick enough; its key.
    pub(crate) async fn keep_on_two(&mut self) -> String {
        loop {
            let value = self.value();
            if let Some(Count::Stored { here: true, others: 1.. }) =
                self.keep_and(value, command(["WAITAOF", "1", "1", "0"])).await
            {
                return Kept::key(value);
            }
            time::sleep(PAUSE).await;
        }
    }

    /// Whether a key is there, by a leader's word.
    pub(crate) async fn finds(&mut self, key: &str) -> bool {
        loop {
            // Who follows refuses the write, and is not asked again.
            let commands = [command(["SET", "end", "1"]), command(["EXISTS", key]), command(["INFO", "replication"])];
            let heard = self.call(key, &commands).await;
            if let Some(found) = heard.integer(1).filter(|_| heard.outcome(0) == Outcome::Done && heard.was_leader(2)) {
                return found == 1;
            }
            time::sleep(PAUSE).await;
        }
    }

    /// Opens the bank, all accounts at once or none: sent again until it is answered.
    async fn open_bank(&mut self) {
        let mut open: Command = vec![b"MSETNX".to_vec()];
        for account in 0..ACCOUNTS {
            open.push(self.account(account).into_bytes());
            open.push(BALANCE_FIRST.to_string().into_bytes());
        }
        let first = self.account(0);
        while self.call(&first, std::slice::from_ref(&open)).await.integer(0).is_none() {
            time::sleep(PAUSE).await;
        }
    }

    /// Looks at everything, by a leader: what was acknowledged must be there. For when all is well.
    pub(crate) async fn look_at_all(&mut self) {
        // A write of its own first: it is acknowledged only where reads are linearizable.
        let end = self.tags.fixed(0, "end");
        while self.call(&end, &[command(["SET", &end, "1"])]).await.outcome(0) != Outcome::Done {
            time::sleep(PAUSE).await;
        }
        let tags = self.tags.clone();
        for key in (0..REGISTERS).flat_map(|number| tags.all(&format!("r{number}")).collect::<Vec<_>>()) {
            loop {
                let heard = self.call(&key, &[command(["GET", &key]), command(["INFO", "replication"])]).await;
                self.note_read(&key, &heard, 0);
                if heard.was_leader(1) && heard.good(0).is_some() {
                    break;
                }
                time::sleep(PAUSE).await;
            }
        }
        let lists = (0..LISTS).flat_map(|number| tags.all(&format!("l{number}")).collect::<Vec<_>>());
        for key in lists.chain([self.burst_list()]) {
            loop {
                let look = [command(["LRANGE", &key, "0", "-1"]), command(["INFO", "replication"])];
                let heard = self.call(&key, &look).await;
                if let Some(elements) = heard.good(0).and_then(Value::as_array).filter(|_| heard.was_leader(1)) {
                    let elements = elements.iter().filter_map(number).collect();
                    self.oracle.borrow_mut().lists.read(&key, elements, heard.span, true);
                    break;
                }
                time::sleep(PAUSE).await;
            }
        }
        self.look_at_bank().await;
        let pool = self.pool();
        loop {
            let look = if self.waits { command(["LRANGE", &pool, "0", "-1"]) } else { command(["SMEMBERS", &pool]) };
            // Where there are none it is no error.
            let marks = command(["LRANGE", &self.marks(), "0", "-1"]);
            let heard = self.call(&pool, &[look, marks, command(["INFO", "replication"])]).await;
            let [members, marks] = [0, 1].map(|place| heard.good(place).and_then(Value::as_array));
            if let (Some(members), Some(marks), true) = (members, marks, heard.was_leader(2)) {
                let sets = &mut self.oracle.borrow_mut().sets;
                sets.left(members.iter().filter_map(number).collect());
                sets.marked(marks.iter().filter_map(number));
                return;
            }
            time::sleep(PAUSE).await;
        }
    }
}

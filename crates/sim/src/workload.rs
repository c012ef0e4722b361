//! What clients do: a mix of operations on few keys, each noted in the oracle with what came of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use resp::Value;
use tokio::time;

use crate::client::{Command, Connection, command};
use crate::cluster::Cluster;
use crate::oracle::{ACCOUNTS, BALANCE_FIRST, NEVER, Oracle, Outcome, Span};
use crate::trace::Topic;

/// Few keys, so that operations meet.
const REGISTERS: usize = 3;
const LISTS: usize = 2;
/// The list that bursts go to, and how many pushes one has: enough that an entry is proposed beside others in flight.
const BURST_LIST: &str = "burst";
const BURST_PUSHES: std::ops::RangeInclusive<usize> = 32..=40;
/// A client that found nobody waits this long before it looks again.
const PAUSE: Duration = Duration::from_millis(20);

/// One client.
pub(crate) struct Client {
    number: usize,
    cluster: Rc<RefCell<Cluster>>,
    oracle: Rc<RefCell<Oracle>>,
    start: time::Instant,
    random: SmallRng,
    /// Unique values come from here.
    values: u64,
    connection: Option<Connection>,
    /// The host it speaks with, or tries next.
    host: usize,
    /// The most that it waits between two operations, in ms.
    think_ms_max: u64,
    /// Of how many shares it draws an operation: those above the twenty of everybody are bursts.
    operations: u32,
    last_mortal: Option<u64>,
}

/// The replies that came, and whether all did.
struct Heard {
    replies: Vec<Value>,
    span: Span,
}

impl Heard {
    /// What became of the write at this place.
    fn outcome(&self, place: usize) -> Outcome {
        match self.replies.get(place) {
            None => Outcome::Unknown,
            Some(Value::Error(line)) if line.starts_with(b"UNCERTAIN") => Outcome::Unknown,
            Some(Value::Error(line)) if is_definite(line) => Outcome::Refused,
            Some(Value::Error(line)) => panic!("an error that no client expects: {}", line.escape_ascii()),
            Some(_) => Outcome::Done,
        }
    }

    /// When the write at this place was sent and answered.
    fn write_span(&self, place: usize) -> Span {
        match self.outcome(place) {
            Outcome::Unknown => Span { start: self.span.start, end: NEVER },
            _ => self.span,
        }
    }

    fn integer(&self, place: usize) -> Option<i64> {
        self.replies.get(place).and_then(Value::as_integer)
    }

    /// The length of a list that the push at this place was answered with; 0 if it was not.
    fn length(&self, place: usize) -> usize {
        self.integer(place).and_then(|length| usize::try_from(length).ok()).unwrap_or(0)
    }

    /// The reply at this place, if it is there and no error.
    fn good(&self, place: usize) -> Option<&Value> {
        self.replies.get(place).filter(|reply| reply.as_error().is_none())
    }

    /// Whether INFO at this place says that a leader answered, and with it the read before.
    fn was_leader(&self, place: usize) -> bool {
        let info = self.good(place).and_then(Value::as_bytes).unwrap_or_default();
        info.windows(11).any(|window| window == b"role:master")
    }
}

/// Errors that promise: it did not and will not happen.
fn is_definite(line: &[u8]) -> bool {
    let codes: [&[u8]; 6] =
        [b"READONLY", b"NOREPLICAS", b"LOADING", b"MASTERDOWN", b"EXECABORT", b"ERR max number of clients"];
    codes.iter().any(|code| line.starts_with(code))
}

/// A number that was sent as text.
fn number(value: &Value) -> Option<u64> {
    std::str::from_utf8(value.as_bytes()?).ok()?.parse().ok()
}

impl Client {
    pub(crate) fn new(number: usize, cluster: Rc<RefCell<Cluster>>, oracle: Rc<RefCell<Oracle>>, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let think_ms_max = [2, 10, 40][random.random_range(0..3)];
        let operations = [20, 21, 24][random.random_range(0..3)];
        let (host, start) = (number, cluster.borrow().start());
        Self {
            number,
            cluster,
            oracle,
            start,
            random,
            values: 0,
            connection: None,
            host,
            think_ms_max,
            operations,
            last_mortal: None,
        }
    }

    /// Works for this long, then ends what it is about.
    pub(crate) async fn work(mut self, time: Duration) {
        let end = time::Instant::now() + time;
        while time::Instant::now() < end {
            let ms = self.random.random_range(0..=self.think_ms_max);
            time::sleep(Duration::from_millis(ms)).await;
            self.operate().await;
        }
    }

    async fn operate(&mut self) {
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

    fn register(&mut self) -> String {
        format!("r{}", self.random.random_range(0..REGISTERS))
    }

    fn list(&mut self) -> String {
        format!("l{}", self.random.random_range(0..LISTS))
    }

    /// Sends commands to whoever takes them.
    async fn call(&mut self, commands: &[Command]) -> Heard {
        // Most clients give up soon; some wait until the node has no more to say.
        let patience_ms_max = if self.random.random_range(0..8) == 0 { 8000 } else { 700 };
        let patience = Duration::from_millis(self.random.random_range(100..patience_ms_max));
        if self.connection.is_none() {
            self.connect().await;
        }
        let start = self.oracle.borrow_mut().event();
        for command in commands {
            self.trace("sends", &command.join(&b' '));
        }
        let connection = self.connection.as_mut().expect("it was just connected");
        let mut replies = Vec::new();
        let broken = connection.call(commands, patience, &mut replies).await.is_err();
        let heard = if broken { "hears, and no more," } else { "hears" };
        self.cluster.borrow().trace().note(Topic::Client, self.number, heard, connection.heard());
        let end = self.oracle.borrow_mut().event();
        if broken || replies.iter().any(|reply| reply.as_error().is_some()) {
            // Somebody else may know better.
            self.connection = None;
            self.host = self.random.random_range(0..self.cluster.borrow().size());
        }
        Heard { replies, span: Span { start, end } }
    }

    async fn connect(&mut self) {
        loop {
            let size = self.cluster.borrow().size();
            let stream = self.cluster.borrow().connect(self.host % size, self.number);
            if let Some(stream) = stream {
                self.connection = Some(Connection::new(stream));
                return;
            }
            self.host = self.random.random_range(0..size);
            time::sleep(PAUSE).await;
        }
    }

    fn trace(&self, what: &str, bytes: &[u8]) {
        self.cluster.borrow().trace().note(Topic::Client, self.number, what, bytes);
    }

    async fn write(&mut self) {
        let (key, value) = (self.register(), self.value());
        let heard = self.call(&[command(["SET", &key, &value.to_string()])]).await;
        self.oracle.borrow_mut().registers.wrote(&key, value, heard.write_span(0), heard.outcome(0));
    }

    async fn read(&mut self) {
        let key = self.register();
        let heard = self.call(&[command(["GET", &key]), command(["INFO", "replication"])]).await;
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
        let heard = self.call(&[command(["RPUSH", &key, &element.to_string()])]).await;
        let (span, outcome) = (heard.write_span(0), heard.outcome(0));
        self.oracle.borrow_mut().lists.pushed(&key, element, span, outcome, heard.length(0));
    }

    /// Many pushes in one write, and now and then a look at what came of all bursts.
    async fn burst(&mut self) {
        if self.random.random_range(0..4) == 0 {
            return self.range_of(BURST_LIST).await;
        }
        let count = self.random.random_range(BURST_PUSHES);
        let elements: Vec<u64> = (0..count).map(|_| self.value()).collect();
        let push = |element: &u64| command(["RPUSH", BURST_LIST, &element.to_string()]);
        let commands: Vec<_> = elements.iter().map(push).collect();
        let heard = self.call(&commands).await;
        let lists = &mut self.oracle.borrow_mut().lists;
        for (place, &element) in elements.iter().enumerate() {
            lists.pushed(BURST_LIST, element, heard.write_span(place), heard.outcome(place), heard.length(place));
        }
        lists.sent_in_row(BURST_LIST, elements);
    }

    async fn range(&mut self) {
        let key = self.list();
        self.range_of(&key).await;
    }

    async fn range_of(&mut self, key: &str) {
        let heard = self.call(&[command(["LRANGE", key, "0", "-1"]), command(["INFO", "replication"])]).await;
        let Some(elements) = heard.good(0).and_then(Value::as_array) else { return };
        let elements = elements.iter().filter_map(number).collect();
        self.oracle.borrow_mut().lists.read(key, elements, heard.span, heard.was_leader(1));
    }

    /// Several commands in one write: reads behind writes ride along.
    async fn pipeline(&mut self) {
        let (key, other) = (self.register(), self.register());
        let (value, second) = (self.value(), self.value());
        let commands = [
            command(["SET", &key, &value.to_string()]),
            command(["GET", &other]),
            command(["INFO", "replication"]),
            command(["SET", &other, &second.to_string()]),
        ];
        let heard = self.call(&commands).await;
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
        let (from, to) = (format!("a{from}"), format!("a{to}"));
        let heard = self.call(&[command(["WATCH", &from, &to]), command(["MGET", &from, &to])]).await;
        let balances: Vec<i64> = heard.good(1).and_then(Value::as_array).map_or_else(Vec::new, |balances| {
            balances.iter().filter_map(|balance| number(balance).and_then(|n| i64::try_from(n).ok())).collect()
        });
        let [mine, theirs] = balances[..] else { return };
        if self.connection.is_none() {
            return;
        }
        let amount = self.random.random_range(0..=mine);
        let commands = [
            command(["MULTI"]),
            command(["SET", &from, &(mine - amount).to_string()]),
            command(["SET", &to, &(theirs + amount).to_string()]),
            command(["EXEC"]),
        ];
        let heard = self.call(&commands).await;
        let outcome = match heard.replies.get(3) {
            Some(reply) if reply.is_null() => Outcome::Refused,
            _ => heard.outcome(3),
        };
        self.oracle.borrow_mut().bank.transferred(outcome);
    }

    async fn look_at_bank(&mut self) {
        let mut look: Command = vec![b"MGET".to_vec()];
        look.extend((0..ACCOUNTS).map(|account| format!("a{account}").into_bytes()));
        let heard = self.call(&[look]).await;
        let Some(balances) = heard.good(0).and_then(Value::as_array) else { return };
        let balances: Vec<_> =
            balances.iter().map(|balance| number(balance).and_then(|n| i64::try_from(n).ok())).collect();
        self.oracle.borrow_mut().bank.looked(&balances);
    }

    async fn write_mortal(&mut self) {
        let (value, ms) = (self.value(), self.random.random_range(1..3000_u64));
        let sent_ms = self.now_ms();
        let heard = self.call(&[command(["SET", &format!("m{value}"), "1", "PX", &ms.to_string()])]).await;
        let due_ms = (sent_ms + ms, self.now_ms() + ms);
        self.oracle.borrow_mut().sets.wrote_mortal(value, heard.write_span(0), heard.outcome(0), due_ms);
        self.last_mortal = Some(value);
    }

    async fn read_mortal(&mut self) {
        let Some(value) = self.last_mortal else { return };
        let sent_ms = self.now_ms();
        let heard = self.call(&[command(["EXISTS", &format!("m{value}")]), command(["INFO", "replication"])]).await;
        if let Some(found) = heard.integer(0).filter(|_| heard.was_leader(1)) {
            let moments = (sent_ms, self.now_ms());
            self.oracle.borrow_mut().sets.read_mortal(value, found == 1, heard.span, moments);
        }
    }

    /// Adds to a set, or draws from it.
    async fn draw(&mut self) {
        if self.random.random_range(0..3) > 0 {
            let member = self.value();
            let heard = self.call(&[command(["SADD", "pool", &member.to_string()])]).await;
            self.oracle.borrow_mut().sets.added(member, heard.write_span(0), heard.outcome(0));
        } else {
            let heard = self.call(&[command(["SPOP", "pool"])]).await;
            if let Some(member) = heard.good(0).and_then(number) {
                self.oracle.borrow_mut().sets.popped(member, heard.span);
            } else if heard.outcome(0) == Outcome::Unknown {
                self.oracle.borrow_mut().sets.popped_perhaps();
            }
        }
    }

    /// Opens the bank, all accounts at once or none: sent again until it is answered.
    pub(crate) async fn open_bank(&mut self) {
        let mut open: Command = vec![b"MSETNX".to_vec()];
        for account in 0..ACCOUNTS {
            open.push(format!("a{account}").into_bytes());
            open.push(BALANCE_FIRST.to_string().into_bytes());
        }
        while self.call(std::slice::from_ref(&open)).await.integer(0).is_none() {
            time::sleep(PAUSE).await;
        }
    }

    /// Looks at everything, by a leader: what was acknowledged must be there. For when all is well.
    pub(crate) async fn look_at_all(&mut self) {
        // A write of its own first: it is acknowledged only where reads are linearizable.
        while self.call(&[command(["SET", "end", "1"])]).await.outcome(0) != Outcome::Done {
            time::sleep(PAUSE).await;
        }
        for key in (0..REGISTERS).map(|number| format!("r{number}")) {
            loop {
                let heard = self.call(&[command(["GET", &key]), command(["INFO", "replication"])]).await;
                self.note_read(&key, &heard, 0);
                if heard.was_leader(1) {
                    break;
                }
            }
        }
        for key in (0..LISTS).map(|number| format!("l{number}")).chain([BURST_LIST.to_owned()]) {
            loop {
                let heard = self.call(&[command(["LRANGE", &key, "0", "-1"]), command(["INFO", "replication"])]).await;
                if let Some(elements) = heard.good(0).and_then(Value::as_array).filter(|_| heard.was_leader(1)) {
                    let elements = elements.iter().filter_map(number).collect();
                    self.oracle.borrow_mut().lists.read(&key, elements, heard.span, true);
                    break;
                }
            }
        }
        self.look_at_bank().await;
        loop {
            let heard = self.call(&[command(["SMEMBERS", "pool"]), command(["INFO", "replication"])]).await;
            if let Some(members) = heard.good(0).and_then(Value::as_array).filter(|_| heard.was_leader(1)) {
                self.oracle.borrow_mut().sets.left(members.iter().filter_map(number).collect());
                return;
            }
        }
    }
}

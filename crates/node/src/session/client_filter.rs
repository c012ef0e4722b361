//! The conditions of CLIENT LIST and CLIENT KILL, as Valkey 9.1 has them: each an option and its value, most of them
//! also negated by NOT- in front.

use resp::Arguments;

use crate::clients::{Client, Summary};

/// The letters that CLIENT LIST may show as flags; ours are a few of them.
const FLAG_LETTERS: &[u8] = b"bcdeirtuxABEIMNOPRSTU";

/// See the module.
#[derive(Default)]
pub(super) struct ClientFilter {
    wanted: Conditions,
    unwanted: Conditions,
    /// The client is so many seconds old, or older.
    age_seconds: Option<u64>,
    /// It was idle for so many seconds, or longer.
    idle_seconds: Option<u64>,
    /// Leaves out who asks: SKIPME.
    skip_me: Option<bool>,
}

/// What may be asked for, or ruled out.
#[derive(Default)]
struct Conditions {
    ids: Option<Vec<u64>>,
    /// Only normal clients are in the list: replicas are peers on another port.
    is_normal: Option<bool>,
    user: Option<Vec<u8>>,
    address: Option<Vec<u8>>,
    local_address: Option<Vec<u8>>,
    ip: Option<Vec<u8>>,
    name: Option<Vec<u8>>,
    lib_name: Option<Vec<u8>>,
    lib_version: Option<Vec<u8>>,
    flags: Option<Vec<u8>>,
    database: Option<usize>,
    capabilities: Option<Vec<u8>>,
}

impl ClientFilter {
    /// Reads the options from the third argument on.
    pub(super) fn parse(arguments: Arguments<'_>, databases: u32) -> Result<Self, String> {
        let mut filter = Self::default();
        let mut at = 2;
        while let Some(option) = arguments.get(at) {
            let Some(value) = arguments.get(at + 1) else { return Err(syntax()) };
            at += 2;
            let option = option.to_ascii_lowercase();
            match option.as_slice() {
                b"maxage" => filter.age_seconds = Some(positive("maxage", value)?),
                b"idle" => filter.idle_seconds = Some(positive("idle", value)?),
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => filter.skip_me = Some(true),
                b"skipme" if value.eq_ignore_ascii_case(b"no") => filter.skip_me = Some(false),
                _ => {
                    let (conditions, bare) = match option.strip_prefix(b"not-") {
                        Some(bare) => (&mut filter.unwanted, bare),
                        None => (&mut filter.wanted, option.as_slice()),
                    };
                    if bare == b"id" {
                        at = conditions.take_ids(arguments, at - 1)?;
                    } else {
                        conditions.take(bare, value, &option, databases)?;
                    }
                }
            }
        }
        Ok(filter)
    }

    /// The filter of `CLIENT KILL address`.
    pub(super) fn of_address(address: &[u8]) -> Self {
        let wanted = Conditions { address: Some(address.to_vec()), ..Conditions::default() };
        Self { wanted, skip_me: Some(false), ..Self::default() }
    }

    /// Leaves out who asks, unless SKIPME said otherwise.
    pub(super) fn without_me(mut self) -> Self {
        self.skip_me.get_or_insert(true);
        self
    }

    /// Whether a client is meant. `asks` is the id of the one that asks.
    pub(super) fn accepts(&self, client: &Client, asks: u64, now_ms: u64) -> bool {
        let summary = client.summary.lock();
        let is_past = |since_ms: u64, seconds: u64| now_ms.saturating_sub(since_ms) / 1000 >= seconds;
        !(self.skip_me == Some(true) && client.id == asks)
            && self.age_seconds.is_none_or(|seconds| is_past(client.connected_ms, seconds))
            && self.idle_seconds.is_none_or(|seconds| is_past(summary.last_active_ms, seconds))
            && self.wanted.compare(client, &summary).all(|holds| holds)
            && !self.unwanted.compare(client, &summary).any(|holds| holds)
    }
}

impl Conditions {
    /// Takes all numbers from argument `at` on; where they end. There is at least one.
    fn take_ids(&mut self, arguments: Arguments<'_>, mut at: usize) -> Result<usize, String> {
        let start = at;
        let mut ids = Vec::new();
        while let Some(id) = arguments.get(at).and_then(keyspace::parse_integer) {
            let id = u64::try_from(id).ok().filter(|&id| id > 0);
            ids.push(id.ok_or("ERR client-id should be greater than 0")?);
            at += 1;
        }
        self.ids.get_or_insert_default().extend(ids);
        if at > start { Ok(at) } else { Err(syntax()) }
    }

    fn take(&mut self, bare: &[u8], value: &[u8], option: &[u8], databases: u32) -> Result<(), String> {
        let text = match bare {
            b"type" => {
                self.is_normal = Some(parse_kind(value)?);
                return Ok(());
            }
            b"db" => {
                self.database = Some(parse_database(value, option, databases)?);
                return Ok(());
            }
            b"user" if value != b"default" => {
                return Err(format!("ERR No such user '{}'", String::from_utf8_lossy(value)));
            }
            b"flags" => {
                if !value.iter().all(|letter| FLAG_LETTERS.contains(letter)) {
                    return Err(unknown_letters("flags", value));
                }
                &mut self.flags
            }
            b"capa" => {
                if !value.iter().all(|&letter| letter == b'r') {
                    return Err(unknown_letters("capa", value));
                }
                &mut self.capabilities
            }
            b"user" => &mut self.user,
            b"addr" => &mut self.address,
            b"laddr" => &mut self.local_address,
            b"ip" => &mut self.ip,
            b"name" => &mut self.name,
            b"lib-name" => &mut self.lib_name,
            b"lib-ver" => &mut self.lib_version,
            _ => return Err(syntax()),
        };
        *text = Some(value.to_vec());
        Ok(())
    }

    /// Whether each condition that there is holds.
    fn compare(&self, client: &Client, summary: &Summary) -> impl Iterator<Item = bool> {
        let is = |wanted: &Option<Vec<u8>>, found: &str| wanted.as_ref().map(|wanted| wanted == found.as_bytes());
        let (ip, _) = super::split_address(&client.address);
        let flags = summary.flags();
        [
            self.ids.as_ref().map(|ids| ids.contains(&client.id)),
            self.is_normal,
            is(&self.user, &summary.user),
            is(&self.address, &client.address),
            is(&self.local_address, &client.local_address),
            is(&self.ip, ip.trim_start_matches('[').trim_end_matches(']')),
            is(&self.name, &summary.name),
            is(&self.lib_name, &summary.lib_name),
            is(&self.lib_version, &summary.lib_version),
            self.flags.as_ref().map(|wanted| wanted.iter().all(|letter| flags.as_bytes().contains(letter))),
            self.database.map(|database| database == summary.database),
            // CLIENT CAPA is for redirections that Cairn does not make.
            self.capabilities.as_ref().map(|wanted| wanted.is_empty()),
        ]
        .into_iter()
        .flatten()
    }
}

fn syntax() -> String {
    "ERR syntax error".to_owned()
}

fn unknown_letters(of: &str, value: &[u8]) -> String {
    format!("ERR Unknown {of} found in the provided filter: {}", String::from_utf8_lossy(value))
}

fn positive(name: &str, value: &[u8]) -> Result<u64, String> {
    let number =
        keyspace::parse_integer(value).ok_or_else(|| format!("ERR {name} is not an integer or out of range"))?;
    u64::try_from(number)
        .ok()
        .filter(|&number| number > 0)
        .ok_or_else(|| format!("ERR {name} should be greater than 0"))
}

/// Whether normal clients are meant.
fn parse_kind(value: &[u8]) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(true),
        b"master" | b"primary" | b"replica" | b"slave" | b"pubsub" => Ok(false),
        _ => Err(format!("ERR Unknown client type '{}'", String::from_utf8_lossy(value))),
    }
}

fn parse_database(value: &[u8], option: &[u8], databases: u32) -> Result<usize, String> {
    let option = String::from_utf8_lossy(option).to_ascii_uppercase();
    let number =
        keyspace::parse_integer(value).ok_or_else(|| format!("ERR {option} is not an integer or out of range"))?;
    let last = databases.saturating_sub(1);
    let inside = usize::try_from(number).ok().filter(|&number| number <= last as usize);
    inside.ok_or_else(|| format!("ERR {option} number should be between 0 and {last}"))
}

//! What COMMAND INFO and COMMAND DOCS say about a row.

use resp::{Arguments, Reply};

use super::facts::{DEPRECATED, INTERNAL, facts_of};
use super::history::history_of;
use super::syntax::{usage, write_arguments};
use super::{Flags, Handler, KeyUse, Keys, Spec};
use crate::table::{Group, group_of, subcommands};

/// The flags that COMMAND INFO shows, in its order.
const SHOWN: [(Flags, &str); 17] = [
    (Flags::DENYOOM, "denyoom"),
    (Flags::ADMIN, "admin"),
    (Flags::PUBSUB, "pubsub"),
    (Flags::NOSCRIPT, "noscript"),
    (Flags::BLOCKING, "blocking"),
    (Flags::LOADING, "loading"),
    (Flags::STALE, "stale"),
    (Flags::SKIP_MONITOR, "skip_monitor"),
    (Flags::SKIP_SLOWLOG, "skip_commandlog"),
    (Flags::ASKING, "asking"),
    (Flags::FAST, "fast"),
    (Flags::NO_AUTH, "no_auth"),
    (Flags::NO_MANDATORY_KEYS, "no_mandatory_keys"),
    (Flags::NO_ASYNC_LOADING, "no_async_loading"),
    (Flags::NO_MULTI, "no_multi"),
    (Flags::ALLOW_BUSY, "allow_busy"),
    (Flags::MOVABLE_KEYS, "movablekeys"),
];

/// The ACL categories, in the order in which COMMAND INFO shows them.
const CATEGORIES: [&str; 21] = [
    "@keyspace",
    "@read",
    "@write",
    "@set",
    "@sortedset",
    "@list",
    "@hash",
    "@string",
    "@bitmap",
    "@hyperloglog",
    "@geo",
    "@stream",
    "@pubsub",
    "@admin",
    "@fast",
    "@slow",
    "@blocking",
    "@dangerous",
    "@connection",
    "@transaction",
    "@scripting",
];

impl Spec {
    /// The names of the flags, as COMMAND INFO shows them.
    pub fn flag_names(&self) -> Vec<&'static str> {
        let access = match self.handler {
            Handler::Read(_) if self.is_about_data() => Some("readonly"),
            _ if self.changes_data() => Some("write"),
            _ => None,
        };
        let movable = match self.keys {
            Keys::None | Keys::One(_) | Keys::Range { .. } => Flags::default(),
            _ => Flags::MOVABLE_KEYS,
        };
        let flags = self.flags.with(movable);
        access
            .into_iter()
            .chain(SHOWN.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name))
            .collect()
    }

    /// The ACL categories, each with its `@`.
    pub fn categories(&self) -> Vec<&'static str> {
        let group = group_of(self);
        CATEGORIES.into_iter().filter(|category| self.is_in(category, group)).collect()
    }

    /// Most categories follow from the handler, the group and the flags; some flags are there for nothing else.
    fn is_in(&self, category: &str, group: Group) -> bool {
        let has = |flag| self.flags.contains(flag);
        let is_container = matches!(self.handler, Handler::Container);
        match category {
            "@read" => matches!(self.handler, Handler::Read(_)) && self.is_about_data(),
            "@write" => self.changes_data(),
            "@keyspace" => {
                let is_about_keys = matches!(self.handler, Handler::Read(_)) || self.changes_data();
                let is_generic = group == Group::Generic && !has(Flags::COLLECTIONS);
                is_about_keys && (is_generic || has(Flags::KEYSPACE))
            }
            "@pubsub" => has(Flags::PUBSUB),
            "@admin" => has(Flags::ADMIN) || has(Flags::ADMIN_CATEGORY),
            "@dangerous" => has(Flags::ADMIN) || has(Flags::DANGEROUS),
            "@fast" => has(Flags::FAST),
            "@slow" => !has(Flags::FAST),
            "@blocking" => has(Flags::BLOCKING),
            "@list" | "@set" | "@sortedset" if has(Flags::COLLECTIONS) => true,
            "@connection" if has(Flags::CONNECTION) => true,
            _ => !is_container && group.category() == Some(category),
        }
    }

    /// Whether it reads or writes keys; HELP and PFSELFTEST do not.
    fn is_about_data(&self) -> bool {
        !self.name.ends_with("|HELP") && self.name != "PFSELFTEST"
    }

    /// What it does with its keys, one use for each key specification.
    fn uses_or_default(&self) -> &'static [KeyUse] {
        const READ: &[KeyUse] = &[KeyUse::RO.with(KeyUse::ACCESS)];
        const WRITE: &[KeyUse] = &[KeyUse::RW.with(KeyUse::UPDATE)];
        const WATCHED: &[KeyUse] = &[KeyUse::RO];
        match self.handler {
            _ if !self.key_uses.is_empty() => self.key_uses,
            Handler::Write(_) => WRITE,
            Handler::Read(_) => READ,
            _ => WATCHED,
        }
    }

    /// What it does with its `index`-th key when it is called with these arguments.
    pub fn key_use(&self, index: usize, arguments: Arguments<'_>) -> KeyUse {
        let uses = self.uses_or_default();
        // Keys that are found are used as the last specification says, whatever those before it stand for.
        let index = if matches!(self.keys, Keys::OneAndFound { .. }) && index > 0 { uses.len() } else { index };
        let key_use = uses[index.min(uses.len() - 1)];
        self.variable_use
            .filter(|_| key_use.contains(KeyUse::VARIABLE))
            .map_or_else(|| key_use.decided(), |decide| decide(arguments))
    }

    /// Whether it takes the same short time whatever its arguments are, or nearly.
    pub(crate) fn is_quick(&self) -> bool {
        self.flags.contains(Flags::FAST) || facts_of(self.name).is_some_and(|facts| facts.complexity == "O(1)")
    }

    /// How to call it: what follows its name, as HELP shows it.
    pub(crate) fn usage(&self) -> String {
        facts_of(self.name).map(|facts| usage(facts.syntax)).unwrap_or_default()
    }

    /// First key, last key and step, as COMMAND INFO shows them; zeros where keys move.
    fn key_places(&self) -> (usize, isize, usize) {
        match self.keys {
            Keys::None
            | Keys::Custom(_)
            | Keys::CountedPairs(_)
            | Keys::Keyword { .. }
            | Keys::Counted { also: None, .. } => (0, 0, 0),
            Keys::Counted { also: Some(also), .. } => (also, also.cast_signed(), 1),
            Keys::One(place) | Keys::OneAndFound { first: place, .. } => (place, place.cast_signed(), 1),
            Keys::Keywords(keys) => (keys.first, keys.first.cast_signed(), 1),
            Keys::OneOrBehind { first, .. } => (first, first.cast_signed(), 1),
            Keys::Range { first, last, step } => (first, last, step),
        }
    }

    /// Writes the row as one element of the reply to COMMAND INFO.
    pub fn write_info(&self, reply: &mut Reply) {
        reply.array(10);
        reply.bulk(self.name.to_ascii_lowercase());
        reply.integer(self.arity.to_signed());
        let flags = self.flag_names();
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.simple(flag));
        let (first, last, step) = self.key_places();
        reply.count(first);
        reply.integer(i64::try_from(last).expect("a place of an argument"));
        reply.count(step);
        let categories = self.categories();
        reply.set(categories.len());
        categories.iter().for_each(|category| reply.simple(category));
        reply.set(self.tips.len());
        self.tips.iter().for_each(|tip| reply.bulk(tip));
        self.write_key_specs(reply);
        let rows: Vec<_> = subcommands(self).collect();
        reply.array(rows.len());
        rows.iter().for_each(|row| row.write_info(reply));
    }

    /// How many key specifications COMMAND INFO shows.
    fn key_spec_count(&self) -> usize {
        match self.keys {
            // Without a specification clients ask COMMAND GETKEYS.
            Keys::None | Keys::Custom(_) => 0,
            Keys::One(_) | Keys::CountedPairs(_) | Keys::Keyword { .. } => 1,
            Keys::Range { .. } | Keys::OneAndFound { .. } | Keys::Keywords(_) | Keys::OneOrBehind { .. } => {
                self.uses_or_default().len()
            }
            Keys::Counted { also, .. } => 1 + usize::from(also.is_some()),
        }
    }

    fn write_key_specs(&self, reply: &mut Reply) {
        let uses = self.uses_or_default();
        reply.set(self.key_spec_count());
        match self.keys {
            Keys::None | Keys::Custom(_) => {}
            Keys::One(place) => {
                write_range(reply, uses[0], place, 0, 1);
            }
            Keys::OneAndFound { first, .. } => {
                write_range(reply, uses[0], first, 0, 1);
                uses[1..].iter().for_each(|&key_use| write_unknown(reply, key_use));
            }
            Keys::Range { first, last, step } => {
                // Keys that are used differently stand one by one, the last use for the rest.
                for (index, &key_use) in uses.iter().enumerate() {
                    let start = first + index * step;
                    let is_rest = index + 1 == uses.len();
                    let last = match last {
                        _ if !is_rest => 0,
                        from_end if from_end < 0 => from_end,
                        last => last - start.cast_signed(),
                    };
                    write_range(reply, key_use, start, last, step);
                }
            }
            Keys::CountedPairs(count) => write_counted(reply, uses[0], count, 2),
            Keys::Keywords(keys) => {
                write_range(reply, uses[0], keys.first, 0, 1);
                for (keyword, key_use) in keys.keywords.iter().zip(&uses[1..]) {
                    let find = ("range", &[("lastkey", 0), ("keystep", 1), ("limit", 0)][..]);
                    write_spec(reply, *key_use, Begin::Keyword(keyword, keys.from.cast_signed()), find);
                }
            }
            Keys::Counted { count, also } => {
                if let Some(also) = also {
                    write_range(reply, uses[0], also, 0, 1);
                }
                write_counted(reply, uses[uses.len() - 1], count, 1);
            }
            Keys::Keyword { keyword, from, .. } => {
                let find = ("range", &[("lastkey", -1), ("keystep", 1), ("limit", 2)][..]);
                write_spec(reply, uses[0], Begin::Keyword(keyword, from.cast_signed()), find);
            }
            Keys::OneOrBehind { first, keyword, .. } => {
                write_range(reply, uses[0], first, 0, 1);
                let find = ("range", &[("lastkey", -1), ("keystep", 1), ("limit", 0)][..]);
                write_spec(reply, uses[1], Begin::Keyword(keyword, -2), find);
            }
        }
    }

    /// Writes the row's name and description, as one pair of the reply to COMMAND DOCS.
    pub fn write_docs(&self, reply: &mut Reply) {
        let facts = facts_of(self.name);
        let facts = facts.as_ref();
        let subcommands: Vec<_> = subcommands(self).collect();
        let deprecation = DEPRECATED.iter().find(|(name, ..)| *name == self.name);
        let doc_flag = match deprecation {
            Some(_) => Some("deprecated"),
            None => INTERNAL.contains(&self.name).then_some("syscmd"),
        };
        let texts = [
            ("summary", Some(self.summary)),
            ("since", facts.map(|facts| facts.since)),
            ("group", Some(group_of(self).name())),
            ("complexity", facts.map(|facts| facts.complexity).filter(|text| !text.is_empty())),
        ];
        let texts = texts.iter().filter_map(|(name, text)| Some((*name, (*text)?)));
        let syntax = facts.map(|facts| facts.syntax).filter(|syntax| !syntax.is_empty());
        let history = history_of(self.name);
        let optional = [doc_flag.is_some(), !history.is_empty(), syntax.is_some(), !subcommands.is_empty()];
        let pairs = texts.clone().count() + 2 * usize::from(deprecation.is_some());
        reply.bulk(self.name.to_ascii_lowercase());
        reply.map(pairs + optional.iter().filter(|is_there| **is_there).count());
        for (name, text) in texts {
            reply.bulk(name);
            reply.bulk(text);
        }
        if let Some(flag) = doc_flag {
            reply.bulk("doc_flags");
            reply.set(1);
            reply.simple(flag);
        }
        if let Some((_, since, replacement)) = deprecation {
            reply.bulk("deprecated_since");
            reply.bulk(since);
            reply.bulk("replaced_by");
            reply.bulk(replacement);
        }
        if !history.is_empty() {
            reply.bulk("history");
            reply.set(history.len());
            for (version, change) in history {
                reply.array(2);
                reply.bulk(version);
                reply.bulk(change);
            }
        }
        if let Some(syntax) = syntax {
            reply.bulk("arguments");
            write_arguments(self.name, syntax, self.key_spec_count(), reply);
        }
        if !subcommands.is_empty() {
            reply.bulk("subcommands");
            reply.map(subcommands.len());
            subcommands.iter().for_each(|row| row.write_docs(reply));
        }
    }
}

/// A key specification that begins at a place and reaches to `last`, counted from there or, if negative, from the end.
fn write_range(reply: &mut Reply, key_use: KeyUse, place: usize, last: isize, step: usize) {
    let last = i64::try_from(last).expect("a place of an argument");
    let step = i64::try_from(step).expect("a distance of arguments");
    let find = ("range", &[("lastkey", last), ("keystep", step), ("limit", 0)][..]);
    write_spec(reply, key_use, Begin::Index(place), find);
}

/// A key specification that begins behind the number of its keys.
fn write_counted(reply: &mut Reply, key_use: KeyUse, count: usize, step: i64) {
    let find = ("keynum", &[("keynumidx", 0), ("firstkey", 1), ("keystep", step)][..]);
    write_spec(reply, key_use, Begin::Index(count), find);
}

/// Where the keys of a key specification begin.
#[derive(Clone, Copy)]
enum Begin {
    /// At this place.
    Index(usize),
    /// Behind this keyword, to be looked for from this place on; a negative one counts from the end, and the search goes to the front.
    Keyword(&'static str, isize),
}

/// A key specification of which only COMMAND GETKEYS knows more.
fn write_unknown(reply: &mut Reply, key_use: KeyUse) {
    reply.map(3);
    write_key_use(reply, key_use);
    for part in ["begin_search", "find_keys"] {
        reply.bulk(part);
        reply.map(2);
        reply.bulk("type");
        reply.bulk("unknown");
        reply.bulk("spec");
        reply.map(0);
    }
}

fn write_key_use(reply: &mut Reply, key_use: KeyUse) {
    reply.bulk("flags");
    reply.set(key_use.names().count());
    key_use.names().for_each(|name| reply.simple(name));
}

fn write_spec(reply: &mut Reply, key_use: KeyUse, begin: Begin, (kind, spec): (&str, &[(&str, i64)])) {
    reply.map(3);
    write_key_use(reply, key_use);
    reply.bulk("begin_search");
    reply.map(2);
    reply.bulk("type");
    match begin {
        Begin::Index(place) => {
            reply.bulk("index");
            reply.bulk("spec");
            reply.map(1);
            reply.bulk("index");
            reply.count(place);
        }
        Begin::Keyword(keyword, from) => {
            reply.bulk("keyword");
            reply.bulk("spec");
            reply.map(2);
            reply.bulk("keyword");
            reply.bulk(keyword);
            reply.bulk("startfrom");
            reply.integer(i64::try_from(from).expect("a place of an argument"));
        }
    }
    reply.bulk("find_keys");
    reply.map(2);
    reply.bulk("type");
    reply.bulk(kind);
    reply.bulk("spec");
    reply.map(spec.len());
    for &(name, value) in spec {
        reply.bulk(name);
        reply.integer(value);
    }
}

//! What a row of the table is: a name, who must agree on it, how its text becomes a value and back.
//!
//! A row's [`Kind`] carries the accessors of the field it serves, so that the compiler proves that a row of
//! integers writes an integer. Every text of an error is Redis's own where Redis has one.

use keyspace::parse_memory;

use super::kept::KEPT;
use super::settings::Settings;
use super::table::PARAMS;

/// A host name is shorter.
const HOSTNAME_BYTES_MAX: usize = 256;

/// One directive.
pub struct Param {
    /// As in the file, in lower case.
    pub name: &'static str,
    /// An older name that works the same way; empty: none.
    pub alias: &'static str,
    /// Who must agree on the value.
    pub home: Home,
    /// How the value is written, and where it is kept.
    pub kind: Kind,
    /// The value without any file, as it would be written.
    pub default: &'static str,
    /// Whether CONFIG SET may change it.
    pub mutable: Mutable,
    /// Why setting it has no effect; empty: it has one. Said once at start when a file or flag sets it.
    pub inert: &'static str,
    /// Whether further lines of a file add to the first one instead of replacing it.
    pub adds_up: bool,
    /// Whether the value must not be shown in logs.
    pub secret: bool,
    /// Whether CONFIG GET shows it only to who knows its name.
    pub hidden: bool,
    /// Of a text: what else it must be.
    pub check: fn(&str) -> Result<(), &'static str>,
    /// What it does, for `--help` and the sample file.
    pub doc: &'static str,
}

/// Whether CONFIG SET may change a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutable {
    /// It may.
    Yes,
    /// It is read at start only.
    No,
    /// The same, and a client that could change it might harm the machine: Redis has another word for that.
    Protected,
}

impl Mutable {
    /// Why it may not be changed, if it may not: in Redis's words.
    pub(super) fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Yes => None,
            Self::No => Some("can't set immutable config"),
            Self::Protected => Some("can't set protected config"),
        }
    }
}

/// Who must agree on a directive's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// Only this process.
    Node,
    /// All replicas of a shard: the value is part of the shard's state and changes by an entry of its log.
    Shard,
    /// The whole cluster: the value is part of the topology.
    Cluster,
}

/// How a value is written, with the accessors of its field.
pub enum Kind {
    /// `yes` or `no`.
    Flag {
        /// Reads the field.
        get: fn(&Settings) -> bool,
        /// Writes the field.
        set: fn(&mut Settings, bool),
    },
    /// A decimal number.
    Integer {
        /// The smallest value.
        min: i64,
        /// The largest value.
        max: i64,
        /// Reads the field.
        get: fn(&Settings) -> i64,
        /// Writes the field; the value is in the range.
        set: fn(&mut Settings, i64),
    },
    /// A number of bytes, with the units k, kb, m, mb, g, gb.
    Memory {
        /// The smallest value.
        min: u64,
        /// The largest value.
        max: u64,
        /// Reads the field.
        get: fn(&Settings) -> u64,
        /// Writes the field; the value is in the range.
        set: fn(&mut Settings, u64),
    },
    /// One of some words.
    Choice {
        /// The words.
        words: &'static [&'static str],
        /// Reads the field as a place in `words`.
        get: fn(&Settings) -> usize,
        /// Writes the field from a place in `words`.
        set: fn(&mut Settings, usize),
    },
    /// One string, taken as it is.
    Text {
        /// Reads the field.
        get: fn(&Settings) -> &str,
        /// Writes the field.
        set: fn(&mut Settings, String),
    },
    /// Words with a grammar of their own.
    Words {
        /// How the words are written, for the sample file and `--help`.
        usage: &'static str,
        /// The field as lines of words: more than one where a file needs several lines.
        get: fn(&Settings) -> Vec<String>,
        /// Parses the words and writes the field, or says why not and changes nothing.
        set: fn(&mut Settings, &[&str]) -> Result<(), String>,
    },
    /// A text of this form, which nobody reads.
    Kept(Form),
}

/// What the text of a directive that is only kept must be.
pub enum Form {
    /// A decimal number.
    Integer {
        /// The smallest value.
        min: i64,
        /// The largest value.
        max: i64,
    },
    /// A number of bytes, with the units k, kb, m, mb, g, gb.
    Memory,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// One string, taken as it is.
    Text,
    /// So many numbers.
    Numbers(usize),
    /// Nothing but the empty string: why not.
    Empty(&'static str),
}

impl Form {
    /// The words as they are shown, if they are of this form.
    fn read(&self, words: &[&str]) -> Result<String, String> {
        if let Self::Numbers(count) = self {
            let numbers = words.iter().all(|word| integer(word, i64::MIN, i64::MAX).is_ok());
            let fits = words.len() == *count && numbers;
            return fits.then(|| words.join(" ")).ok_or_else(|| format!("argument must be {count} numbers"));
        }
        let &[word] = words else { return Err("wrong number of arguments".to_owned()) };
        match self {
            Self::Integer { min, max } => integer(word, *min, *max).map(|value| value.to_string()),
            Self::Memory => memory_between(word, 0, i64::MAX as u64).map(|value| value.to_string()),
            Self::Choice(words) => choice(word, words).map(|at| words[at].to_owned()),
            Self::Text | Self::Numbers(_) => Ok(word.to_owned()),
            Self::Empty(why) => {
                if word.is_empty() {
                    Ok(String::new())
                } else {
                    Err((*why).to_owned())
                }
            }
        }
    }
}

impl Param {
    /// A mutable directive with an effect; the methods below say what is different.
    pub(super) const fn new(
        name: &'static str,
        home: Home,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            alias: "",
            home,
            kind,
            default,
            mutable: Mutable::Yes,
            inert: "",
            adds_up: false,
            secret: false,
            hidden: false,
            check: any_text,
            doc,
        }
    }

    /// A text that must be such.
    pub(super) const fn checked(mut self, check: fn(&str) -> Result<(), &'static str>) -> Self {
        self.check = check;
        self
    }

    /// Also known by an older name.
    pub(super) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = alias;
        self
    }

    /// Read at start only.
    pub(super) const fn fixed(mut self) -> Self {
        self.mutable = Mutable::No;
        self
    }

    /// The same; Redis changes it where `enable-protected-configs` is set.
    pub(super) const fn protected(mut self) -> Self {
        self.mutable = Mutable::Protected;
        self
    }

    /// Accepted, kept and shown, but without effect.
    pub(super) const fn inert(mut self, why: &'static str) -> Self {
        self.inert = why;
        self
    }

    /// Further lines of one file add to the first.
    pub(super) const fn adding_up(mut self) -> Self {
        self.adds_up = true;
        self
    }

    /// Shown to who knows its name.
    pub(super) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Never shown in logs.
    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Whether this row is meant by a name in any case.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || (!self.alias.is_empty() && self.alias.eq_ignore_ascii_case(name))
    }

    /// The value as CONFIG GET shows it.
    pub fn text(&self, settings: &Settings) -> String {
        self.lines(settings).join(" ")
    }

    /// The default as CONFIG GET shows it.
    pub fn default_text(&self) -> String {
        let mut settings = Settings::default();
        self.set_text(&mut settings, self.default).expect("a table test parses every default");
        self.text(&settings)
    }

    /// The value as a file writes it, without quotes: one or more lines.
    pub(super) fn lines(&self, settings: &Settings) -> Vec<String> {
        match &self.kind {
            Kind::Flag { get, .. } => vec![if get(settings) { "yes" } else { "no" }.to_owned()],
            Kind::Integer { get, .. } => vec![get(settings).to_string()],
            Kind::Memory { get, .. } => vec![get(settings).to_string()],
            Kind::Choice { words, get, .. } => vec![words[get(settings)].to_owned()],
            Kind::Text { get, .. } => vec![get(settings).to_owned()],
            Kind::Words { get, .. } => get(settings),
            Kind::Kept(_) => vec![settings.kept.get(self.name).map_or(self.default, String::as_str).to_owned()],
        }
    }

    /// Sets the value from one text, as CONFIG SET does. An error says what is wrong; nothing was changed then.
    pub fn set_text(&self, settings: &mut Settings, text: &str) -> Result<(), String> {
        match self.kind {
            Kind::Words { .. } | Kind::Kept(Form::Numbers(_)) => {
                self.set_words(settings, &text.split(' ').filter(|w| !w.is_empty()).collect::<Vec<_>>())
            }
            _ => self.set_words(settings, &[text]),
        }
    }

    /// Sets the value from the words of a line, without the name.
    pub(super) fn set_words(&self, settings: &mut Settings, words: &[&str]) -> Result<(), String> {
        if let Kind::Words { set, .. } = self.kind {
            return set(settings, words);
        }
        if let Kind::Kept(form) = &self.kind {
            settings.kept.insert(self.name, form.read(words)?);
            return Ok(());
        }
        let &[word] = words else { return Err("wrong number of arguments".to_owned()) };
        match &self.kind {
            Kind::Flag { set, .. } => set(settings, flag(word)?),
            Kind::Integer { min, max, set, .. } => set(settings, integer(word, *min, *max)?),
            Kind::Memory { min, max, set, .. } => set(settings, memory_between(word, *min, *max)?),
            Kind::Choice { words, set, .. } => set(settings, choice(word, words)?),
            Kind::Text { set, .. } => {
                (self.check)(word)?;
                set(settings, word.to_owned());
            }
            Kind::Words { .. } | Kind::Kept(_) => unreachable!("returned above"),
        }
        Ok(())
    }
}

const fn any_text(_: &str) -> Result<(), &'static str> {
    Ok(())
}

/// What stands between blanks where nodes are listed, and must not hold any.
pub(super) fn listed_address(text: &str) -> Result<(), &'static str> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_' | '%');
    if text.chars().all(is_fit) { Ok(()) } else { Err("Addresses may only contain alphanumeric characters and .:-_%") }
}

/// redis: config.c isValidAnnouncedHostname
pub(super) fn listed_hostname(text: &str) -> Result<(), &'static str> {
    if text.len() >= HOSTNAME_BYTES_MAX {
        return Err("Hostnames must be less than 256 characters");
    }
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if text.chars().all(is_fit) {
        Ok(())
    } else {
        Err("Hostnames may only contain alphanumeric characters, hyphens or dots")
    }
}

/// redis: cluster_legacy.c isValidAuxChar
pub(super) fn node_name(text: &str) -> Result<(), &'static str> {
    let is_unfit = |c: char| c.is_control() || "!#$%&()*+:;<>?@[]^{|}~".contains(c);
    if text.contains(is_unfit) { Err("Announced human node name contained invalid character") } else { Ok(()) }
}

/// Every row: those that somebody reads, then those that are only kept.
pub fn params() -> impl Iterator<Item = &'static Param> {
    PARAMS.iter().chain(KEPT)
}

/// The row of a name or of an older name, in any case.
pub fn param(name: &str) -> Option<&'static Param> {
    params().find(|param| param.answers_to(name))
}

/// The rows whose truth is in the shard's log.
pub(super) fn of_shard() -> impl Iterator<Item = &'static Param> {
    PARAMS.iter().filter(|param| param.home == Home::Shard)
}

fn flag(word: &str) -> Result<bool, String> {
    match word {
        _ if word.eq_ignore_ascii_case("yes") => Ok(true),
        _ if word.eq_ignore_ascii_case("no") => Ok(false),
        _ => Err("argument must be 'yes' or 'no'".to_owned()),
    }
}

fn integer(word: &str, min: i64, max: i64) -> Result<i64, String> {
    // Redis takes only the canonical form: no sign, no leading zeros.
    let value = word.parse::<i64>().ok().filter(|value| value.to_string() == word);
    let value = value.ok_or("argument couldn't be parsed into an integer")?;
    if (min..=max).contains(&value) { Ok(value) } else { Err(out_of_range(min, max)) }
}

fn memory_between(word: &str, min: u64, max: u64) -> Result<u64, String> {
    let value = parse_memory(word.as_bytes()).ok_or("argument must be a memory value")?;
    if (min..=max).contains(&value) { Ok(value) } else { Err(out_of_range(min, max)) }
}

fn out_of_range(min: impl std::fmt::Display, max: impl std::fmt::Display) -> String {
    format!("argument must be between {min} and {max} inclusive")
}

fn choice(word: &str, words: &[&str]) -> Result<usize, String> {
    words
        .iter()
        .position(|known| known.eq_ignore_ascii_case(word))
        .ok_or_else(|| format!("argument(s) must be one of the following: {}", words.join(", ")))
}

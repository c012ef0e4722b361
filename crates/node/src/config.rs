//! The configuration: one table of directives, typed settings, and the handle that a running node shares.
//!
//! Text (a file, flags, CONFIG SET) is parsed and checked once, at the edge, by the rows of [`PARAMS`]; the rest
//! of the program reads [`Settings`]. The only I/O here is CONFIG REWRITE's; [`load()`] is given a function that reads
//! files.
//!
//! A directive has one of three homes ([`Home`]). A *node's* values are this process's own. A *shard's* values
//! are part of the shard's state: CONFIG SET of one is an entry of its log, and what [`Config`] holds is a mirror of
//! what was applied, so that CONFIG GET tells the truth on every replica. A *cluster's* values belong to the topology.
//! Hence CONFIG SET has two steps:
//!
//! ```text
//! CONFIG SET a 1 b 2 -> Config::plan       all pairs parsed and checked, nothing changed
//!                    -> Plan::shard        the caller proposes these and waits; at apply, everywhere:
//!                       ShardSettings::take_pairs, then Config::adopt_shard
//!                    -> Config::commit     the node's own part, which cannot fail any more
//! ```
//!
//! Apply itself never reads a [`Config`]: it reads the [`ShardSettings`] of its own state.

mod kept;
mod load;
mod params;
mod print;
mod rewrite;
mod settings;
mod table;
mod words;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

pub use load::{Invocation, LoadError, Loaded, load};
pub use params::{Form, Home, Kind, Mutable, Param, param, params};
pub use print::{help, sample};
pub use rewrite::rewrite;
pub use settings::{
    BindAddress, DebugCommand, ElectionTimeout, EndpointType, EvictionPolicy, Fsync, LogLevel, Member, OutputLimit,
    OutputLimits, PEER_PORT_OFFSET, Settings, ShardSettings, Supervised,
};
pub use table::PARAMS;

/// The configuration of a running node. Cheap to clone; all clones show the same settings.
#[derive(Clone)]
pub struct Config {
    shared: Arc<Shared>,
}

struct Shared {
    file: Option<PathBuf>,
    current: RwLock<Arc<Settings>>,
    version: AtomicU64,
    watchers: Mutex<Vec<Watcher>>,
}

type Watcher = Box<dyn Fn(&Settings) + Send>;

/// A CONFIG SET that was checked and not yet made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    node: Vec<(&'static str, String)>,
    shard: Vec<(&'static str, String)>,
}

/// Why CONFIG SET or CONFIG REWRITE did nothing. Displays as the line of the error reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// No such directive.
    Unknown(String),
    /// A known directive, and why its value was not taken.
    Refused {
        /// The directive.
        name: String,
        /// What is wrong, in Redis's words.
        reason: String,
    },
    /// CONFIG REWRITE without a file.
    NoFile,
    /// CONFIG REWRITE could not write the file: what the system said.
    NotRewritten(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "ERR Unknown option or number of arguments for CONFIG SET - '{name}'"),
            Self::Refused { name, reason } => {
                write!(f, "ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")
            }
            Self::NoFile => f.write_str("ERR The server is running without a config file"),
            Self::NotRewritten(why) => write!(f, "ERR Rewriting config file: {why}"),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Shares these settings, which should have passed [`Settings::check`], and remembers the file they came from.
    pub fn new(settings: Settings, file: Option<PathBuf>) -> Self {
        let current = RwLock::new(Arc::new(settings));
        let (version, watchers) = (AtomicU64::new(1), Mutex::new(Vec::new()));
        Self { shared: Arc::new(Shared { file, current, version, watchers }) }
    }

    /// Every directive at its default, from no file.
    pub fn defaults() -> Self {
        Self::new(Settings::defaults(), None)
    }

    /// The configuration file that the process was started with.
    pub fn file(&self) -> Option<&Path> {
        self.shared.file.as_deref()
    }

    /// CONFIG REWRITE: writes the present values into the file that the process was started with (see [`rewrite()`]). The new
    /// text is written aside, synced and renamed, so that a crash leaves the one or the other.
    pub fn rewrite_file(&self) -> Result<(), ConfigError> {
        let file = self.file().ok_or(ConfigError::NoFile)?;
        rewrite::rewrite_file(file, &self.current()).map_err(|error| ConfigError::NotRewritten(error.to_string()))
    }

    /// The settings of this moment. Takes a lock for a moment: where it is hot, keep the result as long as
    /// [`Config::version`] stays the same.
    pub fn current(&self) -> Arc<Settings> {
        Arc::clone(&self.shared.current.read())
    }

    /// A number that rises with every change: one atomic load. Settings read after a version was seen are at
    /// least as new as it.
    pub fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire)
    }

    /// Calls `watcher` after each change, in order, on the thread that made it. It must not change the
    /// configuration itself and must not block. There is no way to take it back.
    pub fn watch(&self, watcher: impl Fn(&Settings) + Send + 'static) {
        self.shared.watchers.lock().push(Box::new(watcher));
    }

    /// CONFIG GET: every directive, by name and by older name, that one of the glob patterns matches, in table
    /// order. A pattern that simply is a name gives the name as it was written.
    pub fn get(&self, patterns: &[&[u8]]) -> Vec<(String, String)> {
        let settings = self.current();
        let mut found = Vec::new();
        for param in params() {
            for name in [param.name, param.alias].into_iter().filter(|name| !name.is_empty()) {
                let is_name = |pattern: &[u8]| pattern.eq_ignore_ascii_case(name.as_bytes());
                let is_match = |pattern: &[u8]| keyspace::matches_glob(pattern, name.as_bytes(), true);
                let matching = |pattern: &&&[u8]| if param.hidden { is_name(pattern) } else { is_match(pattern) };
                let Some(pattern) = patterns.iter().find(matching) else { continue };
                let literal = is_name(pattern);
                let written = if literal { String::from_utf8_lossy(pattern).into_owned() } else { name.to_owned() };
                found.push((written, param.text(&settings)));
            }
        }
        found
    }

    /// Checks a CONFIG SET as a whole and changes nothing. The first pair with a mistake decides the error, as in
    /// Redis: first all names, then all values.
    pub fn plan(&self, pairs: &[(&[u8], &[u8])]) -> Result<Plan, ConfigError> {
        let rows = rows_of(pairs)?;
        let current = self.current();
        let mut next = Settings::clone(&current);
        let mut plan = Plan { node: Vec::new(), shard: Vec::new() };
        for ((name, param), (_, value)) in rows.into_iter().zip(pairs) {
            let refused = |reason| ConfigError::Refused { name: name.to_owned(), reason };
            let value = std::str::from_utf8(value).map_err(|_| refused("argument must be valid UTF-8".to_owned()))?;
            param.set_text(&mut next, value).map_err(refused)?;
            if param.home != Home::Shard {
                plan.node.push((param.name, value.to_owned()));
            }
        }
        next.check().map_err(|(name, reason)| ConfigError::Refused { name: name.to_owned(), reason })?;
        // What travels in an entry is canonical: one way to write a value, whatever names and units the client used.
        let changed = params::of_shard().filter(|param| param.text(&next) != param.text(&current));
        plan.shard.extend(changed.map(|param| (param.name, param.text(&next))));
        Ok(plan)
    }

    /// Makes the node's part of a plan. The shard's part, if any, was committed before and arrives through
    /// [`Config::adopt_shard`].
    pub fn commit(&self, plan: &Plan) {
        self.change(|settings| {
            for (name, value) in &plan.node {
                let param = param(name).expect("the plan holds names of rows");
                param.set_text(settings, value).expect("parsing does not depend on other settings");
            }
        });
    }

    /// Mirrors the shard's settings as they were applied, or came with a snapshot.
    pub fn adopt_shard(&self, shard: &ShardSettings) {
        if self.current().shard != *shard {
            self.change(|settings| settings.shard = shard.clone());
        }
    }

    fn change(&self, edit: impl FnOnce(&mut Settings)) {
        // The watchers' lock is taken first and held throughout, so that they see changes in order.
        let watchers = self.shared.watchers.lock();
        let mut next = Settings::clone(&self.current());
        edit(&mut next);
        let next = Arc::new(next);
        *self.shared.current.write() = Arc::clone(&next);
        // AFTER the settings: who sees the new version sees at least these settings.
        self.shared.version.fetch_add(1, Ordering::Release);
        for watcher in watchers.iter() {
            watcher(&next);
        }
    }
}

impl fmt::Debug for Config {
    /// Without the settings, which hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("version", &self.version()).finish_non_exhaustive()
    }
}

impl Plan {
    /// The shard settings that change, as (directive, canonical value), to be proposed as one entry and taken
    /// by [`ShardSettings::take_pairs`] at apply. Empty: nothing has to be proposed.
    pub fn shard(&self) -> &[(&'static str, String)] {
        &self.shard
    }
}

/// The rows that a CONFIG SET names, each with the name to blame (the older one when that was used).
fn rows_of(pairs: &[(&[u8], &[u8])]) -> Result<Vec<(&'static str, &'static Param)>, ConfigError> {
    let mut rows: Vec<(&'static str, &'static Param)> = Vec::new();
    for (written, _) in pairs {
        let written = String::from_utf8_lossy(written);
        let Some(param) = param(&written) else { return Err(ConfigError::Unknown(written.into_owned())) };
        let name = if param.name.eq_ignore_ascii_case(&written) { param.name } else { param.alias };
        let refused = |reason: &str| Err(ConfigError::Refused { name: name.to_owned(), reason: reason.to_owned() });
        if let Some(why) = param.mutable.refusal() {
            return refused(why);
        }
        // A name and its older name may both be given, and the later wins, as in Redis.
        if rows.iter().any(|(known, _)| *known == name) {
            return refused("duplicate parameter");
        }
        rows.push((name, param));
    }
    Ok(rows)
}

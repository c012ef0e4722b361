//! From the command line and the files it names to checked settings.
//!
//! ```text
//! cairn-server [FILE | -] [--directive value ...] [-]
//! ```
//! Order decides: the file with what it includes, then standard input (`-`), then the flags. A later value
//! replaces an earlier one; lines of directives that add up (`save`) do so within one of the three sources.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::params::{Param, param};
use super::settings::Settings;
use super::words;

/// Files that include files, at most this deep: enough for any use, and an end to circles.
const INCLUDE_DEPTH_MAX: usize = 16;

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Run a server.
    Run(Box<Loaded>),
    /// Print the version.
    Version,
    /// Print [`super::help`].
    Help,
    /// Print [`super::sample`].
    Sample,
}

/// Settings that passed all checks, and where they come from.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The file that was named, as it was written: what CONFIG REWRITE writes.
    pub file: Option<PathBuf>,
    /// What the operator should be told once, as lines for the log.
    pub notes: Vec<String>,
}

/// Why there are no settings. Displays as the lines to print.
#[derive(Debug)]
pub struct LoadError {
    place: Place,
    line: String,
    reason: String,
}

/// Where a line stands.
#[derive(Clone, Debug)]
enum Place {
    /// In a file, at a line counted from 1.
    File { path: PathBuf, line: usize },
    /// In a file that cannot be read.
    Unreadable,
    /// Among the flags.
    Flags,
    /// Nowhere: a default is at fault.
    Defaults,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, line, reason } = self;
        writeln!(f, "*** FATAL CONFIG FILE ERROR (Cairn {}) ***", env!("CARGO_PKG_VERSION"))?;
        match place {
            Place::File { path, line: at } if path == Path::new("-") => {
                writeln!(f, "Reading the configuration from standard input, at line {at}")?;
            }
            Place::File { path, line: at } => {
                writeln!(f, "Reading the configuration file '{}', at line {at}", path.display())?;
            }
            Place::Unreadable => return f.write_str(reason),
            Place::Flags => writeln!(f, "Reading the flags of the command line")?,
            Place::Defaults => writeln!(f, "Checking the configuration")?,
        }
        write!(f, ">>> '{line}'\n{reason}")
    }
}

impl std::error::Error for LoadError {}

/// Reads the command line (without the program's name) and the files that it names. `read` returns the text of a
/// file; it is asked for `-` when standard input is meant.
pub fn load(args: &[String], read: &dyn Fn(&Path) -> io::Result<String>) -> Result<Invocation, LoadError> {
    if let [only] = args {
        match only.as_str() {
            "-v" | "--version" => return Ok(Invocation::Version),
            "-h" | "--help" => return Ok(Invocation::Help),
            "--sample-config" => return Ok(Invocation::Sample),
            _ => {}
        }
    }
    let mut loader = Loader { settings: Settings::defaults(), given: BTreeMap::new(), adding: BTreeMap::new(), read };
    let mut file = None;
    let mut flags = args;
    if let Some((first, rest)) = args.split_first().filter(|(first, _)| !first.starts_with('-')) {
        loader.file(Path::new(first), 0, None)?;
        file = Some(PathBuf::from(first));
        flags = rest;
    }
    let stdin = |arg: &String| arg == "-";
    if flags.first().is_some_and(stdin) || flags.last().is_some_and(stdin) {
        loader.adding.clear();
        loader.file(Path::new("-"), 0, None)?;
        let from = usize::from(flags.first().is_some_and(stdin));
        let to = if flags.len() > from && flags.last().is_some_and(stdin) { flags.len() - 1 } else { flags.len() };
        flags = &flags[from..to];
    }
    loader.adding.clear();
    loader.flags(flags)?;
    loader.finish(file).map(|loaded| Invocation::Run(Box::new(loaded)))
}

struct Loader<'a> {
    settings: Settings,
    /// Every directive that was given, with the last place and line that gave it.
    given: BTreeMap<&'static str, (Place, String)>,
    /// The words so far of directives that add up, within the present source.
    adding: BTreeMap<&'static str, Vec<String>>,
    read: &'a dyn Fn(&Path) -> io::Result<String>,
}

impl Loader<'_> {
    fn file(&mut self, path: &Path, depth: usize, includer: Option<(&Place, &str)>) -> Result<(), LoadError> {
        let text = (self.read)(path).map_err(|error| {
            let reason = format!("can't open config file '{}': {error}", path.display());
            let (place, line) = includer.map_or((Place::Unreadable, ""), |(place, line)| (place.clone(), line));
            LoadError { place, line: line.to_owned(), reason }
        })?;
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = Place::File { path: path.to_owned(), line: at + 1 };
            let fail =
                |reason: &str| LoadError { place: place.clone(), line: line.to_owned(), reason: reason.to_owned() };
            let words = words::split(line).ok_or_else(|| fail("Unbalanced quotes in configuration line"))?;
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let Some((name, values)) = words.split_first() else { continue };
            if !name.eq_ignore_ascii_case("include") {
                self.directive(name, values, &place, line)?;
                continue;
            }
            let &[included] = values else { return Err(fail("wrong number of arguments")) };
            if depth == INCLUDE_DEPTH_MAX {
                return Err(fail("too many files include each other"));
            }
            self.file(Path::new(included), depth + 1, Some((&place, line)))?;
        }
        Ok(())
    }

    /// `--name value value ...`, up to the next `--name`.
    fn flags(&mut self, args: &[String]) -> Result<(), LoadError> {
        let mut rest = args;
        while let Some((flag, behind)) = rest.split_first() {
            let Some(name) = flag.strip_prefix("--").filter(|name| !name.is_empty()) else {
                let reason = "a directive is written as --name value; a configuration file comes first".to_owned();
                return Err(LoadError { place: Place::Flags, line: flag.clone(), reason });
            };
            let end = behind.iter().position(|arg| arg.starts_with("--")).unwrap_or(behind.len());
            let (values, next) = behind.split_at(end);
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let line = std::iter::once(flag.as_str()).chain(values.iter().copied()).collect::<Vec<_>>().join(" ");
            self.directive(name, &values, &Place::Flags, &line)?;
            rest = next;
        }
        Ok(())
    }

    fn directive(&mut self, name: &str, values: &[&str], place: &Place, line: &str) -> Result<(), LoadError> {
        let fail = |reason: String| LoadError { place: place.clone(), line: line.to_owned(), reason };
        let param = param(name).ok_or_else(|| fail("Bad directive or wrong number of arguments".to_owned()))?;
        if values.is_empty() {
            return Err(fail("wrong number of arguments".to_owned()));
        }
        let values = self.with_earlier(param, values);
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        param.set_words(&mut self.settings, &values).map_err(fail)?;
        // The line of a secret is not repeated by a later error.
        let line = if param.secret { format!("{} ...", param.name) } else { line.to_owned() };
        self.given.insert(param.name, (place.clone(), line));
        Ok(())
    }

    fn with_earlier(&mut self, param: &'static Param, values: &[&str]) -> Vec<String> {
        let values = values.iter().map(|value| (*value).to_owned());
        if !param.adds_up {
            return values.collect();
        }
        let all = self.adding.entry(param.name).or_default();
        all.extend(values);
        all.clone()
    }

    fn finish(self, file: Option<PathBuf>) -> Result<Loaded, LoadError> {
        if let Err((name, reason)) = self.settings.check() {
            let default = || (Place::Defaults, name.to_owned());
            let (place, line) = self.given.get(name).cloned().unwrap_or_else(default);
            return Err(LoadError { place, line, reason });
        }
        let mut notes: Vec<String> = self
            .given
            .keys()
            .filter_map(|name| param(name))
            .filter(|param| !param.inert.is_empty() && param.text(&self.settings) != param.default_text())
            .map(|param| format!("{} {}", param.name, param.inert))
            .collect();
        notes.extend(self.settings.notes());
        Ok(Loaded { settings: self.settings, file, notes })
    }
}

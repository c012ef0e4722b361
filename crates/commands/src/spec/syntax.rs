//! The arguments of a command as one line, and as COMMAND DOCS sends them, from which `redis-cli` makes its hints.
//!
//! ```text
//! key  seconds:integer  addr/ip:port      an argument: its name, its type unless it is a string (or a key, if it is called `key`), and how
//!                                         it is shown if not by its name; `@1` at its end: see the second key specification for it
//! NX  auto-id=*                           a word that is typed as it stands; its name before it unless it is the same
//! EX seconds:integer                      an argument behind a word
//! condition=(NX|XX)                       one of these
//! data=(field value)                      these, one after another
//! [count:integer]                         may be left out
//! key...                                  may be repeated
//! GET... pattern                          may be repeated together with its word
//! ```
//!
//! It is no parser of calls: a command takes its arguments by code. And it is not for lines from outside: one that is malformed panics.

use resp::Reply;

use super::since::since_of;

/// One argument, or a group of them.
struct Argument {
    name: &'static str,
    content: Content,
    token: Option<&'static str>,
    is_optional: bool,
    is_multiple: bool,
    is_token_multiple: bool,
}

enum Content {
    Token,
    Leaf { type_name: &'static str, shown: &'static str, key_spec: Option<usize> },
    OneOf(Vec<Argument>),
    Block(Vec<Argument>),
}

/// Writes the arguments of a command that has so many key specifications, as the array of COMMAND DOCS.
pub(super) fn write_arguments(command: &str, syntax: &'static str, key_spec_count: usize, reply: &mut Reply) {
    let arguments = parse(syntax);
    let mut writer = Writer { command, key_spec_count, key_count: 0, reply };
    writer.arguments("", &arguments);
}

/// The arguments of a command as HELP shows them: `<key> [EX <seconds>|KEEPTTL]`.
pub(super) fn usage(syntax: &'static str) -> String {
    parse(syntax).iter().map(Argument::usage).collect::<Vec<_>>().join(" ")
}

fn parse(syntax: &'static str) -> Vec<Argument> {
    if syntax.is_empty() {
        return Vec::new();
    }
    let mut parser = Parser { rest: syntax };
    let (arguments, is_choice) = parser.arguments();
    assert!(!is_choice && parser.rest.is_empty(), "{syntax}: ends at {}", parser.rest);
    arguments
}

struct Parser {
    rest: &'static str,
}

impl Parser {
    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// What stands here up to a space, a bracket, a bar or dots.
    fn peek_word(&self) -> &'static str {
        let end = self.rest.find([' ', '(', ')', '[', ']', '|']).unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        word.strip_suffix("...").unwrap_or(word)
    }

    /// Arguments up to a bracket that closes; whether they are alternatives.
    fn arguments(&mut self) -> (Vec<Argument>, bool) {
        let (mut arguments, mut is_choice) = (vec![self.argument()], false);
        loop {
            if self.take("|") {
                is_choice = true;
            } else if !self.take(" ") {
                return (arguments, is_choice);
            }
            arguments.push(self.argument());
        }
    }

    fn argument(&mut self) -> Argument {
        if self.take("[") {
            let argument = self.argument();
            assert!(self.take("]"), "a closing bracket at {}", self.rest);
            return Argument { is_optional: true, ..argument };
        }
        if !is_token(self.peek_word()) {
            return self.bare();
        }
        let token = self.peek_word();
        self.take(token);
        let is_token_multiple = self.take("...");
        let after = Self { rest: self.rest.strip_prefix(' ').unwrap_or_default() };
        // A word in front of an argument is that one's token; in front of another word or of a bracket it stands for itself.
        if after.peek_word().is_empty() || is_token(after.peek_word()) {
            assert!(!is_token_multiple, "{token}... without an argument");
            return Argument::new(token, Content::Token, Some(token));
        }
        self.take(" ");
        Argument { token: Some(token), is_token_multiple, ..self.bare() }
    }

    /// An argument without the token in front of it.
    fn bare(&mut self) -> Argument {
        let word = self.peek_word();
        self.take(word);
        let mut argument = match word.split_once('=') {
            Some((name, "")) if self.take("(") => {
                let (arguments, is_choice) = self.arguments();
                assert!(self.take(")"), "a closing bracket at {}", self.rest);
                let content = if is_choice { Content::OneOf(arguments) } else { Content::Block(arguments) };
                Argument::new(name, content, None)
            }
            Some((name, token)) => Argument::new(name, Content::Token, Some(token)),
            None => leaf(word),
        };
        argument.is_multiple = self.take("...");
        argument
    }
}

impl Argument {
    fn new(name: &'static str, content: Content, token: Option<&'static str>) -> Self {
        Self { name, content, token, is_optional: false, is_multiple: false, is_token_multiple: false }
    }

    fn usage(&self) -> String {
        let joined =
            |parts: &[Self], separator: &str| parts.iter().map(Self::usage).collect::<Vec<_>>().join(separator);
        let bare = match &self.content {
            Content::Token => String::new(),
            Content::Leaf { shown, .. } => format!("<{shown}>"),
            // Brackets around it say as well where the choice ends.
            Content::OneOf(parts) if self.is_optional && self.token.is_none() => joined(parts, "|"),
            Content::OneOf(parts) => format!("({})", joined(parts, "|")),
            Content::Block(parts) => joined(parts, " "),
        };
        let whole = [self.token.unwrap_or_default(), &bare].join(" ").trim().to_owned();
        let repeated = if self.is_token_multiple { &whole } else { &bare };
        match (self.is_optional, self.is_multiple || self.is_token_multiple) {
            (false, false) => whole,
            (true, false) => format!("[{whole}]"),
            (false, true) => format!("{whole} [{repeated} ...]"),
            (true, true) if *repeated == whole => format!("[{whole} ...]"),
            (true, true) => format!("[{whole} [{repeated} ...]]"),
        }
    }
}

/// Whether a word is typed as it stands.
fn is_token(word: &str) -> bool {
    !word.is_empty() && !word.contains(|letter: char| letter.is_ascii_lowercase())
}

fn leaf(word: &'static str) -> Argument {
    let (word, key_spec) = match word.split_once('@') {
        Some((word, place)) => (word, Some(place.parse().expect("the number of a key specification"))),
        None => (word, None),
    };
    let (word, shown) = word.split_once('/').map_or((word, None), |(word, shown)| (word, Some(shown)));
    let default = if word == "key" { "key" } else { "string" };
    let (name, type_name) = word.split_once(':').unwrap_or((word, default));
    assert!(!name.is_empty(), "an argument has a name");
    Argument::new(name, Content::Leaf { type_name, shown: shown.unwrap_or(name), key_spec }, None)
}

struct Writer<'a> {
    command: &'a str,
    key_spec_count: usize,
    /// The keys so far.
    key_count: usize,
    reply: &'a mut Reply,
}

impl Writer<'_> {
    fn arguments(&mut self, parent: &str, arguments: &[Argument]) {
        self.reply.array(arguments.len());
        arguments.iter().for_each(|argument| self.argument(parent, argument));
    }

    fn argument(&mut self, parent: &str, argument: &Argument) {
        let (type_name, shown, parts) = match &argument.content {
            Content::Token => ("pure-token", Some(argument.name.to_ascii_lowercase()), None),
            Content::Leaf { type_name, shown, .. } => (*type_name, Some((*shown).to_owned()), None),
            Content::OneOf(arguments) => ("oneof", None, Some(arguments)),
            Content::Block(arguments) => ("block", None, Some(arguments)),
        };
        let key_spec = self.key_spec(&argument.content);
        let flags = [
            (argument.is_optional, "optional"),
            (argument.is_multiple || argument.is_token_multiple, "multiple"),
            (argument.is_token_multiple, "multiple_token"),
        ];
        let flags = flags.iter().filter(|(is_set, _)| *is_set);
        let name = argument.name.to_ascii_lowercase();
        let since = since_of(self.command, parent, &name);
        let token = argument.token;
        let has = [shown.is_some(), key_spec.is_some(), token.is_some(), since.is_some(), flags.clone().count() > 0];
        self.reply.map(2 + has.iter().filter(|has| **has).count() + usize::from(parts.is_some()));
        self.pair("name", &name);
        self.pair("type", type_name);
        if let Some(shown) = shown {
            self.pair("display_text", shown);
        }
        if let Some(index) = key_spec {
            self.reply.bulk("key_spec_index");
            self.reply.count(index);
        }
        if let Some(token) = token {
            // Two quotes stand for the empty word.
            self.pair("token", token.trim_matches('"'));
        }
        if let Some(since) = since {
            self.pair("since", since);
        }
        if flags.clone().count() > 0 {
            self.reply.bulk("flags");
            self.reply.set(flags.clone().count());
            flags.for_each(|(_, name)| self.reply.simple(name));
        }
        if let Some(arguments) = parts {
            self.reply.bulk("arguments");
            self.arguments(&name, arguments);
        }
    }

    fn pair(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.reply.bulk(name);
        self.reply.bulk(value);
    }

    /// Which key specification an argument belongs to: keys take them in order, and the last one is for the rest.
    fn key_spec(&mut self, content: &Content) -> Option<usize> {
        let Content::Leaf { type_name, key_spec, .. } = content else { return None };
        let last = self.key_spec_count.checked_sub(1)?;
        if key_spec.is_some() {
            return *key_spec;
        }
        if *type_name != "key" {
            return None;
        }
        self.key_count += 1;
        Some((self.key_count - 1).min(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::facts::FACTS;

    #[test]
    fn every_line_is_well_formed() {
        assert!(FACTS.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted");
        for (name, since, _, syntax) in FACTS {
            assert!(since.split('.').all(|number| number.parse::<u32>().is_ok()), "{name}: {since}");
            let arguments = parse(syntax);
            assert_eq!(arguments.is_empty(), syntax.is_empty(), "{name}");
        }
    }

    #[test]
    fn shows_how_to_call() {
        let cases = [
            ("[command-name...]", "[<command-name> ...]"),
            ("key... [expiration=(EX seconds:integer|KEEPTTL)]", "<key> [<key> ...] [EX <seconds>|KEEPTTL]"),
            ("where=(LEFT|RIGHT) addr/ip:port", "(LEFT|RIGHT) <ip:port>"),
            ("[GET... pattern] [ID id...]", "[GET <pattern> ...] [ID <id> [<id> ...]]"),
            ("data=(field value)...", "<field> <value> [<field> <value> ...]"),
        ];
        for (syntax, shown) in cases {
            assert_eq!(usage(syntax), shown);
        }
    }

    #[test]
    fn a_word_is_a_token_of_what_follows_it_or_stands_for_itself() {
        let arguments = parse(
            "key [expiration=(EX seconds:integer|KEEPTTL)] NX [GET... by/pattern@1] auto-id=* data=(field value)...",
        );
        let [key, expiration, nx, get, id, data] = &arguments[..] else { panic!("{} arguments", arguments.len()) };
        assert!(matches!(key.content, Content::Leaf { type_name: "key", key_spec: None, .. }));
        let Content::OneOf(choices) = &expiration.content else { panic!("no choice") };
        assert!(expiration.is_optional && choices[0].token == Some("EX") && choices[1].name == "KEEPTTL");
        assert!(matches!(nx.content, Content::Token) && !nx.is_optional);
        assert!(get.is_token_multiple && get.is_optional);
        assert!(matches!(get.content, Content::Leaf { type_name: "string", shown: "pattern", key_spec: Some(1) }));
        assert!(id.name == "auto-id" && id.token == Some("*"));
        assert!(data.is_multiple && matches!(&data.content, Content::Block(parts) if parts.len() == 2));
    }
}

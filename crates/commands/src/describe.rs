//! COMMAND: what the table says about its rows.

use keyspace::matches_glob;
use resp::{ArgumentRanges, Arguments, Reply, parse_stored, write_command};

use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::server::NodeCommand;
use crate::spec::{Flags, KeyUse, Keys, Spec};
use crate::table::{lookup, resolve, rows, write_help};

/// Answers COMMAND or one of its subcommands: exactly one reply, be it an error. Other commands of the node are not for it.
pub fn describe(command: NodeCommand, arguments: Arguments<'_>, reply: &mut Reply) {
    let mark = reply.mark();
    if let Err(error) = answer(command, arguments, reply) {
        reply.rollback(mark);
        reply.error(error.to_string());
    }
}

fn answer(command: NodeCommand, arguments: Arguments<'_>, reply: &mut Reply) -> CommandResult {
    let mut args = Args::new(arguments, 2);
    match command {
        NodeCommand::CommandCount => reply.count(top_level().count()),
        NodeCommand::CommandList => list(&mut args, reply)?,
        NodeCommand::CommandInfo if !args.is_empty() => {
            reply.array(args.remaining());
            for name in args.take_rest() {
                match lookup(name) {
                    Some(spec) => spec.write_info(reply),
                    None => reply.null(),
                }
            }
        }
        NodeCommand::Command | NodeCommand::CommandInfo => {
            reply.array(top_level().count());
            top_level().for_each(|spec| spec.write_info(reply));
        }
        NodeCommand::CommandDocs => {
            let found: Vec<_> =
                if args.is_empty() { top_level().collect() } else { args.take_rest().filter_map(lookup).collect() };
            reply.map(found.len());
            found.iter().for_each(|spec| spec.write_docs(reply));
        }
        NodeCommand::CommandGetKeys => {
            let keys = keys_of(args.take_rest())?;
            reply.array(keys.len());
            keys.iter().for_each(|(key, _)| reply.bulk(key));
        }
        NodeCommand::CommandGetKeysAndFlags => {
            let keys = keys_of(args.take_rest())?;
            reply.array(keys.len());
            for (key, key_use) in keys {
                reply.array(2);
                reply.bulk(key);
                reply.set(key_use.names().count());
                key_use.names().for_each(|name| reply.simple(name));
            }
        }
        NodeCommand::CommandHelp => write_help("COMMAND", reply),
        _ => unreachable!("{command:?} is not about commands"),
    }
    Ok(())
}

fn top_level() -> impl Iterator<Item = &'static Spec> {
    rows().filter(|spec| spec.container_name().is_none())
}

/// COMMAND LIST, with or without FILTERBY.
fn list(args: &mut Args<'_>, reply: &mut Reply) -> CommandResult {
    let (mut module, mut category, mut pattern) = (None, None, None);
    if args.keyword("FILTERBY") {
        match () {
            () if args.keyword("MODULE") => module = Some(args.bytes()?),
            () if args.keyword("ACLCAT") => category = Some(args.bytes()?),
            () if args.keyword("PATTERN") => pattern = Some(args.bytes()?),
            () => return Err(CommandError::Syntax),
        }
    }
    args.end()?;
    let is_in = |spec: &Spec, category: &[u8]| {
        spec.categories().iter().any(|name| name.as_bytes()[1..].eq_ignore_ascii_case(category))
    };
    // With subcommands; there are no modules.
    let names: Vec<_> = rows()
        .filter(|spec| module.is_none() && category.is_none_or(|category| is_in(spec, category)))
        .map(|spec| spec.name.to_ascii_lowercase())
        .filter(|name| pattern.is_none_or(|pattern| matches_glob(pattern, name.as_bytes(), true)))
        .collect();
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name));
    Ok(())
}

/// The keys of a whole command, with what it does with each.
fn keys_of<'a>(words: impl Iterator<Item = &'a [u8]> + Clone) -> Result<Vec<(&'a [u8], KeyUse)>, CommandError> {
    let words: Vec<_> = words.collect();
    let (mut bytes, mut ranges) = (Vec::new(), ArgumentRanges::new());
    write_command(&mut bytes, &words);
    let arguments = parse_stored(&bytes, &mut ranges).expect("just written");
    let has_keys = |spec: &Spec| !matches!(spec.keys, Keys::None);
    let spec = resolve(arguments).map_err(|error| match error {
        // A command without keys has none, however it is called.
        CommandError::WrongArity(name) if lookup(name.as_bytes()).is_some_and(has_keys) => {
            CommandError::GetKeysWrongArity
        }
        CommandError::WrongArity(_) => CommandError::GetKeysNone,
        _ => CommandError::GetKeysUnknownCommand,
    })?;
    if !has_keys(spec) {
        return Err(CommandError::GetKeysNone);
    }
    let places = spec.keys(arguments).ok_or(CommandError::GetKeysInvalid)?;
    let is_counted_none = matches!(spec.keys, Keys::Counted { .. }) && places.next >= places.end;
    if is_counted_none && !spec.flags.contains(Flags::NO_MANDATORY_KEYS) {
        return Err(CommandError::GetKeysInvalid);
    }
    Ok(places.enumerate().map(|(index, place)| (words[place], spec.key_use(index, arguments))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use resp::Protocol;

    /// The reply to a line as Redis would send it.
    fn ask(line: &str) -> String {
        let (mut bytes, mut ranges) = (Vec::new(), ArgumentRanges::new());
        write_command(&mut bytes, line.split(' ').collect::<Vec<_>>());
        let arguments = parse_stored(&bytes, &mut ranges).unwrap();
        let crate::Handler::Node(command) = resolve(arguments).unwrap().handler else { panic!("{line}") };
        let mut reply = Reply::new(Protocol::Resp3);
        describe(command, arguments, &mut reply);
        assert!(resp::parse_reply(reply.as_bytes()).unwrap().is_some(), "{line}");
        String::from_utf8(reply.into_bytes()).unwrap()
    }

    #[test]
    fn finds_keys_as_valkey_does() {
        assert_eq!(ask("COMMAND GETKEYS mset a 1 b 2"), "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
        assert_eq!(ask("COMMAND GETKEYS object encoding k"), "*1\r\n$1\r\nk\r\n");
        assert_eq!(ask("COMMAND GETKEYS get"), "-ERR Invalid number of arguments specified for command\r\n");
        assert_eq!(ask("COMMAND GETKEYS foo"), "-ERR Invalid command specified\r\n");
        assert_eq!(ask("COMMAND GETKEYS ping x"), "-ERR The command has no key arguments\r\n");
        assert_eq!(ask("COMMAND GETKEYS ping x y z"), "-ERR The command has no key arguments\r\n");
        assert_eq!(ask("COMMAND GETKEYS object"), "-ERR The command has no key arguments\r\n");
        assert_eq!(ask("COMMAND GETKEYS lmpop 0 a LEFT"), "-ERR Invalid arguments specified for command\r\n");
        assert_eq!(ask("COMMAND GETKEYS zunionstore d 0 a"), "-ERR Invalid arguments specified for command\r\n");
        assert_eq!(ask("COMMAND GETKEYS xreadgroup group g c count 1 streams a b > >"), "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
        assert_eq!(ask("COMMAND GETKEYS xread streams a b 0"), "*1\r\n$1\r\na\r\n");
        assert_eq!(ask("COMMAND GETKEYS xread count 1 a b"), "-ERR Invalid arguments specified for command\r\n");
        assert_eq!(ask("COMMAND GETKEYSANDFLAGS set a 1"), "*1\r\n*2\r\n$1\r\na\r\n~2\r\n+OW\r\n+update\r\n");
        let read_too = "*1\r\n*2\r\n$1\r\na\r\n~3\r\n+RW\r\n+access\r\n+update\r\n";
        assert_eq!(ask("COMMAND GETKEYSANDFLAGS set a 1 EX 10 get"), read_too);
        assert_eq!(ask("COMMAND GETKEYSANDFLAGS setex a 1 b"), "*1\r\n*2\r\n$1\r\na\r\n~2\r\n+OW\r\n+update\r\n");
    }

    #[test]
    fn lists_and_explains() {
        assert!(ask("COMMAND LIST").contains("\r\nxinfo\r\n") && ask("COMMAND LIST").contains("\r\nxinfo|stream\r\n"));
        assert!(ask("COMMAND LIST FILTERBY PATTERN incrbyf*").contains("incrbyfloat"));
        assert!(ask("COMMAND LIST FILTERBY ACLCAT string").contains("getrange"));
        assert_eq!(ask("COMMAND LIST FILTERBY MODULE x"), "*0\r\n");
        assert_eq!(ask("COMMAND LIST foo"), "-ERR syntax error\r\n");
        assert!(
            ask("COMMAND INFO get nosuch").starts_with("*2\r\n*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n")
        );
        assert_eq!(ask("COMMAND DOCS nosuch"), "%0\r\n");
        assert!(ask("COMMAND DOCS get").starts_with("%1\r\n$3\r\nget\r\n%5\r\n$7\r\nsummary\r\n"));
        assert!(ask("COMMAND DOCS object").contains("object|encoding"));
        assert!(ask("COMMAND").len() > 1000);
        assert!(ask("COMMAND HELP").contains("GETKEYS"));
    }
}

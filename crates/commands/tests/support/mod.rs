//! One client of one keyspace, without a server between.

use commands::{Context, Fieldsets, Flags, Handler, SessionCommand, resolve, run_read, run_write};
use keyspace::{Keyspace, Settings};
use resp::{ArgumentRanges, Protocol, Reply, Value, parse_reply, parse_stored, write_command};

pub(crate) struct Client {
    pub(crate) keyspace: Keyspace,
    pub(crate) now_ms: u64,
    pub(crate) database: usize,
    pub(crate) protocol: Protocol,
    fieldsets: Fieldsets,
    seed: u64,
}

impl Client {
    pub(crate) fn new(settings: Settings) -> Self {
        let keyspace = Keyspace::new(settings);
        Self {
            keyspace,
            now_ms: 1_700_000_000_000,
            database: 0,
            protocol: Protocol::Resp2,
            fieldsets: Fieldsets::default(),
            seed: 0,
        }
    }

    /// Runs one command as the only one of an entry, or as a read. SELECT and HIMPORT are understood, other commands of sessions and
    /// nodes are not.
    pub(crate) fn call(&mut self, words: &[Vec<u8>]) -> Value {
        let (mut bytes, mut ranges) = (Vec::new(), ArgumentRanges::new());
        write_command(&mut bytes, words.iter().map(Vec::as_slice));
        let arguments = parse_stored(&bytes, &mut ranges).expect("just written");
        if arguments.name().eq_ignore_ascii_case(b"select") {
            self.database = std::str::from_utf8(&words[1]).unwrap().parse().unwrap();
            return Value::Simple(b"OK".to_vec());
        }
        let mut reply = Reply::new(self.protocol);
        self.seed += 1;
        let context = Context::of_entry(self.database, self.now_ms, self.seed);
        match resolve(arguments) {
            Err(error) => reply.error(error.to_string()),
            Ok(spec) => match spec.handler {
                Handler::Read(_) => {
                    run_read(spec, &self.keyspace, arguments, &context, &mut reply);
                    if context.leaves.get() {
                        reply = Reply::new(self.protocol);
                        run_write(spec, &mut self.keyspace, arguments, &context, &mut reply);
                    }
                }
                Handler::Session(SessionCommand::Fieldsets(command)) => {
                    self.fieldsets.run(command, arguments, &mut reply)
                }
                Handler::Write(_) => {
                    self.keyspace.remove_due(self.now_ms, 100);
                    let (mut log_form, mut ranges) = (Vec::new(), ArgumentRanges::new());
                    let mut arguments = arguments;
                    if spec.flags.contains(Flags::OF_SESSION) {
                        self.fieldsets.put_log_form(arguments, &mut log_form);
                        arguments = parse_stored(&log_form, &mut ranges).expect("just written");
                    }
                    run_write(spec, &mut self.keyspace, arguments, &context, &mut reply);
                }
                _ => panic!("{} is not about data", spec.name),
            },
        }
        let (value, length) = parse_reply(reply.as_bytes()).expect("a well-formed reply").expect("a whole reply");
        assert_eq!(length, reply.len(), "one reply to {}", arguments.name().escape_ascii());
        value
    }
}

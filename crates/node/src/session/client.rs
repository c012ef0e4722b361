//! The commands about the session itself: PING to RESET, HELLO, AUTH, SELECT, CLIENT.

use commands::{REDIS_VERSION, SessionCommand};
use raft::Clock;
use resp::{Arguments, Protocol, Reply};

use super::{Exchange, Mute, Reading, Session, Step};
use crate::clients::Summary;
use crate::platform::Platform;

const NOAUTH_HELLO: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
    <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time";
const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";
const BAD_NAME: &str = "ERR Client names cannot contain spaces, newlines or special characters.";

/// The database that a SELECT asks for, if there is such.
pub(super) fn selected(arguments: Arguments<'_>, databases: u32) -> Option<usize> {
    let index = keyspace::parse_integer(arguments.get(1)?)?;
    usize::try_from(index).ok().filter(|&index| index < keyspace::DATABASE_COUNT.min(databases as usize))
}

/// What a client may call itself, or its library: printable, and without blanks.
fn is_nameable(name: &[u8]) -> bool {
    name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

impl<P: Platform> Session<P> {
    /// A command about the session that stands outside of MULTI, or ends it.
    pub(super) fn session_command(
        &mut self,
        command: SessionCommand,
        arguments: Arguments<'_>,
        reading: &mut Reading<'_>,
        exchange: &mut Exchange,
    ) -> Step {
        match command {
            SessionCommand::Exec => self.exec(reading, exchange),
            SessionCommand::Watch => self.watch(arguments, reading, exchange),
            SessionCommand::ClientReply => {
                self.client_reply(arguments, exchange);
                Step::Done
            }
            SessionCommand::Reset => {
                exchange.drop_muted();
                exchange.mute = Mute::No;
                self.session_command_queued(command, arguments, &mut exchange.reply)
            }
            SessionCommand::Multi => {
                self.multi(&mut exchange.reply);
                Step::Done
            }
            SessionCommand::Discard => {
                self.discard(&mut exchange.reply);
                Step::Done
            }
            _ => self.session_command_queued(command, arguments, &mut exchange.reply),
        }
    }

    /// A command about the session that may also be queued.
    pub(super) fn session_command_queued(
        &mut self,
        command: SessionCommand,
        arguments: Arguments<'_>,
        reply: &mut Reply,
    ) -> Step {
        match command {
            SessionCommand::Ping => ping(arguments, reply),
            SessionCommand::Echo => reply.bulk(arguments.get(1).unwrap_or_default()),
            SessionCommand::Quit => {
                reply.ok();
                return Step::Close;
            }
            SessionCommand::Reset => self.reset(reply),
            SessionCommand::Select => self.select(arguments, reply),
            SessionCommand::Hello => self.hello(arguments, reply),
            SessionCommand::Auth => self.auth(arguments, reply),
            SessionCommand::ClientId => reply.integer(i64::try_from(self.client.id).expect("ids count up from 1")),
            SessionCommand::ClientSetName => self.set_name(arguments.get(2).unwrap_or_default(), reply),
            SessionCommand::ClientGetName if self.name.is_empty() => reply.null(),
            SessionCommand::ClientGetName => reply.bulk(&self.name),
            SessionCommand::ClientSetInfo => self.set_info(arguments, reply),
            SessionCommand::ClientInfo => {
                self.summarize();
                let mut line = String::new();
                self.client.line(self.node.clock.wall_ms(), &mut line);
                reply.verbatim(b"txt", line);
            }
            SessionCommand::ClientNoEvict => {
                self.client_switch(arguments, reply, |summary, on| summary.no_evict = on);
            }
            SessionCommand::ClientNoTouch => {
                self.client_switch(arguments, reply, |summary, on| summary.no_touch = on);
                self.no_touch = self.client.summary.lock().no_touch;
            }
            // Nobody tracks keys: what both say of a client that does not.
            SessionCommand::ClientGetRedir => reply.integer(-1),
            SessionCommand::ClientTrackingInfo => tracking_info(reply),
            SessionCommand::ClientHelp => commands::write_help("CLIENT", reply),
            // Without a cluster it changes nothing.
            SessionCommand::ReadOnly | SessionCommand::ReadWrite => {
                self.way.stale = command == SessionCommand::ReadOnly;
                reply.ok();
            }
            SessionCommand::Fieldsets(command) => self.fieldsets.run(command, arguments, reply),
            SessionCommand::Unwatch => {
                self.forget_watches();
                reply.ok();
            }
            SessionCommand::Multi
            | SessionCommand::Exec
            | SessionCommand::Discard
            | SessionCommand::Watch
            | SessionCommand::ClientReply => {
                // NO_MULTI keeps them out of the queue.
                reply.error("ERR Command not allowed inside a transaction");
            }
        }
        Step::Done
    }

    fn reset(&mut self, reply: &mut Reply) {
        self.transaction = None;
        self.forget_watches();
        self.fieldsets.clear();
        self.way.stale = false;
        self.database = 0;
        self.name.clear();
        self.authenticated = self.node.config.current().requirepass.is_empty();
        reply.set_protocol(Protocol::Resp2);
        {
            let mut summary = self.client.summary.lock();
            (summary.protocol, summary.no_evict, summary.no_touch) = (2, false, false);
        }
        self.no_touch = false;
        self.summarize();
        reply.simple("RESET");
    }

    fn select(&mut self, arguments: Arguments<'_>, reply: &mut Reply) {
        let index = arguments.get(1).unwrap_or_default();
        match selected(arguments, self.node.config.current().databases) {
            Some(database) if database > 0 && self.node.cluster.is_some() => {
                reply.error("ERR SELECT is not allowed in cluster mode");
            }
            Some(database) => {
                self.database = database;
                reply.ok();
            }
            None => reply.error(match keyspace::parse_integer(index).map(i32::try_from) {
                None => "ERR value is not an integer or out of range",
                Some(Err(_)) => "ERR value is out of range, value must between -2147483648 and 2147483647",
                Some(Ok(_)) => "ERR DB index is out of range",
            }),
        }
    }

    fn auth(&mut self, arguments: Arguments<'_>, reply: &mut Reply) {
        if arguments.len() > 3 {
            return reply.error("ERR syntax error");
        }
        let (user, password) = match (arguments.get(1), arguments.get(2)) {
            (Some(user), Some(password)) => (user, password),
            (password, _) => {
                if self.node.config.current().requirepass.is_empty() {
                    return reply.error(
                        "ERR AUTH <password> called without any password configured for the default user. Are you sure \
                         your configuration is correct?",
                    );
                }
                (&b"default"[..], password.unwrap_or_default())
            }
        };
        if self.log_in(user, password) { reply.ok() } else { reply.error(WRONGPASS) }
    }

    /// There is one user, `default`, with the password `requirepass`.
    fn log_in(&mut self, user: &[u8], password: &[u8]) -> bool {
        let settings = self.node.config.current();
        let required = settings.requirepass.as_bytes();
        let right = user == b"default" && (required.is_empty() || is_same_secret(required, password));
        self.authenticated |= right;
        right
    }

    fn hello(&mut self, arguments: Arguments<'_>, reply: &mut Reply) {
        let protocol = match arguments.get(1).map(keyspace::parse_integer) {
            None => reply.protocol(),
            Some(Some(2)) => Protocol::Resp2,
            Some(Some(3)) => Protocol::Resp3,
            Some(Some(_)) => return reply.error("NOPROTO unsupported protocol version"),
            Some(None) => return reply.error("ERR Protocol version is not an integer or out of range"),
        };
        let (mut name, mut at) = (None, 2);
        while let Some(option) = arguments.get(at) {
            if option.eq_ignore_ascii_case(b"auth")
                && let (Some(user), Some(password)) = (arguments.get(at + 1), arguments.get(at + 2))
            {
                if !self.log_in(user, password) {
                    return reply.error(WRONGPASS);
                }
                at += 3;
            } else if option.eq_ignore_ascii_case(b"setname")
                && let Some(given) = arguments.get(at + 1)
            {
                if !is_nameable(given) {
                    return reply.error(BAD_NAME);
                }
                name = Some(given);
                at += 2;
            } else {
                let option = String::from_utf8_lossy(option);
                return reply.error(format!("ERR Syntax error in HELLO option '{option}'"));
            }
        }
        if !self.authenticated {
            return reply.error(NOAUTH_HELLO);
        }
        if let Some(name) = name {
            self.name = String::from_utf8_lossy(name).into_owned();
        }
        reply.set_protocol(protocol);
        self.client.summary.lock().protocol = if protocol == Protocol::Resp3 { 3 } else { 2 };
        self.summarize();
        self.introduce(protocol, reply);
    }

    fn introduce(&self, protocol: Protocol, reply: &mut Reply) {
        reply.map(7);
        for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
            reply.bulk(name);
            reply.bulk(value);
        }
        reply.bulk("proto");
        reply.integer(if protocol == Protocol::Resp3 { 3 } else { 2 });
        reply.bulk("id");
        reply.integer(i64::try_from(self.client.id).expect("ids count up from 1"));
        reply.bulk("mode");
        reply.bulk(if self.node.cluster.is_some() { "cluster" } else { "standalone" });
        reply.bulk("role");
        reply.bulk(if self.node.home().leads() { "master" } else { "replica" });
        reply.bulk("modules");
        reply.array(0);
    }

    /// CLIENT REPLY: all but ON are themselves not answered.
    fn client_reply(&self, arguments: Arguments<'_>, exchange: &mut Exchange) {
        let word = arguments.get(2).unwrap_or_default().to_ascii_lowercase();
        match (word.as_slice(), exchange.mute) {
            (b"on", _) => {
                exchange.drop_muted();
                exchange.mute = Mute::No;
                exchange.reply.ok();
            }
            (b"off", Mute::All(_)) | (b"skip", Mute::All(_)) => (),
            (b"off", _) => exchange.mute = Mute::All(exchange.reply.mark()),
            (b"skip", _) => exchange.mute = Mute::Next,
            _ => exchange.reply.error("ERR syntax error"),
        }
    }

    /// A property of the session that is ON or OFF.
    fn client_switch(&self, arguments: Arguments<'_>, reply: &mut Reply, set: impl FnOnce(&mut Summary, bool)) {
        let word = arguments.get(2).unwrap_or_default();
        let is_on = word.eq_ignore_ascii_case(b"on");
        if !is_on && !word.eq_ignore_ascii_case(b"off") {
            return reply.error("ERR syntax error");
        }
        set(&mut self.client.summary.lock(), is_on);
        reply.ok();
    }

    fn set_name(&mut self, name: &[u8], reply: &mut Reply) {
        if !is_nameable(name) {
            return reply.error(BAD_NAME);
        }
        self.name = String::from_utf8_lossy(name).into_owned();
        self.summarize();
        reply.ok();
    }

    fn set_info(&mut self, arguments: Arguments<'_>, reply: &mut Reply) {
        let (option, value) = (arguments.get(2).unwrap_or_default(), arguments.get(3).unwrap_or_default());
        let option_name = String::from_utf8_lossy(option).into_owned();
        let is_version = option.eq_ignore_ascii_case(b"lib-ver");
        if !is_version && !option.eq_ignore_ascii_case(b"lib-name") {
            return reply.error(format!("ERR Unrecognized option '{option_name}'"));
        }
        if !is_nameable(value) {
            return reply.error(format!("ERR {option_name} cannot contain spaces, newlines or special characters."));
        }
        let field = if is_version { &mut self.lib_version } else { &mut self.lib_name };
        *field = String::from_utf8_lossy(value).into_owned();
        self.summarize();
        reply.ok();
    }

    /// Renews what other clients see of this one.
    pub(super) fn summarize(&self) {
        let mut summary = self.client.summary.lock();
        summary.name.clone_from(&self.name);
        summary.lib_name.clone_from(&self.lib_name);
        summary.lib_version.clone_from(&self.lib_version);
        summary.fieldset_bytes = self.fieldsets.bytes();
        self.now_at().put(&mut summary);
    }
}

fn tracking_info(reply: &mut Reply) {
    reply.map(3);
    reply.bulk("flags");
    reply.set(1);
    reply.bulk("off");
    reply.bulk("redirect");
    reply.integer(-1);
    reply.bulk("prefixes");
    reply.array(0);
}

fn ping(arguments: Arguments<'_>, reply: &mut Reply) {
    match (arguments.get(1), arguments.len()) {
        (None, _) => reply.simple("PONG"),
        (Some(message), 2) => reply.bulk(message),
        _ => reply.error("ERR wrong number of arguments for 'ping' command"),
    }
}

/// Compares in a time that does not tell how much of a guess was right.
fn is_same_secret(required: &[u8], given: &[u8]) -> bool {
    let mut differences = required.len() ^ given.len();
    for (at, byte) in given.iter().enumerate() {
        differences |= usize::from(byte ^ required.get(at).copied().unwrap_or_default());
    }
    differences == 0
}

//! The commands about the node: ROLE, TIME, DEBUG, SHUTDOWN; INFO, CONFIG, COMMAND, CLIENT and WAIT have
//! files of their own.

use std::sync::Arc;
use std::time::Duration;

use commands::{Migration, NodeCommand};
use raft::Clock;
use resp::{Arguments, Reply};

use super::{Exchange, Later, Session, Step};
use crate::config::DebugCommand;
use crate::platform::Platform;
use crate::replica::Replica;
use crate::tasks;

pub(super) const DEBUG_FORBIDDEN: &str = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it \
    from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.";

impl<P: Platform> Session<P> {
    pub(super) fn node_command(&mut self, command: NodeCommand, arguments: Arguments<'_>, reply: &mut Reply) -> Step {
        match command {
            NodeCommand::Info => crate::info::info(&self.node, arguments, reply),
            NodeCommand::ConfigGet => self.config_get(arguments, reply),
            NodeCommand::ConfigSet => return self.config_set(arguments, reply),
            NodeCommand::ConfigResetStat => {
                self.node.stats.reset();
                self.node.replicas().iter().for_each(|replica| replica.shard.reset_stats());
                reply.ok();
            }
            NodeCommand::ConfigRewrite => match self.node.config.rewrite_file() {
                Ok(()) => reply.ok(),
                Err(error) => reply.error(error.to_string()),
            },
            NodeCommand::ConfigHelp => commands::write_help("CONFIG", reply),
            NodeCommand::Command
            | NodeCommand::CommandCount
            | NodeCommand::CommandList
            | NodeCommand::CommandInfo
            | NodeCommand::CommandDocs
            | NodeCommand::CommandGetKeys
            | NodeCommand::CommandGetKeysAndFlags
            | NodeCommand::CommandHelp => commands::describe(command, arguments, reply),
            NodeCommand::ClientList => self.client_list(arguments, reply),
            NodeCommand::ClientKill => return self.client_kill(arguments, reply),
            NodeCommand::ClientPause => self.client_pause(arguments, reply),
            NodeCommand::ClientUnblock => return self.client_unblock(arguments, reply),
            NodeCommand::ClientUnpause => self.client_unpause(reply),
            NodeCommand::SlowlogHelp => commands::write_help("SLOWLOG", reply),
            NodeCommand::LatencyHelp => commands::write_help("LATENCY", reply),
            NodeCommand::SlowlogGet
            | NodeCommand::SlowlogLen
            | NodeCommand::SlowlogReset
            | NodeCommand::LatencyLatest
            | NodeCommand::LatencyHistory
            | NodeCommand::LatencyReset
            | NodeCommand::LatencyHistogram => self.observe(command, arguments, reply),
            NodeCommand::Role => self.role(reply),
            NodeCommand::Wait => return self.wait(arguments, reply),
            NodeCommand::WaitAof => return self.waitaof(arguments, reply),
            NodeCommand::Time => self.time(reply),
            NodeCommand::Migrate => match Migration::parse(arguments) {
                Ok(migration) => return Step::Later(Later::Migrate(Box::new(migration))),
                Err(error) => reply.error(error.to_string()),
            },
            NodeCommand::Save => return Step::Later(Later::Save),
            NodeCommand::BackgroundSave => self.background_save(arguments, reply),
            NodeCommand::BackgroundRewrite => {
                self.save_beside();
                reply.simple("Background append only file rewriting started");
            }
            NodeCommand::LastSave => {
                reply.integer(i64::try_from(crate::info::last_save_seconds(&self.node)).unwrap_or(i64::MAX))
            }
            NodeCommand::MemoryDoctor => self.memory_doctor(reply),
            NodeCommand::MemoryStats => self.memory_stats(reply),
            NodeCommand::MemoryMallocStats => self.malloc_stats(reply),
            NodeCommand::MemoryPurge => {
                (self.node.memory.probe.purge)();
                reply.ok();
            }
            NodeCommand::MemoryHelp => commands::write_help("MEMORY", reply),
            NodeCommand::DebugSleep => return debug_sleep(arguments),
            NodeCommand::Shutdown => return self.shutdown(arguments, reply),
        }
        Step::Done
    }

    /// Completes a command that awaits something.
    pub(crate) async fn finish(&mut self, later: Later, exchange: &mut Exchange) {
        match later {
            Later::Hold(time) => self.hold(time, &mut exchange.reply).await,
            Later::Save => match save(&self.replica).await {
                Ok(()) => exchange.reply.ok(),
                Err(why) => exchange.reply.error(format!("ERR {why}")),
            },
            Later::Unblock(unblock) => unblock.finish(&mut exchange.reply).await,
            Later::Cluster(work) => self.finish_cluster(work, exchange).await,
            Later::Config(_)
            | Later::Transaction { .. }
            | Later::Served(_)
            | Later::Migrate(_)
            | Later::Block(_)
            | Later::Copies(_) => unreachable!("the connection does these"),
        }
    }

    /// DEBUG SLEEP.
    pub(super) async fn hold(&self, time: Duration, reply: &mut Reply) {
        self.replica.machine.hold(time).await;
        reply.ok();
    }

    fn background_save(&self, arguments: Arguments<'_>, reply: &mut Reply) {
        let schedules = |option: &[u8]| option.eq_ignore_ascii_case(b"schedule");
        if arguments.len() > 2 || arguments.get(1).is_some_and(|option| !schedules(option)) {
            return reply.error("ERR syntax error");
        }
        self.save_beside();
        reply.simple("Background saving started");
    }

    /// Takes a snapshot beside what goes on. One that is under way already does not keep another from following it.
    fn save_beside(&self) {
        let replica = Arc::clone(&self.replica);
        drop(tasks::beside(async move {
            if let Err(why) = save(&replica).await {
                tracing::error!(%why, "no snapshot was taken");
            }
        }));
    }

    /// ROLE: "master" only with a valid lease, so that a cut-off leader does not call itself one.
    fn role(&self, reply: &mut Reply) {
        if let Some(face) = &self.routes().face {
            return face.role(faces::Transport::Plain, &super::Facts(&*self.node), reply);
        }
        let status = self.replica.status();
        let offset = i64::try_from(status.applied.map_or(0, |id| id.index)).unwrap_or(i64::MAX);
        if self.replica.leads() && self.node.holds_lease(&self.replica) {
            reply.array(3);
            reply.bulk("master");
            reply.integer(offset);
            reply.array(status.matched.len());
            for (replica, matched) in &status.matched {
                let (host, port) =
                    status.member(*replica).map_or(("?", "0"), |member| split_address(&member.client_address));
                reply.array(3);
                reply.bulk(host);
                reply.bulk(port);
                reply.bulk(matched.map_or(0, |id| id.index).to_string());
            }
            return;
        }
        let leader = status.leader.as_ref().map(|member| split_address(&member.client_address));
        let (host, port) = leader.unwrap_or(("", "0"));
        reply.array(5);
        reply.bulk("slave");
        reply.bulk(host);
        reply.integer(port.parse().unwrap_or(0));
        reply.bulk(if leader.is_some() { "connected" } else { "connect" });
        reply.integer(offset);
    }

    fn time(&self, reply: &mut Reply) {
        // The platform's clock counts milliseconds.
        let now_ms = self.node.clock.wall_ms();
        reply.array(2);
        reply.bulk((now_ms / 1000).to_string());
        reply.bulk((now_ms % 1000 * 1000).to_string());
    }

    /// Whether this client may use DEBUG.
    pub(super) fn may_debug(&self) -> bool {
        match self.node.config.current().enable_debug_command {
            DebugCommand::Yes => true,
            DebugCommand::Local => self.client.is_local(),
            DebugCommand::No => false,
        }
    }

    /// SHUTDOWN: what was answered is on disk already, so SAVE and NOSAVE ask for the same.
    fn shutdown(&self, arguments: Arguments<'_>, reply: &mut Reply) -> Step {
        let known: [&[u8]; 4] = [b"nosave", b"save", b"now", b"force"];
        for option in arguments.iter().skip(1) {
            if option.eq_ignore_ascii_case(b"abort") {
                reply.error("ERR No shutdown in progress.");
                return Step::Done;
            }
            if !known.iter().any(|word| option.eq_ignore_ascii_case(word)) {
                reply.error("ERR syntax error");
                return Step::Done;
            }
        }
        self.node.ask_to_stop();
        Step::Close
    }
}

/// Takes a snapshot of what is applied now.
async fn save(replica: &Replica) -> Result<(), String> {
    let group = replica.group().ok_or("the data is not there yet")?;
    group.take_snapshot().await.map(drop).map_err(|why| why.to_string())
}

/// DEBUG SLEEP: of what begins with a number, that; no time for anything else.
fn debug_sleep(arguments: Arguments<'_>) -> Step {
    const DIGITS_MAX: usize = 32;
    let word = arguments.get(2).unwrap_or_default();
    let number = |end| std::str::from_utf8(&word[..end]).ok()?.parse::<f64>().ok();
    let seconds = (1..=word.len().min(DIGITS_MAX)).rev().find_map(number);
    Step::Later(Later::Hold(Duration::try_from_secs_f64(seconds.unwrap_or(0.0)).unwrap_or_default()))
}

/// `host:port`, where the host may hold colons.
pub(crate) fn split_address(address: &str) -> (&str, &str) {
    address.rsplit_once(':').unwrap_or((address, "0"))
}

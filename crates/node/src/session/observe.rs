//! What has been slow: SLOWLOG and LATENCY.

use commands::NodeCommand;
use resp::{Arguments, Reply};

use super::Session;
use crate::platform::Platform;

/// How many commands SLOWLOG GET shows when it is not told.
const SHOWN_USUALLY: usize = 10;

impl<P: Platform> Session<P> {
    /// One of the commands of this file.
    pub(super) fn observe(&self, command: NodeCommand, arguments: Arguments<'_>, reply: &mut Reply) {
        let stats = &self.node.stats;
        match command {
            NodeCommand::SlowlogGet => self.slowlog_get(arguments, reply),
            NodeCommand::SlowlogLen => reply.count(stats.slow.len()),
            NodeCommand::SlowlogReset => {
                stats.slow.reset();
                reply.ok();
            }
            NodeCommand::LatencyLatest => {
                let latest = stats.latency.latest();
                reply.array(latest.len());
                for (event, (second, milliseconds), max_ms) in latest {
                    reply.array(4);
                    reply.bulk(event);
                    [second, milliseconds, max_ms].into_iter().for_each(|number| integer(number, reply));
                }
            }
            NodeCommand::LatencyHistory => {
                let samples = stats.latency.history(arguments.get(2).unwrap_or_default());
                reply.array(samples.len());
                for (second, milliseconds) in samples {
                    reply.array(2);
                    integer(second, reply);
                    integer(milliseconds, reply);
                }
            }
            NodeCommand::LatencyReset => {
                let named: Vec<&[u8]> = arguments.iter().skip(2).collect();
                let is_wanted = |event: &str| named.is_empty() || named.contains(&event.as_bytes());
                reply.count(stats.latency.reset(is_wanted));
            }
            NodeCommand::LatencyHistogram => self.latency_histogram(arguments, reply),
            _ => unreachable!("not a command of this file"),
        }
    }

    fn slowlog_get(&self, arguments: Arguments<'_>, reply: &mut Reply) {
        let count = match arguments.get(2).map(keyspace::parse_integer) {
            _ if arguments.len() > 3 => {
                let name = String::from_utf8_lossy(arguments.get(1).unwrap_or_default());
                let text =
                    format!("ERR unknown subcommand or wrong number of arguments for '{name}'. Try SLOWLOG HELP.");
                return reply.error(text);
            }
            None => SHOWN_USUALLY,
            Some(Some(-1)) => usize::MAX,
            Some(count) => match count.and_then(|count| usize::try_from(count).ok()) {
                Some(count) => count,
                None => return reply.error("ERR count should be greater than or equal to -1"),
            },
        };
        let newest = self.node.stats.slow.newest(count);
        reply.array(newest.len());
        for command in newest {
            reply.array(6);
            [command.id, command.time, command.microseconds].into_iter().for_each(|number| integer(number, reply));
            reply.array(command.arguments.len());
            command.arguments.iter().for_each(|argument| reply.bulk(argument));
            reply.bulk(command.client_address);
            reply.bulk(command.client_name);
        }
    }

    /// LATENCY HISTOGRAM: of all commands that were called, or of those that are named, a container for all of its own.
    fn latency_histogram(&self, arguments: Arguments<'_>, reply: &mut Reply) {
        let totals = self.node.stats.totals();
        let named: Vec<String> =
            arguments.iter().skip(2).map(|name| String::from_utf8_lossy(name).to_ascii_uppercase()).collect();
        let is_wanted = |name: &str| {
            let container = name.split_once('|').map(|(container, _)| container);
            named.is_empty() || named.iter().any(|wanted| wanted == name || Some(wanted.as_str()) == container)
        };
        let shown: Vec<_> =
            commands::rows().zip(&totals).filter(|(spec, total)| total.calls > 0 && is_wanted(spec.name)).collect();
        reply.map(shown.len());
        for (spec, total) in shown {
            reply.bulk(spec.name.to_ascii_lowercase());
            reply.map(2);
            reply.bulk("calls");
            integer(total.calls, reply);
            reply.bulk("histogram_usec");
            let histogram = total.histogram();
            reply.map(histogram.len());
            for (microseconds, calls) in histogram {
                integer(microseconds, reply);
                integer(calls, reply);
            }
        }
    }
}

fn integer(number: u64, reply: &mut Reply) {
    reply.integer(i64::try_from(number).unwrap_or(i64::MAX));
}

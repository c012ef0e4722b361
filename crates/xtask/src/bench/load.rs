//! Load: redis-benchmark for throughput, and a pipelined loader for keys.
//!
//! redis-benchmark asks for a number of requests, not for a time, so a short run first finds how many fit into the time
//! wanted. It spins for ever when its server refuses connections, so that every run has a limit and is killed at it.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::client::{Client, Reply, encode};
use super::clock;
use crate::stage::{Error, Outcome, not_started};

/// Bytes of a value, in every benchmark.
const VALUE_BYTES: usize = 64;
/// Commands that the loader sends before it reads their replies: less than the socket's buffers hold.
const CHUNK: u64 = 500;
/// Bytes after which it does so in any case.
const CHUNK_BYTES: usize = 128 << 10;
/// How long the loader waits for one chunk.
const CHUNK_LIMIT: Duration = Duration::from_secs(30);
/// How long any run of redis-benchmark may take beyond ten times the time wanted.
const GRACE: Duration = Duration::from_secs(30);

/// The commands that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Set,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Get => "GET",
            Self::Set => "SET",
        })
    }
}

/// What redis-benchmark does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) kind: Kind,
    /// `-c`
    pub(crate) clients: u32,
    /// `-P`, requests in flight for each client
    pub(crate) pipeline: u32,
    /// `-r`, how many keys it draws from
    pub(crate) keys: u64,
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} -c {} -P {}", self.kind, self.clients, self.pipeline)
    }
}

/// What redis-benchmark says of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Report {
    pub(crate) requests_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Load {
    /// How many requests take about `time` at this server.
    pub(crate) fn fitting(&self, port: u16, time: Duration) -> Outcome<u64> {
        let trial = 2_000 * u64::from(self.clients.min(10)) * u64::from(self.pipeline.min(4));
        let report = self.run(port, trial, time)?;
        let count = report.requests_per_second * time.as_secs_f64();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive rate, far below 2^53")]
        Ok((count as u64).max(trial))
    }

    /// Sends `count` requests, which are expected to take about `time`.
    pub(crate) fn run(&self, port: u16, count: u64, time: Duration) -> Outcome<Report> {
        let mut command = Command::new("redis-benchmark");
        let kind = self.kind.to_string().to_lowercase();
        let numbers =
            [("-p", u64::from(port)), ("-n", count), ("-c", self.clients.into()), ("-P", self.pipeline.into())];
        command.args(["-h", "127.0.0.1", "--csv", "-t", &kind, "-d", &VALUE_BYTES.to_string()]);
        command.args(["-r", &self.keys.to_string()]);
        for (flag, number) in numbers {
            command.args([flag, &number.to_string()]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| not_started(&command, &error))?;
        let csv = output_within(child, time * 10 + GRACE)
            .ok_or_else(|| Error::Failed(format!("redis-benchmark {self} did not end in time or failed")))?;
        parse(&csv).ok_or_else(|| Error::Failed(format!("redis-benchmark {self} printed no figures:\n{csv}")))
    }
}

/// The output of a child that prints little (less than a pipe holds); kills it at the limit.
fn output_within(mut child: Child, limit: Duration) -> Option<String> {
    let ended = clock::wait_for("redis-benchmark", limit, || child.try_wait().transpose());
    let Ok(Ok(status)) = ended else {
        // It fails only for a child that has ended, which is as well.
        let _ = child.kill();
        let _ = child.wait();
        return None;
    };
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).ok()?;
    status.success().then_some(text)
}

/// Reads `--csv`: a line of names, then one line for the test.
fn parse(csv: &str) -> Option<Report> {
    let mut lines = csv.lines().skip_while(|line| !line.starts_with("\"test\""));
    let fields = |line: &str| line.split(',').map(|field| field.trim_matches('"').to_owned()).collect::<Vec<_>>();
    let (names, values) = (fields(lines.next()?), fields(lines.next()?));
    let number = |name: &str| -> Option<f64> { values.get(names.iter().position(|n| n == name)?)?.parse().ok() };
    let report = Report {
        requests_per_second: number("rps")?,
        p50_ms: number("p50_latency_ms")?,
        p99_ms: number("p99_latency_ms")?,
    };
    (report.requests_per_second > 0.0).then_some(report)
}

/// The key of a number, as redis-benchmark names it: 16 bytes.
pub(crate) fn key(number: u64) -> String {
    format!("key:{number:012}")
}

/// The value that [`load_keys`] gives a key: 64 bytes that differ from key to key.
pub(crate) fn value(number: u64) -> String {
    format!("{number:0VALUE_BYTES$}")
}

/// Sends commands on one connection, many before it reads their replies. None of these may be an error.
pub(crate) struct Loader {
    client: Client,
    bytes: Vec<u8>,
    commands: u64,
}

impl Loader {
    /// Connects.
    pub(crate) fn connect(port: u16) -> Outcome<Self> {
        let client = Client::connect(port, CHUNK_LIMIT).map_err(|error| Self::failed(&error))?;
        Ok(Self { client, bytes: Vec::new(), commands: 0 })
    }

    /// Sends a command, or keeps it to be sent with others.
    pub(crate) fn send<S: AsRef<str>>(&mut self, words: &[S]) -> Outcome {
        encode(&mut self.bytes, words);
        self.commands += 1;
        if self.commands < CHUNK && self.bytes.len() < CHUNK_BYTES { Ok(()) } else { self.finish() }
    }

    /// Sends what was kept, and waits until everything was answered.
    pub(crate) fn finish(&mut self) -> Outcome {
        self.client.send(&self.bytes).map_err(|error| Self::failed(&error))?;
        for _ in 0..std::mem::take(&mut self.commands) {
            let reply = self.client.receive().map_err(|error| Self::failed(&error))?;
            if let Reply::Error(why) = reply {
                return Err(Self::failed(&format!("a command was answered {why}")));
            }
        }
        self.bytes.clear();
        Ok(())
    }

    fn failed(why: &dyn std::fmt::Display) -> Error {
        Error::Failed(format!("loading: {why}"))
    }
}

/// Sets the keys 0 to `count` - 1, pipelined on one connection.
pub(crate) fn load_keys(port: u16, count: u64) -> Outcome {
    let mut loader = Loader::connect(port)?;
    (0..count).try_for_each(|number| loader.send(&["SET", &key(number), &value(number)]))?;
    loader.finish()
}

/// How many of `pairs` of key and value the server does not have as they are, asked in pipelines.
pub(crate) fn count_missing(port: u16, pairs: &[(String, String)]) -> Outcome<usize> {
    let failed = |error: std::io::Error| Error::Failed(format!("reading keys back: {error}"));
    let mut client = Client::connect(port, CHUNK_LIMIT).map_err(failed)?;
    let mut missing = 0;
    for chunk in pairs.chunks(usize::try_from(CHUNK).expect("a chunk is small")) {
        let mut bytes = Vec::new();
        for (key, _) in chunk {
            encode(&mut bytes, &["GET", key]);
        }
        client.send(&bytes).map_err(failed)?;
        for (_, value) in chunk {
            missing += usize::from(!client.receive().map_err(failed)?.is_bulk(value.as_bytes()));
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "\
\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"
\"SET\",\"108695.65\",\"0.299\",\"0.112\",\"0.287\",\"0.447\",\"0.671\",\"1.487\"
";

    #[test]
    fn figures_are_found_by_name() {
        let report = Report { requests_per_second: 108_695.65, p50_ms: 0.287, p99_ms: 0.671 };
        assert_eq!(parse(CSV), Some(report));
        assert_eq!(parse(&format!("WARNING: no CONFIG\n{CSV}")), Some(report));
    }

    #[test]
    fn a_run_without_figures_is_none() {
        assert_eq!(parse(""), None);
        assert_eq!(parse(CSV.lines().next().unwrap()), None);
        assert_eq!(parse(&CSV.replace("108695.65", "0.00")), None);
        assert_eq!(parse(&CSV.replace("rps", "requests")), None);
    }

    #[test]
    fn keys_and_values_have_the_sizes_of_the_tables() {
        assert_eq!((key(7).as_str(), key(999_999).len()), ("key:000000000007", 16));
        assert_eq!(value(7).len(), 64);
    }

    #[test]
    fn a_run_that_does_not_end_is_killed() {
        let mut spinning = Command::new("sh");
        let child = spinning.args(["-c", "exec sleep 60"]).stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(output_within(child, Duration::from_millis(20)), None);
    }
}

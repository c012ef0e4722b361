//! Transcripts of redis-cli: what a person sees who types these commands.
//!
//! Each file of `tests/golden` is run against a real valkey-server too, so that what is expected is what is, and not
//! what we believe.
//!
//! ```text
//! # a comment
//! > COMMAND as typed
//! what redis-cli prints, up to the next command
//! ```

use std::fs;
use std::path::Path;

use crate::harness::tools::{Valkey, redis_cli};
use crate::harness::{Client, Server};

/// A transcript: the script, and what is to be printed.
struct Transcript {
    name: String,
    script: String,
    expected: Vec<String>,
}

impl Transcript {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("a file of tests/golden");
        let (mut script, mut expected) = (String::new(), Vec::new());
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix("> ") {
                Some(command) => {
                    script.push_str(command);
                    script.push('\n');
                }
                None => expected.push(line.to_owned()),
            }
        }
        Self { name: path.display().to_string(), script, expected }
    }

    fn check(&self, who: &str, port: u16) {
        assert_eq!(Client::connect(port).run("FLUSHALL").text(), "OK");
        let printed = redis_cli(port, &[], &self.script);
        let printed: Vec<&str> = printed.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let differs = printed.iter().zip(&self.expected).position(|(printed, expected)| printed != expected);
        let at = differs.unwrap_or_else(|| printed.len().min(self.expected.len()));
        let around =
            |lines: &[&str]| lines[at.saturating_sub(3).min(lines.len())..(at + 3).min(lines.len())].join("\n");
        let expected: Vec<&str> = self.expected.iter().map(String::as_str).collect();
        let is_equal = printed == expected;
        assert!(is_equal, "{}: {who} prints\n{}\ninstead of\n{}", self.name, around(&printed), around(&expected));
    }
}

#[test]
fn redis_cli_shows_what_it_shows_with_a_real_server() {
    let debug = ["--enable-debug-command", "yes"];
    let (valkey, cairn) = (Valkey::start(&debug), Server::start(&debug));
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut transcripts: Vec<_> =
        fs::read_dir(directory).expect("tests/golden").map(|entry| entry.expect("a file").path()).collect();
    transcripts.sort();
    assert!(!transcripts.is_empty(), "no transcripts");
    for path in transcripts {
        let transcript = Transcript::read(&path);
        transcript.check("valkey-server", valkey.port);
        transcript.check("cairn-server", cairn.port);
    }
}

//! The values with a grammar of their own, and the grammar of lines: words, quotes, escapes.

use keyspace::parse_memory;

use super::settings::{BindAddress, ElectionTimeout, Member, OutputLimit, OutputLimits};

/// More listed members than any shard has voters.
const MEMBERS_MAX: usize = 9;
/// As in Redis.
const BIND_ADDRESSES_MAX: usize = 16;

/// Splits a line into words. Words may be in double quotes (escapes `\n \r \t \b \a \\ \" \xHH`) or in single
/// quotes (escape `\'`). `None`: quotes are not balanced, something follows a closing quote directly, or the
/// escapes do not make UTF-8.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let bytes = line.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        if at == bytes.len() {
            return Some(words);
        }
        let mut word = Vec::new();
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'"' | b'\'' => {
                    at = quoted(bytes, at + 1, byte, &mut word)?;
                    if bytes.get(at).is_some_and(|next| !next.is_ascii_whitespace()) {
                        return None;
                    }
                }
                _ if byte.is_ascii_whitespace() => break,
                _ => {
                    word.push(byte);
                    at += 1;
                }
            }
        }
        words.push(String::from_utf8(word).ok()?);
    }
}

/// Reads up to the closing quote and returns the place behind it.
fn quoted(bytes: &[u8], mut at: usize, quote: u8, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match (*bytes.get(at)?, bytes.get(at + 1).copied()) {
            (byte, _) if byte == quote => return Some(at + 1),
            (b'\\', Some(b'\'')) if quote == b'\'' => {
                word.push(b'\'');
                at += 2;
            }
            (b'\\', Some(next)) if quote == b'"' => {
                if let Some(byte) = hex_escape(bytes, at) {
                    word.push(byte);
                    at += 4;
                    continue;
                }
                word.push(match next {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => other,
                });
                at += 2;
            }
            (byte, _) => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

/// The byte of a `\xHH` at this place.
fn hex_escape(bytes: &[u8], at: usize) -> Option<u8> {
    let escape = bytes.get(at..at + 4)?;
    let digits = std::str::from_utf8(&escape[2..]).ok()?;
    let plain = escape[1] == b'x' && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if plain { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// A word as a line writes it: in double quotes when it would not be read back as it is.
pub(super) fn quote(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'#');
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `bind`: addresses or host names, each possibly with a leading `-`.
pub(super) fn bind(words: &[&str]) -> Result<Vec<BindAddress>, String> {
    if words.is_empty() || words.len() > BIND_ADDRESSES_MAX {
        return Err(format!("between 1 and {BIND_ADDRESSES_MAX} bind addresses are needed"));
    }
    words
        .iter()
        .map(|word| {
            let (host, optional) = word.strip_prefix('-').map_or((*word, false), |host| (host, true));
            if host.is_empty() {
                return Err(format!("'{word}' is not an address"));
            }
            Ok(BindAddress { host: host.to_owned(), optional })
        })
        .collect()
}

/// `initial-members`: `host:port` words, IPv6 addresses in brackets or with the port behind the last colon.
pub(super) fn members(words: &[&str]) -> Result<Vec<Member>, String> {
    if let &[""] = words {
        return Ok(Vec::new());
    }
    if words.len() > MEMBERS_MAX {
        return Err(format!("at most {MEMBERS_MAX} members can be listed"));
    }
    words
        .iter()
        .map(|word| {
            let (host, port) = word.rsplit_once(':').ok_or_else(|| format!("'{word}' is not host:port"))?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            member(host, port).ok_or_else(|| format!("'{word}' is not host:port"))
        })
        .collect()
}

/// `replicaof`: `host port`, or `no one`.
pub(super) fn replicaof(words: &[&str]) -> Result<Option<Member>, String> {
    match words {
        [] | [""] => Ok(None),
        [no, one] if no.eq_ignore_ascii_case("no") && one.eq_ignore_ascii_case("one") => Ok(None),
        [host, port] => member(host, port).map(Some).ok_or_else(|| "Invalid master port".to_owned()),
        _ => Err("wrong number of arguments".to_owned()),
    }
}

fn member(host: &str, port: &str) -> Option<Member> {
    let port = port.parse::<u16>().ok().filter(|port| *port != 0)?;
    (!host.is_empty()).then(|| Member { host: host.to_owned(), port })
}

/// `election-timeout-ms`: the shortest and the longest.
pub(super) fn election_timeout(words: &[&str]) -> Result<ElectionTimeout, String> {
    const USAGE: &str = "argument must be two numbers of milliseconds between 50 and 60000, the second the larger";
    let &[min, max] = words else { return Err(USAGE.to_owned()) };
    let number = |word: &str| word.parse::<u64>().ok().filter(|ms| (50..=60_000).contains(ms)).ok_or(USAGE);
    let (min_ms, max_ms) = (number(min)?, number(max)?);
    if min_ms < max_ms { Ok(ElectionTimeout { min_ms, max_ms }) } else { Err(USAGE.to_owned()) }
}

/// `save`: pairs of seconds and changes; one empty word for none.
pub(super) fn save(words: &[&str]) -> Result<Vec<(u64, u64)>, String> {
    const INVALID: &str = "Invalid save parameters";
    // An empty word of an earlier line cleared the list; lines behind it add to nothing.
    let start = words.iter().rposition(|word| word.is_empty()).map_or(0, |at| at + 1);
    let (pairs, rest) = words[start..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(INVALID.to_owned());
    }
    pairs
        .iter()
        .map(|[seconds, changes]| match (seconds.parse::<u64>(), changes.parse::<u64>()) {
            (Ok(seconds), Ok(changes)) if seconds > 0 => Ok((seconds, changes)),
            _ => Err(INVALID.to_owned()),
        })
        .collect()
}

/// `client-output-buffer-limit`: groups of class, hard limit, soft limit, seconds, laid over what is there.
pub(super) fn output_limits(mut limits: OutputLimits, words: &[&str]) -> Result<OutputLimits, String> {
    let (groups, rest) = words.as_chunks::<4>();
    if !rest.is_empty() {
        return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
    }
    for [class, hard, soft, seconds] in groups {
        let slot = match class.to_ascii_lowercase().as_str() {
            "normal" => &mut limits.normal,
            "slave" | "replica" => &mut limits.replica,
            "pubsub" => &mut limits.pubsub,
            _ => return Err("Invalid client class specified in buffer limit configuration.".to_owned()),
        };
        let (Some(hard_bytes), Some(soft_bytes), Ok(soft_seconds)) =
            (parse_memory(hard.as_bytes()), parse_memory(soft.as_bytes()), seconds.parse())
        else {
            return Err("Error in hard, soft or soft_seconds setting in buffer limit configuration.".to_owned());
        };
        *slot = OutputLimit { hard_bytes, soft_bytes, soft_seconds };
    }
    Ok(limits)
}

/// The three classes as lines of the file.
pub(super) fn output_limits_lines(limits: &OutputLimits) -> Vec<String> {
    [("normal", limits.normal), ("slave", limits.replica), ("pubsub", limits.pubsub)]
        .iter()
        .map(|(class, limit)| format!("{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds))
        .collect()
}

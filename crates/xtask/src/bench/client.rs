//! A small RESP2 client, blocking, on std: what the benchmarks ask themselves.
//!
//! Throughput is redis-benchmark's business; this one forms, loads, probes and reads back. Every wait has a limit, and
//! replies have bounds: a reply beyond them is an error, not memory.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const BULK_BYTES_MAX: usize = 64 << 20;
const ELEMENTS_MAX: usize = 1 << 20;
const LINE_BYTES_MAX: u64 = 64 << 10;
const DEPTH_MAX: u32 = 8;

/// What a server answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `+text`
    Simple(String),
    /// `-text`
    Error(String),
    /// `:number`
    Integer(i64),
    /// `$length` and bytes; `None` for null
    Bulk(Option<Vec<u8>>),
    /// `*length` and replies; null is empty
    Array(Vec<Self>),
}

impl Reply {
    /// Whether it is `+OK`.
    pub(crate) fn is_ok(&self) -> bool {
        matches!(self, Self::Simple(text) if text == "OK")
    }

    /// Whether it is these bytes.
    pub(crate) fn is_bulk(&self, bytes: &[u8]) -> bool {
        matches!(self, Self::Bulk(Some(found)) if found == bytes)
    }
}

/// One connection to a server of this machine.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects to 127.0.0.1; every wait of this client takes at most `limit`.
    pub(crate) fn connect(port: u16, limit: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), limit)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// One command, one reply.
    pub(crate) fn ask(&mut self, words: &[&str]) -> io::Result<Reply> {
        let mut bytes = Vec::new();
        encode(&mut bytes, words);
        self.send(&bytes)?;
        self.receive()
    }

    /// Sends commands that [`encode`] wrote. Whoever sends many reads as many replies before the next.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// The next reply.
    pub(crate) fn receive(&mut self) -> io::Result<Reply> {
        read_reply(&mut self.stream, DEPTH_MAX)
    }
}

/// One command on a connection of its own; `None` when it has no reply within a second.
pub(crate) fn ask_once(port: u16, words: &[&str]) -> Option<Reply> {
    Client::connect(port, Duration::from_secs(1)).ok()?.ask(words).ok()
}

/// Appends a command as an array of bulk strings.
pub(crate) fn encode<S: AsRef<str>>(bytes: &mut Vec<u8>, words: &[S]) {
    write!(bytes, "*{}\r\n", words.len()).expect("a vector takes all");
    for word in words.iter().map(AsRef::as_ref) {
        write!(bytes, "${}\r\n{word}\r\n", word.len()).expect("a vector takes all");
    }
}

fn read_reply(input: &mut impl BufRead, depth: u32) -> io::Result<Reply> {
    let line = read_line(input)?;
    let (&kind, rest) = line.as_bytes().split_first().ok_or_else(|| malformed("an empty line"))?;
    let text = || String::from_utf8_lossy(rest).into_owned();
    let number = || text().parse::<i64>().map_err(|_| malformed("a length that is no number"));
    match kind {
        b'+' => Ok(Reply::Simple(text())),
        b'-' => Ok(Reply::Error(text())),
        b':' => Ok(Reply::Integer(number()?)),
        b'$' => read_bulk(input, number()?).map(Reply::Bulk),
        b'*' if depth == 0 => Err(malformed("arrays too deep")),
        b'*' => {
            let count = usize::try_from(number()?).unwrap_or(0);
            if count > ELEMENTS_MAX {
                return Err(malformed("an array too long"));
            }
            (0..count).map(|_| read_reply(input, depth - 1)).collect::<io::Result<_>>().map(Reply::Array)
        }
        _ => Err(malformed("a type that RESP2 does not have")),
    }
}

fn read_bulk(input: &mut impl BufRead, length: i64) -> io::Result<Option<Vec<u8>>> {
    let Ok(length) = usize::try_from(length) else { return Ok(None) };
    if length > BULK_BYTES_MAX {
        return Err(malformed("a bulk string too long"));
    }
    let mut bytes = vec![0; length + 2];
    input.read_exact(&mut bytes)?;
    bytes.truncate(length);
    Ok(Some(bytes))
}

fn read_line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    input.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    let Some(text) = line.strip_suffix(b"\r\n") else { return Err(io::ErrorKind::UnexpectedEof.into()) };
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut bytes: &[u8]) -> io::Result<Reply> {
        read_reply(&mut bytes, DEPTH_MAX)
    }

    #[test]
    fn replies_are_read() {
        assert!(read(b"+OK\r\n").unwrap().is_ok());
        assert_eq!(read(b"-READONLY no\r\n").unwrap(), Reply::Error("READONLY no".into()));
        assert_eq!(read(b":-7\r\n").unwrap(), Reply::Integer(-7));
        assert_eq!(read(b"$-1\r\n").unwrap(), Reply::Bulk(None));
        assert!(read(b"$4\r\na\r\nb\r\n").unwrap().is_bulk(b"a\r\nb"));
        let nested = Reply::Array(vec![Reply::Array(vec![Reply::Integer(1)]), Reply::Bulk(Some(Vec::new()))]);
        assert_eq!(read(b"*2\r\n*1\r\n:1\r\n$0\r\n\r\n").unwrap(), nested);
    }

    #[test]
    fn halves_and_nonsense_are_errors() {
        for bytes in [&b""[..], b"+OK", b"$5\r\nab", b"*2\r\n:1\r\n", b"?\r\n", b"\r\n", b":x\r\n", b"$99999999999\r\n"]
        {
            assert!(read(bytes).is_err(), "{}", bytes.escape_ascii());
        }
        assert!(read(&b"*1\r\n".repeat(20)).is_err());
    }

    #[test]
    fn commands_are_arrays_of_bulk_strings() {
        let mut bytes = Vec::new();
        encode(&mut bytes, &["GET", "a b"]);
        assert_eq!(bytes, b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n");
    }
}

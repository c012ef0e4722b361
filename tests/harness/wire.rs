//! A client on a bare socket that keeps the bytes of every reply: what a library would smooth over is what we look at.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::PATIENCE;

/// One reply, of either protocol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    /// `+`
    Simple(String),
    /// `-`
    Error(String),
    /// `:`
    Integer(i64),
    /// `$`, and `=` with its three letters in front
    Bulk(Vec<u8>),
    /// `_`, `$-1`, `*-1`
    Null,
    /// `*`, `>`
    Array(Vec<Self>),
    /// `~`
    Set(Vec<Self>),
    /// `%`
    Map(Vec<(Self, Self)>),
    /// `,`, `#`, `(` as they are written
    Other(String),
}

impl Value {
    /// A bulk string.
    pub(crate) fn bulk(text: &str) -> Self {
        Self::Bulk(text.as_bytes().to_vec())
    }

    /// `+OK`
    pub(crate) fn ok() -> Self {
        Self::Simple("OK".into())
    }

    /// The text of a string, error or number, for messages and for searching in.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Simple(text) | Self::Error(text) | Self::Other(text) => text.clone(),
            Self::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Null => "(nil)".into(),
            Self::Array(_) | Self::Set(_) | Self::Map(_) => format!("{self:?}"),
        }
    }

    /// Whether it is an error that begins with `prefix`.
    pub(crate) fn is_error(&self, prefix: &str) -> bool {
        matches!(self, Self::Error(text) if text.starts_with(prefix))
    }

    /// The elements of an array, set or flattened map.
    pub(crate) fn elements(&self) -> Vec<Self> {
        match self {
            Self::Array(elements) | Self::Set(elements) => elements.clone(),
            Self::Map(pairs) => pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect(),
            _ => Vec::new(),
        }
    }
}

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    at: usize,
}

impl Client {
    /// Connects, or says why not.
    pub(crate) fn try_connect(address: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self { stream, input: Vec::new(), at: 0 })
    }

    /// Connects to a port of this machine.
    pub(crate) fn connect(port: u16) -> Self {
        Self::try_connect(local(port), PATIENCE).unwrap_or_else(|error| panic!("connecting to {port}: {error}"))
    }

    /// Runs a command that is written as words.
    pub(crate) fn run(&mut self, line: &str) -> Value {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.call(&words)
    }

    /// Runs a command.
    pub(crate) fn call(&mut self, words: &[&[u8]]) -> Value {
        self.try_call(words).unwrap_or_else(|error| {
            let line: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
            panic!("no reply to {}: {error}", line.join(" "))
        })
    }

    /// Runs a command, or says what happened to the connection.
    pub(crate) fn try_call(&mut self, words: &[&[u8]]) -> io::Result<Value> {
        self.send(&encode(words))?;
        self.reply()
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads one reply.
    pub(crate) fn reply(&mut self) -> io::Result<Value> {
        Ok(self.raw_reply()?.0)
    }

    /// Reads one reply, and gives its bytes too.
    pub(crate) fn raw_reply(&mut self) -> io::Result<(Value, Vec<u8>)> {
        self.input.drain(..self.at);
        self.at = 0;
        let value = self.value()?;
        Ok((value, self.input[..self.at].to_vec()))
    }

    /// Everything until the server closes the connection.
    pub(crate) fn until_closed(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = self.input.split_off(self.at);
        match self.stream.read_to_end(&mut rest) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(rest),
            other => other.map(|_| rest),
        }
    }

    /// Bounds the wait for every later reply.
    pub(crate) fn patience(&self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).expect("a positive time");
    }

    fn value(&mut self) -> io::Result<Value> {
        let line = self.line()?;
        let (mark, rest) = line.split_at_checked(1).ok_or_else(|| bad(&line))?;
        Ok(match mark {
            "+" => Value::Simple(rest.into()),
            "-" => Value::Error(rest.into()),
            ":" => Value::Integer(rest.parse().map_err(|_| bad(&line))?),
            "," | "#" | "(" => Value::Other(line),
            "_" => Value::Null,
            "$" | "=" if rest == "-1" => Value::Null,
            "$" | "=" => {
                let length = rest.parse().map_err(|_| bad(&line))?;
                let bytes = self.bytes(length)?;
                self.bytes(2)?;
                Value::Bulk(bytes)
            }
            "*" if rest == "-1" => Value::Null,
            "*" | ">" => Value::Array(self.values(rest)?),
            "~" => Value::Set(self.values(rest)?),
            "%" => {
                let count: usize = rest.parse().map_err(|_| bad(&line))?;
                let pairs = (0..count).map(|_| Ok((self.value()?, self.value()?)));
                Value::Map(pairs.collect::<io::Result<_>>()?)
            }
            _ => return Err(bad(&line)),
        })
    }

    fn values(&mut self, count: &str) -> io::Result<Vec<Value>> {
        let count: usize = count.parse().map_err(|_| bad(count))?;
        (0..count).map(|_| self.value()).collect()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut from = self.at;
        loop {
            if let Some(found) = self.input[from..].windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.input[self.at..from + found]).into_owned();
                self.at = from + found + 2;
                return Ok(line);
            }
            from = self.input.len().saturating_sub(1).max(self.at);
            self.fill()?;
        }
    }

    fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.input.len() - self.at < count {
            self.fill()?;
        }
        let bytes = self.input[self.at..self.at + count].to_vec();
        self.at += count;
        Ok(bytes)
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let read = loop {
            match self.stream.read(&mut buffer) {
                // A read with a time limit ends so when the machine was suspended.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                read => break read?,
            }
        };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.input.extend_from_slice(&buffer[..read]);
        Ok(())
    }
}

/// A command as an array of bulk strings.
pub(crate) fn encode(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// A port of this machine.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn bad(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not a reply: {line:?}"))
}

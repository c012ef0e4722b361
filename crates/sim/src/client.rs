//! A client's connection: commands out, replies in, and patience that ends.

use std::time::Duration;

use resp::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time;

/// A command: its arguments.
pub(crate) type Command = Vec<Vec<u8>>;

/// A command from texts.
pub(crate) fn command<const N: usize>(arguments: [&str; N]) -> Command {
    arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect()
}

/// A connection to one host's node.
pub(crate) struct Connection {
    stream: DuplexStream,
    input: Vec<u8>,
    /// How much of the input was answered from: the replies of the last call, as they came.
    taken: usize,
}

/// What was not answered may or may not have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The other side has closed the connection, or is no more.
    Closed,
    /// The client has lost its patience.
    GivenUp,
}

impl Connection {
    pub(crate) fn new(stream: DuplexStream) -> Self {
        Self { stream, input: Vec::new(), taken: 0 }
    }

    /// Sends commands at once and waits for their replies. After [`Broken`] the connection is of no more use; the
    /// replies that came before are in `replies`.
    pub(crate) async fn call(
        &mut self,
        commands: &[Command],
        patience: Duration,
        replies: &mut Vec<Value>,
    ) -> Result<(), Broken> {
        self.input.drain(..std::mem::take(&mut self.taken));
        time::timeout(patience, self.exchange(commands, replies)).await.unwrap_or(Err(Broken::GivenUp))
    }

    /// The bytes of the replies to the last call.
    pub(crate) fn heard(&self) -> &[u8] {
        &self.input[..self.taken]
    }

    async fn exchange(&mut self, commands: &[Command], replies: &mut Vec<Value>) -> Result<(), Broken> {
        let mut bytes = Vec::new();
        for command in commands {
            resp::write_command(&mut bytes, command.iter().map(Vec::as_slice));
        }
        self.stream.write_all(&bytes).await.map_err(|_| Broken::Closed)?;
        while replies.len() < commands.len() {
            match resp::parse_reply(&self.input[self.taken..]).expect("a node speaks RESP") {
                Some((reply, length)) => {
                    self.taken += length;
                    replies.push(reply);
                }
                None => {
                    let read = self.stream.read_buf(&mut self.input).await.map_err(|_| Broken::Closed)?;
                    if read == 0 {
                        return Err(Broken::Closed);
                    }
                }
            }
        }
        Ok(())
    }
}

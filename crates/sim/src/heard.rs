//! What a client heard, and what it means for the commands that it sent.

use resp::Value;

use crate::oracle::{NEVER, Outcome, Span};

/// The replies that came, perhaps not all.
pub(crate) struct Heard {
    pub(crate) replies: Vec<Value>,
    pub(crate) span: Span,
    /// Whether reads were answered by a leader for sure, or perhaps not, where the connection says so by itself; otherwise
    /// only INFO tells.
    pub(crate) by_leader: Option<bool>,
    /// Who answered.
    pub(crate) host: usize,
    /// The client has lost its patience before all replies came: the node may have gone on a little longer.
    pub(crate) gave_up: bool,
}

impl Heard {
    /// What became of the write at this place.
    pub(crate) fn outcome(&self, place: usize) -> Outcome {
        match self.replies.get(place) {
            None => Outcome::Unknown,
            Some(Value::Error(line)) if line.starts_with(b"UNCERTAIN") => Outcome::Unknown,
            Some(Value::Error(line)) if is_definite(line) => Outcome::Refused,
            Some(Value::Error(line)) => panic!("an error that no client expects: {}", line.escape_ascii()),
            Some(_) => Outcome::Done,
        }
    }

    /// When the write at this place was sent and answered.
    pub(crate) fn write_span(&self, place: usize) -> Span {
        match self.outcome(place) {
            Outcome::Unknown => Span { start: self.span.start, end: NEVER },
            _ => self.span,
        }
    }

    pub(crate) fn integer(&self, place: usize) -> Option<i64> {
        self.replies.get(place).and_then(Value::as_integer)
    }

    /// The length of a list that the push at this place was answered with; 0 if it was not.
    pub(crate) fn length(&self, place: usize) -> usize {
        self.integer(place).and_then(|length| usize::try_from(length).ok()).unwrap_or(0)
    }

    /// The reply at this place, if it is there and no error.
    pub(crate) fn good(&self, place: usize) -> Option<&Value> {
        self.replies.get(place).filter(|reply| reply.as_error().is_none())
    }

    /// Whether a leader answered; where that is not known otherwise, INFO at this place says so, and with it the read before.
    pub(crate) fn was_leader(&self, place: usize) -> bool {
        let says_so = || {
            let info = self.good(place).and_then(Value::as_bytes).unwrap_or_default();
            info.windows(11).any(|window| window == b"role:master")
        };
        self.by_leader.unwrap_or_else(says_so)
    }
}

/// Errors that promise: it did not and will not happen.
fn is_definite(line: &[u8]) -> bool {
    let codes: [&[u8]; 9] = [
        b"READONLY",
        b"NOREPLICAS",
        b"LOADING",
        b"MASTERDOWN",
        b"EXECABORT",
        b"ERR max number of clients",
        b"MOVED",
        b"CLUSTERDOWN",
        b"UNBLOCKED",
    ];
    codes.iter().any(|code| line.starts_with(code))
}

/// A number that was sent as text.
pub(crate) fn number(value: &Value) -> Option<u64> {
    std::str::from_utf8(value.as_bytes()?).ok()?.parse().ok()
}

//! The format inside a message: everything that was ready, packed as frames.
//!
//! ```text
//! message  version 1 | wall clock of the sender, ms, 8 | frame … to the end      (one or more frames)
//! frame    kind 1 (0 request, 1 answer) | request id 8 | length 4 | payload      (numbers little-endian)
//! ```
//! Requests travel on the dialer's half of a stream and answers on the listener's; the kind is there so that a
//! mix-up is an error and not an answer. Payloads are slices of the message: who keeps a small one for long keeps
//! the message.

use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;

use crate::generated::Message;

/// The version of this format, which is also the handshake's.
pub(crate) const VERSION: u8 = 1;
/// A pack takes further frames until it holds this much; one larger frame travels alone.
pub(crate) const PACK_BYTES: usize = 256 * 1024;
const MESSAGE_HEAD_BYTES: usize = 9;
const FRAME_HEAD_BYTES: usize = 13;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request, from the dialer to the listener.
    Request = 0,
    /// The answer to the request of the same id.
    Answer = 1,
}

/// The bytes are not what the peer's version of this format allows. The stream is of no further use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed message: {}", self.0)
    }
}

/// Packs frames into one message. Its buffer is used again once the message was encoded.
pub(crate) struct Packer {
    kind: Kind,
    buffer: BytesMut,
}

impl Packer {
    /// An empty pack for frames of this kind.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, buffer: BytesMut::new() }
    }

    /// Whether a payload of this length still belongs into this pack. The first always does.
    pub(crate) fn takes(&self, payload_bytes: usize) -> bool {
        self.buffer.is_empty() || self.buffer.len() + FRAME_HEAD_BYTES + payload_bytes <= PACK_BYTES
    }

    /// Adds a frame.
    pub(crate) fn push(&mut self, id: u64, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("Limits::message_bytes_max is below 4 GiB");
        self.buffer.reserve(MESSAGE_HEAD_BYTES + FRAME_HEAD_BYTES + payload.len());
        if self.buffer.is_empty() {
            self.buffer.put_u8(VERSION);
            self.buffer.put_u64_le(0);
        }
        self.buffer.put_u8(self.kind as u8);
        self.buffer.put_u64_le(id);
        self.buffer.put_u32_le(length);
        self.buffer.put_slice(payload);
    }

    /// Takes the message, stamped with the sender's time; `None` when there is no frame.
    pub(crate) fn take(&mut self, wall_ms: impl FnOnce() -> u64) -> Option<Message> {
        if self.buffer.is_empty() {
            return None;
        }
        self.buffer[1..MESSAGE_HEAD_BYTES].copy_from_slice(&wall_ms().to_le_bytes());
        // A buffer that had to grow for one large frame goes with it.
        let large = self.buffer.len() > PACK_BYTES;
        let frames = if large { std::mem::take(&mut self.buffer) } else { self.buffer.split() };
        Some(Message { frames: frames.freeze() })
    }
}

/// The frames of a message that are not yet taken, all of one kind.
pub(crate) struct Frames {
    kind: Kind,
    rest: Bytes,
}

impl Frames {
    /// Opens a message: the sender's wall clock in ms, and its frames, which must be of this kind.
    pub(crate) fn open(message: Message, kind: Kind) -> Result<(u64, Self), Malformed> {
        let mut rest = message.frames;
        let Some(&[version, ref wall_ms @ ..]) = rest.first_chunk::<MESSAGE_HEAD_BYTES>() else {
            return Err(Malformed("no head"));
        };
        if version != VERSION {
            return Err(Malformed("another version than the handshake's"));
        }
        let wall_ms = u64::from_le_bytes(*wall_ms);
        let _ = rest.split_to(MESSAGE_HEAD_BYTES);
        Ok((wall_ms, Self { kind, rest }))
    }

    /// The next frame: its request id and payload; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Bytes)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let Some(head) = self.rest.first_chunk::<FRAME_HEAD_BYTES>() else {
            return Err(Malformed("cut inside a frame's head"));
        };
        let [kind, i0, i1, i2, i3, i4, i5, i6, i7, l0, l1, l2, l3] = *head;
        if kind != self.kind as u8 {
            return Err(Malformed("a frame of the wrong kind"));
        }
        let id = u64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]);
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if self.rest.len() - FRAME_HEAD_BYTES < length {
            return Err(Malformed("cut inside a payload"));
        }
        let mut frame = self.rest.split_to(FRAME_HEAD_BYTES + length);
        Ok(Some((id, frame.split_off(FRAME_HEAD_BYTES))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(kind: Kind, payloads: &[&[u8]]) -> Message {
        let mut packer = Packer::new(kind);
        for (id, payload) in (7..).zip(payloads) {
            packer.push(id, payload);
        }
        packer.take(|| 1234).unwrap()
    }

    #[test]
    fn frames_come_back_in_order() {
        let message = pack(Kind::Request, &[b"one", b"", b"three"]);
        let (wall_ms, mut frames) = Frames::open(message, Kind::Request).unwrap();
        assert_eq!(wall_ms, 1234);
        for expected in [(7, &b"one"[..]), (8, b""), (9, b"three")] {
            let (id, payload) = frames.next().unwrap().unwrap();
            assert_eq!((id, &payload[..]), expected);
        }
        assert_eq!(frames.next(), Ok(None));
    }

    #[test]
    fn an_empty_pack_is_no_message() {
        assert!(Packer::new(Kind::Answer).take(|| 0).is_none());
    }

    #[test]
    fn a_pack_takes_one_large_frame_alone() {
        let mut packer = Packer::new(Kind::Request);
        assert!(packer.takes(10 * PACK_BYTES));
        packer.push(1, b"x");
        assert!(packer.takes(1000) && !packer.takes(PACK_BYTES));
    }

    /// Cut anywhere, or with any one byte changed, a message is refused or read in full; it never panics.
    #[test]
    fn damage_is_an_error() {
        let whole = pack(Kind::Request, &[b"abc", b"de"]).frames;
        for cut in 0..whole.len() {
            let message = Message { frames: whole.slice(..cut) };
            let read = Frames::open(message, Kind::Request).and_then(|(_, mut frames)| {
                while frames.next()?.is_some() {}
                Ok(())
            });
            let at_a_frame_end = cut == MESSAGE_HEAD_BYTES || cut == MESSAGE_HEAD_BYTES + FRAME_HEAD_BYTES + 3;
            assert_eq!(read.is_ok(), at_a_frame_end, "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.to_vec();
            bytes[at] ^= 0xff;
            if let Ok((_, mut frames)) = Frames::open(Message { frames: bytes.into() }, Kind::Request) {
                while let Ok(Some(_)) = frames.next() {}
            }
        }
        assert!(Frames::open(pack(Kind::Answer, &[b"x"]), Kind::Request).unwrap().1.next().is_err());
    }
}

//! The format inside a message: everything that was ready, packed as frames.
//!
//! ```text
//! message  version 2 | wall clock of the sender, ms, 8 | frame … to the end      (one or more frames)
//! frame    kind 1 | request id 8 | length 4 | payload                            (numbers little-endian)
//! kind     0 request, 1 answer; 2, 3 the same, first part: its whole length 4 | its beginning; 4, 5 a further part
//! ```
//! A payload that is too large for a message travels in parts, one behind the other, each in a message of its own, so that
//! neither side copies much at a time: heartbeats travel on another stream, but are made and read by the same thread.
//!
//! Requests travel on the dialer's half of a stream and answers on the listener's; the kind is there so that a
//! mix-up is an error and not an answer. Payloads are slices of the message: who keeps a small one for long keeps
//! the message.

use bytes::{BufMut, Bytes, BytesMut};
use raft::Pieces;
use std::fmt;

use crate::generated::Message;

/// The version of this format, which is also the handshake's.
pub(crate) const VERSION: u8 = 2;
/// A pack takes further frames until it holds this much; a larger payload is cut into parts of this length.
pub(crate) const PACK_BYTES: usize = 256 * 1024;
const MESSAGE_HEAD_BYTES: usize = 9;
const FRAME_HEAD_BYTES: usize = 13;
/// The longest message: a pack that was almost full, and one more frame with a part.
pub(crate) const MESSAGE_BYTES_MAX: usize = PACK_BYTES + FRAME_HEAD_BYTES + 4 + PACK_BYTES;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request, from the dialer to the listener.
    Request = 0,
    /// The answer to the request of the same id.
    Answer = 1,
}

/// How much of a payload is in a frame.
#[derive(Clone, Copy)]
enum Extent {
    Whole = 0,
    First = 2,
    Further = 4,
}

/// The bytes are not what the peer's version of this format allows. The stream is of no further use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed message: {}", self.0)
    }
}

/// Packs frames into messages. Its buffer is used again once a message was encoded.
pub(crate) struct Packer {
    kind: Kind,
    buffer: BytesMut,
    /// What of a large payload is still to be packed.
    rest: Option<(u64, Pieces)>,
}

impl Packer {
    /// An empty pack for frames of this kind.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, buffer: BytesMut::new(), rest: None }
    }

    /// Whether a payload of this length still belongs into this pack. The first always does.
    pub(crate) fn takes(&self, payload_bytes: usize) -> bool {
        self.rest.is_none()
            && (self.buffer.is_empty() || self.buffer.len() + FRAME_HEAD_BYTES + payload_bytes <= PACK_BYTES)
    }

    /// Adds a payload that the pack takes: one frame, or the first of its parts, the others of which follow by themselves.
    pub(crate) fn push(&mut self, id: u64, mut payload: Pieces) {
        if payload.len() <= PACK_BYTES {
            return self.frame(Extent::Whole, id, &[], &mut payload);
        }
        let length = u32::try_from(payload.len()).expect("Limits::message_bytes_max is below 4 GiB");
        self.frame(Extent::First, id, &length.to_le_bytes(), &mut payload);
        self.rest = Some((id, payload));
    }

    /// Adds a frame with as much of the payload as a frame holds.
    fn frame(&mut self, extent: Extent, id: u64, head: &[u8], payload: &mut Pieces) {
        let part_bytes = payload.len().min(PACK_BYTES);
        let length = head.len() + part_bytes;
        self.buffer.reserve(MESSAGE_HEAD_BYTES + FRAME_HEAD_BYTES + length);
        if self.buffer.is_empty() {
            self.buffer.put_u8(VERSION);
            self.buffer.put_u64_le(0);
        }
        self.buffer.put_u8(self.kind as u8 + extent as u8);
        self.buffer.put_u64_le(id);
        self.buffer.put_u32_le(u32::try_from(length).expect("it fits into a pack"));
        self.buffer.put_slice(head);
        payload.move_to(&mut self.buffer, part_bytes);
    }

    /// Takes the message, stamped with the sender's time; `None` when there is no frame.
    pub(crate) fn take(&mut self, wall_ms: impl FnOnce() -> u64) -> Option<Message> {
        if self.buffer.is_empty()
            && let Some((id, mut payload)) = self.rest.take()
        {
            self.frame(Extent::Further, id, &[], &mut payload);
            self.rest = Some((id, payload)).filter(|(_, payload)| !payload.is_empty());
        }
        if self.buffer.is_empty() {
            return None;
        }
        self.buffer[1..MESSAGE_HEAD_BYTES].copy_from_slice(&wall_ms().to_le_bytes());
        Some(Message { frames: self.buffer.split().freeze() })
    }
}

/// What of a payload in parts has arrived, from one message to the next of a stream.
pub(crate) struct Assembly {
    /// No payload is longer.
    bytes_max: usize,
    /// The id, the whole length, and what is there; nothing between payloads.
    partial: Option<(u64, usize, BytesMut)>,
}

impl Assembly {
    /// Nothing has arrived yet.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, partial: None }
    }

    /// Takes a frame's content in; the payload if that completes it.
    fn take(&mut self, extent: Extent, id: u64, mut content: Bytes) -> Result<Option<Bytes>, Malformed> {
        match (extent, &mut self.partial) {
            (Extent::Whole, None) => Ok(Some(content)),
            (Extent::First, None) => {
                let Some(&length) = content.first_chunk::<4>() else { return Err(Malformed("a part without length")) };
                let (length, first) = (u32::from_le_bytes(length) as usize, content.split_off(4));
                if length > self.bytes_max || length <= first.len() {
                    return Err(Malformed("a length that no payload in parts has"));
                }
                // All of it at once: growing would copy what is there. Pages are taken as they are filled.
                let mut arrived = BytesMut::with_capacity(length);
                arrived.put_slice(&first);
                self.partial = Some((id, length, arrived));
                Ok(None)
            }
            (Extent::Further, Some((of, length, arrived))) if *of == id && content.len() <= *length - arrived.len() => {
                arrived.put_slice(&content);
                if arrived.len() < *length {
                    return Ok(None);
                }
                Ok(self.partial.take().map(|(_, _, arrived)| arrived.freeze()))
            }
            _ => Err(Malformed("a part out of place")),
        }
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

    /// The next payload that is complete, and its request id; `None` at the end. `assembly` is that of the stream.
    pub(crate) fn next(&mut self, assembly: &mut Assembly) -> Result<Option<(u64, Bytes)>, Malformed> {
        while !self.rest.is_empty() {
            let Some(head) = self.rest.first_chunk::<FRAME_HEAD_BYTES>() else {
                return Err(Malformed("cut inside a frame's head"));
            };
            let [kind, i0, i1, i2, i3, i4, i5, i6, i7, l0, l1, l2, l3] = *head;
            let extent = match kind.checked_sub(self.kind as u8) {
                Some(0) => Extent::Whole,
                Some(2) => Extent::First,
                Some(4) => Extent::Further,
                _ => return Err(Malformed("a frame of the wrong kind")),
            };
            let id = u64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]);
            let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
            if self.rest.len() - FRAME_HEAD_BYTES < length {
                return Err(Malformed("cut inside a payload"));
            }
            let mut frame = self.rest.split_to(FRAME_HEAD_BYTES + length);
            if let Some(payload) = assembly.take(extent, id, frame.split_off(FRAME_HEAD_BYTES))? {
                return Ok(Some((id, payload)));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(kind: Kind, payloads: &[&[u8]]) -> Message {
        let mut packer = Packer::new(kind);
        for (id, payload) in (7..).zip(payloads) {
            packer.push(id, Bytes::copy_from_slice(payload).into());
        }
        packer.take(|| 1234).unwrap()
    }

    fn assembly() -> Assembly {
        Assembly::new(usize::MAX)
    }

    #[test]
    fn frames_come_back_in_order() {
        let message = pack(Kind::Request, &[b"one", b"", b"three"]);
        let (wall_ms, mut frames) = Frames::open(message, Kind::Request).unwrap();
        assert_eq!(wall_ms, 1234);
        for expected in [(7, &b"one"[..]), (8, b""), (9, b"three")] {
            let (id, payload) = frames.next(&mut assembly()).unwrap().unwrap();
            assert_eq!((id, &payload[..]), expected);
        }
        assert_eq!(frames.next(&mut assembly()), Ok(None));
    }

    #[test]
    fn an_empty_pack_is_no_message() {
        assert!(Packer::new(Kind::Answer).take(|| 0).is_none());
    }

    #[test]
    fn a_pack_takes_what_fits_and_a_large_payload_first() {
        let mut packer = Packer::new(Kind::Request);
        assert!(packer.takes(10 * PACK_BYTES));
        packer.push(1, Bytes::from_static(b"x").into());
        assert!(packer.takes(1000) && !packer.takes(PACK_BYTES));
    }

    #[test]
    fn a_large_payload_travels_in_parts_and_what_follows_waits() {
        for length in [PACK_BYTES + 1, 2 * PACK_BYTES, 3 * PACK_BYTES + 7] {
            let large: Bytes = (0..length).map(|at| at as u8).collect::<Vec<_>>().into();
            let mut packer = Packer::new(Kind::Answer);
            packer.push(1, large.clone().into());
            let (mut assembly, mut arrived, mut messages) = (assembly(), Vec::new(), 0);
            loop {
                if packer.takes(5) {
                    packer.push(2, Bytes::from_static(b"after").into());
                }
                let Some(message) = packer.take(|| 1).filter(|_| arrived.len() < 2) else { break };
                assert!(message.frames.len() <= MESSAGE_BYTES_MAX);
                messages += 1;
                let (_, mut frames) = Frames::open(message, Kind::Answer).unwrap();
                while let Some(payload) = frames.next(&mut assembly).unwrap() {
                    arrived.push(payload);
                }
            }
            assert_eq!(arrived[..2], [(1, large), (2, Bytes::from_static(b"after"))]);
            assert!(messages >= length.div_ceil(PACK_BYTES));
        }
    }

    #[test]
    fn parts_that_do_not_belong_together_are_an_error() {
        let large = Bytes::from(vec![7; PACK_BYTES + 10]);
        let messages = |id| {
            let mut packer = Packer::new(Kind::Request);
            packer.push(id, large.clone().into());
            [packer.take(|| 0).unwrap(), packer.take(|| 0).unwrap()]
        };
        let read = |messages: &[Message], bytes_max| {
            let mut assembly = Assembly::new(bytes_max);
            messages.iter().try_for_each(|message| {
                let (_, mut frames) = Frames::open(message.clone(), Kind::Request)?;
                while frames.next(&mut assembly)?.is_some() {}
                Ok::<_, Malformed>(())
            })
        };
        let ([first, further], [_, of_another], small) = (messages(1), messages(2), pack(Kind::Request, &[b"x"]));
        assert!(read(&[first.clone(), further.clone()], large.len()).is_ok());
        assert!(read(&[first.clone(), further.clone()], large.len() - 1).is_err());
        assert!(read(&[first.clone(), of_another], large.len()).is_err());
        assert!(read(&[first.clone(), small], large.len()).is_err());
        assert!(read(&[first.clone(), first.clone()], large.len()).is_err());
        assert!(read(&[first, further.clone(), further.clone()], large.len()).is_err());
        assert!(read(&[further], large.len()).is_err());
    }

    /// Cut anywhere, or with any one byte changed, a message is refused or read in full; it never panics.
    #[test]
    fn damage_is_an_error() {
        let whole = pack(Kind::Request, &[b"abc", b"de"]).frames;
        for cut in 0..whole.len() {
            let message = Message { frames: whole.slice(..cut) };
            let read = Frames::open(message, Kind::Request).and_then(|(_, mut frames)| {
                while frames.next(&mut assembly())?.is_some() {}
                Ok(())
            });
            let at_a_frame_end = cut == MESSAGE_HEAD_BYTES || cut == MESSAGE_HEAD_BYTES + FRAME_HEAD_BYTES + 3;
            assert_eq!(read.is_ok(), at_a_frame_end, "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.to_vec();
            bytes[at] ^= 0xff;
            if let Ok((_, mut frames)) = Frames::open(Message { frames: bytes.into() }, Kind::Request) {
                while let Ok(Some(_)) = frames.next(&mut assembly()) {}
            }
        }
        assert!(Frames::open(pack(Kind::Answer, &[b"x"]), Kind::Request).unwrap().1.next(&mut assembly()).is_err());
    }
}

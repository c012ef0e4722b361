//! A fingerprint of the state, to compare replicas.
//!
//! Each key gives a SipHash of everything that a snapshot keeps of it; the fingerprint is their sum, so the order in which
//! keys are visited does not matter, and the fingerprint of a slot is a part of the whole.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// The fingerprint of one key, or of bytes, while it is computed.
pub struct Digest(SipHasher13);

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl Digest {
    /// The fingerprint of nothing.
    pub fn new() -> Self {
        Self(SipHasher13::new_with_keys(0, 0))
    }

    /// Feeds a part of a stream: how a stream is cut does not matter.
    pub fn stream(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// Feeds bytes, with their length, so that two neighbours cannot trade bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.write(bytes);
    }

    /// Feeds a number.
    pub fn number(&mut self, number: u64) {
        self.0.write(&number.to_le_bytes());
    }

    /// The fingerprint of what was fed.
    pub fn finish(&self) -> u64 {
        self.0.finish()
    }
}

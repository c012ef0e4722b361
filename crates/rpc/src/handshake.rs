//! Who may speak HTTP/2 here: both ends prove that they know the shared secret and compare their terms.
//!
//! ```text
//! frame     length 2 (at most 1024) | body                          (numbers big-endian)
//! dialer    "cairnpeer" | version 1 | dialer's nonce 32
//! listener  1 | version 1 | listener's nonce 32                     or a refusal
//! dialer    terms | proof 32
//! listener  1 | terms | proof 32                                    or a refusal
//! terms     node 20 | feature level 4 | election timeout, ms: shortest 8, longest 8 | wall clock, ms 8
//! refusal   0 | reason, UTF-8, at most 512
//! proof     HMAC-SHA256(secret, role | dialer's nonce | listener's nonce | dialer's terms | listener's terms)
//! ```
//! Each proof names its role, so neither can be sent back to its maker; it covers both nonces, so none can be
//! used twice; the dialer proves first, so that the port gives nothing to guess the secret with. The dialer's
//! proof leaves out the listener's terms, which it has not seen. A listener holds one frame of at most 1 KiB at a
//! time. Clusters are not compared: a node that is to be met is of another one, and who is meant is in every message of a group (group
//! and replica, drawn at random) and in every request between nodes. Nothing here encrypts or protects what follows: that is TLS's, and until then the network's.

use std::net::IpAddr;
use std::{fmt, io};

use hmac::{Hmac, Mac};
use raft::NodeId;
use rand::TryRng;
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::config::RpcConfig;
use crate::frame::VERSION;

/// The largest body of a handshake frame.
pub(crate) const FRAME_BYTES_MAX: usize = 1024;
const REASON_BYTES_MAX: usize = 512;
const MAGIC: &[u8; 9] = b"cairnpeer";
const NONCE_BYTES: usize = 32;
const PROOF_BYTES: usize = 32;
const TERMS_BYTES: usize = 48;
const DIALER: &[u8] = b"cairn peer handshake 1: dialer";
const LISTENER: &[u8] = b"cairn peer handshake 1: listener";

type Nonce = [u8; NONCE_BYTES];

/// Why there is no link. The caller closes the connection, and logs the text once per change.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// The connection failed or ended.
    Broken(io::Error),
    /// This side refuses the other; the text was sent to it where it was waiting for an answer.
    Refused(String),
    /// The other side, which need not have proved anything, refuses this one and says why.
    RefusedByPeer(String),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => write!(f, "connection broke in the handshake: {error}"),
            Self::Refused(why) => f.write_str(why),
            Self::RefusedByPeer(why) => write!(f, "refused by the peer: {why}"),
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// What the handshake proved of the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proved {
    /// The node, as it says; it knows the secret.
    pub(crate) node: NodeId,
    /// Its wall clock when it sent its terms, ms.
    pub(crate) wall_ms: u64,
}

/// What each end says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Terms {
    node: NodeId,
    feature_level: u32,
    election_timeout_ms: (u64, u64),
    wall_ms: u64,
}

/// Without a secret, only processes of the same machine are peers.
pub(crate) fn admits(secret: &str, address: IpAddr) -> Result<(), String> {
    if !secret.is_empty() || address.to_canonical().is_loopback() {
        return Ok(());
    }
    Err("no masterauth is set, so only peers on loopback are accepted: set the same masterauth on every node"
        .to_owned())
}

/// The dialer's half. The caller sets the deadline.
pub(crate) async fn dial<S>(stream: &mut S, config: &RpcConfig) -> Result<Proved, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let own_nonce = nonce()?;
    let mut hello = [0; MAGIC.len() + 1 + NONCE_BYTES];
    hello[..MAGIC.len()].copy_from_slice(MAGIC);
    hello[MAGIC.len()] = VERSION;
    hello[MAGIC.len() + 1..].copy_from_slice(&own_nonce);
    write_frame(stream, &[&hello]).await?;

    let mut buffer = [0; FRAME_BYTES_MAX];
    let [version, peer_nonce @ ..] = granted::<{ 1 + NONCE_BYTES }>(read_frame(stream, &mut buffer).await?)?;
    check_version(version).map_err(HandshakeError::Refused)?;

    let own_terms = Terms::of(config).encode();
    let proof = mac(config, DIALER, &[&own_nonce, &peer_nonce, &own_terms]).finalize().into_bytes();
    write_frame(stream, &[&own_terms, &proof]).await?;

    let answer = granted::<{ TERMS_BYTES + PROOF_BYTES }>(read_frame(stream, &mut buffer).await?)?;
    let (peer_terms, peer_proof) = split_terms(&answer);
    let expected = mac(config, LISTENER, &[&own_nonce, &peer_nonce, &own_terms, peer_terms]);
    expected.verify_slice(peer_proof).map_err(|_| HandshakeError::Refused(WRONG_SECRET.to_owned()))?;
    let peer = Terms::decode(peer_terms);
    peer.check(config).map_err(HandshakeError::Refused)?;
    Ok(Proved { node: peer.node, wall_ms: peer.wall_ms })
}

/// The listener's half. The caller sets the deadline.
pub(crate) async fn accept<S>(stream: &mut S, from: IpAddr, config: &RpcConfig) -> Result<Proved, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match judge(stream, from, config).await {
        Err(HandshakeError::Refused(why)) => {
            // Best effort: the reason matters to a peer set up wrongly, not to a stranger.
            let _ = write_frame(stream, &[&[0], why.as_bytes()]).await;
            Err(HandshakeError::Refused(why))
        }
        judged => judged,
    }
}

async fn judge<S>(stream: &mut S, from: IpAddr, config: &RpcConfig) -> Result<Proved, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = [0; FRAME_BYTES_MAX];
    let hello = read_frame(stream, &mut buffer).await?;
    let Some((version, peer_nonce)) = parse_hello(hello) else {
        return Err(HandshakeError::Refused("this is the peer port of a Cairn node, not for clients".to_owned()));
    };
    admits(&config.secret, from).and_then(|()| check_version(version)).map_err(HandshakeError::Refused)?;
    let own_nonce = nonce()?;
    write_frame(stream, &[&[1, VERSION], &own_nonce]).await?;

    let claim = read_frame(stream, &mut buffer).await?;
    let Ok(claim) = <&[u8; TERMS_BYTES + PROOF_BYTES]>::try_from(claim) else {
        return Err(HandshakeError::Refused("malformed handshake".to_owned()));
    };
    let (peer_terms, peer_proof) = split_terms(claim);
    let expected = mac(config, DIALER, &[&peer_nonce, &own_nonce, peer_terms]);
    expected.verify_slice(peer_proof).map_err(|_| HandshakeError::Refused(WRONG_SECRET.to_owned()))?;
    let peer = Terms::decode(peer_terms);
    peer.check(config).map_err(HandshakeError::Refused)?;

    let own_terms = Terms::of(config).encode();
    let proof = mac(config, LISTENER, &[&peer_nonce, &own_nonce, peer_terms, &own_terms]).finalize().into_bytes();
    write_frame(stream, &[&[1], &own_terms, &proof]).await?;
    Ok(Proved { node: peer.node, wall_ms: peer.wall_ms })
}

const WRONG_SECRET: &str = "masterauth differs between the two nodes";

fn check_version(version: u8) -> Result<(), String> {
    if version == VERSION {
        return Ok(());
    }
    Err(format!("peer protocol {version} there, {VERSION} here: the two programs do not understand each other"))
}

impl Terms {
    fn of(config: &RpcConfig) -> Self {
        Self {
            node: config.node(),
            feature_level: config.feature_level,
            election_timeout_ms: config.election_timeout_ms,
            wall_ms: (config.wall_ms)(),
        }
    }

    /// Compares what has to be equal. The text speaks from this side: "there" is the peer.
    fn check(&self, config: &RpcConfig) -> Result<(), String> {
        if self.feature_level != config.feature_level {
            let (there, here) = (self.feature_level, config.feature_level);
            return Err(format!("feature level {there} there, {here} here"));
        }
        let ((min, max), (own_min, own_max)) = (self.election_timeout_ms, config.election_timeout_ms);
        if (min, max) != (own_min, own_max) {
            return Err(format!(
                "election-timeout-ms {min} {max} there, {own_min} {own_max} here: it must be the same on all nodes"
            ));
        }
        Ok(())
    }

    fn encode(&self) -> [u8; TERMS_BYTES] {
        let mut bytes = [0; TERMS_BYTES];
        bytes[..20].copy_from_slice(&self.node.0);
        bytes[20..24].copy_from_slice(&self.feature_level.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.election_timeout_ms.0.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.election_timeout_ms.1.to_be_bytes());
        bytes[40..].copy_from_slice(&self.wall_ms.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8; TERMS_BYTES]) -> Self {
        let (node, rest) = bytes.split_first_chunk::<20>().expect("terms hold a node id");
        let (level, rest) = rest.split_first_chunk::<4>().expect("terms hold a feature level");
        let number = |at: usize| {
            let bytes = rest[at..].first_chunk::<8>().expect("terms hold three numbers at the end");
            u64::from_be_bytes(*bytes)
        };
        Self {
            node: NodeId(*node),
            feature_level: u32::from_be_bytes(*level),
            election_timeout_ms: (number(0), number(8)),
            wall_ms: number(16),
        }
    }
}

fn split_terms(bytes: &[u8; TERMS_BYTES + PROOF_BYTES]) -> (&[u8; TERMS_BYTES], &[u8]) {
    bytes.split_first_chunk().expect("the array is longer than terms")
}

fn parse_hello(body: &[u8]) -> Option<(u8, Nonce)> {
    let (&version, nonce) = body.strip_prefix(MAGIC)?.split_first()?;
    // Of another version only the head can be understood, and it is refused by its number.
    let nonce = if version == VERSION { nonce.try_into().ok()? } else { [0; NONCE_BYTES] };
    Some((version, nonce))
}

/// The rest of a frame that says yes; a refusal's reason as an error.
fn granted<const N: usize>(body: &[u8]) -> Result<[u8; N], HandshakeError> {
    match body.split_first() {
        Some((1, rest)) => rest.try_into().map_err(|_| HandshakeError::Refused("malformed handshake".to_owned())),
        Some((0, reason)) => {
            let reason = String::from_utf8_lossy(&reason[..reason.len().min(REASON_BYTES_MAX)]);
            // It ends in the log, and whoever sent it has proved nothing.
            Err(HandshakeError::RefusedByPeer(reason.replace(|c: char| c.is_control(), " ")))
        }
        _ => Err(HandshakeError::Refused("this is not the peer port of a Cairn node".to_owned())),
    }
}

fn nonce() -> Result<Nonce, HandshakeError> {
    let mut nonce = [0; NONCE_BYTES];
    rand::rngs::SysRng.try_fill_bytes(&mut nonce).map_err(|error| HandshakeError::Broken(io::Error::other(error)))?;
    Ok(nonce)
}

fn mac(config: &RpcConfig, role: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(config.secret.as_bytes()).expect("an HMAC takes keys of any length");
    mac.update(role);
    for part in parts {
        mac.update(part); // all of fixed length: no two lists of parts give the same bytes
    }
    mac
}

async fn read_frame<'a, S>(stream: &mut S, buffer: &'a mut [u8; FRAME_BYTES_MAX]) -> Result<&'a [u8], HandshakeError>
where
    S: AsyncRead + Unpin,
{
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let length = usize::from(u16::from_be_bytes(length));
    if length > FRAME_BYTES_MAX {
        return Err(HandshakeError::Refused("not a handshake: a frame of more than 1 KiB".to_owned()));
    }
    stream.read_exact(&mut buffer[..length]).await?;
    Ok(&buffer[..length])
}

async fn write_frame<S: AsyncWrite + Unpin>(stream: &mut S, parts: &[&[u8]]) -> io::Result<()> {
    let mut frame = Vec::with_capacity(2 + TERMS_BYTES + PROOF_BYTES + 1);
    let length: usize = parts.iter().map(|part| part.len()).sum();
    debug_assert!(length <= FRAME_BYTES_MAX, "handshake frames are small: {length}");
    frame.extend_from_slice(&u16::try_from(length).expect("handshake frames are small").to_be_bytes());
    parts.iter().for_each(|part| frame.extend_from_slice(part));
    stream.write_all(&frame).await
}

#[cfg(test)]
mod tests;

//! The file `node`: who this directory is, in text that a person can read.
//!
//! ```text
//! cairn-node 1                      the version of the whole directory's format
//! node 40 hex digits                drawn once; another one only when the node begins anew as somebody else
//! record hex digits, or nothing     what `node` keeps about its replicas, opaque here
//! crc 8 hex digits                  CRC32 of all bytes above this line
//! ```

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use raft::NodeId;

use crate::{Error, files};

/// The version of the directory's format that this binary writes, and the newest that it reads.
pub(crate) const FORMAT: u32 = 1;

/// The most that [`Identity::set`] takes.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// Who this directory is, and which replicas it holds.
#[derive(Debug)]
pub struct Identity {
    path: PathBuf,
    held: Mutex<(NodeId, Vec<u8>)>,
}

impl Identity {
    /// Reads `dir/node`; `None` if the directory has no node yet.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, Error> {
        let path = dir.join("node");
        let Some(bytes) = files::read_if_present(&path)? else { return Ok(None) };
        let (node, record) = parse(&bytes).map_err(|problem| match problem {
            Problem::Newer(found) => Error::Newer { path: path.clone(), found, known: FORMAT },
            Problem::Damaged(why) => Error::damaged(&path, why),
        })?;
        Ok(Some(Self { path, held: Mutex::new((node, record)) }))
    }

    /// Draws a node id. Nothing is written before [`Identity::set`].
    pub(crate) fn draw(dir: &Path) -> Result<Self, Error> {
        let mut id = [0; 20];
        files::random(&mut id)?;
        Ok(Self { path: dir.join("node"), held: Mutex::new((NodeId(id), Vec::new())) })
    }

    /// The node's id.
    pub fn node(&self) -> NodeId {
        self.held.lock().0
    }

    /// The bytes of the last [`Identity::set`]; empty at first.
    pub fn record(&self) -> Vec<u8> {
        self.held.lock().1.clone()
    }

    /// Replaces id and record together, durable on return. Blocks for some syncs of the disk: for changes of replicas, not for
    /// the path of a command.
    ///
    /// # Errors
    /// When the file cannot be written (the old one stays), or for more than [`RECORD_BYTES_MAX`].
    pub fn set(&self, node: NodeId, record: &[u8]) -> Result<(), Error> {
        if record.len() > RECORD_BYTES_MAX {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "the record is longer than 1 MiB");
            return Err(Error::Io { path: self.path.clone(), source });
        }
        let mut held = self.held.lock();
        files::replace(&self.path, render(node, record).as_bytes())?;
        *held = (node, record.to_vec());
        Ok(())
    }
}

/// What is wrong with the text.
enum Problem {
    Newer(u32),
    Damaged(&'static str),
}

fn render(node: NodeId, record: &[u8]) -> String {
    let record: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!("cairn-node {FORMAT}\nnode {node}\nrecord {record}\n");
    let crc = crc32fast::hash(text.as_bytes());
    format!("{text}crc {crc:08x}\n")
}

fn parse(bytes: &[u8]) -> Result<(NodeId, Vec<u8>), Problem> {
    let text = str::from_utf8(bytes).map_err(|_| Problem::Damaged("it is not text"))?;
    let version = text.lines().next().and_then(|line| line.strip_prefix("cairn-node "));
    let version = version.and_then(|version| version.parse::<u32>().ok());
    // BEFORE the checksum: a newer format may keep it elsewhere.
    match version {
        Some(found) if found > FORMAT => return Err(Problem::Newer(found)),
        Some(FORMAT) => {}
        _ => return Err(Problem::Damaged("its first line does not name a format")),
    }
    let crc_at = text.rfind("crc ").ok_or(Problem::Damaged("it was cut off"))?;
    let (body, crc) = text.split_at(crc_at);
    if crc != format!("crc {:08x}\n", crc32fast::hash(body.as_bytes())) {
        return Err(Problem::Damaged("its checksum does not match"));
    }
    let mut lines = body.lines().skip(1);
    let node = lines.next().and_then(|line| line.strip_prefix("node ")).and_then(NodeId::parse);
    let record = lines.next().and_then(|line| line.strip_prefix("record ")).and_then(from_hex);
    match (node, record) {
        (Some(node), Some(record)) => Ok((node, record)),
        _ => Err(Problem::Damaged("a line of it cannot be read")),
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || text.len() % 2 == 1 {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

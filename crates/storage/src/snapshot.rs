//! Snapshot files: `snap/<group>/<index>-<term>.snap`, written aside, synced, renamed.
//!
//! ```text
//! head:    "CAIRNSNP"  version u32  group u128  crc u32
//! chunk:   length u32 (1 ..= 1 MiB)  crc u32  bytes            any number of them
//! trailer: 0 u32  term u64  index u64  content length u64  membership length u32  membership  crc u32
//! end:     trailer length u32  "CAIRNEND"
//! ```
//! Numbers are little-endian. A chunk's checksum is of its place in the content (u64) and its bytes, so that chunks
//! cannot change places. The membership is known only when the content ends, so it stands at the end; the name of
//! the file has the place in the log for whoever lists the folder. A file without its end was never complete: it has
//! no name that counts, so under such a name it is damage.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut, Bytes};
use raft::{GroupId, LogId, SnapshotMeta};

use crate::files_thread::FilesThread;
use crate::{Error, files, removal};

const MAGIC: &[u8; 8] = b"CAIRNSNP";
const END: &[u8; 8] = b"CAIRNEND";
const FORMAT: u32 = 1;
const HEAD_BYTES: usize = 8 + 4 + 16 + 4;
const END_BYTES: usize = 4 + 8;
const TRAILER_BYTES_MIN: usize = 4 + 8 + 8 + 8 + 4 + 4;

/// The longest chunk of a file. Longer writes become several.
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// A snapshot is synced this often while it is written: what a disk has taken in, a sync of the log waits for. With 8 MiB those took 8 to 23 ms
/// beside it, with this 2 to 4.
const SYNC_EVERY_BYTES: u64 = 1 << 20;

/// How often in a row a snapshot may be replaced between being listed and being opened.
const REPLACED_MAX: usize = 16;

/// The folder of a group's snapshots.
pub(crate) fn folder(snapshots: &Path, group: GroupId) -> PathBuf {
    snapshots.join(group.to_string())
}

fn file_name(last: LogId) -> String {
    format!("{:020}-{}.snap", last.index, last.term)
}

fn parse_name(name: &str) -> Option<LogId> {
    let (index, term) = name.strip_suffix(".snap")?.split_once('-')?;
    Some(LogId { term: term.parse().ok()?, index: index.parse().ok()? })
}

/// The complete snapshots in a folder, newest first.
fn list(folder: &Path) -> io::Result<Vec<(LogId, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if let Some(last) = path.file_name().and_then(|name| name.to_str()).and_then(parse_name) {
            found.push((last, path));
        }
    }
    found.sort_by_key(|(last, _)| std::cmp::Reverse((last.index, last.term)));
    Ok(found)
}

/// Removes what unfinished writers of an earlier process left.
pub(crate) fn remove_unfinished(snapshots: &Path) -> io::Result<()> {
    for group in fs::read_dir(snapshots)? {
        let group = group?.path();
        if !group.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&group)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "tmp") {
                fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

/// Removes all snapshots of a group.
pub(crate) fn remove_all(snapshots: &Path, group: GroupId, thread: &FilesThread) -> io::Result<()> {
    let folder = folder(snapshots, group);
    for (_, path) in list(&folder)? {
        removal::remove(&path, thread)?;
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Opens the newest snapshot. `expected` is what the log knows: an older one, or none, is damage.
pub(crate) fn newest(
    snapshots: &Path,
    group: GroupId,
    expected: Option<LogId>,
    thread: FilesThread,
) -> Result<Option<(SnapshotMeta, Reader)>, Error> {
    let folder = folder(snapshots, group);
    for _ in 0..REPLACED_MAX {
        let found = list(&folder).map_err(|source| Error::from_io(&folder, source))?.into_iter().next();
        if let Some(expected) = expected
            && found.as_ref().is_none_or(|(last, _)| last.index < expected.index)
        {
            let why = format!("the snapshot {} was complete and is not there", file_name(expected));
            return Err(Error::damaged(&folder, why));
        }
        let Some((last, path)) = found else { return Ok(None) };
        let Some(file) = removal::open(&path).map_err(|source| Error::from_io(&path, source))? else { continue };
        let (meta, source) = Source::begin(path, file, group)?;
        if meta.last != last {
            return Err(Error::damaged(&source.path, format!("it holds the state at {}", meta.last)));
        }
        return Ok(Some((meta, Reader { thread, source: Some(source) })));
    }
    let why = "each snapshot that was listed had been replaced when it was opened";
    Err(Error::from_io(&folder, io::Error::new(io::ErrorKind::WouldBlock, why)))
}

/// A file that is being written; dropping it removes it.
struct Target {
    thread: FilesThread,
    file: File,
    path: PathBuf,
    folder: PathBuf,
    length: u64,
    unsynced: u64,
    finished: bool,
}

impl Target {
    fn create(snapshots: &Path, group: GroupId, thread: FilesThread) -> Result<Self, Error> {
        let folder = folder(snapshots, group);
        files::create_dir(&folder)?;
        let mut name = [0; 8];
        files::random(&mut name)?;
        let path = folder.join(format!("{:016x}.tmp", u64::from_le_bytes(name)));
        let file = File::create_new(&path).map_err(|source| Error::from_io(&path, source))?;
        let mut target = Self { thread, file, path, folder, length: 0, unsynced: 0, finished: false };
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.put_slice(MAGIC);
        head.put_u32_le(FORMAT);
        head.put_u128_le(group.0);
        head.put_u32_le(crc32fast::hash(&head));
        target.file.write_all(&head).map_err(|source| Error::from_io(&target.path, source))?;
        Ok(target)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for chunk in bytes.chunks(CHUNK_BYTES_MAX) {
            let mut head = Vec::with_capacity(8);
            head.put_u32_le(u32::try_from(chunk.len()).expect("a chunk has at most 1 MiB"));
            head.put_u32_le(chunk_checksum(self.length, chunk));
            self.file.write_all(&head)?;
            self.file.write_all(chunk)?;
            self.length += chunk.len() as u64;
            self.unsynced += chunk.len() as u64;
        }
        if self.unsynced >= SYNC_EVERY_BYTES {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn finish(mut self, meta: &SnapshotMeta) -> io::Result<()> {
        if meta.length_bytes != self.length {
            let why = format!("a snapshot of {} bytes was announced as {}", self.length, meta.length_bytes);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let mut trailer = Vec::new();
        trailer.put_u32_le(0);
        trailer.put_u64_le(meta.last.term);
        trailer.put_u64_le(meta.last.index);
        trailer.put_u64_le(meta.length_bytes);
        trailer.put_u32_le(u32::try_from(meta.membership.len()).map_err(io::Error::other)?);
        trailer.put_slice(&meta.membership);
        trailer.put_u32_le(crc32fast::hash(&trailer));
        let length = u32::try_from(trailer.len()).map_err(io::Error::other)?;
        trailer.put_u32_le(length);
        trailer.put_slice(END);
        self.file.write_all(&trailer)?;
        self.file.sync_all()?;
        let path = self.folder.join(file_name(meta.last));
        fs::rename(&self.path, &path)?;
        self.finished = true;
        files::sync_dir(&self.folder)?;
        // Only now: until the new name is durable the older one is the group's snapshot. The newest may be another
        // one, that was received while this one was built.
        list(&self.folder)?.into_iter().skip(1).try_for_each(|(_, older)| removal::remove(&older, &self.thread))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.finished {
            // What is left after all is removed at the next start.
            let _left = removal::remove(&self.path, &self.thread);
        }
    }
}

fn chunk_checksum(at: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&at.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// Writes one snapshot, on the files thread.
pub struct Writer {
    thread: FilesThread,
    /// `None` while a write is under way, and for good after one failed or was given up.
    target: Option<Target>,
    /// Told the log once the snapshot has its name.
    finished: Box<dyn FnOnce(LogId) + Send>,
}

impl Writer {
    pub(crate) async fn create(
        thread: FilesThread,
        snapshots: PathBuf,
        group: GroupId,
        finished: Box<dyn FnOnce(LogId) + Send>,
    ) -> io::Result<Self> {
        let own = thread.clone();
        let target = thread.run(move || Ok(Target::create(&snapshots, group, own)?)).await?;
        Ok(Self { thread, target: Some(target), finished })
    }
}

fn gave_up() -> io::Error {
    io::Error::other("an earlier write of this snapshot failed")
}

impl raft::SnapshotWriter for Writer {
    async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        let mut target = self.target.take().ok_or_else(gave_up)?;
        let target = self.thread.run(move || target.write(&chunk).map(|()| target)).await?;
        self.target = Some(target);
        Ok(())
    }

    async fn finish(mut self, meta: SnapshotMeta) -> io::Result<()> {
        let target = self.target.take().ok_or_else(gave_up)?;
        let last = meta.last;
        self.thread.run(move || target.finish(&meta)).await?;
        (self.finished)(last);
        Ok(())
    }
}

/// A file that is being read.
struct Source {
    file: File,
    path: PathBuf,
    /// How much of the content was read.
    at: u64,
    length: u64,
    ended: bool,
}

impl Source {
    /// Verifies head and trailer.
    fn begin(path: PathBuf, mut file: File, group: GroupId) -> Result<(SnapshotMeta, Self), Error> {
        check_head(&path, &mut file, group)?;
        let meta = read_trailer(&path, &mut file)?;
        let seek = file.seek(SeekFrom::Start(HEAD_BYTES as u64));
        seek.map_err(|source| Error::from_io(&path, source))?;
        let length = meta.length_bytes;
        Ok((meta, Self { file, path, at: 0, length, ended: false }))
    }

    /// The next chunk; `None` at the end.
    fn read(&mut self) -> Result<Option<Bytes>, Error> {
        if self.ended {
            return Ok(None);
        }
        let mut head = [0; 4];
        read_exactly(&self.path, &mut self.file, &mut head)?;
        let length = u32::from_le_bytes(head) as usize;
        if length == 0 {
            self.ended = true;
            if self.at != self.length {
                let why = format!("it ends after {} of {} bytes", self.at, self.length);
                return Err(Error::damaged(&self.path, why));
            }
            return Ok(None);
        }
        if length > CHUNK_BYTES_MAX {
            return Err(Error::damaged(&self.path, format!("a chunk of {length} bytes behind byte {}", self.at)));
        }
        read_exactly(&self.path, &mut self.file, &mut head)?;
        let mut bytes = vec![0; length];
        read_exactly(&self.path, &mut self.file, &mut bytes)?;
        if u32::from_le_bytes(head) != chunk_checksum(self.at, &bytes) {
            let why = format!("the checksum of the chunk at byte {} of its content does not match", self.at);
            return Err(Error::damaged(&self.path, why));
        }
        self.at += length as u64;
        Ok(Some(bytes.into()))
    }
}

fn read_exactly(path: &Path, file: &mut File, bytes: &mut [u8]) -> Result<(), Error> {
    file.read_exact(bytes).map_err(|source| match source.kind() {
        io::ErrorKind::UnexpectedEof => Error::damaged(path, "it was cut off"),
        _ => Error::from_io(path, source),
    })
}

fn check_head(path: &Path, file: &mut File, group: GroupId) -> Result<(), Error> {
    let mut head = [0; HEAD_BYTES];
    read_exactly(path, file, &mut head)?;
    let mut fields = &head[..];
    if !fields.starts_with(MAGIC) {
        return Err(Error::damaged(path, "it is not a snapshot"));
    }
    fields.advance(MAGIC.len());
    let version = fields.get_u32_le();
    if version > FORMAT {
        return Err(Error::Newer { path: path.to_path_buf(), found: version, known: FORMAT });
    }
    let found = GroupId(fields.get_u128_le());
    if fields.get_u32_le() != crc32fast::hash(&head[..HEAD_BYTES - 4]) {
        return Err(Error::damaged(path, "the checksum of its head does not match"));
    }
    if found != group {
        return Err(Error::damaged(path, format!("it belongs to group {found}")));
    }
    Ok(())
}

fn read_trailer(path: &Path, file: &mut File) -> Result<SnapshotMeta, Error> {
    let length = file.seek(SeekFrom::End(0)).map_err(|source| Error::from_io(path, source))?;
    let mut end = [0; END_BYTES];
    let end_at = length.checked_sub(END_BYTES as u64).filter(|at| *at >= HEAD_BYTES as u64);
    let end_at = end_at.ok_or_else(|| Error::damaged(path, "it was cut off"))?;
    file.seek(SeekFrom::Start(end_at)).map_err(|source| Error::from_io(path, source))?;
    read_exactly(path, file, &mut end)?;
    let (trailer_length, magic) = end.split_at(4);
    if magic != END {
        return Err(Error::damaged(path, "it was cut off"));
    }
    let trailer_length = u32::from_le_bytes(trailer_length.try_into().expect("split at 4"));
    let at = end_at.checked_sub(trailer_length.into()).filter(|at| *at >= HEAD_BYTES as u64);
    let (Some(at), true) = (at, trailer_length as usize >= TRAILER_BYTES_MIN) else {
        return Err(Error::damaged(path, "its end does not say where its trailer begins"));
    };
    file.seek(SeekFrom::Start(at)).map_err(|source| Error::from_io(path, source))?;
    let mut trailer = vec![0; trailer_length as usize];
    read_exactly(path, file, &mut trailer)?;
    decode_trailer(&trailer).ok_or_else(|| Error::damaged(path, "the checksum of its trailer does not match"))
}

fn decode_trailer(trailer: &[u8]) -> Option<SnapshotMeta> {
    let (mut body, crc) = trailer.split_last_chunk::<4>()?;
    if u32::from_le_bytes(*crc) != crc32fast::hash(body) {
        return None;
    }
    body.advance(4);
    let last = LogId { term: body.try_get_u64_le().ok()?, index: body.try_get_u64_le().ok()? };
    let length_bytes = body.try_get_u64_le().ok()?;
    let membership_length = body.try_get_u32_le().ok()? as usize;
    let membership = (body.len() == membership_length).then(|| Bytes::copy_from_slice(body))?;
    Some(SnapshotMeta { last, membership, length_bytes })
}

/// Reads one snapshot, on the files thread.
pub struct Reader {
    thread: FilesThread,
    /// `None` while a read is under way, and for good after one failed or was given up.
    source: Option<Source>,
}

impl raft::SnapshotReader for Reader {
    async fn read(&mut self) -> io::Result<Option<Bytes>> {
        let gave_up = || io::Error::other("an earlier read of this snapshot failed");
        let mut source = self.source.take().ok_or_else(gave_up)?;
        let (chunk, source) = self.thread.run(move || Ok((source.read()?, source))).await?;
        self.source = Some(source);
        Ok(chunk)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(source) = self.source.take() {
            removal::close(source.file, &self.thread);
        }
    }
}

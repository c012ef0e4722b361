//! A file that is written in whole blocks, past the page cache.
//!
//! ```text
//! file    |  block  |  block  |  block  |
//!         |......................|            written: `at` bytes
//!                   |.....head...| record |0| the next write: the block that was begun, again, and what follows
//! ```
//! A sync of written pages costs the kernel three times the work of a direct write and a flush of the drive. What is begun
//! in a block is written again with the next record, the same bytes as before: as the page cache does it, too.
//!
//! Where the file system takes no direct writes the same blocks go through the page cache.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// What a direct write begins and ends at a multiple of, in the file and in memory: no drive has longer sectors.
const BLOCK_BYTES: usize = 4096;

/// What is kept of the buffer between turns.
const BUFFER_BYTES_KEPT: usize = 128 << 10;

/// Opens a file for direct writes if it takes them. What is in its first block is lost.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::DIRECT.bits()).expect("flags of open are few bits");
    let direct = OpenOptions::new().write(true).custom_flags(flags).open(path).and_then(|file| {
        file.write_all_at(Buffer::new(BLOCK_BYTES).blocks(BLOCK_BYTES), 0)?;
        Ok(file)
    });
    match direct {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => OpenOptions::new().write(true).open(path),
        opened => opened,
    }
}

/// The block that was begun, and room for what follows it.
pub(super) struct Writer {
    buffer: Buffer,
    /// Where the next bytes go, in bytes from the begin of the file.
    at: u64,
}

impl Writer {
    /// At the begin of a file.
    pub(super) fn new() -> Self {
        Self { buffer: Buffer::new(BUFFER_BYTES_KEPT), at: 0 }
    }

    /// Where the next bytes go.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Begins another file.
    pub(super) fn rewind(&mut self) {
        self.at = 0;
        if self.buffer.len() > BUFFER_BYTES_KEPT {
            self.buffer = Buffer::new(BUFFER_BYTES_KEPT);
        }
    }

    /// Writes bytes behind the last ones, and zeros up to the end of their last block.
    pub(super) fn append(&mut self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let head = self.begun();
        let end = head + bytes.len();
        let written = end.next_multiple_of(BLOCK_BYTES);
        if self.buffer.len() < written {
            let mut longer = Buffer::new(written);
            longer.blocks(head).copy_from_slice(self.buffer.blocks(head));
            self.buffer = longer;
        }
        let blocks = self.buffer.blocks(written);
        blocks[head..end].copy_from_slice(bytes);
        blocks[end..].fill(0);
        file.write_all_at(blocks, self.at - head as u64)?;
        self.at += bytes.len() as u64;
        let begun = self.begun();
        self.buffer.blocks(written).copy_within(end - begun..end, 0);
        Ok(())
    }

    /// How much of a block is written.
    fn begun(&self) -> usize {
        usize::try_from(self.at % BLOCK_BYTES as u64).expect("it is less than a block")
    }
}

/// Memory that begins at a multiple of the block's size.
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    fn new(length: usize) -> Self {
        let bytes = vec![0; length + BLOCK_BYTES];
        let address = bytes.as_ptr().addr();
        Self { start: address.next_multiple_of(BLOCK_BYTES) - address, bytes }
    }

    fn len(&self) -> usize {
        self.bytes.len() - BLOCK_BYTES
    }

    fn blocks(&mut self, length: usize) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + length]
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tests::TestDir;

    #[test]
    fn what_is_appended_is_there_and_zeros_follow() {
        let dir = TestDir::new();
        fs::create_dir_all(dir.data()).unwrap();
        let path = dir.data().join("file");
        fs::write(&path, vec![0xFF; 64 * BLOCK_BYTES]).unwrap();
        let file = open(&path).unwrap();
        let (mut writer, mut expected) = (Writer::new(), Vec::new());
        for (number, length) in [1, 4095, 4096, 100, 4000, 300_000, 3, 8192, 1].into_iter().enumerate() {
            let bytes = vec![u8::try_from(number).unwrap() + 1; length];
            writer.append(&file, &bytes).unwrap();
            expected.extend(bytes);
            assert_eq!(writer.at(), expected.len() as u64);
            let found = fs::read(&path).unwrap();
            let end = expected.len().next_multiple_of(BLOCK_BYTES);
            assert!(found.starts_with(&expected) && found[expected.len()..end].iter().all(|byte| *byte == 0));
            assert!(found.get(end).is_none_or(|byte| *byte == 0xFF), "nothing is written behind the block");
        }
        writer.rewind();
        assert!(writer.buffer.len() <= BUFFER_BYTES_KEPT);
        writer.append(&file, b"again").unwrap();
        assert!(fs::read(&path).unwrap().starts_with(b"again\0"));
    }
}

//! How many nodes Redis's radix tree would have over the chunks of a stream, which XINFO STREAM shows.
//!
//! The tree has a node for every end of a key, one for every branch, and one for every run of bytes without a branch between those. The keys
//! are the 16 bytes of ids.

use super::StreamValue;

/// The bytes of a key.
const KEY_BYTES: usize = 16;

impl StreamValue {
    /// How many chunks there are. Redis calls them the keys of its radix tree.
    pub fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    /// How many nodes Redis's radix tree would have. Touches every chunk's id.
    pub fn tree_node_count(&self) -> usize {
        let mut keys = self.chunks.iter().map(|(first, _)| first.to_number());
        let Some(mut before) = keys.next() else { return 1 };
        // The depths of the branches on the way to the last key, and how many nodes are behind them.
        let (mut branches, mut nodes) = (Vec::with_capacity(KEY_BYTES), 1);
        let run = |from: usize, to: usize| usize::from(from < to);
        for key in keys {
            let common = ((key ^ before).leading_zeros() / u8::BITS) as usize;
            let mut depth = KEY_BYTES;
            while let Some(branch) = branches.pop_if(|branch| *branch > common) {
                nodes += run(branch + 1, depth);
                depth = branch;
            }
            if branches.last() != Some(&common) {
                branches.push(common);
                nodes += 1;
            }
            // The end of the key, and the run from its branch to what was before.
            nodes += 1 + run(common + 1, depth);
            before = key;
        }
        let mut depth = KEY_BYTES;
        while let Some(branch) = branches.pop() {
            nodes += run(branch + 1, depth);
            depth = branch;
        }
        nodes + run(0, depth)
    }
}

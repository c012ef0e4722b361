//! `cairn-server`: wiring only, of a node to its configuration, its platform and its sockets.

fn main() {}

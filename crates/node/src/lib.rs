//! One running node.

pub mod config;

//! Whole groups in one process: paused clock, one thread, stores and network in memory.

mod store;

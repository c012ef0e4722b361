//! The commands: one row and one function each, by family.
//!
//! A row ([`Spec`]) says everything about a command that is not its code: name, arity, where its keys stand, flags, and who runs it. The kind
//! of its handler is the proof of what it may touch: a [`ReadFn`] sees `&Keyspace`, a [`WriteFn`] changes it at apply, and what is
//! no business of the data ([`SessionCommand`], [`NodeCommand`], [`ClusterCommand`]) is a closed enum that the upper crate matches
//! exhaustively. There is no row for what does not work.
//!
//! It is pure: a command is a function of the keyspace, its arguments and its [`Context`]. Replies are written into an encoder, which is
//! rolled back when a command fails; [`CommandError`] is the one place with the texts of errors.
//!
//! ```text
//! resolve(arguments) -> &Spec | CommandError          unknown command, unknown subcommand, arity
//! spec.keys(arguments) -> places of the keys          routing, ACL, COMMAND GETKEYS
//! run_read(spec, &keyspace, ...) | run_write(spec, &mut keyspace, ...)
//! ```
//!
//! # How to add a command
//!
//! 1. Write its golden script, `scripts/<family>/<command>`: what a client types and sees. Take the answers from the real thing.
//! 2. Add a row to `COMMANDS` of the family's file: `Spec::read` or `Spec::write`, then the modifiers for its flags.
//! 3. Write the function below. It has three parts, in this order: take every argument from `args` and end with `args.end()?`; call the
//!    keyspace; write the reply. What it does with data belongs into `keyspace`, on the type of value; a command with
//!    options parses them into a private struct. 5 to 25 lines.
//! 4. Run `cargo test -p commands`. Its `tests/valkey.rs` compares the row with what Valkey says about the command and names the flags, uses of
//!    keys and tips that are still missing; `spec/facts.rs` has its version and arguments already, unless the command is new to the world.
//!
//! ```text
//! Spec::write("HSETNX", Exactly(4), Keys::One(1), hsetnx, "Sets a field of a hash unless it is there.").fast().denyoom(),
//!
//! fn hsetnx(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
//!     let (key, field, value) = (args.bytes()?, args.bytes()?, args.bytes()?);
//!     args.end()?;
//!     let settings = *keyspace.settings();
//!     let mut hash = keyspace.edit_or_new::<HashValue>(context, key)?;
//!     let is_new = !hash.contains(field);
//!     if is_new {
//!         hash.insert(field, value, &settings);
//!     }
//!     reply.integer(i64::from(is_new));
//!     Ok(())
//! }
//! ```
//!
//! A new family is a file with a `COMMANDS` slice and one line in `table.rs`. `cargo test -p commands` checks every row: its name, its arity
//! against its keys, that it has a script, that COMMAND says of it what Valkey says, and that garbage leaves the keyspace as it was.

#![warn(clippy::cast_possible_truncation)]

mod args;
mod blocking;
mod describe;
mod error;
mod run;
mod scan;
mod spec;
mod table;

mod bitmaps;
mod cluster;
mod connection;
mod debug;
mod geo;
mod hashes;
mod hyperloglog;
mod keys;
mod lists;
mod lolwut;
mod memory;
mod pops;
mod server;
mod session;
mod sets;
mod sorted_sets;
mod streams;
mod strings;
mod transactions;

pub use args::Args;
pub use blocking::{
    HasAnswer, TimeoutPlace, Wait, Waits, block_ms, has_answer, is_null, read_or_wait, servable, wait_of,
};
pub use cluster::ClusterCommand;
pub use describe::describe;
pub use error::{
    BitmapError, CommandError, CommandResult, DebugError, GeoError, HashError, HyperLogLogError, KeyError, StreamError,
    StringError, TimeoutError,
};
pub use hashes::{FieldsetCommand, Fieldsets};
pub use keys::{Migration, swapped_databases, target_database};
pub use keyspace::Context;
pub use run::{run_read, run_write};
pub use server::NodeCommand;
pub use session::SessionCommand;
pub use spec::{Arity, Flags, Handler, KeyPlaces, KeyUse, Keys, KeywordKeys, ReadFn, Spec, WriteFn};
pub use table::{Family, Group, Place, families, group_of, lookup, place_of, resolve, rows, subcommands, write_help};

/// The version of Redis that is spoken: what clients choose their ways by (CLIENTS: from 8.4 on tools expect slot migration of another kind).
pub const REDIS_VERSION: &str = "7.2.4";

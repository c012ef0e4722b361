//! Cluster mode, under the stock tools and real clients: six nodes of one host (or three, or nine), made a cluster by
//! redis-cli.
//!
//! ```text
//! tools      redis-cli --cluster and its sub-commands are content
//! replies    what nodes answer, the same on all of them; redirections and refusals
//! clients    redis-cli -c, redis-py, redis-rs, redis-benchmark
//! failover   nodes that die, stop, or are asked to hand over, under load: nothing acknowledged is lost
//! cut_off    a master that its clients reach and its peers do not
//! fresh      nodes that leave, come anew, or meet in unusual ways
//! served     a node that leads two shards
//! stopped    masters that are asked to stop
//! moved      nodes that come back at another address, or with nothing
//! ```
//! Forming a cluster takes seconds, so each of these makes few, and looks at many things in one.

mod clients;
mod cut_off;
mod failover;
mod fresh;
mod moved;
mod replies;
mod served;
mod stopped;
mod tools;

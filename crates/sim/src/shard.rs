//! One shard: one voter or three, formed by `initial-members`, and clients that speak with any of them.

mod any_host;
mod lost_pop;
mod plan;
mod run;
mod storm;

pub(crate) use plan::Plan;
pub(crate) use run::Run;

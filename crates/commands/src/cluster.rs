//! The commands about the topology, which a face answers. Their rows come with their code.

use crate::spec::Spec;

/// A command that asks or changes the topology. Matched exhaustively by the faces; without variants until there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterCommand {}

pub(crate) const COMMANDS: &[Spec] = &[];

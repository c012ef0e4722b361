//! Transactions. `node` runs them: a transaction is one entry. Their rows stand here.

use crate::session::SessionCommand;
use crate::spec::{Arity::*, Flags, Keys, Spec};

const TRANSACTION: Flags = Flags::LOADING.with(Flags::STALE).with(Flags::NOSCRIPT);
const QUEUEING: Flags = QUICK.with(Flags::NO_MULTI);
const QUICK: Flags = TRANSACTION.with(Flags::FAST).with(Flags::ALLOW_BUSY);

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::session("MULTI", Exactly(1), SessionCommand::Multi, "Begins to queue commands.").flags(QUEUEING),
    Spec::session("EXEC", Exactly(1), SessionCommand::Exec, "Runs the queued commands as one.")
        .flags(TRANSACTION.with(Flags::SKIP_SLOWLOG)),
    Spec::session("DISCARD", Exactly(1), SessionCommand::Discard, "Forgets the queued commands.").flags(QUICK),
    Spec::session("WATCH", AtLeast(2), SessionCommand::Watch, "Makes EXEC depend on keys staying as they are.")
        .with_keys(Keys::Range { first: 1, last: -1, step: 1 })
        .flags(QUEUEING),
    Spec::session("UNWATCH", Exactly(1), SessionCommand::Unwatch, "Forgets the watched keys.").flags(QUICK),
];

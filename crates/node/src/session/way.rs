//! In a cluster: which replica a command is about, before it passes the other gates.

use std::sync::Arc;
use std::time::Duration;

use commands::{Handler, SessionCommand, Spec};
use faces::{CROSS_SLOT, DOWN};
use resp::Arguments;
use slot::Slot;

use super::served::{Asked, SPANS_SHARDS, spans_slots};
use super::{Exchange, Later, Session, Step, refusals};
use crate::cluster::Routes;
use crate::config::Settings;
use crate::platform::Platform;
use crate::replica::Replica;
use crate::router::{self, Way};
use crate::shard::{AWAIT_MAX_NS, HOLD_MAX_NS, READONLY, Standing};

/// How long a command waits for somebody to lead its shard. An election takes less.
const PATIENCE_NS: u64 = HOLD_MAX_NS;
/// As [`PATIENCE_NS`], while somebody leads that clients are not shown.
const HIDDEN_PATIENCE_NS: u64 = AWAIT_MAX_NS;

/// What a session knows of the cluster.
#[derive(Default)]
pub(super) struct Ways {
    routes: Arc<Routes>,
    version: u64,
    /// The directives, as of a version of theirs: they are looked at with every command.
    settings: Option<(u64, Arc<Settings>)>,
    /// READONLY was given: reads may be answered by a replica.
    pub(super) stale: bool,
    /// Since when the next command waits for a leader, by the monotonic clock.
    leaderless_since_ns: Option<u64>,
    /// How long it may.
    patience_ns: u64,
    /// It has waited long enough.
    given_up: bool,
}

impl<P: Platform> Session<P> {
    /// Takes up the newest routes. Called once per burst; it costs one atomic load when nothing is new.
    pub(crate) fn renew_routes(&mut self) {
        let Some(cluster) = &self.node.cluster else { return };
        let config_version = self.node.config.version();
        if self.way.settings.as_ref().is_none_or(|(known, _)| *known != config_version) {
            self.way.settings = Some((config_version, self.node.config.current()));
        }
        let version = cluster.version();
        if version == self.way.version {
            return;
        }
        self.way.routes = cluster.routes();
        self.way.version = version;
        let is_here = |replica: &Arc<Replica>| self.way.routes.holds(replica);
        if !is_here(&self.replica) {
            self.replica = self.node.home();
        }
    }

    /// What it knows of the cluster.
    pub(super) fn routes(&self) -> &Arc<Routes> {
        &self.way.routes
    }

    /// The version of the routes that it looked at last.
    pub(crate) fn routes_version(&self) -> u64 {
        self.way.version
    }

    /// Its next commands are about this replica.
    pub(crate) fn turn_to(&mut self, replica: Arc<Replica>) {
        self.replica = replica;
    }

    /// For how long the next command may still wait for a leader.
    pub(crate) fn leaderless_for(&mut self, now_ns: u64) -> Duration {
        let since_ns = *self.way.leaderless_since_ns.get_or_insert(now_ns);
        let patience_ns = self.way.patience_ns.max(PATIENCE_NS);
        Duration::from_nanos(patience_ns.saturating_sub(now_ns.saturating_sub(since_ns)))
    }

    /// The next command has waited long enough.
    pub(crate) fn give_leader_up(&mut self) {
        self.way.given_up = true;
    }

    /// What to do before a command can be looked at here; `None` if nothing.
    pub(super) fn find_way(
        &mut self,
        spec: &'static Spec,
        arguments: Arguments<'_>,
        exchange: &mut Exchange,
    ) -> Option<Step> {
        let is_exec = matches!(spec.handler, Handler::Session(SessionCommand::Exec));
        if let Some(why) = refusals::in_cluster(spec, arguments) {
            return Some(self.refuse(why.to_owned(), is_exec, exchange));
        }
        let slot = match (&self.transaction, is_exec) {
            (Some(transaction), true) if transaction.is_spoilt() => Ok(None),
            (Some(transaction), true) => transaction.slot().and_then(|slot| self.slot_with_watches(slot)),
            _ => router::slot_of(spec, arguments),
        };
        let way = match slot {
            Ok(Some(slot)) => self.way_to(slot, spec, is_exec),
            Ok(None) => self.way_home(spec, is_exec),
            Err(why) => Way::Refused(why.to_owned()),
        };
        let way = self.narrow(way, spec, is_exec);
        let step = match way {
            Way::Home if !is_about_data(spec) || self.transaction.is_some() => None,
            Way::Home => self.turn_to_served(spec, arguments, exchange),
            Way::Here(_) if self.transaction.is_some() && !is_exec => None,
            Way::Here(replica) => self.turn(replica),
            Way::Unknown { .. } if self.way.given_up => Some(self.refuse(DOWN.to_owned(), is_exec, exchange)),
            Way::Unknown { hidden } => {
                self.way.patience_ns = if hidden { HIDDEN_PATIENCE_NS } else { PATIENCE_NS };
                Some(Step::Leaderless)
            }
            Way::Refused(why) => Some(self.refuse(why, is_exec, exchange)),
        };
        if !matches!(step, Some(Step::Leaderless | Step::AfterReplies)) {
            (self.way.leaderless_since_ns, self.way.patience_ns, self.way.given_up) = (None, 0, false);
        }
        if step.is_none()
            && !is_exec
            && let (Some(transaction), Ok(Some(slot))) = (&mut self.transaction, slot)
        {
            transaction.touch(slot);
        }
        step
    }

    /// Whether the replica that the way led to does not lead any more: a moment later the way is another.
    pub(super) fn has_lost_its_way(&self, spec: &Spec, arguments: Arguments<'_>) -> bool {
        !self.replica.leads() && self.may_find_another_way() && matches!(router::slot_of(spec, arguments), Ok(Some(_)))
    }

    /// Whether the next command may be looked at again once the cluster looks different.
    pub(super) fn may_find_another_way(&self) -> bool {
        self.node.cluster.is_some() && !self.way.given_up
    }

    /// A command about all keys that this node serves.
    fn turn_to_served(
        &mut self,
        spec: &'static Spec,
        arguments: Arguments<'_>,
        exchange: &mut Exchange,
    ) -> Option<Step> {
        let mut served = self.routes().served();
        if served.len() > 1 {
            if exchange.must_wait() {
                return Some(Step::AfterReplies);
            }
            let seed = self.next_seed();
            if let Some(asked) = Asked::new(spec, arguments, self.database, served.clone(), seed) {
                exchange.commands += 1;
                return Some(Step::Later(Later::Served(Box::new(asked))));
            }
        }
        self.turn(served.pop().unwrap_or_else(|| self.node.home()))
    }

    /// The way of what has no keys. A write waits while nobody leads here.
    fn way_home(&self, spec: &Spec, is_exec: bool) -> Way {
        let writes = match &self.transaction {
            Some(transaction) => is_exec && transaction.writes(),
            None => matches!(spec.handler, Handler::Write(_)),
        };
        if !writes {
            return Way::Home;
        }
        match self.routes().served().as_slice() {
            [only] if only.shard.standing() == Standing::Leaderless => Way::Unknown { hidden: false },
            [only] if only.shard.standing() == Standing::Awaiting => Way::Unknown { hidden: true },
            _ => Way::Home,
        }
    }

    /// What a transaction with commands about all keys of the node makes of its way: it is one shard's, so all keys must be.
    fn narrow(&self, way: Way, spec: &'static Spec, is_exec: bool) -> Way {
        let Some(transaction) = &self.transaction else { return way };
        let (spans, is_about_data) = match is_exec {
            true if transaction.is_spoilt() => (false, false),
            true => (transaction.spans(), transaction.is_about_data()),
            false => (spans_slots(spec), false),
        };
        let is_bound = spans || is_about_data && matches!(way, Way::Home);
        if !is_bound {
            return way;
        }
        let mut served = self.routes().served();
        let only = if served.len() == 1 { served.pop() } else { None };
        let writes = matches!(spec.handler, Handler::Write(_));
        match (way, only) {
            (Way::Home, Some(only)) if is_exec => Way::Here(only),
            // As it is answered outside of a transaction.
            (Way::Home, Some(only)) if writes && only.shard.standing() == Standing::Following => {
                Way::Refused(READONLY.to_owned())
            }
            (Way::Home, only) if only.is_some() || !spans => Way::Home,
            (Way::Here(replica), Some(only)) if Arc::ptr_eq(&replica, &only) => Way::Here(replica),
            (Way::Home | Way::Here(_), _) => Way::Refused(SPANS_SHARDS.to_owned()),
            (other, _) => other,
        }
    }

    fn turn(&self, replica: Arc<Replica>) -> Option<Step> {
        (!Arc::ptr_eq(&replica, &self.replica)).then_some(Step::Elsewhere(replica))
    }

    fn way_to(&self, slot: Slot, spec: &Spec, is_exec: bool) -> Way {
        let reads = match &self.transaction {
            Some(transaction) if is_exec => !transaction.writes(),
            _ => !spec.changes_data(),
        };
        let Some((_, settings)) = &self.way.settings else { return Way::Unknown { hidden: false } };
        router::way_to(&self.way.routes, slot, settings, reads, reads && self.way.stale)
    }

    /// The slot of a transaction, which must be served together with what is watched.
    fn slot_with_watches(&self, slot: Option<Slot>) -> Result<Option<Slot>, &'static str> {
        let mut watched = self.watched.iter().map(|watched| Slot::of_key(&watched.key));
        match slot {
            None => Ok(watched.next()),
            Some(slot) if watched.all(|other| self.way.routes.are_together(slot, other)) => Ok(Some(slot)),
            Some(_) => Err(CROSS_SLOT),
        }
    }

    fn refuse(&mut self, why: String, is_exec: bool, exchange: &mut Exchange) -> Step {
        if exchange.must_wait() {
            return Step::AfterReplies;
        }
        exchange.commands += 1;
        if is_exec {
            self.end_transaction();
        } else if let Some(transaction) = &mut self.transaction {
            transaction.spoil();
        }
        exchange.reply.error(why);
        Step::Done
    }
}

/// Whether a command reads or writes the keyspace, and is not one of the node's.
pub(super) fn is_about_data(spec: &Spec) -> bool {
    matches!(spec.handler, Handler::Read(_) | Handler::Write(_))
}

//! The end of a run of clients that wait: leaders are lost with an entry that holds a push and, behind it, the pop of the one client who waits for
//! just that. Nobody else draws from that list. So if the entry took effect, whoever waited was given the element, or does not know.
//!
//! ```text
//! waits    BLPOP, at the leader
//! pushes   MULTI, RPUSH, SET of a mark, EXEC: behind it in its entry stands the pop
//! lost     the leader hears nobody from just before the push on, soon nobody hears it, and others lead
//! looks    the mark says whether the entry took effect, the list whether the pop did
//! ```

use std::rc::Rc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use resp::Value;
use tokio::task::JoinHandle;
use tokio::time;

use super::any_host::AnyHost;
use super::run::Run;
use crate::client::{Command, command};
use crate::hazard::Hazard;
use crate::heard::Heard;
use crate::oracle::Outcome;
use crate::reach::Reach;
use crate::run::LOOK_EVERY;
use crate::tasks;

/// How often a leader is lost so.
const ROUNDS: usize = 2;
/// Longer than any of these commands goes without an answer.
const PATIENCE: Duration = Duration::from_secs(12);

impl Run {
    /// See the module.
    ///
    /// # Errors
    /// Says what a client was told that is not so.
    pub(super) async fn lose_pops(&mut self) -> Result<(), String> {
        let mut random = SmallRng::seed_from_u64(self.stage.seed.of("lost pops", 0));
        for round in 0..ROUNDS {
            let (list, mark) = (format!("lost{round}"), format!("lost{round}:mark"));
            let leader = self.settled_leader().await?;
            let waits = self.call(leader, 1, vec![command(["BLPOP", &list, "0"])]);
            while !self.somebody_waits_at(leader).await && !waits.is_finished() {
                time::sleep(LOOK_EVERY).await;
            }
            let (lost_ms, mute_ms) = (random.random_range(1000..2000), random.random_range(30..200));
            self.hazards.happen(Hazard::Deafen(leader, lost_ms));
            let push =
                [command(["MULTI"]), command(["RPUSH", &list, "1"]), command(["SET", &mark, "1"]), command(["EXEC"])];
            let pushes = self.call(leader, 2, push.to_vec());
            time::sleep(Duration::from_millis(mute_ms)).await;
            self.hazards.happen(Hazard::Mute(leader, lost_ms - mute_ms));
            let heard = |heard: Result<Heard, _>| heard.map_err(|why| format!("a client: {why}"));
            let (pushed, popped) = (heard(pushes.await)?, heard(waits.await)?);
            let mut client = self.client(self.plan.clients + 3);
            let (is_marked, is_there) = (client.finds(&mark).await, client.finds(&list).await);
            judge(&pushed, &popped, is_marked, is_there).map_err(|why| format!("{list}: {why}"))?;
            self.look()?;
        }
        Ok(())
    }

    /// Who leads when all vote and are equal.
    async fn settled_leader(&self) -> Result<usize, String> {
        loop {
            self.look()?;
            match self.newest_leader().filter(|_| self.is_level()) {
                Some(leader) => return Ok(leader),
                None => time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Sends commands to one host, as a client of its own.
    fn call(&self, host: usize, client: usize, commands: Vec<Command>) -> JoinHandle<Heard> {
        let number = self.plan.clients + client;
        let mut random = SmallRng::seed_from_u64(self.stage.seed.of("client", number as u64));
        let mut reach =
            AnyHost::new(number, Rc::clone(&self.stage.hosts), Rc::clone(&self.stage.oracle)).beginning_at(host);
        tasks::beside(async move { reach.call(&mut random, "", &commands, PATIENCE).await })
    }

    async fn somebody_waits_at(&self, host: usize) -> bool {
        let heard = self.call(host, 2, vec![command(["INFO", "clients"])]).await;
        let is_so = |heard: Heard| {
            let info = heard.good(0).and_then(Value::as_bytes).unwrap_or_default();
            String::from_utf8_lossy(info).contains("blocked_clients:1")
        };
        heard.is_ok_and(is_so)
    }
}

/// Whether what both clients heard is so. `is_marked`: the entry of the push took effect; `is_there`: what was pushed is still there.
fn judge(pushed: &Heard, popped: &Heard, is_marked: bool, is_there: bool) -> Result<(), String> {
    match pushed.outcome(3) {
        Outcome::Done if !is_marked => return Err("a push that was acknowledged did not happen".to_owned()),
        Outcome::Refused if is_marked => return Err("a push that was refused happened".to_owned()),
        _ => (),
    }
    let is_gone = is_marked && !is_there;
    let found_nothing = popped.replies.first().is_some_and(Value::is_null) || popped.outcome(0) == Outcome::Refused;
    match popped.outcome(0) {
        Outcome::Unknown => Ok(()),
        _ if found_nothing && is_gone => {
            Err(format!("the only client who waited was told {:?}, and the element is gone", popped.replies))
        }
        Outcome::Done if !found_nothing && !is_gone => {
            Err(format!("{:?} was popped, and the push and the pop did not both happen", popped.replies))
        }
        _ => Ok(()),
    }
}

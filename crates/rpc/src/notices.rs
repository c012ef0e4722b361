//! Log lines once per change, not once per retry.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Addresses that are remembered. When so many are refused within [`MEMORY`], those of others are not logged.
const ADDRESSES_MAX: usize = 64;
/// How long a refusal is remembered once there are many.
const MEMORY: Duration = Duration::from_secs(60);
/// At most one line per address in this time: who has not authenticated must not fill the log.
const PAUSE: Duration = Duration::from_secs(1);

/// What was last logged about connections from each address.
#[derive(Default)]
pub(crate) struct Notices {
    last: Mutex<BTreeMap<IpAddr, (String, Instant)>>,
}

impl Notices {
    /// Warns that a connection was refused, unless the last line about this address said the same.
    pub(crate) fn refused(&self, from: IpAddr, why: &str) {
        if self.is_news(from, why) {
            tracing::warn!("peer port: connection from {from} refused: {why}");
        }
    }

    /// A connection from this address was accepted: the next refusal is news again.
    pub(crate) fn accepted(&self, from: IpAddr) {
        self.last.lock().remove(&from);
    }

    fn is_news(&self, from: IpAddr, why: &str) -> bool {
        let now = Instant::now();
        let mut last = self.last.lock();
        if let Some((text, at)) = last.get_mut(&from) {
            if text == why || now - *at < PAUSE {
                return false;
            }
            why.clone_into(text);
            *at = now;
            return true;
        }
        if last.len() >= ADDRESSES_MAX {
            last.retain(|_, (_, at)| now - *at < MEMORY);
            if last.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        last.insert(from, (why.to_owned(), now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reason_is_news_once_until_it_changes() {
        let (notices, from) = (Notices::default(), IpAddr::from([127, 0, 0, 1]));
        assert!(notices.is_news(from, "a"));
        assert!(!notices.is_news(from, "a"));
        assert!(!notices.is_news(from, "b"), "too soon");
        tokio::time::advance(PAUSE).await;
        assert!(!notices.is_news(from, "a"));
        assert!(notices.is_news(from, "b"));
        notices.accepted(from);
        assert!(notices.is_news(from, "b"));
    }

    #[tokio::test(start_paused = true)]
    async fn many_strangers_do_not_fill_the_log() {
        let notices = Notices::default();
        let from_all = || (0..1000_u32).filter(|n| notices.is_news(IpAddr::from(n.to_be_bytes()), "a")).count();
        assert_eq!(from_all(), ADDRESSES_MAX);
        tokio::time::advance(MEMORY).await;
        assert_eq!(from_all(), ADDRESSES_MAX);
    }
}

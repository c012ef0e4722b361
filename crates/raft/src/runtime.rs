//! The runtime that openraft runs on: tokio, with a seed and a clock rate that belong to the task.
//!
//! Both are inherited by every task that a task spawns. In production the seed comes from the operating system
//! and the rate is 1. In `sim` one paused current-thread runtime holds many nodes: the seeds make a run
//! repeatable, the rates make clocks drift apart. This file is the crate's only spawn site.
//!
//! Local time runs `rate` times as fast as tokio's, counted from the moment [`scope`] was first entered:
//!
//! ```text
//! local = base + (tokio - base) * (1_000_000 + rate_ppm) / 1_000_000
//! ```

use std::cell::Cell;
use std::future::Future;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use openraft::AsyncRuntime;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::task::JoinHandle;
use tokio::task::futures::TaskLocalFuture;
use tokio::time;

type Tokio = openraft::impls::TokioRuntime;

const MILLION: u128 = 1_000_000;

/// openraft waits for so little (1 us) to gather completions of the log; a tick is never that near, but by chance.
const NEAR: Duration = Duration::from_micros(100);

tokio::task_local! {
    static LOCAL: Local;
}

/// What a task inherits from the task that spawned it.
pub(crate) struct Local {
    seed: Cell<u64>,
    rate_ppm: i32,
    base: time::Instant,
    beat: Beat,
}

impl Local {
    /// A root: the tasks of one group draw from `seed`, and their clocks gain `rate_ppm` millionths.
    pub(crate) fn new(seed: u64, rate_ppm: i32, beat: Beat) -> Self {
        assert!(rate_ppm > -500_000 && rate_ppm < 500_000, "a clock that is off by half is no clock");
        Self { seed: Cell::new(seed), rate_ppm, base: time::Instant::now(), beat }
    }

    fn child(&self) -> Self {
        Self { seed: Cell::new(mix(self.draw())), rate_ppm: self.rate_ppm, base: self.base, beat: self.beat }
    }

    /// The next number of this task's own sequence.
    fn draw(&self) -> u64 {
        let seed = self.seed.get();
        self.seed.set(seed.wrapping_add(0xa076_1d64_78bd_642f));
        mix(seed)
    }

    fn factor(&self) -> u128 {
        u128::try_from(1_000_000 + i64::from(self.rate_ppm)).expect("the rate is above -50 %")
    }

    fn to_local(&self, real: time::Instant) -> time::Instant {
        match self.rate_ppm {
            0 => real,
            _ => self.base + scale(real.saturating_duration_since(self.base), self.factor(), MILLION),
        }
    }

    fn to_real(&self, local: time::Instant) -> time::Instant {
        match self.rate_ppm {
            0 => local,
            _ => self.base + self.real_duration(local.saturating_duration_since(self.base)),
        }
    }

    fn real_duration(&self, local: Duration) -> Duration {
        match self.rate_ppm {
            0 => local,
            _ => scale(local, MILLION, self.factor()),
        }
    }
}

/// When the groups of a node look at their timers: all at once, so that a node that is idle wakes once for all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beat {
    /// Some moment at which they do.
    pub(crate) origin: time::Instant,
    /// From one to the next.
    pub(crate) period: Duration,
}

impl Beat {
    /// The first one at or after a moment.
    fn at_or_after(&self, moment: time::Instant) -> time::Instant {
        let period = self.period.as_nanos().max(1);
        let since = moment.saturating_duration_since(self.origin).as_nanos();
        self.origin + Duration::from_nanos(u64::try_from(since.div_ceil(period) * period).unwrap_or(u64::MAX))
    }
}

/// `duration * numerator / denominator`, rounded up, so that a timer never fires early.
fn scale(duration: Duration, numerator: u128, denominator: u128) -> Duration {
    let nanos = (duration.as_nanos() * numerator).div_ceil(denominator);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The finalizer of splitmix64: neighbouring seeds give unrelated numbers.
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Runs a future with `local` as what its tasks inherit.
pub(crate) fn scope<F: Future>(local: Local, future: F) -> TaskLocalFuture<Local, F> {
    LOCAL.scope(local, future)
}

/// The next number of this task's sequence; 0 outside of any group's task.
pub(crate) fn draw() -> u64 {
    LOCAL.try_with(Local::draw).unwrap_or(0)
}

/// openraft's runtime.
#[derive(Debug)]
pub(crate) struct SeededRuntime(Tokio);

/// A moment of the task's local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LocalInstant(time::Instant);

impl openraft::Instant for LocalInstant {
    fn now() -> Self {
        let real = time::Instant::now();
        Self(LOCAL.try_with(|local| local.to_local(real)).unwrap_or(real))
    }
}

impl Add<Duration> for LocalInstant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}
impl AddAssign<Duration> for LocalInstant {
    fn add_assign(&mut self, duration: Duration) {
        self.0 += duration;
    }
}
impl Sub<Duration> for LocalInstant {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0 - duration)
    }
}
impl Sub for LocalInstant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }
}
impl SubAssign<Duration> for LocalInstant {
    fn sub_assign(&mut self, duration: Duration) {
        self.0 -= duration;
    }
}

impl AsyncRuntime for SeededRuntime {
    type JoinError = tokio::task::JoinError;
    type JoinHandle<T: Send + 'static> = JoinHandle<T>;
    type Sleep = time::Sleep;
    type Instant = LocalInstant;
    type TimeoutError = time::error::Elapsed;
    type Timeout<R, T: Future<Output = R> + Send> = time::Timeout<T>;
    type ThreadLocalRng = SmallRng;
    type Mpsc = <Tokio as AsyncRuntime>::Mpsc;
    type Watch = <Tokio as AsyncRuntime>::Watch;
    type Oneshot = <Tokio as AsyncRuntime>::Oneshot;
    type Mutex<T: Send + 'static> = <Tokio as AsyncRuntime>::Mutex<T>;

    #[expect(clippy::disallowed_methods, reason = "the crate's one spawn site: openraft's tasks and the group's own")]
    fn spawn<T>(future: T) -> JoinHandle<T::Output>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        match LOCAL.try_with(Local::child) {
            Ok(child) => tokio::spawn(scope(child, future)),
            Err(_) => tokio::spawn(future),
        }
    }

    fn sleep(duration: Duration) -> time::Sleep {
        time::sleep(LOCAL.try_with(|local| local.real_duration(duration)).unwrap_or(duration))
    }

    /// Up to the first beat at or after `deadline`, for that is how openraft ticks. What is nearer than [`NEAR`] is no tick.
    fn sleep_until(deadline: LocalInstant) -> time::Sleep {
        let on_the_beat = |local: &Local| {
            let real = local.to_real(deadline.0);
            let is_near = real.saturating_duration_since(time::Instant::now()) < NEAR;
            if is_near { real } else { local.beat.at_or_after(real) }
        };
        time::sleep_until(LOCAL.try_with(on_the_beat).unwrap_or(deadline.0))
    }

    fn timeout<R, F: Future<Output = R> + Send>(duration: Duration, future: F) -> time::Timeout<F> {
        time::timeout(LOCAL.try_with(|local| local.real_duration(duration)).unwrap_or(duration), future)
    }

    fn timeout_at<R, F: Future<Output = R> + Send>(deadline: LocalInstant, future: F) -> time::Timeout<F> {
        time::timeout_at(LOCAL.try_with(|local| local.to_real(deadline.0)).unwrap_or(deadline.0), future)
    }

    fn is_panic(error: &tokio::task::JoinError) -> bool {
        error.is_panic()
    }

    fn thread_rng() -> SmallRng {
        SmallRng::seed_from_u64(draw())
    }

    fn new(threads: usize) -> Self {
        Self(Tokio::new(threads))
    }

    fn block_on<F: Future<Output = T>, T>(&mut self, future: F) -> T {
        self.0.block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two groups of a node whose ticks begin apart wake together, and as often as the beat says.
    #[tokio::test(start_paused = true)]
    async fn all_that_tick_wake_on_the_beat() {
        let origin = time::Instant::now();
        let beat = Beat { origin, period: Duration::from_millis(25) };
        let ticks = async |first_ms: u64| {
            let mut at = LocalInstant(origin + Duration::from_millis(first_ms));
            let mut woken = Vec::new();
            for _ in 0..4 {
                SeededRuntime::sleep_until(at).await;
                woken.push(origin.elapsed().as_millis());
                at += Duration::from_millis(19);
            }
            woken
        };
        let (one, other) = (scope(Local::new(1, 0, beat), ticks(3)), scope(Local::new(2, 0, beat), ticks(17)));
        let (one, other) = tokio::join!(one, other);
        assert_eq!(one, [25, 25, 50, 75]);
        assert_eq!(other, [25, 50, 75, 75]);
    }

    /// What is waited for to gather completions of the log waits for no beat.
    #[tokio::test(start_paused = true)]
    async fn what_is_near_is_not_held_up() {
        let origin = time::Instant::now();
        let beat = Beat { origin, period: Duration::from_millis(25) };
        let wait = async {
            SeededRuntime::sleep_until(LocalInstant(origin + Duration::from_micros(1))).await;
            origin.elapsed()
        };
        assert!(scope(Local::new(1, 0, beat), wait).await <= Duration::from_millis(1));
    }
}

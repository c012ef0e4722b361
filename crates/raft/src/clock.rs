//! The seam to time. Production reads the machine's clocks, the simulator its own.

/// The clocks of one node. Cheap to clone.
pub trait Clock: Clone + Send + Sync + 'static {
    /// Nanoseconds since some fixed moment, never backwards, also counting while the machine is suspended
    /// (`CLOCK_BOOTTIME`): what a lease is measured in.
    fn monotonic_ns(&self) -> u64;
    /// Milliseconds since 1970 by the wall clock, which may jump: what deadlines of keys are measured in.
    fn wall_ms(&self) -> u64;
    /// How much faster than tokio's this clock runs, in millionths: what timers are corrected by. 0 but in `sim`.
    fn rate_ppm(&self) -> i32 {
        0
    }
}

//! From a client's times to deadlines, and back.

/// In what a time is given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// EXPIRE, EX, EXAT, TTL
    Seconds,
    /// PEXPIRE, PX, PXAT, PTTL
    Ms,
}

impl Unit {
    /// The ms of one unit.
    pub(crate) fn ms(self) -> i64 {
        match self {
            Self::Seconds => 1000,
            Self::Ms => 1,
        }
    }
}

/// The deadline of a time counted from `base_ms` (0: since 1970), in ms since 1970: it may lie before 1970. `None`: it does not fit.
pub(crate) fn deadline_of(time: i64, unit: Unit, base_ms: u64) -> Option<i64> {
    time.checked_mul(unit.ms())?.checked_add(i64::try_from(base_ms).ok()?)
}

/// A deadline counted from `base_ms`; 0 if that is later.
pub(crate) fn time_left(deadline_ms: u64, unit: Unit, base_ms: u64) -> i64 {
    let left_ms = i64::try_from(deadline_ms.saturating_sub(base_ms)).unwrap_or(i64::MAX);
    // Seconds are rounded to the nearest.
    left_ms.saturating_add(unit.ms() / 2) / unit.ms()
}

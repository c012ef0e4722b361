//! From a client's times to deadlines.

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

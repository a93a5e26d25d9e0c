//! Two times: where in the medium, and when in the world.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Time since the start of a source, in nanoseconds; the clock of everything that is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaTime(i64);

impl MediaTime {
    /// The start of the source.
    pub const ZERO: Self = Self(0);

    /// `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The start of piece number `count` in a source that has `rate_numerator / rate_denominator` pieces a second; a
    /// sample number at 16 kHz, a frame number at 30000/1001 a second.
    pub fn of_count(count: u64, rate_numerator: u32, rate_denominator: u32) -> Self {
        let nanos =
            u128::from(count) * 1_000_000_000 * u128::from(rate_denominator) / u128::from(rate_numerator.max(1));
        Self(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Seconds since the start.
    pub fn as_secs(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// As a span of time; a time before the start is none.
    pub fn since_start(self) -> Duration {
        Duration::from_nanos(self.0.max(0) as u64)
    }
}

impl From<Duration> for MediaTime {
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl Add<Duration> for MediaTime {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(Self::from(span).0))
    }
}

impl Sub<Duration> for MediaTime {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(Self::from(span).0))
    }
}

impl fmt::Display for MediaTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.as_secs())
    }
}

impl serde::Serialize for MediaTime {
    /// Seconds, to the millisecond: finer times would only differ from machine to machine.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.as_secs() * 1e3).round() / 1e3)
    }
}

/// A time of the world; written as RFC 3339 with its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallTime(jiff::Timestamp);

impl WallTime {
    /// This moment.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now())
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl serde::Serialize for WallTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_become_times_without_drift() {
        assert_eq!(MediaTime::of_count(16_000 * 3600, 16_000, 1), MediaTime::from(Duration::from_secs(3600)));
        assert_eq!(MediaTime::of_count(30_000, 30_000, 1001).as_nanos(), 1_001_000_000_000);
        assert_eq!(MediaTime::of_count(u64::MAX, 1, u32::MAX).as_nanos(), i64::MAX);
    }

    #[test]
    fn wall_time_carries_its_zone() {
        let text = WallTime::now().to_string();
        assert!(text.ends_with('Z') && text.len() == "2026-01-01T00:00:00.000Z".len(), "{text}");
    }
}

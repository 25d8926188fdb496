//! The wall clock that a strategy sees: an offset from the run's time, and a drift.

use hublab_strategies::{Time, WallTime};

use crate::model::{ClockChange, ClockStart};

/// Where every wall clock stands at time 0: microseconds since the Unix epoch.
const WALL_START: i128 = 1_700_000_000_000_000;

/// A wall clock: an offset, and a drift since it was last touched.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WallClock {
    offset: i128,
    rate_ppm: i64,
    since: Time,
}

impl WallClock {
    /// One at time 0.
    pub(crate) fn new(start: ClockStart) -> Self {
        Self {
            offset: i128::from(start.jump),
            rate_ppm: start.rate_ppm,
            since: Time::ZERO,
        }
    }

    pub(crate) fn read(&self, now: Time) -> WallTime {
        let reading = WALL_START + i128::from(now.0) + self.offset + self.drift(now);
        WallTime::try_from(reading.max(0)).unwrap_or(WallTime::MAX)
    }

    fn drift(&self, now: Time) -> i128 {
        (i128::from(now.since(self.since)) * i128::from(self.rate_ppm)).div_euclid(1_000_000)
    }

    pub(crate) fn change(&mut self, now: Time, change: ClockChange) {
        self.offset += self.drift(now);
        self.since = now;
        match change {
            ClockChange::Jump(us) => self.offset += i128::from(us),
            ClockChange::RatePpm(ppm) => self.rate_ppm = ppm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_jumps_and_drifts_with_floor() {
        let mut clock = WallClock::default();
        assert_eq!(clock.read(Time(5)), 1_700_000_000_000_005);
        clock.change(Time(10), ClockChange::Jump(-3));
        assert_eq!(clock.read(Time(10)), 1_700_000_000_000_007);
        clock.change(Time(10), ClockChange::RatePpm(-1));
        assert_eq!(
            clock.read(Time(11)),
            1_700_000_000_000_007,
            "floor(-0.000001) is -1"
        );
        clock.change(Time(1_000_010), ClockChange::RatePpm(0));
        assert_eq!(clock.read(Time(2_000_010)), 1_700_000_002_000_006);
    }
}

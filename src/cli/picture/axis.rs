//! Time along a diagram. Idle stretches are folded: between two instants at which something is drawn
//! there is never more room than `Axis::longest`, or messages that take milliseconds would be upright
//! strokes, half a minute apart.

use hublab_strategies::Time;

/// From instants to lengths.
#[derive(Debug)]
pub(super) struct Axis {
    /// The instants at which something is drawn, ascending, and their places.
    places: Vec<(u64, f64)>,
    /// The places in the middle of folded stretches.
    folds: Vec<f64>,
}

/// The width of a folded stretch, as a multiple of the flights' usual length.
const FOLDED: u64 = 4;

impl Axis {
    /// An axis for the instants at which something is drawn, from `left` on and as long as `long` says
    /// for a number of folds; `usual` is a length of time that must stay visible, such as a message's
    /// flight.
    pub(super) fn new(
        mut instants: Vec<u64>,
        usual: u64,
        left: f64,
        long: impl FnOnce(usize) -> f64,
    ) -> Self {
        instants.sort_unstable();
        instants.dedup();
        let longest = usual.max(1).saturating_mul(FOLDED);
        let gap = |pair: &[u64]| pair[1] - pair[0];
        let total: u64 = instants.windows(2).map(|pair| gap(pair).min(longest)).sum();
        let is_fold = |pair: &&[u64]| gap(pair) > longest;
        let long = long(instants.windows(2).filter(is_fold).count());
        let scale = long / (total.max(1) as f64);
        let mut places = Vec::with_capacity(instants.len());
        let mut folds = Vec::new();
        let mut at = left;
        if let Some(first) = instants.first() {
            places.push((*first, at));
        }
        for pair in instants.windows(2) {
            let wide = gap(pair).min(longest) as f64 * scale;
            if gap(pair) > longest {
                folds.push(at + wide / 2.0);
            }
            at += wide;
            places.push((pair[1], at));
        }
        Self { places, folds }
    }

    /// The place of an instant; between two known ones, in proportion.
    pub(super) fn place(&self, at: Time) -> f64 {
        let next = self.places.partition_point(|(known, _)| *known < at.0);
        match (
            next.checked_sub(1)
                .and_then(|before| self.places.get(before)),
            self.places.get(next),
        ) {
            (_, Some((known, place))) if *known == at.0 => *place,
            (Some((from, left)), Some((to, right))) => {
                let share = (at.0 - from) as f64 / (to - from) as f64;
                left + share * (right - left)
            }
            (Some((_, place)), None) | (None, Some((_, place))) => *place,
            (None, None) => 0.0,
        }
    }

    /// The middle of each folded stretch.
    pub(super) fn folds(&self) -> &[f64] {
        &self.folds
    }

    /// Instants to write on the axis, each with as much room as it is `wide`: the first after each
    /// fold before any other.
    pub(super) fn ticks(&self, wide: impl Fn(Time) -> f64) -> Vec<(Time, f64)> {
        let mut after_fold = Vec::new();
        for fold in &self.folds {
            let next = self.places.partition_point(|(_, place)| place <= fold);
            after_fold.extend(self.places.get(next));
        }
        let ends = self.places.first().into_iter().chain(self.places.last());
        let wanted = ends
            .copied()
            .chain(after_fold)
            .chain(self.places.iter().copied());
        let room = |one, other| f64::midpoint(wide(Time(one)), wide(Time(other)));
        let mut ticks: Vec<(u64, f64)> = Vec::new();
        for (at, place) in wanted {
            if ticks
                .iter()
                .all(|(other, known)| (known - place).abs() >= room(*other, at))
            {
                ticks.push((at, place));
            }
        }
        ticks.sort_by_key(|(at, _)| *at);
        ticks
            .into_iter()
            .map(|(at, place)| (Time(at), place))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_folded_and_everything_else_keeps_its_proportion() {
        let axis = Axis::new(vec![0, 10, 20, 10_000, 10_010], 10, 0.0, |folds| {
            assert_eq!(folds, 1);
            70.0
        });
        // Gaps 10, 10, 40 of 9,980, 10: one unit is one point.
        let places = [0, 10, 20, 10_000, 10_010].map(|at| axis.place(Time(at)));
        assert_eq!(places, [0.0, 10.0, 20.0, 60.0, 70.0]);
        assert_eq!(axis.folds(), [40.0]);
        assert!((axis.place(Time(15)) - 15.0).abs() < 1e-9);
        assert!((axis.place(Time(5_010)) - 40.0).abs() < 0.1);
        assert_eq!(axis.place(Time(99_999)), 70.0);
    }

    #[test]
    fn ticks_stand_apart_and_begin_each_busy_stretch() {
        let axis = Axis::new(vec![0, 10, 20, 10_000, 10_010], 10, 0.0, |_| 700.0);
        let ticks: Vec<u64> = axis.ticks(|_| 95.0).iter().map(|(at, _)| at.0).collect();
        assert_eq!(ticks, [0, 10, 20, 10_000, 10_010]);
        let ticks: Vec<u64> = axis.ticks(|_| 101.0).iter().map(|(at, _)| at.0).collect();
        assert_eq!(ticks, [0, 20, 10_010]);
    }

    #[test]
    fn an_empty_axis_has_places_too() {
        let axis = Axis::new(Vec::new(), 0, 5.0, |_| 5.0);
        assert_eq!(axis.place(Time(3)), 0.0);
        assert!(axis.ticks(|_| 1.0).is_empty());
        assert_eq!(Axis::new(vec![7], 0, 5.0, |_| 5.0).place(Time(3)), 5.0);
    }
}

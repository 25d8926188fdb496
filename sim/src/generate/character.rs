//! What a scenario is like as a whole: most are short and crowded, and some shares are not.

use proptest::prelude::*;

use super::family::Family;
use super::plan::{
    Anchor, Delay, Event, FaultKind, Moment, NodeFault, Plan, PlanAction, Reach, Times,
};

/// What a scenario is like as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Character {
    /// Up to 7 nodes, short intervals, half a minute of load.
    Usual,
    /// All times and parameters are the defaults of files.
    Defaults,
    /// Four times the load, over five times the time.
    Long,
    /// One node crashes and is back again and again.
    Reboots { node: u8, times: u8 },
    /// 8 to 20 nodes, for strategies that allow so many.
    Large { nodes: usize },
}

/// Of 100 scenarios, 6 with the defaults, 4 long ones, 5 with reboots and 2 large ones.
pub(super) fn character() -> impl Strategy<Value = Character> {
    let reboots = (0..60_u8, 3..=7_u8);
    let reboots = reboots.prop_map(|(node, times)| Character::Reboots { node, times });
    prop_oneof![
        83 => Just(Character::Usual),
        6 => Just(Character::Defaults),
        4 => Just(Character::Long),
        5 => reboots,
        2 => (8..=20_usize).prop_map(|nodes| Character::Large { nodes }),
    ]
}

/// The defaults of `[cluster]` and the longest interval that a port has by default, in milliseconds.
pub(super) const DEFAULTS: Times = Times {
    sync: 30_000,
    discovery: 10_000,
    debounce: 5,
    long_debounce: 100,
    down: 60_000,
    exact_down: false,
    crash: 1,
    active: 90_000,
};

/// How often the load of a long scenario is repeated.
const REPEATED: u8 = 4;

impl Plan {
    /// Takes on its character.
    pub(super) fn take_on(&mut self, max_nodes: usize) {
        match self.character {
            Character::Usual => {}
            Character::Defaults => {
                let exact_down = self.times.exact_down;
                self.times = Times {
                    exact_down,
                    ..DEFAULTS
                };
            }
            Character::Long => self.repeat_load(),
            Character::Reboots { node, times } => self.reboot(node, times),
            Character::Large { nodes } => self.nodes = nodes.min(max_nodes).max(self.nodes),
        }
    }

    /// The load again and again, around instants that lie apart.
    fn repeat_load(&mut self) {
        self.times.active *= 5;
        let own = u8::try_from(self.anchors.len()).unwrap_or(u8::MAX);
        let apart = (1..REPEATED).map(|part| Anchor::Any(part * (u8::MAX / REPEATED)));
        self.anchors.extend(apart);
        let once = self.load.clone();
        for part in 0..REPEATED - 1 {
            let mut again = once.clone();
            for event in &mut again {
                event.at.anchor = own + part;
            }
            self.load.extend(again);
        }
    }

    /// One node crashes and is back before it is missed, or soon after.
    fn reboot(&mut self, node: u8, times: u8) {
        self.families.insert(Family::FastReturn);
        let step = u8::MAX / (times + 1);
        for number in 1..=times {
            let anchor = u8::try_from(self.anchors.len()).unwrap_or(u8::MAX);
            self.anchors.push(Anchor::Any(step * number));
            let reach = if number % 3 == 0 {
                Reach::Debounce
            } else {
                Reach::Latency
            };
            let back = Delay {
                reach,
                share: step.wrapping_mul(number) | 1,
            };
            let fault = NodeFault {
                node,
                how: FaultKind::Crash,
                back: Some(back),
            };
            let at = Moment {
                anchor,
                delay: Delay {
                    reach: Reach::Latency,
                    share: 1,
                },
            };
            let action = PlanAction::NodeFault(fault);
            self.faults.push((Family::FastReturn, Event { at, action }));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hublab_strategies::time::parse_duration;

    use super::*;
    use crate::catalog::Catalog;
    use crate::generate::{Options, generate};
    use crate::model::Scenario;
    use crate::model::{Action, LinkChange, Pattern};

    #[test]
    fn the_defaults_are_those_of_files() {
        let catalog = Catalog::default();
        let text = b"schema = 1\n[cluster]\nnodes = 2\n";
        let file = Scenario::read("t.toml", text, &catalog)
            .expect("a scenario")
            .cluster;
        let ms = |number| Duration::from_millis(number);
        let Times {
            discovery,
            debounce,
            down,
            crash,
            ..
        } = DEFAULTS;
        assert_eq!(file.discovery_interval, ms(discovery));
        assert_eq!(file.join_debounce, ms(discovery * debounce / 100));
        assert_eq!(file.down_after, ms(down));
        assert_eq!(file.crash_detected_after, ms(crash));
        let intervals = catalog.default_names().into_iter().map(|name| {
            let defaults = catalog.get(name).expect("a port").defaults();
            let interval = defaults["sync_interval"].as_str().expect("a time");
            parse_duration(interval).expect("a time")
        });
        assert_eq!(intervals.max(), Some(ms(DEFAULTS.sync)));
    }

    #[test]
    fn each_share_occurs_as_often_as_stated() {
        let catalog = Catalog::default();
        let entry = catalog.get("pubsub").expect("a port");
        let (mut with_defaults, mut large, mut long, mut reboots, mut mixed) = (0, 0, 0, 0, 0);
        let (mut channels, mut both, mut held, mut steady, mut parted) = (0, 0, 0, 0, 0);
        for seed in 0..2_000 {
            let scenario = generate(seed, entry, &Options::default()).scenario;
            let cluster = &scenario.cluster;
            let is_default = cluster.discovery_interval == Duration::from_secs(10)
                && cluster.down_after == Duration::from_secs(60);
            with_defaults += usize::from(is_default && scenario.strategies.is_empty());
            mixed += usize::from(!cluster.overrides.is_empty());
            large += usize::from(cluster.nodes.len() > 7);
            long += usize::from(!is_default && scenario.last_step() > Duration::from_secs(60));
            let of = |name: &str| {
                let steps = scenario.steps.iter();
                steps.filter(|step| step.action.name() == name).count()
            };
            reboots += usize::from(of("restart") >= 3);
            let changes = |is_so: fn(&LinkChange) -> bool| {
                let mut steps = scenario.steps.iter();
                let is_there =
                    steps.any(|step| matches!(&step.action, Action::Link(link) if is_so(link)));
                usize::from(is_there)
            };
            channels += changes(|link| !link.channels.is_all());
            both += changes(|link| link.both);
            held += usize::from(of("hold") > 0);
            let has = |is_so: fn(&Pattern) -> bool| {
                let mut patterns = scenario.steps.iter().filter_map(|it| it.pattern.as_ref());
                usize::from(patterns.any(|pattern| is_so(pattern)))
            };
            steady += has(|pattern| pattern.repeat.is_some());
            parted += has(|pattern| pattern.parting.is_some());
            assert_eq!(of("hold"), of("release"), "seed {seed}");
        }
        // Of 2,000: 120, 40, and 80, of which some are short all the same; 100, some of which cannot be.
        assert!((90..=150).contains(&with_defaults), "{with_defaults}");
        assert!((25..=70).contains(&large), "{large}");
        assert!((30..=120).contains(&long), "{long}");
        assert!((60..=200).contains(&reboots), "{reboots}");
        // Of 2,000: 120.
        assert!((90..=150).contains(&mixed), "{mixed}");
        assert!((90..=150).contains(&steady), "{steady}");
        // Of those with partitions, which are a quarter or so: a fifth.
        assert!((60..=140).contains(&parted), "{parted}");
        // Of those whose links change: an eighth both ways, a sixth of some channels.
        assert!((120..=240).contains(&both), "{both}");
        assert!((140..=260).contains(&channels), "{channels}");
        assert!((60..=140).contains(&held), "{held}");
    }
}

//! The numbers of a run against a second computation of them, which is slow and simple.

mod slow;
#[path = "../tape/mod.rs"]
mod tape;

use hublab_sim::catalog::Catalog;
use hublab_sim::generate::{Options, generate};
use hublab_sim::scenario::{Claim, Expectation, Scenario, Window, resolve};
use hublab_sim::world::Stepping;
use hublab_strategies::Time;
use hublab_strategies::time::micros;
use slow::{Probe, Slow};
use tape::{read, record};

/// How many seeds of each strategy: 200, or what `HUBLAB_SEEDS` says.
fn seeds() -> u64 {
    let asked = std::env::var("HUBLAB_SEEDS").ok();
    asked.and_then(|seeds| seeds.parse().ok()).unwrap_or(200)
}

#[test]
fn the_numbers_of_generated_runs_are_those_of_a_slow_count() {
    let catalog = Catalog::default();
    let (mut samples, mut queues, mut excused, mut in_windows) = (0, 0, 0, 0);
    for strategy in catalog.names() {
        let entry = catalog.get(strategy).expect("a strategy of the catalog");
        for seed in 0..seeds() {
            let generated = generate(seed, entry, &Options::default()).scenario;
            let mut scenario = resolve(&generated, seed, &catalog);
            let window = some_window(seed, &scenario);
            scenario.expectations.push(Expectation {
                strategy: None,
                claim: Claim::Metric {
                    name: "stale_us".to_owned(),
                    min: Some(0),
                    max: None,
                    window,
                },
                line: 0,
            });
            let tape = record(&scenario, strategy, seed, &catalog, Stepping::Slice);
            let report = &tape.report;
            let measured = report.measured.as_ref().expect("it was measured");
            let of_window = &report.windows[&window];
            let until = window.to.map_or(u64::MAX, |to| to.0);
            for (limits, measured, messages) in [
                ((0, u64::MAX), measured, &report.messages),
                (
                    (window.from.0, until),
                    &of_window.measured,
                    &of_window.messages,
                ),
            ] {
                let mut slow = Slow::new(&scenario, entry, limits);
                tape.events.iter().for_each(|event| slow.event(event));
                let what = format!("{strategy}, seed {seed}, {limits:?}");
                if limits == (0, u64::MAX) {
                    samples += slow.samples.len();
                    queues += usize::from(slow.queue_peak > 1);
                    excused += usize::from(slow.unexcused < slow.area.iter().sum());
                } else {
                    in_windows += usize::from(!slow.samples.is_empty());
                }
                slow.compare(report.virtual_us, (measured, messages), &what);
            }
        }
    }
    assert!(samples > 1_000 && queues > 5, "{samples}, {queues}");
    assert!(excused > 100 && in_windows > 100, "{excused}, {in_windows}");
}

#[test]
fn look_ups_at_random_times_are_answered_wrongly_as_often_as_the_share_says() {
    let catalog = Catalog::default();
    let mut compared = 0;
    for strategy in catalog.names() {
        let entry = catalog.get(strategy).expect("a strategy of the catalog");
        for seed in 0..30 {
            let generated = generate(seed, entry, &Options::default()).scenario;
            let scenario = resolve(&generated, seed, &catalog);
            let tape = record(&scenario, strategy, seed, &catalog, Stepping::Slice);
            let measured = tape.report.measured.as_ref().expect("it was measured");
            let Some(share) = measured.stale.share() else {
                continue;
            };
            let mut slow = Slow::new(&scenario, entry, (0, u64::MAX));
            let looked_up_us = measured.stale.looked_up_us;
            slow.probe = Some(Probe::new(seed, 20_000.0, looked_up_us));
            tape.events.iter().for_each(|event| slow.event(event));
            slow.pass_to(tape.report.virtual_us);
            let probe = slow.probe.expect("it was set");
            let (count, wrong) = (probe.count as f64, probe.wrong as f64);
            assert!((19_000.0..21_000.0).contains(&count), "{count}");
            let error = (share * (1.0 - share) / count).sqrt();
            let off = (wrong / count - share).abs();
            assert!(
                off <= 3.0 * error,
                "{strategy}, seed {seed}: {wrong} of {count}, {share}"
            );
            compared += usize::from(share > 0.01);
        }
    }
    assert!(compared > 40, "{compared}");
}

/// A window of a run, another one for each seed: its beginning, its middle, its end, or a moment.
fn some_window(seed: u64, scenario: &Scenario) -> Window {
    let end = micros(scenario.run.duration);
    let (from, to) = match seed % 4 {
        0 => (0, Some(end / 2)),
        1 => (end / 4, Some(end / 4 * 3)),
        2 => (end / 3, None),
        _ => (end / 2, Some(end / 2 + 1_000_000)),
    };
    Window {
        from: Time(from),
        to: to.map(Time),
    }
}

#[test]
fn the_area_of_a_change_that_nothing_supersedes_is_its_observers_times_its_mean_propagation() {
    let catalog = Catalog::default();
    let text = "schema = 1\n[run]\nduration = '20s'\n[cluster]\nnodes = 6\n[network]\nlatency = { uniform = ['1ms', '40ms'] }\n\
                [[step]]\nat = '10s'\nstart_children = { on = 'n2', ids = ['a'] }\n";
    let scenario = read(text, &catalog);
    for strategy in catalog.names() {
        let report = record(&scenario, strategy, 7, &catalog, Stepping::Slice).report;
        let measured = report.measured.as_ref().expect("it was measured");
        let mean = measured.propagation.each_us.mean.expect("all have seen it");
        assert_eq!(measured.changes, 1);
        assert_eq!(measured.stale.total_us() as f64, 5.0 * mean, "{strategy}");
        assert!(mean > 0.0, "{strategy}");
        let share = measured
            .stale
            .share()
            .expect("there was something to look up");
        let looked_up: u32 = 5 * 10_000_000;
        assert_eq!(
            measured.stale.looked_up_us,
            u64::from(looked_up),
            "{strategy}"
        );
        assert!((share - 5.0 * mean / f64::from(looked_up)).abs() < 1e-12);
    }
}

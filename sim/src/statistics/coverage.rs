//! Coverage of the intervals, by simulation; writes the table in docs/evaluation.md.

use super::{Better, Interval, Pair, Paired, Verdict, holm, judge, mean, median, paired};

const TRIALS: u32 = 2_000;

/// Standard normal numbers: `SplitMix64`, then Box and Muller.
struct Normal(u64);

impl Normal {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn draw(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.uniform(), self.uniform());
        libm::sqrt(-2.0 * libm::log(radius)) * libm::cos(angle * core::f64::consts::TAU)
    }
}

/// The share of trials whose interval contains the truth, in per cent.
fn coverage(seed: u64, truth: f64, mut trial: impl FnMut(&mut Normal) -> Interval) -> f64 {
    let mut normal = Normal(seed);
    let hits = (0..TRIALS)
        .filter(|_| trial(&mut normal).contains(truth))
        .count();
    hits as f64 * 100.0 / f64::from(TRIALS)
}

fn sample(count: usize, draw: impl FnMut() -> f64) -> Vec<f64> {
    std::iter::repeat_with(draw).take(count).collect()
}

fn of_mean(values: &[f64]) -> Interval {
    mean(values).unwrap().interval.unwrap()
}

fn of_median(mut values: Vec<f64>) -> Interval {
    values.sort_by(f64::total_cmp);
    median(&values).unwrap().interval.unwrap()
}

/// Of a ratio of 1.2: what the seed has in common has a spread of 1, what it has not of 0.3.
/// `idle`: this many seeds of ten have nothing to measure.
fn of_ratio(normal: &mut Normal, count: usize, idle: usize) -> Interval {
    let pairs: Vec<Pair> = (0..count)
        .map(|seed| {
            if seed % 10 < idle {
                return Pair {
                    baseline: Some(0.0),
                    other: Some(0.0),
                };
            }
            let common = normal.draw();
            let baseline = libm::exp(common + 0.3 * normal.draw());
            let other = 1.2 * libm::exp(common + 0.3 * normal.draw());
            Pair {
                baseline: Some(baseline),
                other: Some(other),
            }
        })
        .collect();
    paired(&pairs, Better::Low).ratio.unwrap().interval.unwrap()
}

#[test]
fn intervals_of_normal_samples_cover_as_often_as_they_say() {
    for count in [10, 30] {
        let seed = 11 * count as u64;
        let covered = [
            coverage(seed, 5.0, |normal| {
                of_mean(&sample(count, || 5.0 + 2.0 * normal.draw()))
            }),
            coverage(seed + 1, 1.2, |normal| of_ratio(normal, count, 0)),
        ];
        for percent in covered {
            assert!((93.0..=97.0).contains(&percent), "{count}: {covered:?}");
        }
        let percent = coverage(seed + 2, 0.0, |normal| {
            of_median(sample(count, || normal.draw()))
        });
        assert!(
            percent >= 94.0,
            "at least, for a median: {count}: {percent}"
        );
    }
}

/// The verdicts of a table of 12 tests, each of 20 seeds with so much difference.
fn verdicts(normal: &mut Normal, factor: f64) -> Vec<Verdict> {
    let mut test = || {
        let mut pair = || Pair {
            baseline: Some(libm::exp(normal.draw())),
            other: Some(factor * libm::exp(normal.draw())),
        };
        let pairs: Vec<Pair> = std::iter::repeat_with(&mut pair).take(20).collect();
        paired(&pairs, Better::Low)
    };
    let tests: Vec<Paired> = std::iter::repeat_with(&mut test).take(12).collect();
    let values: Vec<f64> = tests.iter().map(|test| test.p).collect();
    let both = tests.iter().zip(holm(&values));
    both.map(|(test, adjusted)| judge(test, adjusted, 0.05, Better::Low))
        .collect()
}

#[test]
fn where_nothing_differs_a_table_seldom_says_so_and_where_all_does_it_does() {
    let mut normal = Normal(5);
    let wrong = (0..200).filter(|_| {
        let verdicts = verdicts(&mut normal, 1.0);
        verdicts
            .iter()
            .any(|verdict| matches!(verdict, Verdict::Better | Verdict::Worse))
    });
    let wrong = wrong.count();
    assert!(wrong <= 18, "{wrong} of 200 tables");
    let found = verdicts(&mut normal, 0.1);
    assert!(
        found
            .iter()
            .filter(|verdict| **verdict == Verdict::Better)
            .count()
            >= 10,
        "{found:?}"
    );
    assert!(!found.contains(&Verdict::Worse));
}

/// The table of docs/evaluation.md.
fn table() -> String {
    let mut text = String::from(
        "| values | n | mean (Student's t) | median (order statistics) |\n| --- | ---: | ---: | ---: |\n",
    );
    let kinds: [(&str, Option<f64>); 4] = [
        ("normal", None),
        ("lognormal, sigma 0.5", Some(0.5)),
        ("lognormal, sigma 1", Some(1.0)),
        ("lognormal, sigma 1.5", Some(1.5)),
    ];
    for (name, sigma) in kinds {
        for count in [10, 20, 30, 100] {
            let draw = |normal: &mut Normal| match sigma {
                None => normal.draw(),
                Some(sigma) => libm::exp(sigma * normal.draw()),
            };
            let (of_means, of_medians) =
                sigma.map_or((0.0, 0.0), |sigma| (libm::exp(sigma * sigma / 2.0), 1.0));
            let seed = count as u64;
            let means = coverage(seed, of_means, |normal| {
                of_mean(&sample(count, || draw(normal)))
            });
            let medians = coverage(seed, of_medians, |normal| {
                of_median(sample(count, || draw(normal)))
            });
            text.push_str(&format!(
                "| {name} | {count} | {means:.1} % | {medians:.1} % |\n"
            ));
        }
    }
    text.push_str("\n| ratio to the baseline | n | covers |\n| --- | ---: | ---: |\n");
    for (name, idle) in [
        ("t on paired log ratios", 0),
        ("ratio of means, 1 of 10 seeds zero", 1),
    ] {
        for count in [10, 20, 30, 100] {
            let percent = coverage(count as u64, 1.2, |normal| of_ratio(normal, count, idle));
            text.push_str(&format!("| {name} | {count} | {percent:.1} % |\n"));
        }
    }
    text
}

#[test]
fn the_page_tells_what_intervals_cover() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/evaluation.md");
    let text = std::fs::read_to_string(page).unwrap();
    let (begin, end) = ("<!-- coverage: begin -->\n", "<!-- coverage: end -->");
    let (before, rest) = text.split_once(begin).unwrap();
    let (table_of_page, after) = rest.split_once(end).unwrap();
    let table = table();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(page, format!("{before}{begin}{table}{end}{after}")).unwrap();
    } else {
        assert_eq!(table_of_page, table, "UPDATE_EXPECT=1 writes it");
    }
}

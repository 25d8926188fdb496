//! Strategies that draw from outside the world: what the world keeps under the seed stays
//! deterministic, and what it cannot is caught, with the first event that differs.

#![expect(clippy::unwrap_used, reason = "a test that panics fails")]

mod around;

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use hublab_sim::capsule::Divergence;
use hublab_sim::capsule::twice::check_twice;
use hublab_sim::catalog::Catalog;
use hublab_sim::run::Simulation;
use hublab_sim::scenario::Scenario;
use hublab_sim::trace::{Event, Payload};
use hublab_strategies::{NodeId, PubSub, Synchronization, TimerKey};

use around::{Around, Cx, Twist};

/// Nothing in it is drawn: without a quirk, its trace is the same for every seed.
const STILL: &str = r#"
schema = 1
name = "still"
[run]
duration = "70s"
strategies = ["pubsub"]
[cluster]
nodes = 4
[network]
latency = { constant = "2ms" }
[[step]]
at = "1s"
start_children = { on = "n1", ids = ["a", "b"] }
"#;

/// Something that should not be in a strategy.
trait Quirk: Send + 'static {
    const NAME: &'static str;
    fn draw() -> u64;
}

/// A quirk chooses the number of a timer at each round.
struct Quirky<Q>(PhantomData<Q>);

impl<Q: Quirk> Twist for Quirky<Q> {
    const NAME: &'static str = Q::NAME;
    const SUMMARY: &'static str = "PubSub with a quirk";

    fn round(inner: &mut PubSub, cx: &mut Cx<'_>, cluster_nodes: &[NodeId]) {
        cx.set_timer(Q::draw(), Duration::from_millis(100));
        inner.init_sync(cx, cluster_nodes);
    }
}

/// Depends on the order of a default `HashMap`.
struct HashOrder;

impl Quirk for HashOrder {
    const NAME: &'static str = "hash-order";

    fn draw() -> u64 {
        #[expect(clippy::iter_over_hash_type, reason = "this is what the test is about")]
        let order = |map: HashMap<u64, ()>| {
            let mut order = 0_u64;
            for (key, ()) in map {
                order = order * 10 + key;
            }
            order
        };
        order((1..=9).map(|key| (key, ())).collect())
    }
}

/// Reads the time of day.
struct TimeOfDay;

impl Quirk for TimeOfDay {
    const NAME: &'static str = "time-of-day";

    fn draw() -> u64 {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("it is later than 1970");
        now.as_secs()
    }
}

/// Asks the operating system for entropy, as `std` and the crates for it do.
struct Entropy;

impl Quirk for Entropy {
    const NAME: &'static str = "entropy";

    fn draw() -> u64 {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the system has entropy");
        u64::from_le_bytes(bytes)
    }
}

/// Makes a random hasher, as a default `HashMap` does.
struct HashSeed;

impl Quirk for HashSeed {
    const NAME: &'static str = "hash-seed";

    fn draw() -> u64 {
        RandomState::new().hash_one(1)
    }
}

/// Counts over all runs of the process.
struct Counter;

impl Quirk for Counter {
    const NAME: &'static str = "counter";

    fn draw() -> u64 {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        COUNTER.fetch_add(1, Ordering::Relaxed)
    }
}

/// Reads entropy from a file, past every function that could be put under the seed.
struct DeviceFile;

impl Quirk for DeviceFile {
    const NAME: &'static str = "device-file";

    fn draw() -> u64 {
        let mut bytes = [0; 8];
        File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut bytes))
            .expect("Linux has /dev/urandom");
        u64::from_le_bytes(bytes)
    }
}

fn catalog<Q: Quirk>() -> Catalog {
    Catalog::default().with::<Around<Quirky<Q>>>()
}

fn still(catalog: &Catalog) -> Scenario {
    Scenario::read("still.toml", STILL.as_bytes(), catalog).unwrap()
}

fn digest(catalog: &Catalog, strategy: &str, seed: u64) -> String {
    Simulation::new(&still(catalog), catalog)
        .strategy(strategy)
        .unwrap()
        .seed(seed)
        .run()
        .unwrap()
        .digest
        .unwrap()
}

fn stays_deterministic<Q: Quirk>() {
    let catalog = catalog::<Q>();
    let first = digest(&catalog, Q::NAME, 1);
    assert_eq!(first, digest(&catalog, Q::NAME, 1));
    let others: Vec<String> = (2..22)
        .map(|seed| digest(&catalog, Q::NAME, seed))
        .collect();
    assert!(
        others.iter().any(|other| *other != first),
        "{} draws nothing",
        Q::NAME
    );
    assert_eq!(first, digest(&catalog, Q::NAME, 1));
    assert_eq!(
        check_twice(&still(&catalog), Q::NAME, 1, &catalog)
            .unwrap()
            .divergence,
        None
    );
}

fn is_caught<Q: Quirk>() -> Divergence {
    let catalog = catalog::<Q>();
    check_twice(&still(&catalog), Q::NAME, 1, &catalog)
        .unwrap()
        .divergence
        .expect("the runs differ")
}

/// The first difference is the first timer of a round: that of n1, which has children.
fn names_the_event(divergence: &Divergence) {
    let timer = |events: &[Event]| {
        let Payload::Timer(TimerKey::Strategy(number)) = events[0].payload else {
            panic!("{:?}", events[0])
        };
        number
    };
    let (left, right) = (timer(&divergence.left), timer(&divergence.right));
    assert_ne!(left, right);
    let shown = divergence.to_string();
    let id = divergence.at_event;
    assert!(
        shown.starts_with(&format!("first difference at event {id}\n")),
        "{shown}"
    );
    assert!(
        shown.contains(&format!("  < 30.1s n1 timer strategy.{left} [e{id} <- e")),
        "{shown}"
    );
    assert!(
        shown.contains(&format!("  > 30.1s n1 timer strategy.{right} [e{id} <- e")),
        "{shown}"
    );
}

#[test]
fn without_a_quirk_no_seed_makes_a_difference() {
    let catalog = Catalog::default();
    assert_eq!(digest(&catalog, "pubsub", 1), digest(&catalog, "pubsub", 2));
}

#[test]
fn the_order_of_a_hash_map_is_under_the_seed() {
    stays_deterministic::<HashOrder>();
}

#[test]
fn the_time_of_day_is_under_the_seed() {
    stays_deterministic::<TimeOfDay>();
}

#[test]
fn entropy_of_the_operating_system_is_under_the_seed() {
    stays_deterministic::<Entropy>();
}

#[test]
fn the_seeds_of_hashers_are_under_the_seed() {
    stays_deterministic::<HashSeed>();
}

#[test]
fn a_counter_of_the_process_is_caught() {
    names_the_event(&is_caught::<Counter>());
}

#[test]
fn entropy_from_a_device_is_caught() {
    names_the_event(&is_caught::<DeviceFile>());
}

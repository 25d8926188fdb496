//! Capsules: what is written is read back, and nothing else is; and what is made of them.

#![expect(clippy::unwrap_used, reason = "a test that panics fails")]

use std::fs;
use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::sync::{Arc, LazyLock, Mutex};

use expect_test::expect;
use hublab_sim::catalog::Catalog;
use hublab_sim::run::{Options, Run, run};
use hublab_sim::scenario::Scenario;
use hublab_sim::trace::capsule::{CHECKPOINT, MemoryCapsule};
use hublab_sim::trace::diff::{AROUND, HeaderDifference};
use hublab_sim::trace::text::{EVENT_KINDS, kind_of};
use hublab_sim::trace::{
    Build, Capsule, CapsuleError, Event, FileRecording, Filter, Header, Limits, Names, Recording,
    ReplayError, Sink, diff, replay, why,
};
use hublab_sim::twice::{check_twice, record};
use hublab_strategies::Time;
use proptest::prelude::*;
use proptest::sample::Index;

/// Small, and with something of everything.
const STORY: &str = r#"
schema = 1
name = "story"
[run]
duration = "60s"
[cluster]
nodes = 3
down_after = "5s"
[strategy.pubsub]
sync_interval = "5s"
[strategy.gossip]
sync_interval = "1s"
[network]
latency = { constant = "2ms" }
loss = 0.02
duplicate = 0.05
[[step]]
at = "2s"
start_children = { on = "n1", ids = ["a", "b"], metadata = { team = "blue" } }
[[step]]
at = "10s..12s"
partition = { groups = [["n1", "n2"], ["n3"]], heal_after = "10s" }
[[step]]
at = "30s"
stop_children = { on = "n1", ids = ["b", "no-such-child"] }
[[step]]
at = "40s"
crash = { nodes = ["n2"] }
[[step]]
at = "45s"
restart = { nodes = ["n2"] }
"#;

/// Without chance, and so short that it can be read.
const SHORT: &str = r#"
schema = 1
name = "short"
[run]
duration = "3s"
[cluster]
nodes = 2
[network]
latency = { constant = "2ms" }
[[step]]
at = "1s"
start_children = { on = "n1", ids = ["a"], metadata = { team = "blue" } }
[[step]]
at = "2s"
stop_children = { on = "n1", ids = ["a"] }
[[step]]
at = "2500ms"
crash = { nodes = ["n2"] }
"#;

fn scenario(text: &str) -> Scenario {
    Scenario::read("test.toml", text.as_bytes(), &Catalog::default()).unwrap()
}

fn recorded(text: &str, strategy: &str, seed: u64) -> MemoryCapsule {
    record(&scenario(text), strategy, seed, &Catalog::default())
        .unwrap()
        .1
}

fn bytes_of(text: &str, strategy: &str, seed: u64) -> Vec<u8> {
    let catalog = Catalog::default();
    let header = Header::new(&scenario(text), strategy, seed, &catalog);
    let recording = Recording::in_memory(&header, Limits::default()).unwrap();
    let options = Options {
        sinks: vec![recording.sink()],
        ..Options::default()
    };
    let run = run(&scenario(text), strategy, seed, &catalog, options).unwrap();
    recording.finish(&run.report).unwrap().into_inner()
}

fn open(bytes: &[u8]) -> Result<MemoryCapsule, CapsuleError> {
    Capsule::from_bytes(bytes.to_vec(), Limits::default())
}

/// Opens a capsule and reads it to its end.
fn read_all(bytes: &[u8]) -> Result<Vec<Event>, CapsuleError> {
    open(bytes)?.events().collect()
}

/// A capsule of several blocks, and what is in it.
static CAPSULE: LazyLock<(Vec<u8>, Vec<Event>)> = LazyLock::new(|| {
    let bytes = bytes_of(STORY, "gossip", 7);
    let events = read_all(&bytes).unwrap();
    assert!(
        events.len() as u64 > 2 * CHECKPOINT,
        "{} events",
        events.len()
    );
    (bytes, events)
});

#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<Event>>>);

impl Sink for Listener {
    fn event(&mut self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

fn listened(text: &str, strategy: &str, seed: u64) -> (Run, Vec<Event>) {
    let listener = Listener::default();
    let options = Options {
        sinks: vec![Box::new(listener.clone())],
        ..Options::default()
    };
    let run = run(
        &scenario(text),
        strategy,
        seed,
        &Catalog::default(),
        options,
    )
    .unwrap();
    let events = std::mem::take(&mut *listener.0.lock().unwrap());
    (run, events)
}

#[test]
fn a_capsule_gives_back_what_it_was_given() {
    for strategy in ["pubsub", "gossip"] {
        let (run, events) = listened(STORY, strategy, 7);
        let mut capsule = recorded(STORY, strategy, 7);
        assert_eq!(
            capsule.events().collect::<Result<Vec<_>, _>>().unwrap(),
            events
        );
        assert_eq!(Some(&capsule.footer().digest), run.report.digest.as_ref());
        assert_eq!(capsule.footer().events, run.report.events);
        assert_eq!(
            capsule.footer().report.expectations,
            run.report.expectations
        );
        assert_eq!(
            (capsule.header().strategy.as_str(), capsule.header().seed),
            (strategy, 7)
        );
        assert_eq!(capsule.header().build, Build::current());
    }
}

#[test]
fn the_header_has_the_resolved_scenario() {
    let capsule = recorded(STORY, "pubsub", 3);
    let text = &capsule.header().scenario;
    assert!(
        text.contains("seed = 3") && !text.contains("10s..12s"),
        "{text}"
    );
    let (explained, _) = record(&scenario(text), "pubsub", 3, &Catalog::default()).unwrap();
    assert_eq!(
        explained.report.digest,
        Some(capsule.footer().digest.clone())
    );
}

#[test]
fn a_capsule_file_has_its_name_only_once_it_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.capsule");
    let partial = dir.path().join("a.capsule.partial");
    let catalog = Catalog::default();
    let header = Header::new(&scenario(SHORT), "pubsub", 1, &catalog);
    let recording = FileRecording::create(&path, &header, Limits::default()).unwrap();
    let options = Options {
        sinks: vec![recording.sink()],
        ..Options::default()
    };
    let run = run(&scenario(SHORT), "pubsub", 1, &catalog, options).unwrap();
    assert!(partial.exists() && !path.exists());
    recording.finish(&run.report).unwrap();
    assert!(!partial.exists());
    let mut capsule = Capsule::open(&path, Limits::default()).unwrap();
    assert_eq!(capsule.events().count() as u64, run.report.events);

    let other = dir.path().join("b.capsule");
    drop(FileRecording::create(&other, &header, Limits::default()).unwrap());
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "an abandoned recording leaves nothing behind"
    );
}

#[test]
fn the_capsule_of_a_killed_run_is_called_unfinished() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.capsule");
    let header = Header::new(&scenario(STORY), "gossip", 1, &Catalog::default());
    let recording = FileRecording::create(&path, &header, Limits::default()).unwrap();
    let mut sink = recording.sink();
    for event in &CAPSULE.1 {
        sink.event(event);
    }
    let mut left_behind = fs::read(dir.path().join("a.capsule.partial")).unwrap();
    assert!(!left_behind.is_empty(), "events are written as they come");
    assert!(matches!(open(&left_behind), Err(CapsuleError::Unfinished)));
    left_behind.truncate(30);
    assert!(matches!(
        open(&left_behind),
        Err(CapsuleError::Truncated { .. })
    ));
}

/// A disk that is full after so many bytes.
struct Full(Cursor<Vec<u8>>, usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.get_ref().len() + bytes.len() > self.1 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Full {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_full_disk_does_not_disturb_the_run_and_is_told_at_the_end() {
    let catalog = Catalog::default();
    let header = Header::new(&scenario(STORY), "gossip", 7, &catalog);
    let recording =
        Recording::new(Full(Cursor::default(), 6_000), &header, Limits::default()).unwrap();
    let options = Options {
        sinks: vec![recording.sink()],
        ..Options::default()
    };
    let run = run(&scenario(STORY), "gossip", 7, &catalog, options).unwrap();
    assert_eq!(
        run.report.digest,
        Some(open(&CAPSULE.0).unwrap().footer().digest.clone())
    );
    let error = recording.finish(&run.report).map(drop).unwrap_err();
    assert!(matches!(error, CapsuleError::Io(error) if error.kind() == io::ErrorKind::StorageFull));
}

#[test]
fn a_trace_over_the_limit_is_neither_written_nor_read() {
    let limits = Limits {
        trace_bytes: 10_000,
    };
    let read = Capsule::from_bytes(CAPSULE.0.clone(), limits);
    assert!(matches!(read, Err(CapsuleError::TooLarge { bytes, limit: 10_000 }) if bytes > 10_000));
    assert!(Capsule::from_bytes(CAPSULE.0.clone(), Limits::BIG).is_ok());

    let header = open(&CAPSULE.0).unwrap().header().clone();
    let recording = Recording::in_memory(&header, limits).unwrap();
    let mut sink = recording.sink();
    CAPSULE.1.iter().for_each(|event| sink.event(event));
    let report = open(&CAPSULE.0).unwrap().footer().report.clone();
    let written = recording.finish(&report);
    assert!(matches!(
        written,
        Err(CapsuleError::TooLarge { limit: 10_000, .. })
    ));
}

#[test]
fn what_is_no_capsule_is_called_so() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        Capsule::open(dir.path(), Limits::default()),
        Err(CapsuleError::Io(_))
    ));
    assert!(matches!(
        Capsule::open(&dir.path().join("none"), Limits::default()),
        Err(CapsuleError::Io(_))
    ));
    assert!(matches!(open(b""), Err(CapsuleError::NotACapsule)));
    assert!(matches!(
        open(STORY.as_bytes()),
        Err(CapsuleError::NotACapsule)
    ));
    let mut newer = CAPSULE.0.clone();
    newer[8] = 200;
    assert!(matches!(
        open(&newer),
        Err(CapsuleError::Version { found: 200, .. })
    ));
}

/// Opens what may be no capsule and uses all that reads one; nothing may panic, and what is read
/// without an error must be what was written.
fn survive(bytes: &[u8]) -> Result<(), CapsuleError> {
    let events = read_all(bytes)?;
    let mut capsule = open(bytes)?;
    let names = Names::of_capsule(capsule.header(), capsule.footer());
    for event in &events {
        let _ = (names.line(event), names.json(event));
    }
    why(&mut capsule, "n3", "a", None).map(drop).unwrap();
    diff(capsule, open(&CAPSULE.0)?, AROUND)?;
    assert_eq!(events, CAPSULE.1);
    Ok(())
}

#[test]
fn every_changed_bit_of_a_small_capsule_is_noticed() {
    let bytes = bytes_of(SHORT, "pubsub", 1);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(read_all(&changed).is_err(), "byte {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn arbitrary_bytes_are_no_capsule(mut bytes in prop::collection::vec(any::<u8>(), 0..400), real in 0_usize..48) {
        // With some of a real beginning, so that not all fail at the magic.
        let real = real.min(bytes.len());
        bytes[..real].copy_from_slice(&CAPSULE.0[..real]);
        prop_assert!(survive(&bytes).is_err());
    }

    #[test]
    fn a_truncated_capsule_is_noticed(len in any::<Index>()) {
        let len = len.index(CAPSULE.0.len());
        let error = survive(&CAPSULE.0[..len]).unwrap_err();
        let expected = if len == 0 { matches!(error, CapsuleError::NotACapsule) } else { matches!(error, CapsuleError::Truncated { .. }) };
        prop_assert!(expected, "{} bytes: {}", len, error);
    }

    #[test]
    fn changed_bytes_are_noticed(changes in prop::collection::vec((any::<Index>(), 1..=255_u8), 1..4)) {
        let mut bytes = CAPSULE.0.clone();
        for (at, change) in changes {
            let at = at.index(bytes.len());
            bytes[at] ^= change;
        }
        if bytes != CAPSULE.0 {
            prop_assert!(survive(&bytes).is_err());
        }
    }

    #[test]
    fn pieces_of_capsules_do_not_make_one(a in any::<Index>(), b in any::<Index>(), c in any::<Index>(), other in any::<bool>()) {
        static OTHER: LazyLock<Vec<u8>> = LazyLock::new(|| bytes_of(STORY, "gossip", 8));
        let (bytes, source) = (&CAPSULE.0, if other { &OTHER } else { &CAPSULE.0 });
        let (a, b, c) = (a.index(bytes.len()), b.index(source.len()), c.index(source.len()));
        let spliced = [&bytes[..a], &source[b.min(c)..b.max(c)], &bytes[a..]].concat();
        if b != c {
            prop_assert!(survive(&spliced).is_err());
        }
        let joined = [&bytes[..a], &source[b..]].concat();
        if joined != *bytes && joined != *source {
            prop_assert!(survive(&joined).is_err());
        }
    }
}

#[test]
fn equal_capsules_have_no_difference() {
    let found = diff(open(&CAPSULE.0).unwrap(), open(&CAPSULE.0).unwrap(), AROUND).unwrap();
    assert_eq!((found.headers, found.divergence), (vec![], None));
}

#[test]
fn the_first_difference_is_the_first_event_that_is_not_the_same() {
    // Equal for thousands of events, and then not: the checkpoints are of use, and not in the way.
    let late = STORY.replace(
        "restart = { nodes = [\"n2\"] }",
        "join = { nodes = [\"n2\"] }",
    );
    let late = late.replace("at = \"45s\"\njoin", "at = \"45001ms\"\nrestart");
    let (_, right) = listened(&late, "gossip", 7);
    let expected = CAPSULE
        .1
        .iter()
        .zip(&right)
        .position(|(a, b)| a != b)
        .unwrap();
    assert!(expected as u64 > CHECKPOINT);
    let found = diff(open(&CAPSULE.0).unwrap(), recorded(&late, "gossip", 7), 3).unwrap();
    assert!(
        matches!(
            found.headers.as_slice(),
            [HeaderDifference::Scenario { .. }]
        ),
        "{:?}",
        found.headers
    );
    let divergence = found.divergence.unwrap();
    assert_eq!(divergence.at_event, expected as u64 + 1);
    assert_eq!(divergence.before, CAPSULE.1[expected - 3..expected]);
    assert_eq!(divergence.left, CAPSULE.1[expected..expected + 3]);
    assert_eq!(divergence.right, right[expected..expected + 3]);
}

#[test]
fn a_trace_that_ends_early_differs_where_it_ends() {
    let short = STORY.replace("60s", "50s");
    let (_, events) = listened(&short, "gossip", 7);
    for (left, right) in [(STORY, short.as_str()), (short.as_str(), STORY)] {
        let found = diff(recorded(left, "gossip", 7), recorded(right, "gossip", 7), 2)
            .unwrap()
            .divergence
            .unwrap();
        assert_eq!(found.at_event, events.len() as u64 + 1);
        assert_eq!(found.left.is_empty(), left == short);
        assert_eq!(found.right.is_empty(), right == short);
        assert!(found.to_string().contains("the trace ends"));
    }
}

#[test]
fn headers_that_differ_are_told_apart() {
    let found = diff(
        recorded(SHORT, "pubsub", 1),
        recorded(SHORT, "gossip", 2),
        1,
    )
    .unwrap();
    let told: Vec<String> = found.headers.iter().map(ToString::to_string).collect();
    assert_eq!(
        told[1..],
        [
            "different strategies: pubsub and gossip",
            "different seeds: 1 and 2"
        ]
    );
    expect!["different scenarios, first in line 6: `seed = 1` and `seed = 2`"].assert_eq(&told[0]);
    let shown = found.divergence.unwrap().to_string();
    assert!(shown.starts_with("first difference at event "), "{shown}");
}

#[test]
fn a_replay_is_the_same_run() {
    for (text, strategy) in [(STORY, "pubsub"), (STORY, "gossip"), (SHORT, "gossip")] {
        let capsule = recorded(text, strategy, 5);
        let digest = capsule.footer().digest.clone();
        let again = replay(capsule, &Catalog::default()).unwrap();
        assert_eq!(again.divergence, None);
        assert_eq!(again.other_build, None);
        assert_eq!(again.run.report.digest, Some(digest));
        assert_eq!(again.run.report.verdict, again.recorded.verdict);
    }
}

/// The capsule with another header: what its run was, and what it says it was, are two things.
fn with_header(change: impl FnOnce(&mut Header)) -> MemoryCapsule {
    let capsule = open(&CAPSULE.0).unwrap();
    let mut header = capsule.header().clone();
    change(&mut header);
    let recording = Recording::in_memory(&header, Limits::default()).unwrap();
    let mut sink = recording.sink();
    CAPSULE.1.iter().for_each(|event| sink.event(event));
    open(
        recording
            .finish(&capsule.footer().report)
            .unwrap()
            .get_ref(),
    )
    .unwrap()
}

#[test]
fn a_replay_that_parts_names_the_first_event_that_differs() {
    let forged =
        with_header(|header| header.scenario = header.scenario.replace("\"45s\"", "\"44s\""));
    let divergence = replay(forged, &Catalog::default())
        .unwrap()
        .divergence
        .unwrap();
    let first = CAPSULE
        .1
        .iter()
        .find(|event| event.at.0 >= 44_000_000)
        .unwrap();
    assert_eq!(divergence.at_event, first.id);
    let shown = divergence.to_string();
    assert!(shown.contains("  > 44s world step 4: restart"), "{shown}");
}

#[test]
fn a_capsule_of_another_build_says_so_and_is_still_compared() {
    let other = Build {
        version: "0.0.1".to_owned(),
        commit: None,
    };
    let capsule = with_header(|header| header.build = other.clone());
    let again = replay(capsule, &Catalog::default()).unwrap();
    assert_eq!((again.other_build, again.divergence), (Some(other), None));
}

#[test]
fn a_capsule_whose_scenario_is_not_accepted_is_not_replayed() {
    let unknown = with_header(|header| header.scenario.push_str("\n[surprise]\n"));
    assert!(matches!(
        replay(unknown, &Catalog::default()),
        Err(ReplayError::Scenario(_))
    ));
    let stranger = with_header(|header| header.strategy = "stranger".to_owned());
    assert!(matches!(
        replay(stranger, &Catalog::default()),
        Err(ReplayError::Run(_))
    ));
}

#[test]
fn the_ports_are_deterministic() {
    for strategy in ["pubsub", "gossip"] {
        let found = check_twice(&scenario(STORY), strategy, 11, &Catalog::default()).unwrap();
        assert_eq!(found.divergence, None);
    }
}

/// The lines of the events that a filter allows.
fn lines(text: &str, filter: &Filter) -> String {
    let mut capsule = recorded(text, "pubsub", 1);
    let names = Names::of_capsule(capsule.header(), capsule.footer());
    let shown = capsule
        .events()
        .map(Result::unwrap)
        .filter(|event| filter.allows(event, &names));
    shown.map(|event| names.line(&event) + "\n").collect()
}

fn only(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn an_event_is_a_line() {
    let from_first_step = Filter {
        from: Some(Time(1_000_000)),
        ..Filter::default()
    };
    expect![[r#"
        1s world step 0: start_children [e14]
        1s n1 runs a as n1.1.1 {team=blue} [e15 <- e14]
        1s n1 row a: nothing -> n1=n1.1.1 {team=blue} [e16 <- e14]
        1s n1 fact 1 about a: started as n1.1.1 [e17 <- e14]
        1s n1 answer of n1: 1 done, 0 failed [e18 <- e14]
        1s world from here on kind 1 is pubsub.requests [e19]
        1s n1 sent pubsub.requests #0 to n2, 37 bytes, due 1.002s [e20 <- e14]
        1.002s n2 got pubsub.requests #0 from n1 [e21 <- e20]
        1.002s n2 row a: nothing -> n1=n1.1.1 {team=blue} [e22 <- e21]
        2s world step 1: stop_children [e23]
        2s n1 no longer runs a as n1.1.1 [e24 <- e23]
        2s n1 row a: n1=n1.1.1 {team=blue} -> no entries {team=blue}, expires 32s [e25 <- e23]
        2s n1 fact 2 about a: stopped as n1.1.1 [e26 <- e23]
        2s n1 answer of n1: 1 done, 0 failed [e27 <- e23]
        2s n1 sent pubsub.requests #1 to n2, 11 bytes, due 2.002s [e28 <- e23]
        2.002s n2 got pubsub.requests #1 from n1 [e29 <- e28]
        2.002s n2 row a: n1=n1.1.1 {team=blue} -> no entries {team=blue}, expires 32.002s [e30 <- e29]
        2.5s world step 2: crash [e31]
        2.5s n2 crashed [e32 <- e31]
        2.503s n1 sees n2 down: closed [e33 <- e32]
    "#]].assert_eq(&lines(SHORT, &from_first_step));
}

#[test]
fn filters_choose_by_node_child_time_and_kind() {
    let all = Filter {
        from: Some(Time(1_000_000)),
        to: Some(Time(2_100_000)),
        ..Filter::default()
    };
    let on_n2 = Filter {
        nodes: only(&["n2"]),
        children: only(&["a"]),
        ..all.clone()
    };
    expect![[r#"
        1.002s n2 row a: nothing -> n1=n1.1.1 {team=blue} [e22 <- e21]
        2.002s n2 row a: n1=n1.1.1 {team=blue} -> no entries {team=blue}, expires 32.002s [e30 <- e29]
    "#]].assert_eq(&lines(SHORT, &on_n2));
    let sent = Filter {
        kinds: only(&["pubsub.requests", "step"]),
        ..all
    };
    expect![[r#"
        1s world step 0: start_children [e14]
        1s world from here on kind 1 is pubsub.requests [e19]
        1s n1 sent pubsub.requests #0 to n2, 37 bytes, due 1.002s [e20 <- e14]
        1.002s n2 got pubsub.requests #0 from n1 [e21 <- e20]
        2s world step 1: stop_children [e23]
        2s n1 sent pubsub.requests #1 to n2, 11 bytes, due 2.002s [e28 <- e23]
        2.002s n2 got pubsub.requests #1 from n1 [e29 <- e28]
    "#]]
    .assert_eq(&lines(SHORT, &sent));
    let nothing = Filter {
        nodes: only(&["n9"]),
        ..Filter::default()
    };
    assert_eq!(lines(SHORT, &nothing), "");
}

#[test]
fn an_event_is_a_json_object_with_stable_names() {
    let (_, events) = listened(SHORT, "pubsub", 1);
    let capsule = recorded(SHORT, "pubsub", 1);
    let names = Names::of_capsule(capsule.header(), capsule.footer());
    let shown = |kind: &str| {
        let event = events.iter().rfind(|event| kind_of(event) == kind).unwrap();
        names.json(event).to_string() + "\n"
    };
    expect![[r#"
        {"id":31,"at_us":2500000,"node":null,"cause":null,"event":"step","step":2,"healing":false,"action":"crash"}
        {"id":28,"at_us":2000000,"node":"n1","cause":23,"event":"sent","to":"n2","kind":"pubsub.requests","number":1,"channel":0,"bytes":11,"hops":1,"due_us":2002000}
        {"id":29,"at_us":2002000,"node":"n2","cause":28,"event":"delivered","from":"n1","kind":"pubsub.requests","number":1}
        {"id":30,"at_us":2002000,"node":"n2","cause":29,"event":"row","child":"a","before":{"nodes":[{"node":"n1","pid":"n1.1.1"}],"metadata":{"team":"blue"},"expires_us":null},"after":{"nodes":[],"metadata":{"team":"blue"},"expires_us":32002000}}
        {"id":26,"at_us":2000000,"node":"n1","cause":23,"event":"fact","child":"a","owner":"n1","incarnation":1,"seq":2,"change":"stopped","pid":"n1.1.1"}
        {"id":27,"at_us":2000000,"node":"n1","cause":23,"event":"answered","by":"n1","results":[{"child":"a","pid":"n1.1.1"}]}
    "#]].assert_eq(&["step", "sent", "delivered", "row", "fact", "answered"].map(shown).concat());
    let (_, events) = listened(STORY, "gossip", 7);
    for event in &events {
        let json = names.json(event);
        assert!(EVENT_KINDS.contains(&json["event"].as_str().unwrap()));
        assert_eq!(
            (json["id"].as_u64(), json["at_us"].as_u64()),
            (Some(event.id), Some(event.at.0))
        );
    }
}

#[test]
fn why_tells_how_a_row_came_and_went() {
    let mut capsule = recorded(SHORT, "pubsub", 1);
    expect![[r#"
        row of a at n2 at the end: nothing
        1.002s put there
          1s world step 0: start_children [e14]
          1s n1 sent pubsub.requests #0 to n2, 37 bytes, due 1.002s [e20 <- e14]
          1.002s n2 got pubsub.requests #0 from n1 [e21 <- e20]
          1.002s n2 row a: nothing -> n1=n1.1.1 {team=blue} [e22 <- e21]
        2.002s emptied, a tombstone stays
          2s world step 1: stop_children [e23]
          2s n1 sent pubsub.requests #1 to n2, 11 bytes, due 2.002s [e28 <- e23]
          2.002s n2 got pubsub.requests #1 from n1 [e29 <- e28]
          2.002s n2 row a: n1=n1.1.1 {team=blue} -> no entries {team=blue}, expires 32.002s [e30 <- e29]
        2.5s lost with the memory of the node
          2.5s world step 2: crash [e31]
          2.5s n2 crashed [e32 <- e31]"#]].assert_eq(&why(&mut capsule, "n2", "a", None).unwrap().to_string());
}

#[test]
fn why_can_look_at_an_earlier_instant() {
    let mut capsule = recorded(SHORT, "pubsub", 1);
    let found = why(&mut capsule, "n2", "a", Some(Time(1_500_000))).unwrap();
    assert_eq!(found.changes.len(), 1);
    assert!(found.row.is_some_and(|row| row.entries.len() == 1));
    let found = why(&mut capsule, "n2", "b", None).unwrap();
    assert!(
        found.to_string().ends_with("n2 has had no row of b"),
        "{found}"
    );
    assert!(why(&mut capsule, "n9", "a", None).is_err());
}

#[test]
fn every_chain_of_why_begins_with_an_event_that_nothing_caused() {
    let mut capsule = open(&CAPSULE.0).unwrap();
    let found = why(&mut capsule, "n3", "a", None).unwrap();
    assert!(!found.changes.is_empty());
    for change in &found.changes {
        assert!(!change.cut && change.chain[0].cause == 0);
        assert!(
            change
                .chain
                .windows(2)
                .all(|pair| pair[1].cause == pair[0].id)
        );
    }
}

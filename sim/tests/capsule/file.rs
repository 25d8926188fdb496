//! What is written is read back, and nothing else is.

use std::fs;
use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::sync::LazyLock;

use hublab_sim::capsule::diff::AROUND;
use hublab_sim::capsule::twice::record;
use hublab_sim::capsule::{
    Build, Capsule, CapsuleError, FileRecording, Header, Limits, Recording, diff, why,
};
use hublab_sim::catalog::Catalog;
use hublab_sim::run::Simulation;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{CAPSULE, SHORT, STORY, bytes_of, listened, open, read_all, recorded, scenario};

#[test]
fn a_capsule_gives_back_what_it_was_given() {
    for strategy in ["pubsub", "gossip"] {
        let (run, events) = listened(STORY, strategy, 7);
        let mut capsule = recorded(STORY, strategy, 7);
        assert_eq!(
            capsule.events().collect::<Result<Vec<_>, _>>().unwrap(),
            events
        );
        assert_eq!(Some(&capsule.footer().digest), run.digest.as_ref());
        assert_eq!(capsule.footer().events, run.events);
        assert_eq!(capsule.footer().report.expectations, run.expectations);
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
    assert_eq!(explained.digest, Some(capsule.footer().digest.clone()));
}

#[test]
fn a_capsule_file_has_its_name_only_once_it_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.capsule");
    let partial = dir.path().join("a.capsule.partial");
    let catalog = Catalog::default();
    let header = Header::new(&scenario(SHORT), "pubsub", 1, &catalog);
    let recording = FileRecording::create(&path, &header, Limits::default()).unwrap();
    let run = Simulation::new(&scenario(SHORT), &catalog)
        .strategy("pubsub")
        .unwrap()
        .seed(1)
        .sinks([recording.sink()])
        .run()
        .unwrap();
    assert!(partial.exists() && !path.exists());
    recording.finish(&run).unwrap();
    assert!(!partial.exists());
    let mut capsule = Capsule::open(&path, Limits::default()).unwrap();
    assert_eq!(capsule.events().count() as u64, run.events);

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
    let run = Simulation::new(&scenario(STORY), &catalog)
        .strategy("gossip")
        .unwrap()
        .seed(7)
        .sinks([recording.sink()])
        .run()
        .unwrap();
    assert_eq!(
        run.digest,
        Some(open(&CAPSULE.0).unwrap().footer().digest.clone())
    );
    let error = recording.finish(&run).map(drop).unwrap_err();
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
    let names = capsule.names();
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

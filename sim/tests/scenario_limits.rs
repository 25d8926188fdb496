//! Files made to hurt: of the largest size, and as dense as TOML allows. Reading any of them ends
//! soon, within 256 MiB. The only test of its process, because it measures the process.

use std::time::{Duration, Instant};

use hublab_sim::catalog::Catalog;
use hublab_sim::scenario::{FILE_BYTES_MAX, Scenario};
use miette::{GraphicalReportHandler, GraphicalTheme};

/// The most that `check` of a file may take, in KiB.
const PEAK_KIB_MAX: u64 = 256 * 1024;
/// Generous, for a debug build on a busy machine.
const TIME_MAX: Duration = Duration::from_secs(20);

fn full_of(head: &str, piece: &str, tail: &str) -> String {
    let count = (FILE_BYTES_MAX - head.len() - tail.len()) / piece.len();
    format!("{head}{}{tail}", piece.repeat(count))
}

fn numbered(head: &str, piece: impl Fn(usize) -> String) -> String {
    let mut text = head.to_owned();
    for number in 0.. {
        let next = piece(number);
        if text.len() + next.len() > FILE_BYTES_MAX {
            break;
        }
        text.push_str(&next);
    }
    text
}

fn hostile_files() -> Vec<(&'static str, String)> {
    let cluster = "schema = 1\n[cluster]\nnodes = 10000\n";
    let step = |action: &str| {
        full_of(
            &format!("{cluster}step = [\n"),
            &format!("{{at=\"1s\",{action}}},\n"),
            "]\n",
        )
    };
    vec![
        ("nested lists", full_of("a = ", "[", "")),
        ("nested tables", full_of("a = ", "{a=", "")),
        ("nested lists in tables", full_of("a = ", "[{a=", "")),
        ("one dotted key", full_of("a", ".a", " = 1\n")),
        (
            "many dotted keys",
            numbered("", |number| format!("{}k{number} = 1\n", "a.".repeat(70))),
        ),
        (
            "many deep headers",
            numbered("", |number| format!("[{}k{number}]\n", "a.".repeat(70))),
        ),
        (
            "different dotted keys",
            numbered("", |number| format!("k{number}.b.c.d.e.f.g.h = 1\n")),
        ),
        ("empty lists", full_of("a = [", "[],", "]\n")),
        ("empty tables", full_of("a = [", "{},", "]\n")),
        ("small tables", full_of("a = [", "{a=1},", "]\n")),
        (
            "tables of dotted keys",
            full_of("a = [", "{a.a.a.a.a.a.a.a.a.a.a.a.a=1},", "]\n"),
        ),
        ("numbers", full_of("a = [", "1,", "]\n")),
        ("open brackets", full_of("", "]", "")),
        ("open quotes", full_of("", "\"\n", "")),
        ("bad escapes", full_of("a = \"", "\\q", "\"\n")),
        ("bad keys", full_of("", "=\n", "")),
        ("repeated keys", full_of("", "a=1\n", "")),
        (
            "unknown keys",
            numbered("schema = 1\n", |number| format!("k{number}=1\n")),
        ),
        ("comments", full_of("", "#\n", "")),
        ("empty lines", full_of("", "\n", "")),
        ("headers of steps", full_of(cluster, "[[step]]\n", "")),
        ("zero bytes", full_of("", "\0", "")),
        (
            "one long name",
            full_of("schema = 1\nname = \"", "é", "\"\n[cluster]\nnodes = 2\n"),
        ),
        ("one long key", full_of("", "k", " = 1\n")),
        ("joins of all", step("join={nodes=\"all\"}")),
        (
            "partitions of all",
            step("partition={groups=[[\"n1..n5000\"],[\"n5001..n10000\"]]}"),
        ),
        ("partitions of none", step("partition={groups=[[]]}")),
        (
            "many children",
            step("start_children={on=\"n1\",count=1000000,prefix=\"x\"}"),
        ),
        ("unknown nodes", step("sync={on=\"n99999\"}")),
        ("crashes of one", step("crash={nodes=[\"n1\"]}")),
        (
            "metadata",
            numbered(
                &format!(
                    "{cluster}[[step]]\nat=\"1s\"\n[step.start_children]\non=\"n1\"\nids=[\"a\"]\n[step.start_children.metadata]\n"
                ),
                |number| format!("k{number}=\"\"\n"),
            ),
        ),
        (
            "names",
            numbered("schema=1\n[cluster]\nnames=[", |number| {
                format!("\"{number}\",\n")
            }),
        ),
    ]
}

/// The most memory that this process has ever held, in KiB.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn the_densest_files_of_the_largest_size_are_read_within_bounds() {
    let catalog = Catalog::default();
    for (name, text) in hostile_files() {
        assert!(
            text.len() <= FILE_BYTES_MAX,
            "{name} is too long to be read at all"
        );
        let begun = Instant::now();
        if let Err(problems) = Scenario::read("hostile.toml", text.as_bytes(), &catalog) {
            let mut told = String::new();
            GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
                .render_report(&mut told, &problems)
                .unwrap();
            assert!(
                told.len() < 1 << 20,
                "{name}: {} bytes are told",
                told.len()
            );
        }
        let (time, peak) = (begun.elapsed(), peak_kib());
        println!("{name}: {time:?}, peak so far {peak:?} KiB");
        assert!(time < TIME_MAX, "{name} took {time:?}");
        assert!(
            peak.is_none_or(|peak| peak < PEAK_KIB_MAX),
            "{name}: peak of {peak:?} KiB"
        );
    }
}

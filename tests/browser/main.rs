//! Pages of `hublab report` in a browser: what a reader does is done by a script, and what the page shows
//! is compared with what the commands print.

/// Without a browser a test passes; that it was left out is said once.
macro_rules! need_browser {
    () => {
        if !crate::chromium::is_there() {
            return;
        }
    };
}

mod chromium;
mod devtools;
mod pages;
mod reader;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use chromium::drive;

const STALE_SNAPSHOT: &str = "scenarios/anomalies/a01-stale-snapshot-detaches-fresh-row.toml";
const PARTITION: &str = "scenarios/partition-and-heal.toml";

fn hublab(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hublab"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("HUBLAB_LOG")
        .stdin(Stdio::null())
        .args(arguments)
        .output()
        .expect("the program starts");
    let told = String::from_utf8_lossy(&output.stderr);
    // A run may fail, and two may differ; 2 and what no program returns are errors.
    assert!(
        output
            .status
            .code()
            .is_some_and(|code| code != 2 && code < 100),
        "{arguments:?}: {told}"
    );
    String::from_utf8(output.stdout).expect("the program writes UTF-8")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// A run, its capsule and its page.
struct Made {
    _place: tempfile::TempDir,
    capsule: PathBuf,
    page: PathBuf,
}

fn capsule(file: &str, strategy: &str, seed: &str, out: &Path) -> PathBuf {
    hublab(&[
        "run",
        file,
        "--strategy",
        strategy,
        "--seed",
        seed,
        "--out",
        text(out),
    ]);
    let entries = fs::read_dir(out).expect("a directory");
    let mut paths = entries.map(|entry| entry.expect("an entry").path());
    paths.next().expect("a capsule")
}

fn made(file: &str, strategy: &str, seed: &str) -> Made {
    let place = tempfile::tempdir().expect("a temporary directory");
    let capsule = capsule(file, strategy, seed, &place.path().join("out"));
    let page = place.path().join("page.html");
    hublab(&["report", text(&capsule), "-o", text(&page)]);
    Made {
        _place: place,
        capsule,
        page,
    }
}

/// The events that `hublab trace` prints for these filters.
fn trace(capsule: &Path, filters: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["trace", text(capsule), "--format", "ndjson"];
    arguments.extend(filters);
    let lines = hublab(&arguments);
    let event = |line| serde_json::from_str(line).expect("a line is a JSON object");
    lines.lines().map(event).collect()
}

fn is(event: &Value, kinds: &[&str]) -> bool {
    event["event"]
        .as_str()
        .is_some_and(|kind| kinds.contains(&kind))
}

/// How many messages a diagram of these events draws, and how many marks on lanes.
fn counts(events: &[Value]) -> Value {
    let messages = events.iter().filter(|it| is(it, &["sent", "duplicated"]));
    let of_messages = [
        "sent",
        "duplicated",
        "delivered",
        "dropped",
        "queued",
        "kind",
    ];
    let marks = events
        .iter()
        .filter(|it| !is(it, &of_messages) && !it["node"].is_null());
    json!([messages.count(), marks.count()])
}

#[test]
fn the_first_violation_is_in_view() {
    need_browser!();
    let made = made(STALE_SNAPSHOT, "pubsub", "1");
    let shown = drive(
        &made.page,
        "",
        "const x = xOf(Number(hash().t)), { left, right } = diagram().dataset;
         return { at: Number(hash().t), is_shown: x >= left && x <= right, lines: counts().drawn,
             word: one('.findings .word').textContent, state: one('table.state').textContent };",
    );
    assert_eq!(shown["at"], 14_000_000);
    assert_eq!(shown["is_shown"], true);
    assert_eq!(shown["lines"], 12);
    assert_eq!(shown["word"], "! documented");
    assert!(
        shown["state"]
            .as_str()
            .is_some_and(|text| text.contains("absent"))
    );
}

#[test]
fn a_click_on_a_delivery_lights_its_chain_and_its_effects() {
    need_browser!();
    let made = made(STALE_SNAPSHOT, "pubsub", "1");
    let why = hublab(&[
        "why",
        text(&made.capsule),
        "--node",
        "n2",
        "--child",
        "fresh",
        "--at",
        "13s",
        "--format",
        "json",
    ]);
    let why: Value = serde_json::from_str(&why).expect("JSON");
    let chain = why["changes"][0]["chain"].as_array().expect("a chain");
    let ids: Vec<&Value> = chain.iter().map(|event| &event["id"]).collect();
    let place = chain
        .iter()
        .position(|it| is(it, &["delivered"]))
        .expect("a delivery");
    let delivery = chain[place]["id"].as_u64().expect("a number");
    let lane = 1;
    let events = trace(&made.capsule, &[]);
    let mut known = BTreeSet::from([delivery]);
    for event in &events {
        if event["cause"]
            .as_u64()
            .is_some_and(|cause| known.contains(&cause))
        {
            known.insert(event["id"].as_u64().expect("a number"));
        }
    }
    known.remove(&delivery);
    let script = format!(
        "location.hash = 't=12000000&v=11990000-12012000'; await pause(50); await settled();
         clickAt(diagram(), xOf({at}), yOf({lane}));
         await settled();
         const first = hash().s;
         // What is drawn at the same place is one of those of the chain.
         all('.chain.causes button').concat(all('.chain.effects button'))
             .find((it) => it.dataset.event === '{delivery}')?.click();
         await settled();
         const of_delivery = {{ selected: hash().s, causes: listed('causes'), effects: listed('effects') }};
         all('.chain.effects button').find((it) => it.dataset.event === '{row}').click();
         await settled();
         return {{ first, of_delivery, of_row: listed('causes') }};",
        at = chain[place]["at_us"],
        row = ids[ids.len() - 1],
    );
    let lit = drive(&made.page, "", &script);
    assert_eq!(
        lit["first"],
        format!("0.{delivery}"),
        "the click finds the delivery"
    );
    assert_eq!(lit["of_delivery"]["causes"], json!(ids[..=place]));
    assert_eq!(lit["of_delivery"]["effects"], json!(known));
    assert_eq!(lit["of_row"], json!(ids));
}

#[test]
fn filters_draw_what_the_trace_prints() {
    need_browser!();
    let made = made(PARTITION, "gossip", "7");
    let shown = drive(
        &made.page,
        "",
        "await press('whole run');
         const now = () => [counts().messages, counts().marks];
         const whole = now();
         await choose('nodes', 'n2');
         const node = now();
         await choose('nodes', 'n4');
         const two = now();
         await choose('nodes', 'n2'); await choose('nodes', 'n4');
         await choose('kinds', 'hub.discovery');
         const kind = now();
         await choose('kinds', 'timer');
         const timers = now();
         await choose('kinds', 'hub.discovery'); await choose('kinds', 'timer');
         await type('only this child', 'west');
         const child = now();
         await type('only this child', '');
         return { whole, node, two, kind, timers, child, again: now() };",
    );
    let of = |filters: &[&str]| trace(&made.capsule, filters);
    assert_eq!(shown["whole"], counts(&of(&[])));
    assert_eq!(shown["again"], shown["whole"]);
    // Of messages, both ends are among the nodes.
    let between = |nodes: &[&str], filters: &[&str]| {
        let mut events = of(filters);
        events.retain(|event| {
            !is(event, &["sent", "duplicated"])
                || event["to"].as_str().is_some_and(|to| nodes.contains(&to))
        });
        counts(&events)
    };
    assert_eq!(shown["node"], between(&["n2"], &["--node", "n2"]));
    let two = ["--node", "n2", "--node", "n4"];
    assert_eq!(shown["two"], between(&["n2", "n4"], &two));
    assert_eq!(shown["kind"], counts(&of(&["--kind", "hub.discovery"])));
    let timers = ["--kind", "hub.discovery", "--kind", "timer"];
    assert_eq!(shown["timers"], counts(&of(&timers)));
    assert_eq!(shown["child"], counts(&of(&["--child", "west"])));
}

#[test]
fn the_hash_restores_a_view() {
    need_browser!();
    let made = made(STALE_SNAPSHOT, "pubsub", "1");
    let hash = "#t=13500000&v=11000000-15000000&n=n1,n2&k=pubsub.sync,row&c=fresh&s=0.48&i=1&q=fresh&d=n2&m=bytes";
    let script = "
        const read = () => ({ hash: location.hash, cursor: one(\"input[aria-label='instant of the cursor']\").value,
            child: one(\"input[aria-label='only this child']\").value, search: one('input[type=search]').value,
            fold: all('button').find((it) => it.textContent === 'fold idle time').getAttribute('aria-pressed'),
            chosen: all('details.drop input:checked').map((it) => it.parentNode.textContent),
            event: all('.chain .is button').map((it) => it.dataset.event), label: diagram().getAttribute('aria-label'),
            curves: all('.strip select').map((it) => it.value), counts: counts(), state: one('table.state').textContent });
        const before = read(), wanted = location.hash;
        location.hash = 't=0'; await pause(50); await settled();
        const other = location.hash;
        location.hash = wanted; await pause(50); await settled();
        return { before, other, after: read() };";
    let seen = drive(&made.page, hash, script);
    let before = &seen["before"];
    assert_eq!(before["hash"], hash);
    assert_eq!(before["cursor"], "13.5s");
    assert_eq!([&before["child"], &before["search"]], ["fresh", "fresh"]);
    assert_eq!(before["fold"], "true");
    assert_eq!(before["chosen"], json!(["n1", "n2", "pubsub.sync", "row"]));
    assert_eq!(before["event"][0], "48");
    assert_eq!(before["curves"], json!(["n2", "bytes"]));
    assert_ne!(seen["other"], hash);
    assert_eq!(before, &seen["after"]);
}

#[test]
fn the_page_is_used_with_the_keyboard_alone() {
    need_browser!();
    let made = made(STALE_SNAPSHOT, "pubsub", "1");
    let seen = drive(
        &made.page,
        "",
        "all('details').forEach((it) => { it.open = true; });
         const reached = all('a[href], button, input, select, textarea, summary, [tabindex]').filter((it) => it.tabIndex >= 0);
         const named = (it) => it.getAttribute('aria-label') || it.title || it.textContent.trim() || (it.labels && [...it.labels].map((label) => label.textContent.trim()).join(' '));
         const unnamed = reached.filter((it) => !named(it)).map((it) => it.outerHTML.slice(0, 200));
         all('details').forEach((it) => { it.open = false; });
         const steps = {};
         const after = async (name, pressed, more) => { key(pressed, more); await settled(); steps[name] = location.hash; };
         await after('right', 'ArrowRight'); await after('next', 'ArrowRight'); await after('back', 'ArrowLeft');
         await after('cause', 'c'); await after('effect', 'e'); await after('closer', '+'); await after('moved', 'ArrowRight', { shiftKey: true });
         await after('more', '-'); await after('folded', 'i'); await after('whole', '0'); await after('first', 'f');
         await after('none', 'Escape');
         key('/');
         const focused = document.activeElement.type;
         return { reached: reached.length, unnamed, steps, focused };",
    );
    assert_eq!(seen["unnamed"], json!([]));
    assert!(seen["reached"].as_u64() > Some(20));
    assert_eq!(seen["focused"], "search");
    let steps = &seen["steps"];
    let part = |step: &str, letter: &str| {
        let hash = steps[step]
            .as_str()
            .unwrap_or_default()
            .trim_start_matches('#');
        let found = hash
            .split('&')
            .find_map(|part| part.strip_prefix(letter)?.strip_prefix('='));
        found.map(str::to_owned)
    };
    for (before, after) in [("right", "next"), ("next", "back"), ("back", "cause")] {
        assert_ne!(part(before, "s"), part(after, "s"), "{steps:#}");
    }
    assert_eq!(part("right", "s"), part("back", "s"));
    assert!(part("right", "s").is_some() && part("none", "s").is_none());
    assert_ne!(
        part("right", "t"),
        part("cause", "t"),
        "the cursor goes along: {steps:#}"
    );
    for (before, after) in [("effect", "closer"), ("closer", "moved"), ("moved", "more")] {
        assert_ne!(part(before, "v"), part(after, "v"), "{steps:#}");
    }
    assert_eq!(part("folded", "i").as_deref(), Some("1"));
    assert_eq!(part("whole", "v").as_deref(), Some("0-34000000"));
    assert_eq!(part("first", "t").as_deref(), Some("14000000"));
}

#[test]
fn many_events_are_drawn_at_once() {
    need_browser!();
    let made = made("tests/browser/many.toml", "pubsub", "1");
    let events = trace(&made.capsule, &[]).len();
    assert!(events >= 100_000, "only {events} events");
    let size = fs::metadata(&made.page).expect("a page").len();
    let seen = drive(
        &made.page,
        "",
        "const took = {};
         const measure = async (name, act) => {
             await settled();
             const begun = performance.now();
             act();
             await frame();
             took[name] = Math.round(performance.now() - begun);
         };
         const hash0 = hash();
         await measure('whole run', () => key('0'));
         await measure('wheel', () => point(diagram(), 'wheel', 400, 60, { deltaY: -100 }));
         await measure('key', () => key('ArrowRight'));
         await measure('click', () => clickAt(diagram(), 500, 65));
         await measure('cursor', () => clickAt(all('.strip canvas')[2], 800, 20));
         await measure('fold', () => key('i'));
         await measure('fold whole', () => key('0'));
         await measure('unfold', () => key('i'));
         await measure('nodes', () => all('details.drop label')[0].click());
         const child = one(\"input[aria-label='only this child']\");
         await measure('child', () => { child.value = one('#children option').value; child.dispatchEvent(new Event('change')); });
         await measure('no child', () => { child.value = ''; child.dispatchEvent(new Event('change')); });
         await measure('first', () => key('f'));
         return { first: Math.round(firstDraw), took };",
    );
    println!(
        "{events} events, {size} bytes, first draw after {} ms, {}",
        seen["first"], seen["took"]
    );
    assert!(size <= 5_000_000, "{size} bytes");
    assert!(
        seen["first"].as_u64() < Some(5_000),
        "first draw: {}",
        seen["first"]
    );
    for (name, took) in seen["took"].as_object().expect("measured") {
        assert!(took.as_u64() < Some(500), "{name}: {took} ms");
    }
}

#[test]
fn two_runs_show_where_they_part() {
    need_browser!();
    let place = tempfile::tempdir().expect("a temporary directory");
    let of = |seed| capsule(PARTITION, "gossip", seed, &place.path().join(seed));
    let (left, right) = (of("7"), of("8"));
    let page = place.path().join("page.html");
    hublab(&["report", text(&left), text(&right), "-o", text(&page)]);
    let diff = hublab(&["diff", text(&left), text(&right)]);
    let seen = drive(
        &page,
        "",
        "const colour = getComputedStyle(document.documentElement).getPropertyValue('--wrong').trim();
         const marked = (canvas, x) => {
             const scale = devicePixelRatio, high = canvas.height;
             const { data } = canvas.getContext('2d').getImageData(Math.round((x - 2) * scale), 0, Math.round(4 * scale), high);
             const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
             let count = 0;
             for (let i = 0; i < data.length; i += 4) count += data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255;
             return count;
         };
         const at = Number(hash().t);
         return { at, note: one('.note').textContent, diagrams: all('canvas[data-left]').length,
             marks: [0, 1].map((run) => marked(diagram(run), xOf(at, run))) };",
    );
    let told = diff
        .lines()
        .find(|line| line.starts_with("first difference at event "));
    let event = told
        .and_then(|line| line.rsplit(' ').next())
        .expect("a difference");
    let note = seen["note"].as_str().expect("a text");
    assert!(
        note.starts_with(&format!("First difference at event {event}, ")),
        "{note}"
    );
    assert_eq!(seen["diagrams"], 2);
    for run in 0..2 {
        assert!(seen["marks"][run].as_u64() > Some(20), "{seen}");
    }
}

#[test]
fn names_from_files_become_text_only() {
    need_browser!();
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("\"><b><!--&amp;.toml");
    fs::copy("tests/browser/hostile.toml", &file).expect("a temporary file");
    let capsule = capsule(text(&file), "gossip", "1", &place.path().join("out"));
    let page = place.path().join("page.html");
    hublab(&["report", text(&capsule), "-o", text(&page)]);
    let seen = drive(
        &page,
        "",
        "all('details').forEach((it) => { it.open = true; });
         key('0'); key('ArrowRight'); await settled(); key('ArrowRight'); await settled();
         await type('search events by text', 'img'); await pause(300);
         const found = all('.tools + ul button').length;
         const named = all('details.drop label').map((it) => it.textContent);
         for (const name of named.slice(0, 3)) await choose('nodes', name);
         await type('only this child', '</script><img src=x onerror=alert(2)>');
         await settled(); await pause(200);
         const tags = [...new Set(all('body *').map((it) => it.tagName.toLowerCase()))];
         const handlers = all('*').filter((it) => it.getAttributeNames().some((name) => name.startsWith('on'))).length;
         return { alerts: seen.alerts, tags, handlers, found, hash: location.hash, title: document.title,
             bold: all('b').filter((it) => it.textContent === '' || it.textContent.includes('<')).length, child: counts(), text: one('main').textContent };",
    );
    assert_eq!(seen["alerts"], 0);
    assert_eq!(seen["handlers"], 0);
    let tags = seen["tags"].as_array().expect("names of elements");
    for foreign in ["img", "iframe", "object", "style", "link"] {
        assert!(!tags.contains(&json!(foreign)), "{foreign}: {tags:?}");
    }
    assert!(seen["found"].as_u64() > Some(0));
    assert_eq!(seen["bold"], 0);
    let shown = seen["text"].as_str().expect("a text");
    assert!(shown.contains("</script><svg/onload=alert(1)>") && shown.contains("onerror=alert(4)"));
    assert!(
        seen["title"]
            .as_str()
            .is_some_and(|title| title.contains("<b><!--"))
    );
    assert!(seen["child"]["marks"].as_u64() > Some(0));
}

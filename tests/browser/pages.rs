//! Pages that are about many runs: of a campaign, of a comparison, of `run`; and the answer of `blame`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::chromium::drive;
use crate::{capsule, hublab, text};

/// A directory, its page, and what the commands printed.
pub(crate) struct Made {
    place: tempfile::TempDir,
    pub(crate) page: PathBuf,
    directory: PathBuf,
    told: String,
}

fn made(command: &[&str], report: bool) -> Made {
    let place = tempfile::tempdir().expect("a temporary directory");
    let (directory, page) = (place.path().join("made"), place.path().join("page.html"));
    let mut arguments = command.to_vec();
    arguments.push(if report { "--out" } else { "--report" });
    arguments.push(text(if report { &directory } else { &page }));
    let told = hublab(&arguments);
    if report {
        hublab(&["report", text(&directory), "-o", text(&page)]);
    }
    Made {
        page,
        directory,
        told,
        place,
    }
}

/// A campaign with a few groups of failures.
pub(crate) fn campaign() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let command = "fuzz --strategy pubsub --oracles all --seeds 0..150 --shrinks 6";
        made(&command.split(' ').collect::<Vec<_>>(), true)
    })
}

pub(crate) fn comparison() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let command =
            "compare scenarios/partition-and-heal.toml --vary network.loss=0,0.2 --seeds 0..8";
        made(&command.split(' ').collect::<Vec<_>>(), true)
    })
}

/// Several runs of `run`.
pub(crate) fn several() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| made(&["run", "scenarios/anomalies"], false))
}

fn records(directory: &Path) -> Vec<Value> {
    let lines = fs::read_to_string(directory.join("results.ndjson")).expect("results");
    let record = |line| serde_json::from_str(line).expect("a record");
    lines.lines().map(record).collect()
}

#[test]
fn a_campaign_shows_its_groups_its_seeds_and_their_runs() {
    need_browser!();
    let Made {
        page,
        directory,
        told,
        ..
    } = campaign();
    let records = records(directory);
    let failed = records.iter().filter(|it| it["verdict"] == "fail");
    let (failed, held) = (
        failed.count(),
        records.iter().filter(|it| it["verdict"] == "pass").count(),
    );
    assert!(failed > 3 && held > 10);
    let seen = drive(
        page,
        "",
        "const groups = all('.group > summary').map((it) => it.textContent);
         const map = one('.maprow canvas');
         map.focus();
         key('Home'); const first = one('.seeds [role=status]').textContent;
         key('n'); const failure = one('.seeds [role=status]').textContent;
         one('.seeds [role=status] button').click();
         const focused = document.activeElement.tagName, isOpen = document.activeElement.parentElement.open;
         const link = one('a.open'), href = link.getAttribute('href');
         link.click(); await pause(100); await settled();
         const run = { hash: location.hash, title: one('h1').textContent, words: all('.findings .word').map((it) => it.textContent),
             events: counts(), at: hash().t, state: Boolean(one('table.state, table')) };
         one('nav a').click(); await pause(100); await settled();
         const back = document.activeElement.getAttribute('href');
         await type('only groups with this text', 'no_false_absence');
         const filtered = all('.group').filter((it) => !it.hidden).length;
         one('a.open').click(); await pause(100); await settled();
         one('nav a').click(); await pause(100); await settled();
         const kept = [all('.group').filter((it) => !it.hidden).length, location.hash.includes('q=no_false_absence'), location.hash.includes('m=0.')];
         await type('only groups with this text', 'nothing has this name');
         const none = all('.note').filter((it) => !it.hidden).map((it) => it.textContent);
         return { filtered, kept, none, groups, label: map.getAttribute('aria-label'), first, failure, focused, isOpen, href, run,
             back, verdict: one('.verdict').textContent, head: one('h1').textContent };",
    );
    assert_eq!(
        seen["label"].as_str(),
        Some(format!("pubsub: {held} held, {failed} new failures").as_str())
    );
    let groups = seen["groups"].as_array().expect("groups");
    let line = format!("{} groups of failures", groups.len());
    assert!(told.contains(&line), "{line}: {told}");
    for group in groups {
        let group = group.as_str().expect("a text");
        // As `fuzz` tells it: what fails, in how many runs, the first seed.
        let runs = group.rsplit_once(", the first with seed ");
        let seed: u64 = runs
            .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
            .expect("a seed");
        let first = records.iter().find(|it| it["seed"] == seed).expect("a run");
        assert_eq!(first["verdict"], "fail", "{group}");
    }
    let first = &records[0];
    let word = if first["verdict"] == "fail" {
        "new failure"
    } else {
        "held"
    };
    let shown = seen["first"].as_str().expect("a text");
    assert!(shown.contains("seed 0") && shown.contains(word), "{shown}");
    let next = records
        .iter()
        .find(|it| it["verdict"] == "fail" && it["seed"] != 0)
        .expect("a failure");
    let shown = seen["failure"].as_str().expect("a text");
    let command = format!("--seeds {}..", next["seed"]);
    assert!(
        shown.contains(&format!("seed {}", next["seed"])) && shown.contains(&command),
        "{shown}"
    );
    assert_eq!(seen["focused"], "SUMMARY");
    assert_eq!(seen["isOpen"], true);
    let run = &seen["run"];
    let hash = run["hash"].as_str().expect("a text");
    assert!(
        hash.starts_with(seen["href"].as_str().expect("a text")) && hash.contains("&t="),
        "{hash}"
    );
    assert_eq!(run["words"][0], "✗ failed");
    assert_eq!(seen["back"], seen["href"]);
    assert_eq!(seen["verdict"], "✗ fail");
    let filtered = seen["filtered"].as_u64().expect("a number");
    assert!(filtered > 0 && filtered < groups.len() as u64, "{filtered}");
    assert_eq!(seen["kept"], json!([filtered, true, true]));
    assert!(seen["none"].to_string().contains("No group has this text."));
    assert!(!seen["first"].as_str().expect("a text").contains("null"));
    // A link to a moment of one of the runs is a link.
    let again = drive(
        page,
        hash,
        "return { hash: location.hash, title: one('h1').textContent };",
    );
    assert_eq!(again["hash"], run["hash"]);
    assert_eq!(again["title"], run["title"]);
}

#[test]
fn what_is_known_is_told_apart() {
    need_browser!();
    let Made {
        place, directory, ..
    } = campaign();
    let page = place.path().join("known.html");
    hublab(&[
        "report",
        text(directory),
        "--known",
        text(directory),
        "-o",
        text(&page),
    ]);
    let seen = drive(
        &page,
        "",
        "return { known: all('.group b.soft').length, news: all('.group b.fail').length, label: one('.maprow canvas').getAttribute('aria-label') };",
    );
    // Those that were shrunk, and what looks like nothing else.
    let shrunk = fs::read_dir(directory.join("failures")).expect("failures");
    let shrunk = shrunk.filter(|entry| {
        let path = entry.as_ref().expect("an entry").path();
        path.extension().is_some_and(|it| it == "toml")
    });
    assert!(seen["known"].as_u64() > Some(0) && shrunk.count() > 0);
    let label = seen["label"].as_str().expect("a text");
    assert!(label.contains("known failure"), "{label}");
}

/// The rows of a CSV file by the names of its columns.
fn csv(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).expect("a table");
    let mut lines = text.lines();
    let heads: Vec<&str> = lines.next().expect("heads").split(',').collect();
    let row = |line: &str| {
        let values = line.split(',').map(str::to_owned);
        heads
            .iter()
            .map(|head| (*head).to_owned())
            .zip(values)
            .collect()
    };
    lines.map(row).collect()
}

#[test]
fn a_comparison_shows_its_verdicts_and_the_values_behind_them() {
    need_browser!();
    let Made {
        page, directory, ..
    } = comparison();
    let cells = csv(&directory.join("cells.csv"));
    let results = csv(&directory.join("results.csv"));
    let seen = drive(
        page,
        "",
        "const measures = [...one(\"select[aria-label='measure']\").options].map((it) => it.textContent);
         const verdicts = [], counted = {};
         for (const [place, name] of measures.entries()) {
             const select = one(\"select[aria-label='measure']\");
             select.value = place; select.dispatchEvent(new Event('change'));
             verdicts.push(all('.plain tbody tr').map((it) => it.children[3].textContent.replace(/^\\W+/, '').split(',')[0].split(' (')[0]));
             for (const word of ['better', 'worse', 'equal', 'unclear', 'not compared']) {
                 const filter = one(\"select[aria-label='only this verdict']\");
                 filter.value = word; filter.dispatchEvent(new Event('change'));
                 counted[name + ' ' + word] = all('.plain tbody tr').length;
                 filter.value = ''; filter.dispatchEvent(new Event('change'));
             }
         }
         const measure = one(\"select[aria-label='measure']\");
         measure.value = 0; measure.dispatchEvent(new Event('change'));
         const ratios = () => all('.plain tbody tr').map((it) => it.children[7].textContent);
         const head = () => all('.plain thead button')[7];
         head().click(); const up = ratios(); head().click(); const down = ratios();
         const sorted = location.hash; head().click();
         all('.plain tbody button')[0].click(); await settled();
         const rows = all('.values tbody tr').map((it) => [...it.children].map((cell) => cell.textContent));
         const commands = all('.values code').map((it) => it.textContent), hash = location.hash;
         const figures = all('figure img').length;
         const link = one('.values a.open'), href = link.getAttribute('href');
         link.click(); await pause(100); await settled();
         const run = { title: one('h1').textContent, hash: location.hash };
         return { measures, verdicts, counted, up, down, sorted, rows, commands, hash, href, run, figures };",
    );
    for (place, measure) in seen["measures"]
        .as_array()
        .expect("names")
        .iter()
        .enumerate()
    {
        let rows: Vec<&BTreeMap<String, String>> = cells
            .iter()
            .filter(|row| row["metric"] == measure.as_str().expect("a name"))
            .collect();
        let verdicts: Vec<&str> = rows.iter().map(|row| row["verdict"].as_str()).collect();
        assert_eq!(seen["verdicts"][place], json!(verdicts), "{measure}");
        for word in ["better", "worse", "equal", "unclear"] {
            let count = verdicts.iter().filter(|verdict| **verdict == word).count();
            let name = format!("{} {word}", measure.as_str().expect("a name"));
            assert_eq!(seen["counted"][&name], count, "{name}");
        }
    }
    let numbers = |of: &Value| -> Vec<f64> {
        let texts = of.as_array().expect("texts").iter();
        texts
            .map(|text| {
                let text = text.as_str().expect("a text").replace(',', "");
                text.parse().unwrap_or(f64::INFINITY)
            })
            .collect()
    };
    assert!(numbers(&seen["up"]).is_sorted());
    assert!(numbers(&seen["down"]).iter().rev().is_sorted());
    assert!(
        seen["sorted"]
            .as_str()
            .is_some_and(|hash| hash.contains("o=-7"))
    );
    // The values of every seed, those that the CSV file has.
    let rows = seen["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 8);
    let metric = seen["measures"][0].as_str().expect("a name");
    for row in rows {
        for (column, strategy) in [(1, "gossip"), (2, "pubsub")] {
            let value = results.iter().find(|it| {
                it["metric"] == metric
                    && it["strategy"] == strategy
                    && it["network.loss"] == "0"
                    && it["seed"] == row[0].as_str().expect("a seed")
            });
            let value: f64 = value.expect("a value")["value"].parse().expect("a number");
            let shown = row[column].as_str().expect("a text").replace(',', "");
            let shown: f64 = shown.parse().expect("a number");
            assert!((shown - value).abs() <= 0.5, "{row}");
        }
    }
    assert!(
        seen["hash"]
            .as_str()
            .is_some_and(|hash| hash.contains("x=0"))
    );
    let command = seen["commands"][0].as_str().expect("a command");
    assert!(
        command.contains("--set network.loss=0 ") && command.ends_with("--report run.html"),
        "{command}"
    );
    let title = seen["run"]["title"].as_str().expect("a text");
    assert!(
        title.contains("partition-and-heal, gossip, seed "),
        "{title}"
    );
    assert!(seen["figures"].as_u64() >= Some(3));
    // The command works, and makes the same run: that of the link.
    let place = tempfile::tempdir().expect("a temporary directory");
    let report = place.path().join("run.html");
    let mut words: Vec<&str> = command.split(' ').skip(1).collect();
    words.pop();
    words.push(text(&report));
    hublab(&words);
    let one = drive(&report, "", "return one('h1').textContent;");
    assert_eq!(one, seen["run"]["title"]);
}

#[test]
fn runs_of_a_list_are_opened() {
    need_browser!();
    let Made { page, told, .. } = several();
    let seen = drive(
        page,
        "",
        "const rows = all('tbody tr').map((it) => [...it.children].map((cell) => cell.textContent));
         all('a.open')[5].click(); await pause(100); await settled();
         return { rows, title: one('h1').textContent, nav: one('nav').textContent };",
    );
    let rows = seen["rows"].as_array().expect("rows");
    let passed = rows.iter().filter(|row| row[0] == "✓ pass").count();
    assert!(
        told.contains(&format!("{passed} passed")),
        "{passed}: {told}"
    );
    assert_eq!(passed, rows.len());
    let name = rows[5][1].as_str().expect("a name");
    let title = seen["title"].as_str().expect("a title");
    assert!(title.contains(name), "{title}");
    assert_eq!(seen["nav"], "← all runs");
}

#[test]
fn the_answer_of_blame_is_on_the_axis_of_the_run() {
    need_browser!();
    let place = tempfile::tempdir().expect("a temporary directory");
    let capsule = capsule(
        "tests/data/lost-by-chance.toml",
        "pubsub",
        "1",
        &place.path().join("out"),
    );
    let directory = place.path().join("blame");
    hublab(&["blame", text(&capsule), "--out", text(&directory)]);
    let answer = fs::read_to_string(directory.join("blame.json")).expect("an answer");
    let answer: Value = serde_json::from_str(&answer).expect("an answer is JSON");
    let pages = ["searched.html", "read.html"].map(|name| place.path().join(name));
    hublab(&["report", text(&capsule), "--blame", "-o", text(&pages[0])]);
    let from = format!("--blame={}", directory.display());
    hublab(&["report", text(&capsule), &from, "-o", text(&pages[1])]);
    let [searched, read] = pages.each_ref().map(|page| fs::read(page).expect("a page"));
    assert!(searched == read, "the answer is the same one");
    let seen = drive(
        &pages[0],
        "",
        "key('0'); await settled();
         const canvas = all('.strip canvas').find((it) => it.getAttribute('aria-label').startsWith('share of branches'));
         const colour = getComputedStyle(document.documentElement).getPropertyValue('--bad').trim();
         const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
         const drawn = (at) => {
             const x = Math.round(xOf(at) * devicePixelRatio);
             const { data } = canvas.getContext('2d').getImageData(x, 0, 1, canvas.height);
             for (let y = 0; y < canvas.height; y++) if (data[4 * y] === r && data[4 * y + 1] === g && data[4 * y + 2] === b) return y / devicePixelRatio;
             return null;
         };
         const heights = CURVE.map(drawn);
         const sentences = all('.blame > p').map((it) => it.textContent);
         const pivots = all('.blame > ol b').map((it) => it.textContent);
         all('.blame > ol button')[0].click(); await settled();
         return { heights, sentences, pivots, selected: hash().s, label: canvas.getAttribute('aria-label') };"
            .replace("CURVE", &{
                let points = answer["curve"].as_array().expect("a curve").iter();
                json!(points.map(|point| point["after_us"].clone()).collect::<Vec<_>>()).to_string()
            })
            .as_str(),
    );
    for sentence in answer["sentences"].as_array().expect("sentences") {
        assert!(
            seen["sentences"]
                .as_array()
                .is_some_and(|shown| shown.contains(sentence)),
            "{sentence}: {seen}"
        );
    }
    assert_eq!(seen["pivots"][0], answer["pivots"][0]["text"]);
    let event = format!("0.{}", answer["pivots"][0]["event"]);
    assert_eq!(seen["selected"], event);
    // The curve goes through its points: 72 pixels are the whole, and a point is a disc of 5.
    let heights = seen["heights"].as_array().expect("heights");
    let points = answer["curve"].as_array().expect("a curve");
    let mut near = 0;
    for (height, point) in heights.iter().zip(points) {
        let wanted = 80.0 - 72.0 * point["share"].as_f64().expect("a share");
        near += usize::from(
            height
                .as_f64()
                .is_some_and(|height| (height - wanted).abs() < 8.0),
        );
    }
    // Points beside each other share their pixels.
    assert!(
        near * 10 >= points.len() * 6,
        "{near} of {}: {seen}",
        points.len()
    );
}

#[test]
fn hostile_names_are_text_in_every_page() {
    need_browser!();
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("\"><b><!--&amp;\u{2028}.toml");
    fs::copy("tests/browser/hostile.toml", &file).expect("a temporary file");
    let other = place.path().join("other.toml");
    fs::copy("tests/browser/hostile.toml", &other).expect("a temporary file");
    let (campaign, results) = (place.path().join("campaign"), place.path().join("results"));
    let file = text(&file);
    hublab(&["fuzz", file, "--seeds", "0..3", "--out", text(&campaign)]);
    hublab(&[
        "compare",
        file,
        "--seeds",
        "0..3",
        "--vary",
        "network.loss=0,0.1",
        "--out",
        text(&results),
    ]);
    let pages = ["campaign", "results", "two", "list"]
        .map(|name| place.path().join(name).with_extension("html"));
    hublab(&["report", text(&campaign), "-o", text(&pages[0])]);
    hublab(&["report", text(&results), "-o", text(&pages[1])]);
    hublab(&["run", file, "--report", text(&pages[2])]);
    hublab(&["run", file, text(&other), "--report", text(&pages[3])]);
    for page in &pages {
        let seen = drive(
            page,
            "",
            "const look = () => {
                 all('details').forEach((it) => { it.open = true; });
                 const tags = [...new Set(all('body *').map((it) => it.tagName.toLowerCase()))];
                 return { tags, handlers: all('*').filter((it) => it.getAttributeNames().some((name) => name.startsWith('on'))).length,
                     bold: all('b').filter((it) => it.textContent === '').length, text: one('main').textContent };
             };
             const rows = one('.plain tbody button, .scroll tbody button');
             if (rows) { rows.click(); await settled(); }
             const first = look(), link = one('a.open');
             if (link) { link.click(); await pause(100); await settled(); }
             return { first, second: look(), alerts: seen.alerts };",
        );
        assert_eq!(seen["alerts"], 0, "{page:?}");
        for part in ["first", "second"] {
            assert_eq!(seen[part]["handlers"], 0, "{page:?}");
            assert_eq!(seen[part]["bold"], 0, "{page:?}");
            let tags = seen[part]["tags"].as_array().expect("names of elements");
            for foreign in ["iframe", "object", "style", "link", "svg:script"] {
                assert!(
                    !tags.contains(&json!(foreign)),
                    "{page:?}: {foreign}: {tags:?}"
                );
            }
            // A comparison names its files, which are safe ones; the names of children are in each run.
            let wanted = match part {
                "first" if page == &pages[1] => "___b___--",
                "first" => "<b><!--",
                _ => "<!--",
            };
            let shown = seen[part]["text"].as_str().expect("a text");
            assert!(shown.contains(wanted), "{page:?}: {shown}");
        }
    }
}

#[test]
fn seeds_are_whole_numbers_however_large() {
    need_browser!();
    let place = tempfile::tempdir().expect("a temporary directory");
    let (made, page) = (place.path().join("made"), place.path().join("page.html"));
    let first = i64::MAX.unsigned_abs() - 4;
    let seeds = format!("{first}..{}", first + 4);
    hublab(&[
        "fuzz",
        "--strategy",
        "pubsub",
        "--seeds",
        &seeds,
        "--out",
        text(&made),
    ]);
    hublab(&["report", text(&made), "-o", text(&page)]);
    let seen = drive(
        &page,
        "",
        "const map = one('.maprow canvas'); map.focus(); key('Home'); key('ArrowRight');
         return one('.seeds [role=status]').textContent;",
    );
    let told = seen.as_str().expect("a text");
    let command = format!("--seeds {}..{}", first + 1, first + 2);
    assert!(
        told.contains(&format!("seed {}", first + 1)) && told.contains(&command),
        "{told}"
    );
}

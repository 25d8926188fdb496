//! `hublab report`: the page is one file, the same one for the same capsule, and is refused for anything else.

use super::*;

#[test]
fn a_report_is_the_same_file_each_time_and_names_no_other() {
    let place = files(&[]);
    let out = place.path().join("out");
    hublab(&[
        "run",
        FIRST_JOIN,
        "--strategy",
        "gossip",
        "--out",
        text(&out),
    ])
    .expect(0);
    let capsule = out.join(names(&out).remove(0));
    let pages = ["one.html", "two.html"].map(|name| {
        let page = place.path().join(name);
        hublab(&["report", text(&capsule), "-o", text(&page)]).expect(0);
        fs::read_to_string(page).expect("a page")
    });
    assert!(pages[0] == pages[1], "the same capsule, the same bytes");
    let foreign = pages[0].replace("http://www.w3.org/2000/svg", "");
    assert!(!foreign.contains("http:") && !foreign.contains("https:"));
    let both = [text(&capsule), text(&capsule)];
    let page = place.path().join("both.html");
    hublab(&["report", both[0], both[1], "-o", text(&page)]).expect(0);
}

#[test]
fn what_is_no_capsule_has_no_report_and_an_input_is_not_replaced() {
    let place = files(&[("empty", b""), ("binary", b"\x00\xff\x00")]);
    let page = place.path().join("page.html");
    let told = |input: &str| hublab(&["report", input, "-o", text(&page)]).expect(2).err;
    assert!(told(text(place.path())).contains("directory"));
    assert!(told(FIRST_JOIN).contains("this is a scenario"));
    for name in ["empty", "binary", "missing"] {
        let path = place.path().join(name);
        assert!(told(text(&path)).contains(name));
    }
    assert!(!page.exists());
    let input = place.path().join("binary");
    let refused = hublab(&["report", text(&input), "-o", text(&input)]).expect(2);
    assert!(refused.err.contains("would replace it"));
    assert_eq!(fs::read(&input).expect("a file"), b"\x00\xff\x00");
}

/// The data in a page.
fn data(page: &Path) -> Value {
    let text = fs::read_to_string(page).expect("a page");
    let (_, rest) = text
        .split_once("id=\"data\">")
        .expect("the element of the data");
    let (json, _) = rest.split_once("</script>").expect("its end");
    serde_json::from_str(json).expect("the data is JSON")
}

#[test]
fn a_run_writes_its_page_and_prints_what_it_printed_before() {
    let place = files(&[]);
    let page = place.path().join("page.html");
    let run = |more: &[&str]| {
        let mut arguments = vec!["run", FIRST_JOIN, "--format", "json"];
        arguments.extend(more);
        hublab(&arguments).expect(0)
    };
    let plain = run(&["--strategy", "pubsub"]);
    let with = run(&["--strategy", "pubsub", "--report", text(&page)]);
    let without_wall = |out: &str| {
        let mut value: Value = serde_json::from_str(out).expect("a report is JSON");
        value["wall_us"] = Value::Null;
        value
    };
    assert_eq!(without_wall(&plain.out), without_wall(&with.out));
    assert!(with.err.contains("page.html: "), "{}", with.err);
    let one = data(&page);
    assert_eq!(one["runs"]["runs"].as_array().map(Vec::len), Some(1));
    // There is no capsule: the commands begin with the run.
    let commands = one["runs"]["runs"][0]["head"]["commands"].to_string();
    assert!(commands.contains("--out runs") && !commands.contains("hublab trace"));
    run(&["--report", text(&page)]);
    assert_eq!(
        data(&page)["runs"]["runs"].as_array().map(Vec::len),
        Some(2)
    );
    run(&["--seeds", "0..3", "--report", text(&page)]);
    assert_eq!(
        data(&page)["list"]["runs"].as_array().map(Vec::len),
        Some(6)
    );
    // With a capsule, its name stands in the commands.
    let out = place.path().join("out");
    run(&[
        "--strategy",
        "pubsub",
        "--out",
        text(&out),
        "--report",
        text(&page),
    ]);
    let commands = data(&page)["runs"]["runs"][0]["head"]["commands"].to_string();
    let capsule = out.join(&names(&out)[0]);
    assert!(commands.contains(&format!("hublab trace {}", text(&capsule))));
}

#[test]
fn a_page_of_too_many_runs_and_one_over_an_input_are_refused() {
    let place = files(&[]);
    let copy = place.path().join("copy.toml");
    fs::copy(FIRST_JOIN, &copy).expect("a temporary file");
    let page = place.path().join("page.html");
    let many = [
        "run",
        FIRST_JOIN,
        "--seeds",
        "0..500",
        "--report",
        text(&page),
    ];
    let refused = hublab(&many).expect(2);
    assert!(refused.err.contains("at most 200 runs") && refused.out.is_empty());
    let over = hublab(&["run", text(&copy), "--report", text(&copy)]).expect(2);
    assert!(over.err.contains("would replace it") && over.out.is_empty());
    // Nor what the same command writes.
    let junit = place.path().join("junit.xml");
    let export = format!("junit={}", junit.display());
    let both = [
        "run",
        FIRST_JOIN,
        "--export",
        &export,
        "--report",
        text(&junit),
    ];
    assert!(hublab(&both).expect(2).err.contains("would replace it"));
    assert!(
        fs::read_to_string(&junit)
            .expect("a file")
            .contains("<testsuite")
    );
    let away = place.path().join("no/such/page.html");
    let unwritable = hublab(&["run", FIRST_JOIN, "--report", text(&away)]).expect(2);
    assert!(
        unwritable.err.contains("cannot be written"),
        "{}",
        unwritable.err
    );
    assert!(!page.exists());
}

#[test]
fn a_campaign_has_a_page_with_the_runs_of_its_failures() {
    let place = files(&[]);
    let (made, page) = (place.path().join("made"), place.path().join("page.html"));
    let fuzz = "fuzz --strategy pubsub --oracles all --seeds 0..60 --shrinks 4 --out";
    let mut arguments: Vec<&str> = fuzz.split(' ').collect();
    arguments.push(text(&made));
    hublab(&arguments).expect(1);
    hublab(&["report", text(&made), "-o", text(&page)]).expect(0);
    let first = fs::read(&page).expect("a page");
    hublab(&["report", text(&made), "-o", text(&page)]).expect(0);
    assert!(first == fs::read(&page).expect("a page"), "the same bytes");
    let campaign = &data(&page)["campaign"];
    assert_eq!(campaign["verdict"], "fail");
    let groups = campaign["groups"].as_array().expect("groups");
    let merged = hublab(&["merge", text(&made)]).expect(1).out;
    assert!(merged.contains(&format!("{} groups of failures", groups.len())));
    let forms = groups.iter().flat_map(|group| group["forms"].as_array());
    let forms: Vec<&Value> = forms.flatten().collect();
    let runs = campaign["runs"].as_array().expect("runs");
    assert_eq!(forms.len(), 4);
    for form in forms {
        // The run of a form is that of its capsule, and its scenario the file beside it.
        let run = &runs[usize::try_from(form["run"].as_u64().expect("a run")).expect("small")];
        assert_eq!(run["head"]["verdict"], "fail");
        let file = made.join("failures").join(format!(
            "{}.toml",
            form["fingerprint"].as_str().expect("a name")
        ));
        let file = fs::read_to_string(file).expect("a scenario");
        assert_eq!(form["scenario"].as_str(), Some(file.as_str()));
    }
    // None of its files is replaced.
    for name in ["campaign.json", "results.ndjson"] {
        let file = made.join(name);
        let before = fs::read(&file).expect("a file");
        let refused = hublab(&["report", text(&made), "-o", text(&file)]).expect(2);
        assert!(refused.err.contains("would replace it"));
        assert!(before == fs::read(&file).expect("a file"));
    }
    // What is known of them is no news.
    let arguments = [
        "report",
        text(&made),
        "--known-anomaly",
        "pubsub:A8",
        "-o",
        text(&page),
    ];
    hublab(&arguments).expect(0);
    let campaign = &data(&page)["campaign"];
    for group in campaign["groups"].as_array().expect("groups") {
        let is_named = group["name"] == "A8" || group["name"] == "A8?";
        assert_eq!(group["is_known"], is_named, "{group}");
    }
    // A capsule that is gone is told, and the rest is there.
    for name in names(&made.join("failures")) {
        if name.to_string_lossy().ends_with(".capsule") {
            fs::write(made.join("failures").join(name), b"broken").expect("a file");
        }
    }
    hublab(&["report", text(&made), "-o", text(&page)]).expect(0);
    let campaign = &data(&page)["campaign"];
    assert_eq!(campaign["runs"], Value::Array(Vec::new()));
    let told = campaign["groups"].to_string();
    assert!(told.contains("not a capsule"), "{told}");
}

#[test]
fn a_comparison_has_a_page_with_its_tables_and_worst_runs() {
    let place = files(&[]);
    let (made, page) = (place.path().join("made"), place.path().join("page.html"));
    let compare = [
        "compare",
        FIRST_JOIN,
        "--seeds",
        "0..4",
        "--out",
        text(&made),
    ];
    hublab(&compare).expect(0);
    hublab(&["report", text(&made), "-o", text(&page)]).expect(0);
    let first = fs::read(&page).expect("a page");
    hublab(&["report", text(&made), "-o", text(&page)]).expect(0);
    assert!(first == fs::read(&page).expect("a page"), "the same bytes");
    let comparison = &data(&page)["comparison"];
    let held = comparison["held"].as_array().expect("runs");
    let runs = comparison["runs"].as_array().expect("runs");
    assert_eq!((held.len(), runs.len()), (2, 2));
    for (place, strategy) in ["gossip", "pubsub"].into_iter().enumerate() {
        let head = &runs[place]["head"];
        assert_eq!(head["strategy"], strategy);
        assert_eq!(head["seed"], held[place][0]);
    }
    // A run that is not the same again is told.
    let outcomes = made.join("outcomes.ndjson");
    let whole = fs::read_to_string(&outcomes).expect("outcomes");
    let mut parts = whole.split("\"digest\":\"");
    let first = parts.next().expect("a beginning").to_owned();
    let other = parts.fold(first, |text, part| {
        text + "\"digest\":\"" + &"0".repeat(64) + &part[64..]
    });
    fs::write(&outcomes, other).expect("a file");
    let told = hublab(&["report", text(&made), "-o", text(&page)]).expect(4);
    assert!(told.err.contains("not the same again"), "{}", told.err);
    fs::write(&outcomes, whole).expect("a file");
    // Half of it is none.
    let lines = fs::read_to_string(&outcomes).expect("outcomes");
    let half: Vec<&str> = lines.split_inclusive('\n').take(4).collect();
    fs::write(&outcomes, half.concat()).expect("a file");
    fs::remove_file(&page).expect("a page");
    let refused = hublab(&["report", text(&made), "-o", text(&page)]).expect(3);
    assert!(
        refused.err.contains("3 of 8 runs") && !page.exists(),
        "{}",
        refused.err
    );
}

#[test]
fn what_a_page_is_not_of_is_refused() {
    let place = files(&[("blame.json", b"{}")]);
    let (page, out) = (place.path().join("page.html"), place.path().join("out"));
    let run = [
        "run",
        FIRST_JOIN,
        "--strategy",
        "gossip",
        "--out",
        text(&out),
    ];
    hublab(&run).expect(0);
    let capsule = out.join(names(&out).remove(0));
    let refused = |arguments: &[&str], word: &str| {
        let mut all = vec!["report"];
        all.extend(arguments);
        all.extend(["-o", text(&page)]);
        let told = hublab(&all).expect(2).err;
        assert!(told.contains(word), "{arguments:?}: {told}");
        assert!(!page.exists());
    };
    let capsule = text(&capsule);
    refused(&[text(&out)], "no campaign and no comparison");
    refused(&[text(&out), "--from", "1s"], "--from is for capsules");
    refused(&[text(&out), "--blame"], "--blame is for capsules");
    refused(&[capsule, text(&out)], "directory");
    refused(
        &[capsule, "--known", text(&out)],
        "--known is for the directory of a campaign",
    );
    refused(&[capsule, capsule, "--blame"], "--blame is for one capsule");
    refused(&[capsule, "--blame"], "nothing fails in this run");
    let answer = format!("--blame={}", place.path().join("blame.json").display());
    refused(&[capsule, &answer], "no answer of `hublab blame`");
    let elsewhere = hublab(&[
        "report",
        capsule,
        "-o",
        text(&place.path().join("no/such.html")),
    ]);
    assert!(elsewhere.expect(2).err.contains("cannot be written"));
    let event = hublab(&["trace", capsule, "--event", "e5"]).expect(2);
    assert!(event.err.contains("--event is for --format dot"));
    let scenario = hublab(&["judge", FIRST_JOIN]).expect(2);
    assert!(scenario.err.contains("this is a scenario"));
    refused(&[capsule, "--blame=no/such"], "no/such");
}

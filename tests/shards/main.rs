//! Campaigns past one machine: every recipe of `docs/campaigns.md`, run as its engine would run
//! it, comes to what one process comes to; and so do `action.yml` and the commands in sentences.
//!
//! `HUBLAB_SEEDS` says over how many seeds; default 12.

mod actions;
mod place;
mod recipes;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use actions::Runner;
use place::{Place, ROOT, yaml};

/// Over how many seeds.
fn few() -> String {
    std::env::var("HUBLAB_SEEDS").unwrap_or_else(|_| "12".to_owned())
}

/// What the snippets' campaigns are shortened to, and made to fail now and then by.
fn small() -> String {
    format!(
        "--seeds 0..{} --strategy pubsub --oracles all --no-shrink",
        few()
    )
}

/// A campaign as an engine makes it: the copies that it starts, and what joins their results.
struct Recipe {
    copies: Vec<Copy>,
    merge: String,
}

/// A copy of a command that an engine starts: its script and its variables.
struct Copy {
    script: String,
    variables: Vec<(String, String)>,
}

fn doc() -> String {
    fs::read_to_string(Path::new(ROOT).join("docs/campaigns.md")).expect("there is a page")
}

/// The blocks of code under a headline.
fn blocks<'a>(doc: &'a str, headline: &str) -> Vec<&'a str> {
    let part = doc.split(&format!("{headline}\n")).nth(1);
    let part = part.expect("there is such a headline");
    let part = part.split("\n## ").next().unwrap_or_default();
    let blocks = part.split("```").skip(1).step_by(2);
    blocks
        .map(|block| block.split_once('\n').expect("it has lines").1)
        .collect()
}

/// The first of them.
fn block<'a>(doc: &'a str, headline: &str) -> &'a str {
    blocks(doc, headline)[0]
}

/// The rest of the first line that holds a word, behind it.
#[track_caller]
fn after<'a>(text: &'a str, word: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.split_once(word));
    found
        .unwrap_or_else(|| panic!("no `{word}` in:\n{text}"))
        .1
        .trim()
}

/// A command of the page with another campaign: how it is split stays.
fn shortened(command: &str) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    let at = words
        .iter()
        .position(|word| *word == "--seeds")
        .expect("it says which seeds");
    let small = small();
    [&words[..at], &[small.as_str()], &words[at + 2..]]
        .concat()
        .join(" ")
}

fn variable(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

/// The tasks of the job array: the whole script, with what Slurm sets.
fn slurm(doc: &str) -> Recipe {
    let [script, pull, merge] = blocks(doc, "## Slurm")[..] else {
        panic!("a script, its image, and what joins the results");
    };
    let array = after(script, "#SBATCH --array=");
    let (min, max) = array.split_once('-').expect("a range of tasks");
    let numbers = [min, max].map(|number| number.parse::<u64>().expect("a number"));
    let body: Vec<String> = script
        .lines()
        .map(|line| {
            if line.contains("hublab fuzz") {
                shortened(line)
            } else {
                line.to_owned()
            }
        })
        .collect();
    let task = |id: u64| Copy {
        script: format!("{pull}\n{}", body.join("\n")),
        variables: vec![
            variable("SLURM_ARRAY_TASK_ID", id),
            variable("SLURM_ARRAY_TASK_MIN", min),
            variable("SLURM_ARRAY_TASK_MAX", max),
            variable("SLURM_ARRAY_TASK_STEP", 1),
            variable("SLURM_ARRAY_TASK_COUNT", numbers[1] - numbers[0] + 1),
        ],
    };
    Recipe {
        copies: (numbers[0]..=numbers[1]).map(task).collect(),
        merge: format!("ARRAY_JOB_ID=1\n{merge}"),
    }
}

/// The pods of the job: what it says under `env`, and the index that Kubernetes adds.
fn kubernetes(doc: &str, results: &Path) -> Recipe {
    let [job, merge] = blocks(doc, "## Kubernetes")[..] else {
        panic!("a job, and what joins the results");
    };
    let job = yaml(job);
    let completions = job["spec"]["completions"].as_u64().expect("a number");
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["command"], serde_json::json!(["sh", "-c"]));
    let command = shortened(container["args"][0].as_str().expect("a command"));
    let here = |text: &str| text.replace("/results", &results.to_string_lossy());
    let pod = |index: u64| {
        let set = container["env"]
            .as_array()
            .expect("it sets variables")
            .iter();
        let set = set.map(|one| {
            let part = |key: &str| one[key].as_str().expect("a text");
            variable(part("name"), part("value"))
        });
        Copy {
            script: here(&command),
            variables: set
                .chain([variable("JOB_COMPLETION_INDEX", index)])
                .collect(),
        }
    };
    Recipe {
        copies: (0..completions).map(pod).collect(),
        merge: here(merge),
    }
}

/// The command lines that `parallel` makes.
fn parallel(doc: &str) -> Recipe {
    let lines = block(doc, "## GNU parallel");
    let line = after(lines, "parallel ");
    let (command, arguments) = line.split_once(" ::: ").expect("arguments");
    let command = command
        .split_once(" hublab fuzz")
        .expect("a campaign")
        .1
        .trim();
    let command = format!("hublab fuzz {}", shortened(command));
    let copy = |argument: &str| Copy {
        script: command.replace("{}", argument),
        variables: Vec::new(),
    };
    Recipe {
        copies: arguments.split(' ').map(copy).collect(),
        merge: format!("hublab merge {}", after(lines, "hublab merge ")),
    }
}

/// The number that one process ends with, and its records.
fn one_process(place: &Place) -> (i32, BTreeMap<String, Value>) {
    let whole = place.run(&format!("hublab fuzz {} --out one", small()), &[]);
    let one = place.records("one");
    let mut verdicts = one.values().map(|record| &record["verdict"]);
    assert!(verdicts.any(|verdict| verdict == "fail"), "some runs fail");
    (whole.status.code().expect("it ends by itself"), one)
}

/// Runs every copy and merges what they leave, and compares with one process.
fn expect_the_same_as_one_process(engine: impl FnOnce(&str, &Path) -> Recipe) {
    let place = Place::new();
    let (code, one) = one_process(&place);
    let Recipe { copies, merge } = engine(&doc(), place.0.path());
    assert_eq!(copies.len(), 4);
    for (number, Copy { script, variables }) in copies.iter().enumerate() {
        let output = place.run(script, variables);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            told.contains(&format!("shard {number}/4")),
            "{script}\n{told}"
        );
        assert!(
            matches!(output.status.code(), Some(0 | 1 | 3)),
            "{script}\n{told}"
        );
    }
    let merged = place.expect(&merge, &[], code);
    assert!(!merged.contains("missing"), "{merged}");
    assert_eq!(place.records("all"), one, "the same runs, each once");

    fs::remove_dir_all(place.path("shards/2")).expect("a shard was there");
    let output = place.run("hublab merge shards/*", &[]);
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("missing: shard 2/4"), "{told}");
    assert_ne!(output.status.code(), Some(0));
}

#[test]
fn a_slurm_job_array_is_one_campaign() {
    expect_the_same_as_one_process(|doc, _| slurm(doc));
}

#[test]
fn a_kubernetes_indexed_job_is_one_campaign() {
    expect_the_same_as_one_process(kubernetes);
}

#[test]
fn a_github_matrix_is_one_campaign() {
    let place = Place::new();
    let (code, one) = one_process(&place);
    let doc = doc();
    let workflow = blocks(&doc, "## GitHub Actions")[1];
    let mut workflow = yaml(workflow);
    let command = workflow.pointer_mut("/jobs/fuzz/steps/3/run");
    let command = command.expect("a command");
    *command = shortened(command.as_str().expect("a command")).into();
    let runner = Runner::new();
    let ended = runner.run(&workflow);
    assert_eq!(ended.iter().filter(|job| job.name == "fuzz").count(), 4);
    let merge = ended.last().expect("a job");
    assert_eq!((merge.name.as_str(), merge.succeeded), ("merge", code == 0));
    assert!(!merge.told.contains("missing"), "{}", merge.told);
    std::os::unix::fs::symlink(runner.artifact("campaign"), place.path("all"))
        .expect("links can be made");
    assert_eq!(place.records("all"), one, "the same runs, each once");
}

#[test]
fn gnu_parallel_is_one_campaign() {
    expect_the_same_as_one_process(|doc, _| parallel(doc));
}

#[test]
fn the_page_names_the_variables_that_are_read() {
    let doc = doc();
    let row = after(&doc, "| Slurm job array | ");
    let names: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
    assert_eq!(names, ["SLURM_ARRAY_TASK_ID", "_MIN", "_STEP", "_COUNT"]);
    let place = Place::new();
    let told = place.expect("hublab fuzz --seeds 0..1", &[variable(names[0], 0)], 2);
    for name in &names[1..] {
        let all = [("ID", "0"), ("MIN", "0"), ("STEP", "1"), ("COUNT", "4")];
        let others = all
            .iter()
            .filter(|(end, _)| name.trim_start_matches('_') != *end);
        let set: Vec<_> = others
            .map(|(end, value)| variable(&format!("SLURM_ARRAY_TASK_{end}"), value))
            .collect();
        let told = place.expect("hublab fuzz --seeds 0..1", &set, 2);
        assert!(told.contains(&format!("SLURM_ARRAY_TASK{name}")), "{told}");
    }
    assert!(told.contains("--shard"), "{told}");
}

/// The rows of the page, engine by engine: what the first and the third of four copies are told.
#[test]
fn each_engine_of_the_page_is_read_as_the_page_says() {
    let place = Place::new();
    let doc = doc();
    let table = doc
        .split("| engine | variables | shard |")
        .nth(1)
        .expect("a table");
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    let mut engines = 0;
    for row in rows.skip(1) {
        let names: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let [index, count] = names[..] else {
            panic!("{row}");
        };
        let first = u64::from(row.contains("- 1 of"));
        for copy in [0, 2] {
            let set = [variable(index, copy + first), variable(count, 4)];
            let told = place.expect("hublab fuzz --seeds 0..4 --strategy pubsub", &set, 0);
            let words = format!("shard {copy}/4 (from the environment)");
            assert!(told.contains(&words), "{row}\n{told}");
        }
        let both = [
            variable(index, 1 + first),
            variable(count, 4),
            variable("JOB_COMPLETION_INDEX", 0),
            variable("JOB_COMPLETIONS", 4),
        ];
        if index != "JOB_COMPLETION_INDEX" {
            let told = place.expect("hublab fuzz --seeds 0..4", &both, 2);
            assert!(
                told.contains("do not say the same") && told.contains(index),
                "{told}"
            );
        }
        engines += 1;
    }
    assert_eq!(engines, 7);
}

#[test]
fn half_of_what_kubernetes_needs_is_an_error_and_the_flag_counts_before_the_environment() {
    let place = Place::new();
    let half = [variable("JOB_COMPLETION_INDEX", 1)];
    let told = place.expect("hublab fuzz --seeds 0..1", &half, 2);
    assert!(
        told.contains("JOB_COMPLETIONS") && told.contains("--shard"),
        "{told}"
    );
    let told = place.expect(
        "hublab fuzz --seeds 0..4 --strategy pubsub --shard 3/4",
        &half,
        0,
    );
    assert!(told.contains("shard 3/4"), "{told}");
}

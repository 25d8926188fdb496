//! Campaigns past one machine: every snippet of `docs/campaigns.md`, run as its engine would run
//! it, comes to what one process comes to.
//!
//! `HUBLAB_SEEDS` says over how many seeds; default 12.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What the snippets' campaigns are shortened to, and made to fail now and then by.
fn small() -> String {
    let seeds = std::env::var("HUBLAB_SEEDS").unwrap_or_else(|_| "12".to_owned());
    format!("--seeds 0..{seeds} --strategy pubsub --oracles all --no-shrink")
}

/// A directory, with `hublab` on the path of the commands that run in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a temporary directory");
        let bin = place.path().join("bin");
        fs::create_dir(&bin).expect("a directory");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hublab"), bin.join("hublab"))
            .expect("links can be made");
        Self(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a shell script, with the environment of an engine and of no other.
    fn run(&self, script: &str, variables: &[(String, String)]) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(self.0.path());
        for (name, _) in std::env::vars() {
            let engines = [
                "SLURM_",
                "JOB_",
                "GITHUB_",
                "AWS_BATCH_",
                "BUILDKITE",
                "BITBUCKET_",
                "CIRCLE_",
                "CI_NODE_",
                "SEMAPHORE_",
            ];
            if engines.iter().any(|engine| name.starts_with(engine)) {
                command.env_remove(name);
            }
        }
        command
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .envs(variables.iter().cloned())
            .stdin(Stdio::null());
        command.output().expect("a shell")
    }

    #[track_caller]
    fn expect(&self, script: &str, variables: &[(String, String)], code: i32) -> String {
        let output = self.run(script, variables);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).expect("the program writes UTF-8");
        assert_eq!(output.status.code(), Some(code), "{script}\n{text}");
        text
    }

    /// The records of a campaign by what they are of, without what differs from time to time.
    fn records(&self, directory: &str) -> BTreeMap<String, Value> {
        let path = self.path(directory).join("results.ndjson");
        let text = fs::read_to_string(path).expect("a campaign has results");
        let mut records = BTreeMap::new();
        for line in text.lines() {
            let mut record: Value = serde_json::from_str(line).expect("a line is a JSON object");
            record["wall_us"] = Value::Null;
            let name = format!(
                "{} {} {}",
                record["scenario"], record["strategy"], record["seed"]
            );
            assert!(
                records.insert(name.clone(), record).is_none(),
                "{name} is there twice"
            );
        }
        records
    }
}

/// A copy of a command that an engine starts: its script and its variables.
struct Copy {
    script: String,
    variables: Vec<(String, String)>,
}

fn doc() -> String {
    fs::read_to_string(Path::new(ROOT).join("docs/campaigns.md")).expect("there is a page")
}

/// The first block of code under a headline.
fn block<'a>(doc: &'a str, headline: &str) -> &'a str {
    let part = doc
        .split(headline)
        .nth(1)
        .expect("there is such a headline");
    let block = part.split("```").nth(1).expect("there is a block");
    block.split_once('\n').expect("it has lines").1
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
fn slurm(doc: &str) -> Vec<Copy> {
    let script = block(doc, "## Slurm");
    let array = after(script, "#SBATCH --array=");
    let (min, max) = array.split_once('-').expect("a range of tasks");
    let numbers = [min, max].map(|number| number.parse::<u64>().expect("a number"));
    let body: Vec<String> = script
        .lines()
        .map(|line| {
            if line.starts_with("hublab fuzz") {
                shortened(line)
            } else {
                line.to_owned()
            }
        })
        .collect();
    let task = |id: u64| Copy {
        script: body.join("\n"),
        variables: vec![
            variable("SLURM_ARRAY_TASK_ID", id),
            variable("SLURM_ARRAY_TASK_MIN", min),
            variable("SLURM_ARRAY_TASK_MAX", max),
            variable("SLURM_ARRAY_TASK_STEP", 1),
            variable("SLURM_ARRAY_TASK_COUNT", numbers[1] - numbers[0] + 1),
        ],
    };
    (numbers[0]..=numbers[1]).map(task).collect()
}

/// The pods of the job: what it says under `env`, and the index that Kubernetes adds.
fn kubernetes(doc: &str, results: &Path) -> Vec<Copy> {
    let job = block(doc, "## Kubernetes");
    let completions: u64 = after(job, "completions: ").parse().expect("a number");
    let variables = job.split("env:").nth(1).expect("it sets variables");
    let name = after(variables, "- name: ");
    let value = after(variables, "value: ").trim_matches('"');
    let command = after(job, "- hublab fuzz");
    let command = format!("hublab fuzz {}", shortened(command));
    let pod = |index: u64| Copy {
        script: command.replace("/results", &results.to_string_lossy()),
        variables: vec![
            variable(name, value),
            variable("JOB_COMPLETION_INDEX", index),
        ],
    };
    (0..completions).map(pod).collect()
}

/// The jobs of the matrix, with the expressions that GitHub puts values in for.
fn github(doc: &str) -> Vec<Copy> {
    let workflow = block(doc, "## GitHub Actions");
    let parts = after(workflow, "part: [")
        .trim_end_matches(']')
        .split(',')
        .count() as u64;
    let command = format!(
        "hublab fuzz {}",
        shortened(after(workflow, "- run: hublab fuzz"))
    );
    let job = |index: u64| Copy {
        script: command
            .replace("${{ strategy.job-index }}", &index.to_string())
            .replace("${{ strategy.job-total }}", &parts.to_string()),
        variables: vec![variable("GITHUB_STEP_SUMMARY", "summary.md")],
    };
    (0..parts).map(job).collect()
}

/// The command lines that `parallel` makes.
fn parallel(doc: &str) -> Vec<Copy> {
    let line = after(block(doc, "## GNU parallel"), "parallel ");
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
    arguments.split(' ').map(copy).collect()
}

/// Runs every copy and merges what they leave, and compares with one process.
fn expect_the_same_as_one_process(engine: impl FnOnce(&str, &Path) -> Vec<Copy>) {
    let place = Place::new();
    let whole = place.run(&format!("hublab fuzz {} --out one", small()), &[]);
    let code = whole.status.code().expect("it ends by itself");
    let one = place.records("one");
    assert!(
        one.values().any(|record| record["verdict"] == "fail"),
        "some runs fail"
    );

    let copies = engine(&doc(), place.0.path());
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
    let merged = place.expect("hublab merge shards/* --out all", &[], code);
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
    expect_the_same_as_one_process(|doc, _| github(doc));
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

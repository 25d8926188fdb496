//! Runs workflows and composite actions as GitHub does: as much of it as the recipes use. What it does
//! not know is a panic, so that no part of a recipe is passed over.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::place::{ROOT, plain, yaml};

/// What `cargo` does here: the recipes' commands put the program that is already built in place.
const CARGO: &str = r#"#!/bin/sh
echo "$*" >> "$RUNNER_TOOLS/cargo.log"
for last; do :; done
case "$*" in
    "build --profile campaign --locked --bin hublab") to=target/campaign ;;
    "install --path . --locked --profile campaign --root "*) to="$last/bin" ;;
    *) echo "unknown: cargo $*" >&2; exit 101 ;;
esac
mkdir -p "$to"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$RUNNER_PROGRAM" > "$to/hublab"
chmod +x "$to/hublab"
"#;

/// The values of expressions.
type Expressions = BTreeMap<String, String>;

/// A runner, with its artifacts and caches.
pub(super) struct Runner {
    root: tempfile::TempDir,
}

/// A job on its way.
struct Job {
    workspace: PathBuf,
    expressions: Expressions,
    failed: bool,
    /// What its steps printed.
    told: String,
}

/// A job that is over.
#[derive(Debug)]
pub(super) struct Ended {
    /// The name of its job in the workflow.
    pub(super) name: String,
    pub(super) succeeded: bool,
    /// What its steps printed.
    pub(super) told: String,
    /// The directory that it ran in.
    pub(super) workspace: PathBuf,
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The entries of a mapping, each of a key that is known here.
#[track_caller]
fn known<'a>(value: &'a Value, keys: &[&str]) -> &'a serde_json::Map<String, Value> {
    let map = value.as_object().expect("a mapping");
    for key in map.keys() {
        assert!(keys.contains(&key.as_str()), "`{key}` in {value:#}");
    }
    map
}

/// Copies a file, or what is in a directory, as artifacts do: without who may execute it.
fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a directory");
        for entry in fs::read_dir(from).expect("a directory") {
            let entry = entry.expect("an entry");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).expect("a copy");
        fs::set_permissions(to, fs::Permissions::from_mode(0o644)).expect("permissions");
    }
}

/// The text with the values of its expressions.
#[track_caller]
fn filled(text: &str, expressions: &Expressions) -> String {
    let mut parts = text.split("${{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").expect("an end");
        let value = expressions.get(name.trim());
        filled += value.unwrap_or_else(|| panic!("no value of `{name}`"));
        filled += rest;
    }
    filled
}

impl Runner {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let tools = root.path().join("tools");
        fs::create_dir(&tools).expect("a directory");
        fs::write(tools.join("cargo"), CARGO).expect("a file");
        let may = fs::Permissions::from_mode(0o755);
        fs::set_permissions(tools.join("cargo"), may).expect("permissions");
        Self { root }
    }

    /// What was asked of cargo, line by line.
    pub(super) fn built(&self) -> usize {
        let log = fs::read_to_string(self.root.path().join("tools/cargo.log"));
        log.unwrap_or_default().lines().count()
    }

    pub(super) fn artifact(&self, name: &str) -> PathBuf {
        self.root.path().join("artifacts").join(name)
    }

    /// Runs every job of a workflow that its conditions let run.
    pub(super) fn run(&self, workflow: &Value) -> Vec<Ended> {
        let jobs = known(workflow, &["jobs"])["jobs"]
            .as_object()
            .expect("jobs");
        let mut ended: Vec<Ended> = Vec::new();
        let mut waiting: Vec<&String> = jobs.keys().collect();
        while !waiting.is_empty() {
            let is_over = |name: &str| ended.iter().any(|job| job.name == name);
            let needs = |name: &String| -> Vec<String> {
                let needs = &jobs[name]["needs"];
                let one = std::slice::from_ref(needs);
                let all = needs.as_array().map_or(one, Vec::as_slice);
                let names = all.iter().filter_map(Value::as_str);
                names.map(str::to_owned).collect()
            };
            let ready = |name: &&String| needs(name).iter().all(|need| is_over(need));
            let at = waiting.iter().position(ready).expect("no circle");
            let name = waiting.remove(at);
            let needed = needs(name);
            let mut before = ended.iter().filter(|job| needed.contains(&job.name));
            let may = before.all(|job| job.succeeded);
            ended.extend(self.job(name, &jobs[name], may));
        }
        ended
    }

    /// Runs a job once per value of its matrix.
    fn job(&self, name: &str, job: &Value, may: bool) -> Vec<Ended> {
        known(job, &["runs-on", "needs", "if", "strategy", "steps"]);
        assert!(
            matches!(text(job, "if"), None | Some("always()")),
            "{job:#}"
        );
        let total = job["strategy"]["matrix"].as_object().map_or(1, |matrix| {
            let lists = matrix.values().filter_map(Value::as_array);
            lists.map(Vec::len).product()
        });
        let instance = |index: usize| {
            let expressions = [
                ("strategy.job-index", index.to_string()),
                ("strategy.job-total", total.to_string()),
            ];
            let mut one = self.begun(&format!("{name}-{index}"), &expressions);
            if may || text(job, "if").is_some() {
                for step in job["steps"].as_array().expect("steps") {
                    self.step(step, &mut one);
                }
            } else {
                one.failed = true;
            }
            one.ended(name)
        };
        (0..total).map(instance).collect()
    }

    /// A job before its first step.
    fn begun(&self, name: &str, expressions: &[(&str, String)]) -> Job {
        let workspace = self.root.path().join("work").join(name);
        fs::create_dir_all(&workspace).expect("a directory");
        let temporary = workspace.join("_temp");
        fs::create_dir_all(&temporary).expect("a directory");
        let mut all = Expressions::new();
        for (name, value) in [
            ("runner.os", "Linux".to_owned()),
            ("runner.arch", "X64".to_owned()),
            ("runner.temp", temporary.to_string_lossy().into_owned()),
            ("github.action_path", ROOT.to_owned()),
            ("github.sha", "0123456789abcdef".to_owned()),
            (
                "hashFiles('Cargo.lock', 'rust-toolchain.toml')",
                "1".to_owned(),
            ),
        ]
        .iter()
        .chain(expressions)
        {
            all.insert((*name).to_owned(), value.clone());
        }
        Job {
            workspace,
            expressions: all,
            failed: false,
            told: String::new(),
        }
    }

    /// Runs an action of this repository with inputs, in a job of its own.
    pub(super) fn action(&self, job: &str, inputs: &[(&str, &str)]) -> Ended {
        let mut one = self.begun(job, &[]);
        checkout(&one.workspace);
        let inputs = inputs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.composite(&inputs.collect(), &mut one);
        one.ended(job)
    }

    fn composite(&self, inputs: &BTreeMap<String, String>, job: &mut Job) {
        let action = fs::read_to_string(Path::new(ROOT).join("action.yml")).expect("an action");
        let action = yaml(&action);
        known(
            &action,
            &["name", "description", "branding", "inputs", "runs"],
        );
        let declared = action["inputs"].as_object().expect("inputs");
        for name in inputs.keys() {
            assert!(declared.contains_key(name), "no input `{name}`");
        }
        for (name, input) in declared {
            known(input, &["description", "default"]);
            assert!(text(input, "description").is_some_and(|words| !words.is_empty()));
            let default = text(input, "default").expect("each input has a default");
            let value = inputs.get(name).map_or(default, String::as_str);
            job.expressions
                .insert(format!("inputs.{name}"), value.to_owned());
        }
        let runs = known(&action["runs"], &["using", "steps"]);
        assert_eq!(runs["using"], "composite");
        for step in runs["steps"].as_array().expect("steps") {
            assert!(
                text(step, "run").is_none() || text(step, "shell") == Some("bash"),
                "{step:#}"
            );
            self.step(step, job);
        }
    }

    fn step(&self, step: &Value, job: &mut Job) {
        let keys = [
            "name",
            "id",
            "if",
            "uses",
            "with",
            "run",
            "shell",
            "env",
            "working-directory",
        ];
        known(step, &keys);
        let runs = match text(step, "if") {
            None => !job.failed,
            Some("always()") => true,
            Some("steps.cache.outputs.cache-hit != 'true'") => {
                let hit = job.expressions.get("steps.cache.outputs.cache-hit");
                !job.failed && hit.is_none_or(|hit| hit != "true")
            }
            Some(other) => panic!("if: {other}"),
        };
        if !runs {
            return;
        }
        if let Some(script) = text(step, "run") {
            self.script(script, step, job);
            return;
        }
        let with: BTreeMap<String, String> =
            step["with"].as_object().map_or_else(BTreeMap::new, |with| {
                let value = |value: &Value| {
                    let text = value.as_str();
                    text.map_or_else(|| value.to_string(), |text| filled(text, &job.expressions))
                };
                with.iter()
                    .map(|(key, one)| (key.clone(), value(one)))
                    .collect()
            });
        let (action, _) = text(step, "uses")
            .and_then(|uses| uses.split_once('@'))
            .expect("an action");
        match action {
            "actions/checkout" => checkout(&job.workspace),
            "actions/cache" => self.cache(&with, step, job),
            "actions/upload-artifact" => self.upload(&with, job),
            "actions/download-artifact" => self.download(&with, job),
            "hublab/hublab" => self.composite(&with, job),
            other => panic!("uses: {other}"),
        }
    }

    /// Restores what an earlier job left under this key. Only that of the program is kept here, which
    /// such a job had written by its end.
    fn cache(&self, with: &BTreeMap<String, String>, step: &Value, job: &mut Job) {
        assert!(
            with.keys()
                .all(|key| ["path", "key", "restore-keys"].contains(&key.as_str()))
        );
        assert!(!with["path"].is_empty());
        let Some(id) = text(step, "id") else {
            return;
        };
        let kept = self.root.path().join("caches").join(&with["key"]);
        let hit = format!("steps.{id}.outputs.cache-hit");
        if let Ok(place) = fs::read_link(&kept) {
            std::os::unix::fs::symlink(place, &with["path"]).expect("links can be made");
            job.expressions.insert(hit, "true".to_owned());
        } else {
            fs::create_dir_all(kept.parent().expect("it has one")).expect("a directory");
            std::os::unix::fs::symlink(&with["path"], kept).expect("links can be made");
        }
    }

    fn upload(&self, with: &BTreeMap<String, String>, job: &Job) {
        let keys = ["name", "path", "if-no-files-found"];
        assert!(
            with.keys().all(|key| keys.contains(&key.as_str())),
            "{with:?}"
        );
        let (from, to) = (
            job.workspace.join(&with["path"]),
            self.artifact(&with["name"]),
        );
        assert!(!to.exists(), "two artifacts `{}`", with["name"]);
        if from.is_dir() {
            copy(&from, &to);
        } else if from.is_file() {
            fs::create_dir_all(&to).expect("a directory");
            copy(&from, &to.join(from.file_name().expect("a name")));
        }
    }

    fn download(&self, with: &BTreeMap<String, String>, job: &Job) {
        let keys = ["name", "path", "pattern", "merge-multiple"];
        assert!(
            with.keys().all(|key| keys.contains(&key.as_str())),
            "{with:?}"
        );
        let to = job.workspace.join(&with["path"]);
        if let Some(name) = with.get("name") {
            assert!(self.artifact(name).is_dir(), "no artifact `{name}`");
            copy(&self.artifact(name), &to);
            return;
        }
        assert_eq!(with["merge-multiple"], "true");
        let begins = with["pattern"]
            .strip_suffix('*')
            .expect("a beginning and a star");
        for entry in fs::read_dir(self.artifact("")).expect("there are artifacts") {
            let entry = entry.expect("an entry");
            if entry.file_name().to_string_lossy().starts_with(begins) {
                copy(&entry.path(), &to);
            }
        }
    }

    fn script(&self, script: &str, step: &Value, job: &mut Job) {
        let script = filled(script, &job.expressions);
        let file = |name: &str| job.workspace.join("_temp").join(name);
        let added = fs::read_to_string(file("path")).unwrap_or_default();
        let tools = self.root.path().join("tools");
        let usual = std::env::var("PATH").unwrap_or_default();
        let mut path: Vec<&str> = added.lines().collect();
        path.extend([tools.to_str().expect("UTF-8"), &usual]);
        let at = match text(step, "working-directory").map(|at| filled(at, &job.expressions)) {
            None => job.workspace.clone(),
            Some(at) => job.workspace.join(at),
        };
        let mut bash = plain(Command::new("bash"));
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &script])
            .current_dir(at)
            .env("PATH", path.join(":"))
            .env("RUNNER_TEMP", file(""))
            .env("RUNNER_TOOLS", &tools)
            .env("RUNNER_PROGRAM", env!("CARGO_BIN_EXE_hublab"))
            .env("GITHUB_PATH", file("path"))
            .env("GITHUB_OUTPUT", file("output"))
            .env("GITHUB_STEP_SUMMARY", file("summary.md"))
            .env("GITHUB_WORKSPACE", &job.workspace);
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            let value = value.as_str().expect("a text");
            bash.env(name, filled(value, &job.expressions));
        }
        let output = bash.output().expect("there is bash");
        let told = [output.stdout, output.stderr].concat();
        job.told += &String::from_utf8(told).expect("the program writes UTF-8");
        job.failed |= !output.status.success();
        let outputs = fs::read_to_string(file("output")).unwrap_or_default();
        for (name, value) in outputs.lines().filter_map(|line| line.split_once('=')) {
            let id = text(step, "id").expect("a step with outputs has an id");
            job.expressions
                .insert(format!("steps.{id}.outputs.{name}"), value.to_owned());
        }
        drop(fs::remove_file(file("output")));
    }
}

impl Job {
    fn ended(self, name: &str) -> Ended {
        Ended {
            name: name.to_owned(),
            succeeded: !self.failed,
            told: self.told,
            workspace: self.workspace,
        }
    }
}

/// Of the repository, the jobs use its scenarios.
fn checkout(workspace: &Path) {
    let scenarios = Path::new(ROOT).join("scenarios");
    std::os::unix::fs::symlink(scenarios, workspace.join("scenarios")).expect("links can be made");
}

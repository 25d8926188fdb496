//! Where the commands of the recipes run.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use saphyr::{LoadableYamlNode, YamlOwned};
use serde_json::Value;

pub(super) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Programs of the engines: as much of each as the recipes use.
const PROGRAMS: &[(&str, &str)] = &[
    (
        "apptainer",
        r#"case "$1" in
    pull) case "$3" in docker://*) echo image > "$2" ;; *) exit 2 ;; esac ;;
    exec) test -f "$2" || exit 255; shift 2; exec "$@" ;;
    *) exit 2 ;;
esac"#,
    ),
    (
        "sbatch",
        r#"while [ $# -gt 0 ]; do
    case "$1" in
        --wrap) exec sh -c "$2" ;;
        --dependency=afterany:*) shift ;;
        *) exit 2 ;;
    esac
done"#,
    ),
    (
        "git",
        r#"test "$*" = "rev-parse HEAD" && echo 0123456789abcdef"#,
    ),
];

/// A command without the environment of an engine that this test may itself run in.
pub(super) fn plain(mut command: Command) -> Command {
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
    command.env_remove("HUBLAB_LOG").stdin(Stdio::null());
    command
}

/// A directory, with `hublab` on the path of the commands that run in it.
pub(super) struct Place(pub(super) tempfile::TempDir);

impl Place {
    pub(super) fn new() -> Self {
        let place = tempfile::tempdir().expect("a temporary directory");
        let bin = place.path().join("bin");
        fs::create_dir(&bin).expect("a directory");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hublab"), bin.join("hublab"))
            .expect("links can be made");
        for (name, script) in PROGRAMS {
            let path = bin.join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file");
            let may = fs::Permissions::from_mode(0o755);
            fs::set_permissions(path, may).expect("permissions");
        }
        Self(place)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a shell script, with the environment of an engine and of no other.
    pub(super) fn run(&self, script: &str, variables: &[(String, String)]) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = plain(Command::new("sh"));
        command
            .args(["-ec", script])
            .current_dir(self.0.path())
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .envs(variables.iter().cloned());
        command.output().expect("a shell")
    }

    #[track_caller]
    pub(super) fn expect(&self, script: &str, variables: &[(String, String)], code: i32) -> String {
        let output = self.run(script, variables);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).expect("the program writes UTF-8");
        assert_eq!(output.status.code(), Some(code), "{script}\n{text}");
        text
    }

    /// The records of a campaign by what they are of, without what differs from time to time.
    pub(super) fn records(&self, directory: &str) -> BTreeMap<String, Value> {
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

/// A document of YAML.
#[track_caller]
pub(super) fn yaml(text: &str) -> Value {
    let documents =
        YamlOwned::load_from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let [document] = &documents[..] else {
        panic!("one document:\n{text}");
    };
    value(document)
}

fn value(yaml: &YamlOwned) -> Value {
    if let Some(map) = yaml.as_mapping() {
        let entry = |(key, one): (&YamlOwned, &YamlOwned)| {
            let key = key.as_str().expect("keys are texts");
            (key.to_owned(), value(one))
        };
        map.iter().map(entry).collect()
    } else if let Some(list) = yaml.as_sequence() {
        list.iter().map(value).collect()
    } else if let Some(text) = yaml.as_str() {
        text.into()
    } else if let Some(number) = yaml.as_integer() {
        number.into()
    } else if let Some(truth) = yaml.as_bool() {
        truth.into()
    } else {
        assert!(yaml.is_null(), "{yaml:?}");
        Value::Null
    }
}

//! What the recipes name and what stands beside them: the image, the action, commands in sentences.

use std::fs;
use std::path::Path;

use super::actions::Runner;
use super::place::{Place, ROOT, yaml};
use super::{block, blocks, doc, few};

fn file(name: &str) -> String {
    let path = Path::new(ROOT).join(name);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Commands in sentences of the page, but for names of commands alone.
fn in_sentences(doc: &str) -> Vec<String> {
    let prose: String = doc.split("```").step_by(2).collect();
    let spans = prose.split('`').skip(1).step_by(2);
    let commands = spans.filter(|span| span.starts_with("hublab ") && span.contains(" --"));
    commands.map(str::to_owned).collect()
}

/// A command with as many seeds as a test has time for.
fn small(command: &str) -> String {
    let mut words: Vec<String> = command.split(' ').map(str::to_owned).collect();
    for at in 1..words.len() {
        match words[at - 1].as_str() {
            "--seeds" => words[at] = format!("0..{}", few()),
            "--count" => words[at] = few(),
            _ => {}
        }
    }
    words.join(" ")
}

#[test]
fn commands_in_sentences_run_and_those_that_ask_for_claims_end_green() {
    let commands = in_sentences(&doc());
    let documented = "hublab fuzz --seeds 0..2000 --budget 10m --format github";
    assert!(commands.iter().any(|one| one == documented), "{commands:?}");
    assert!(commands.len() >= 2, "{commands:?}");
    for command in commands {
        let output = Place::new().run(&small(&command), &[]);
        let told = String::from_utf8_lossy(&output.stdout);
        let err = String::from_utf8_lossy(&output.stderr);
        // Whoever asks for more than is promised may find something.
        let may_fail = command.contains("--oracles all");
        let ended = output.status.code();
        assert!(
            ended == Some(0) || may_fail && ended == Some(1),
            "{command}\n{told}\n{err}"
        );
        assert!(told.contains(" runs, "), "{command}\n{told}");
    }
}

#[test]
fn a_workflow_of_shards_ends_green_and_builds_once() {
    let doc = doc();
    let workflow = blocks(&doc, "## GitHub Actions")[1];
    assert!(
        workflow.contains("hublab fuzz --seeds 0..20000 --shard"),
        "{workflow}"
    );
    let workflow = workflow.replace("--seeds 0..20000", &format!("--seeds 0..{}", few()));
    let workflow = yaml(&workflow);
    let runner = Runner::new();
    let ended = runner.run(&workflow);
    let names: Vec<&str> = ended.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["build", "fuzz", "fuzz", "fuzz", "fuzz", "merge"]);
    for job in &ended {
        assert!(job.succeeded, "{}\n{}", job.name, job.told);
    }
    assert!(ended[5].told.contains("all held"), "{}", ended[5].told);
    assert_eq!(runner.built(), 1);
}

#[test]
fn the_action_of_the_page_runs_with_its_inputs() {
    let doc = doc();
    let workflow = blocks(&doc, "## GitHub Actions")[0];
    let mut workflow = yaml(workflow);
    let with = workflow
        .pointer_mut("/jobs/fuzz/steps/1/with")
        .expect("inputs");
    with["seeds"] = format!("0..{}", few()).into();
    let runner = Runner::new();
    let ended = runner.run(&workflow);
    assert!(ended[0].succeeded, "{}", ended[0].told);
    let told = &ended[0].told;
    assert!(told.contains("scenarios/crash.toml"), "files: {told}");
    assert!(told.contains("pubsub and gossip"), "strategies: {told}");
    assert!(runner.artifact("hublab-campaign/junit.xml").exists());
}

#[test]
fn the_action_alone_generates_scenarios_and_its_program_is_built_once() {
    let runner = Runner::new();
    let seeds = format!("0..{}", few());
    let ended = runner.action("first", &[("seeds", &seeds)]);
    assert!(ended.succeeded, "{}", ended.told);
    assert!(runner.artifact("hublab-campaign/campaign.json").exists());
    assert_eq!(runner.built(), 1);

    let count = format!("--seeds-from abc --count {}", few());
    let inputs = [("seeds", ""), ("args", &count), ("artifact", "second")];
    let ended = runner.action("second", &inputs);
    assert!(ended.succeeded, "{}", ended.told);
    assert!(runner.artifact("second/campaign.json").exists());
    assert_eq!(runner.built(), 1, "the program is in the cache");
}

#[test]
fn the_action_fails_where_a_run_fails_and_keeps_the_results() {
    let failing = Path::new(ROOT).join("tests/data/too-few-messages.toml");
    let files = failing.to_string_lossy();
    let runner = Runner::new();
    let inputs = [
        ("files", &*files),
        ("seeds", "0..2"),
        ("args", "--no-shrink"),
    ];
    let ended = runner.action("job", &inputs);
    assert!(!ended.succeeded, "{}", ended.told);
    assert!(ended.told.contains("::error file="), "{}", ended.told);
    assert!(runner.artifact("hublab-campaign/junit.xml").exists());
    let summary = fs::read_to_string(ended.workspace.join("_temp/summary.md")).expect("a summary");
    assert!(summary.contains("groups of failures"), "{summary}");
}

/// The arguments of each line of the Dockerfile that begins with this word.
fn instructions<'a>(dockerfile: &'a str, word: &str) -> Vec<&'a str> {
    let lines = dockerfile.lines();
    lines
        .filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
        .collect()
}

#[test]
fn the_image_has_the_toolchain_the_profile_and_a_user_of_this_repository() {
    let dockerfile = file("Dockerfile");
    let toolchain = file("rust-toolchain.toml");
    let channel = toolchain
        .split("channel = \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("a channel");
    let stages = instructions(&dockerfile, "FROM");
    let [build, run] = stages[..] else {
        panic!("{stages:?}");
    };
    let system = build
        .strip_prefix(&format!("rust:{channel}-"))
        .and_then(|rest| rest.strip_suffix(" AS build"))
        .expect("the compiler's image");
    assert_eq!(run, format!("debian:{system}-slim"), "the same glibc");
    let variables = instructions(&dockerfile, "ENV");
    assert_eq!(variables, [format!("RUSTUP_TOOLCHAIN={channel}")]);
    assert!(dockerfile.contains("cargo build --profile campaign --locked --bin hublab"));
    assert!(file("Cargo.toml").contains("[profile.campaign]"));
    let copies = instructions(&dockerfile, "COPY");
    assert_eq!(
        copies,
        [". .", "--from=build /out/hublab /usr/local/bin/hublab"]
    );
    assert!(dockerfile.contains("install -D target/campaign/hublab /out/hublab"));
    assert!(file(".dockerignore").lines().any(|line| line == "/target"));

    let doc = doc();
    let job = yaml(block(&doc, "## Kubernetes"));
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    let group = pod["securityContext"]["fsGroup"].as_u64().expect("a group");
    assert!(group > 0);
    assert_eq!(
        instructions(&dockerfile, "USER"),
        [format!("{group}:{group}")]
    );

    let image = pod["containers"][0]["image"].as_str().expect("an image");
    let commands = block(&doc, "## An image");
    assert!(
        commands.contains(&format!("docker build --tag {image} .\n")),
        "{commands}"
    );
    assert!(
        commands.contains(&format!("docker push {image}\n")),
        "{commands}"
    );
    assert!(doc.contains(&format!("docker://{image}\n")));

    let list = |word: &str| -> Vec<String> {
        serde_json::from_str(instructions(&dockerfile, word)[0]).expect("a list")
    };
    let command = [list("ENTRYPOINT"), list("CMD")].concat().join(" ");
    Place::new().expect(&command, &[], 0);
}

//! Signals under `nohup`: a hang-up that the shell has had ignored ends nothing, and an
//! interruption still ends a run cleanly.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

/// Runs three scenarios under a shell that ignores hang-ups, as `nohup` does. The last of them
/// goes on for long.
const RUNS: &str = "trap '' HUP; exec \"$0\" run tests/data/first-join.toml tests/data/slow.toml --jobs 1 --format json";

#[test]
fn under_nohup_a_hang_up_changes_nothing_and_an_interruption_ends_a_run_cleanly() {
    let mut child = Command::new("sh")
        .args(["-c", RUNS, env!("CARGO_BIN_EXE_hublab")])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("HUBLAB_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the shell starts");
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    let signal = |name: &str| {
        let sent = Command::new("kill")
            .args([name, &child.id().to_string()])
            .status();
        assert!(sent.expect("kill starts").success());
    };
    let mut line = String::new();
    out.read_line(&mut line).expect("a finished run");
    signal("-HUP");
    line.clear();
    out.read_line(&mut line)
        .expect("another one, in spite of the hang-up");
    assert!(line.contains("\"verdict\":\"pass\""), "{line}");
    signal("-INT");
    let mut err = String::new();
    let mut errors = child.stderr.take().expect("it is piped");
    errors.read_to_string(&mut err).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{err}");
    assert!(err.contains("interrupted: 2 of 3 runs finished"), "{err}");
}

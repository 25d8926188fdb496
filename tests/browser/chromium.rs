//! Opens a page in Chromium, drives it with a script, and takes what the script found.
//!
//! Time must be real for measurements, so Chromium's virtual time, which `--dump-dom` would need, is not
//! used: the script sends its result to a socket of the test.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than this no test drives a page.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is there before the page's own script.
const BEFORE: &str = include_str!("before.js");
/// What all tests use.
const TOOLS: &str = include_str!("tools.js");

/// Is there a browser? If there must be one and is not, this fails.
pub(crate) fn is_there() -> bool {
    let found = Command::new("chromium")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if found.is_ok_and(|status| status.success()) {
        return true;
    }
    let wanted = std::env::var("HUBLAB_BROWSER");
    assert!(
        wanted.as_deref() != Ok("required"),
        "HUBLAB_BROWSER=required, and there is no Chromium"
    );
    // Not with `println`, which a test that passes does not show.
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let _ = writeln!(
            std::io::stderr(),
            "there is no Chromium: the tests of pages are left out"
        );
    });
    false
}

/// A process that does not outlive its test.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Opens the page with this hash, runs the script, which is the body of an asynchronous function, and
/// returns what it returns. Errors of the page are a failure.
pub(crate) fn drive(page: &Path, hash: &str, script: &str) -> Value {
    // A script must not end the element that it is in.
    let script = script.replace("</", "<\\/");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("it is bound").port();
    let text = fs::read_to_string(page).expect("a page");
    let allowed = format!("default-src 'none'; connect-src http://127.0.0.1:{port}");
    assert!(text.contains("default-src 'none'"), "a policy");
    let text = text.replacen("default-src 'none'", &allowed, 1);
    let before = format!("<script>{BEFORE}</script>\n<title>");
    let text = text.replacen("<title>", &before, 1);
    let (start, end) = text.rsplit_once("</body>").expect("a body");
    let text = format!(
        "{start}<script>{TOOLS}\nanswer({port}, async () => {{\n{script}\n}});</script></body>{end}"
    );
    let place = tempfile::tempdir().expect("a temporary directory");
    let driven = place.path().join("driven.html");
    fs::write(&driven, text).expect("a temporary file");
    let profile = place.path().join("profile");
    let child = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
        .args(["--no-first-run", "--remote-debugging-port=0"])
        .arg("--window-size=1280,1600")
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}{hash}", driven.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("Chromium starts");
    let browser = Browser(child);
    let answer = wait(&listener);
    drop(browser);
    let errors = &answer["errors"];
    assert_eq!(
        errors,
        &serde_json::json!([]),
        "errors of the page: {answer}"
    );
    answer["result"].clone()
}

fn wait(listener: &TcpListener) -> Value {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match listener.accept() {
            Ok((stream, _)) => return read(stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => panic!("no connection: {error}"),
        }
    }
    panic!("the page did not answer within {PATIENCE:?}");
}

/// Reads the body of a request.
fn read(mut stream: TcpStream) -> Value {
    stream.set_nonblocking(false).expect("a socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 65536];
        let long = stream.read(&mut part).expect("the request goes on");
        bytes.extend_from_slice(&part[..long]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse().ok())?
            });
            let length: usize = length.expect("a length");
            if body.len() >= length {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                return serde_json::from_str(&body[..length]).expect("the answer is JSON");
            }
        }
        assert!(long > 0, "the request ended early");
    }
}

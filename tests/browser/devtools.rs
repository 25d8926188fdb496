//! Chromium as a reader uses it: real keys and pointers, paper, the names that a screen reader says. It is
//! told what to do over a pipe, by its own protocol.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than this no answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A page that is open, and closed at the end.
pub(crate) struct Reader {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    number: u64,
    session: Option<String>,
    errors: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Drop for Reader {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Reader {
    /// Opens a page with this hash, in a window so wide.
    pub(crate) fn open(page: &Path, hash: &str, width: u32) -> Self {
        let profile = tempfile::tempdir().expect("a temporary directory");
        // The protocol is spoken over the descriptors 3 and 4.
        let pipes = "exec chromium \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null";
        let mut child = Command::new("sh")
            .args(["-c", pipes, "sh"])
            .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
            .args(["--no-first-run", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Chromium starts");
        let commands = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in output.split(0) {
                let Ok(message) = message else { return };
                let message = serde_json::from_slice(&message).expect("messages are JSON");
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut reader = Self {
            child,
            commands,
            messages,
            number: 0,
            session: None,
            errors: Vec::new(),
            _profile: profile,
        };
        reader.begin(page, hash, width);
        reader
    }

    fn begin(&mut self, page: &Path, hash: &str, width: u32) {
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", attach);
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Accessibility"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        self.call(
            "Emulation.setFocusEmulationEnabled",
            json!({ "enabled": true }),
        );
        self.resize(width);
        let url = format!("file://{}{hash}", page.display());
        self.call("Page.navigate", json!({ "url": url }));
        while self.next()["method"] != "Page.loadEventFired" {}
        self.settle();
    }

    /// Makes the window so wide.
    pub(crate) fn resize(&mut self, width: u32) {
        let size =
            json!({ "width": width, "height": 1200, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.settle();
    }

    fn next(&mut self) -> Value {
        let message = self.messages.recv_timeout(PATIENCE);
        let message = message.expect("Chromium answers in time");
        let told = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => message["params"]["exceptionDetails"].to_string(),
            Some("Log.entryAdded") if message["params"]["entry"]["level"] == "error" => {
                message["params"]["entry"]["text"].to_string()
            }
            _ => return message,
        };
        self.errors.push(told);
        message
    }

    /// Sends a command, and waits for what it returns.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let number = self.number;
        let mut command = json!({ "id": number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).expect("Chromium listens");
        loop {
            let message = self.next();
            if message["id"] == number {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    /// The value of an expression; promises are waited for.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let told = self.call("Runtime.evaluate", asked);
        assert!(told["exceptionDetails"].is_null(), "{expression}: {told}");
        told["result"]["value"].clone()
    }

    /// Waits until the page has drawn what it had to.
    pub(crate) fn settle(&mut self) {
        self.value(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))",
        );
    }

    /// Presses a key and lets it go.
    pub(crate) fn press(&mut self, key: &str) {
        let (code, number, text) = match key {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            " " => ("Space", 32, " "),
            "ArrowRight" => ("ArrowRight", 39, ""),
            "ArrowDown" => ("ArrowDown", 40, ""),
            "Escape" => ("Escape", 27, ""),
            letter => (letter, u32::from(letter.as_bytes()[0]), letter),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event = json!({ "type": kind, "key": key, "code": code, "text": text, "windowsVirtualKeyCode": number });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Moves the pointer along these points of the window with its button down.
    pub(crate) fn drag(&mut self, points: &[(f64, f64)]) {
        let mut event = |kind: &str, (x, y): (f64, f64)| {
            let pointer = json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", pointer);
        };
        let (first, last) = (points[0], points[points.len() - 1]);
        event("mousePressed", first);
        points.iter().for_each(|point| event("mouseMoved", *point));
        event("mouseReleased", last);
        self.settle();
    }

    /// What went wrong in the page so far.
    pub(crate) fn errors(&self) -> &[String] {
        &self.errors
    }
}

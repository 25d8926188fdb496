//! `hublab ctl`: asks a node through its control socket.

mod render;

use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::args::node::{Ctl, CtlCommand, CtlFormat, Secrets, table};
use super::exit::ExitStatus;
use super::node::protocol::{Item, Reply, Request};
use super::{Context, Stop};

/// How long a node may be silent, except while it is watched. It gives up on others after 10 s.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn ctl(args: &Ctl, context: &Context) -> Result<ExitStatus, Stop> {
    let Some(path) = &args.control else {
        let reason = "where is the node? Give its socket: --control PATH";
        return Err(Stop::Usage(reason.to_owned()));
    };
    let lost = |error: io::Error| Stop::Usage(format!("{}: {error}", path.display()));
    let mut replies = ask(path, &request(&args.what)).map_err(lost)?;
    let mut exit = ExitStatus::Held;
    loop {
        match next(&mut replies).map_err(lost)? {
            Reply::Item(item) => {
                exit = exit.max(judge(&item));
                let line = match args.format {
                    CtlFormat::Json => serde_json::to_string(&item).map_err(|e| lost(e.into()))?,
                    CtlFormat::Human => render::human(&item),
                };
                context.output.line(line)?;
            }
            Reply::End {} => return Ok(exit),
            Reply::Error(reason) => return Err(Stop::Usage(reason)),
        }
    }
}

/// What was not started, stopped or found makes the command fail.
fn judge(item: &Item) -> ExitStatus {
    let failed = match item {
        Item::Outcome(outcome) => outcome.error.is_some(),
        Item::Child(child) => child.entries.is_empty(),
        Item::Members { .. }
        | Item::Farewell { .. }
        | Item::Secrets { .. }
        | Item::Event(_)
        | Item::Stats(_) => false,
    };
    if failed {
        ExitStatus::Failed
    } else {
        ExitStatus::Held
    }
}

fn request(what: &CtlCommand) -> Request {
    match what {
        CtlCommand::Start(args) => Request::Start {
            children: args.children.names(),
            kind: args.kind.clone(),
            args: table(&args.args),
            metadata: table(&args.metadata),
            on: args.nodes.clone(),
        },
        CtlCommand::Stop(args) => Request::Stop {
            children: args.children.names(),
            on: args.nodes.clone(),
        },
        CtlCommand::Lookup { child } => Request::Lookup {
            child: child.clone(),
        },
        CtlCommand::Registry => Request::Registry {},
        CtlCommand::Members => Request::Members {},
        CtlCommand::Stats => Request::Stats {},
        CtlCommand::Watch { child } => Request::Watch {
            child: child.clone(),
        },
        CtlCommand::Secrets(Secrets::Reload) => Request::ReloadSecrets {},
        CtlCommand::Leave => Request::Leave {},
    }
}

fn ask(path: &Path, request: &Request) -> io::Result<BufReader<UnixStream>> {
    let stream = UnixStream::connect(path)?;
    if !matches!(request, Request::Watch { .. }) {
        stream.set_read_timeout(Some(PATIENCE))?;
    }
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut writer = BufWriter::new(&stream);
    serde_json::to_writer(&mut writer, request)?;
    writer.write_all(b"\n")?;
    writer.flush()?;
    drop(writer);
    Ok(BufReader::new(stream))
}

fn next(replies: &mut BufReader<UnixStream>) -> io::Result<Reply> {
    let mut line = String::new();
    if replies.read_line(&mut line)? == 0 {
        let kind = io::ErrorKind::UnexpectedEof;
        return Err(io::Error::new(kind, "the node hung up"));
    }
    Ok(serde_json::from_str(&line)?)
}

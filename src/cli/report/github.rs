//! GitHub Actions: annotations at the lines of scenario files, and a summary of the step.
//!
//! An annotation is a line on standard output that the runner takes for a command. A summary is
//! Markdown at the end of the file that `GITHUB_STEP_SUMMARY` names.

use std::env;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use hublab_sim::campaign::group::Group;
use hublab_sim::campaign::trial::GENERATED;
use hublab_sim::catalog::Catalog;
use hublab_sim::scenario::{Scenario, load};
use hublab_sim::watch::judge::Verdict;

use super::junit::first;
use super::{Reporter, Setting, Target, Totals, campaign};
use crate::cli::campaign::account::{Account, Source};
use crate::cli::campaign::place;
use crate::cli::campaign::words::{result, title};
use crate::cli::render::line;
use crate::cli::render::number::{counted, grouped};
use crate::cli::{Context, Stop};

/// The annotations of one kind that GitHub shows of a step; it drops the others.
const ANNOTATIONS_MAX: usize = 10;
/// The groups of one kind, new or known, that a summary tells of.
const ROWS_MAX: usize = 100;

struct Github {
    context: Context,
}

pub(super) fn make(_setting: Setting, context: &Context) -> Box<dyn Reporter> {
    let context = context.clone();
    Box::new(Github { context })
}

impl Reporter for Github {
    /// Prints the annotations between a summary for people, and appends to the step's summary if
    /// GitHub names its file.
    fn close(&mut self, totals: &Totals<'_>, to: &mut Target) -> Result<(), Stop> {
        let account = totals.account;
        to.text(totals.reach)?;
        let workspace = env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
        for line in annotations(account, workspace.as_deref(), &self.context.catalog) {
            to.line(line)?;
        }
        if let Some(path) = env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
            let path = Path::new(&path);
            if let Err(error) = append_summary(path, &summary(account)) {
                let path = path.display();
                let note = format!("{path}: the step's summary cannot be written: {error}");
                self.context.output.note(note);
            }
        }
        to.line(campaign::render(account))
    }
}

/// One line per group of new failures, for standard output: `::error file=a.toml,line=9,...::...`.
///
/// `workspace` is the directory that GitHub knows files by (`GITHUB_WORKSPACE`).
fn annotations(account: Account<'_>, workspace: Option<&Path>, catalog: &Catalog) -> Vec<String> {
    let groups = account.summary.groups();
    let told = groups.news.iter().take(ANNOTATIONS_MAX);
    let mut lines: Vec<String> = told
        .map(|group| annotation(account, workspace, catalog, group))
        .collect();
    let left = groups.news.len().saturating_sub(ANNOTATIONS_MAX);
    for (groups, words) in [(left, "more"), (groups.known.len(), "of known failures")] {
        if groups > 0 {
            let groups = counted(groups as u64, "group");
            let text = format!("{groups} {words}: see the step's summary");
            lines.push(command("notice", &[], &text));
        }
    }
    if let Some(text) = account.incomplete() {
        lines.push(command("warning", &[("title", "incomplete")], &text));
    }
    let open = account.summary.ended(Verdict::Inconclusive);
    if open > 0 {
        let text = format!("{} could not be judged", counted(open, "run"));
        lines.push(command("warning", &[("title", "inconclusive")], &text));
    }
    lines
}

fn annotation(
    account: Account<'_>,
    workspace: Option<&Path>,
    catalog: &Catalog,
    group: &Group<'_>,
) -> String {
    let place = place_of(account, workspace, catalog, group);
    let key = group.key;
    let title = format!("{}: {}", key.strategy, title(&key.what));
    let mut properties = Vec::new();
    if let Some((file, line)) = &place {
        properties.extend([("file", file.as_str()), ("line", line.as_str())]);
    }
    properties.push(("title", &title));
    let runs = format!(
        "{}, the first with seed {}",
        counted(group.runs, "run"),
        group.seed
    );
    let found = group.finding.map(|finding| format!("\n{}", first(finding)));
    let repeat = account.repeat(group);
    let text = format!("{runs}{}\n{repeat}", found.unwrap_or_default());
    command("error", &properties, &text)
}

/// The file and line that a reader should look at: of the scenario that was given, or of the one
/// that was left after shrinking.
fn place_of(
    account: Account<'_>,
    workspace: Option<&Path>,
    catalog: &Catalog,
    group: &Group<'_>,
) -> Option<(String, String)> {
    let key = group.key;
    let path = if key.scenario == GENERATED {
        account.file(group)?
    } else {
        key.scenario.clone().into()
    };
    let read = |bytes: Vec<u8>| Scenario::read(&path.to_string_lossy(), &bytes, catalog).ok();
    let scenario = load::read_bytes(&path).ok().and_then(read);
    let line = match (&scenario, group.finding) {
        (Some(scenario), Some(finding)) => {
            place::line(scenario, &key.strategy, group.seed, finding, catalog)
        }
        (None, _) | (_, None) => 1,
    };
    let path = std::path::absolute(&path).unwrap_or(path);
    let known = workspace.and_then(|root| path.strip_prefix(root).ok());
    let shown = known.unwrap_or(&path).to_string_lossy().into_owned();
    Some((shown, line.to_string()))
}

/// A command for the runner. Its parts are escaped as the runner's toolkit does.
fn command(name: &str, properties: &[(&str, &str)], message: &str) -> String {
    let data = |text: &str| {
        text.replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    };
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let mut line = format!("::{name}");
    for (place, (key, value)) in properties.iter().enumerate() {
        line.push(if place == 0 { ' ' } else { ',' });
        line.push_str(key);
        line.push('=');
        line.push_str(&property(value));
    }
    line.push_str("::");
    line.push_str(&data(message));
    line
}

/// The summary of a step, in Markdown.
pub(super) fn summary(account: Account<'_>) -> String {
    let all = account.summary;
    let groups = all.groups();
    let ((_, result), heading) = (result(account), cell(&account.heading()));
    let mut letters = heading.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    let heading: String = first.into_iter().chain(letters).collect();
    let progress = match account.source {
        Source::Campaign(_) => {
            let progress = account.incomplete().unwrap_or_else(|| account.progress());
            format!(" {}.", cell(&progress))
        }
        // The heading says how many there are.
        Source::Runs(_) => String::new(),
    };
    let mut text = format!(
        "## hublab: {result}

{heading}.{progress}

"
    );
    text.push_str("| runs of | all | passed | failed | inconclusive | other | events |\n");
    text.push_str("| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for ((strategy, scenario), suite) in &all.suites {
        let [passed, failed, open] =
            [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive].map(|how| suite.ended(how));
        let other = suite.runs() - passed - failed - open;
        let name = cell(&Account::suite(strategy, scenario));
        let numbers = [suite.runs(), passed, failed, open, other, suite.events].map(grouped);
        line(
            &mut text,
            format_args!("| {name} | {} |", numbers.join(" | ")),
        );
    }
    table(&mut text, "failure", &groups.news, account);
    table(&mut text, "known failure", &groups.known, account);
    text
}

fn table(text: &mut String, of: &str, groups: &[Group<'_>], account: Account<'_>) {
    if groups.is_empty() {
        return;
    }
    line(
        text,
        format_args!(
            "\n| {of} | runs | first seed | to see it again |\n| --- | ---: | ---: | --- |"
        ),
    );
    for group in groups.iter().take(ROWS_MAX) {
        line(text, row(account, group));
    }
    let left = groups.len().saturating_sub(ROWS_MAX) as u64;
    if left > 0 {
        line(text, format_args!("\nand {} more", counted(left, "group")));
    }
}

fn row(account: Account<'_>, group: &Group<'_>) -> String {
    let key = group.key;
    let anomaly = group
        .name()
        .map(|id| format!("**{}** ", cell(&id)))
        .unwrap_or_default();
    let strategy = cell(&Account::suite(&key.strategy, &key.scenario));
    let title = cell(&title(&key.what));
    let detail = group
        .finding
        .map(|finding| format!("<br>{}", cell(&first(finding))))
        .unwrap_or_default();
    let (runs, seed) = (grouped(group.runs), group.seed);
    let repeat = cell(&account.repeat(group));
    format!("| {anomaly}{strategy}: {title}{detail} | {runs} | {seed} | <code>{repeat}</code> |")
}

/// Text for a cell of a Markdown table: nothing in it means anything to Markdown or HTML.
pub(in crate::cli) fn cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => escaped.push(' '),
            c if c.is_ascii_punctuation() && !"-_./=:,()+".contains(c) => {
                write!(escaped, "&#{};", u32::from(c)).expect("a String takes all");
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// Appends a summary to the step's: steps before this one may have written some, too.
///
/// # Errors
/// The file cannot be written.
pub(in crate::cli) fn append_summary(path: &Path, summary: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{summary}")
}

#[cfg(test)]
mod tests {
    use hublab_sim::campaign::record::Record;

    use hublab_sim::campaign::shard::Shard;
    use hublab_sim::campaign::summary::Summary;

    use super::*;
    use crate::cli::campaign::words::tests::{asked, ended, failed, known, parameters, passed};

    fn told<T>(records: &[Record], tell: impl FnOnce(Account<'_>) -> T) -> T {
        knowing(&[], records, tell)
    }

    fn knowing<T>(
        fingerprints: &[&str],
        records: &[Record],
        tell: impl FnOnce(Account<'_>) -> T,
    ) -> T {
        let parameters = parameters(0..1_000);
        let mut summary = Summary::new(&parameters.seeds).knowing(known(fingerprints));
        records.iter().for_each(|record| summary.add(record));
        tell(Account {
            title: "hublab fuzz",
            source: Source::Campaign(asked(&parameters, &summary)),
            shard: Shard::WHOLE,
            summary: &summary,
            folder: None,
        })
    }

    #[test]
    fn commands_are_escaped_as_the_runner_reads_them() {
        let line = command(
            "error",
            &[("file", "a,b:c%.toml"), ("line", "9")],
            "50% ::\r\nnext, line",
        );
        assert_eq!(
            line,
            "::error file=a%2Cb%3Ac%25.toml,line=9::50%25 ::%0D%0Anext, line"
        );
        assert_eq!(command("notice", &[], "x"), "::notice::x");
    }

    #[test]
    fn a_group_is_one_line_with_the_command_that_repeats_it() {
        let catalog = Catalog::default();
        let records = [failed("gossip", 5, None), failed("gossip", 3, None)];
        let lines = told(&records, |account| annotations(account, None, &catalog));
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        let begin = "::error title=gossip%3A no_resurrection ghost (deliver gossip.sync)::2 runs, the first with seed 3%0An3 at 31s";
        assert!(line.starts_with(begin), "{line}");
        assert!(
            line.ends_with(
                "hublab fuzz --seeds 3..4 --strategy gossip --oracles claims --shard 0/1"
            ),
            "{line}"
        );
        assert!(!line.contains('\n'));
    }

    #[test]
    fn all_files_of_a_group_are_told() {
        let folder = tempfile::tempdir().expect("a directory");
        let failures = folder.path().join("failures");
        std::fs::create_dir(&failures).expect("a directory");
        let records = [("f", 1), ("g", 2)].map(|(name, seed)| {
            std::fs::write(failures.join(format!("{name}.toml")), "").expect("a file");
            failed("gossip", seed, Some(name))
        });
        told(&records, |account| {
            let account = Account {
                folder: Some(folder.path()),
                ..account
            };
            let junit = super::super::junit::text(account).expect("XML can be written");
            for text in [campaign::render(account), junit] {
                assert!(text.contains("f.toml") && text.contains("g.toml"), "{text}");
            }
        });
    }

    #[test]
    fn what_github_would_drop_is_counted() {
        let catalog = Catalog::default();
        let records: Vec<_> = (0..12)
            .map(|seed| failed(&format!("strategy-{seed:02}"), seed, Some("f")))
            .chain([ended("gossip", 12, Verdict::Inconclusive)])
            .collect();
        let lines = told(&records, |account| annotations(account, None, &catalog));
        assert_eq!(lines.len(), 12);
        assert_eq!(lines[10], "::notice::2 groups more: see the step's summary");
        assert_eq!(
            lines[11],
            "::warning title=inconclusive::1 run could not be judged"
        );
    }

    #[test]
    fn known_failures_are_no_errors() {
        let catalog = Catalog::default();
        let records = [
            failed("gossip", 3, Some("f")),
            failed("gossip", 5, Some("g")),
        ];
        let lines = knowing(&["f"], &records, |account| {
            annotations(account, None, &catalog)
        });
        let [error, notice] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        assert!(
            error.starts_with("::error ") && error.contains("seed 5"),
            "{error}"
        );
        let known = "::notice::1 group of known failures: see the step's summary";
        assert_eq!(notice, known);
        let text = knowing(&["f"], &records, summary);
        let (news, known) = text.split_once("| known failure |").expect("two tables");
        let title = "## hublab: 1 group of failures, 1 group of known ones\n";
        assert!(news.starts_with(title), "{text}");
        assert!(
            news.contains("seed 5") && known.contains("seed 3"),
            "{text}"
        );
    }

    #[test]
    fn the_summary_is_a_table_whatever_a_detail_says() {
        let records = [
            failed("gossip", 5, Some("f")),
            passed("pubsub", 5),
            ended("pubsub", 6, Verdict::WorkerLost),
        ];
        let text = told(&records, summary);
        assert!(
            text.starts_with("## hublab: 2 groups of failures\n"),
            "{text}"
        );
        assert!(
            text.contains("| pubsub | 2 | 1 | 0 | 0 | 1 | 200 |"),
            "{text}"
        );
        assert!(
            text.contains(
                "child &#60;a&#62; of seed 5 is &#34;back&#34; &#38; 100&#37; &#124; there again"
            ),
            "{text}"
        );
        for row in text.lines().filter(|line| line.starts_with('|')) {
            assert!(matches!(row.matches('|').count(), 5 | 8), "{row}");
        }
    }

    #[test]
    fn a_summary_follows_what_other_steps_wrote() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("summary.md");
        append_summary(&path, "one").expect("it can be written");
        append_summary(&path, "two").expect("it can be written");
        assert_eq!(
            std::fs::read_to_string(path).expect("it is there"),
            "one\ntwo\n"
        );
    }
}

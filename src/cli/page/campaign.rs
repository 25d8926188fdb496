//! The data of a campaign's report, from its directory: what failed, where among the seeds, how much was
//! exercised, and how fast. Nothing runs again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hublab_sim::campaign::group::{Group, Groups};
use hublab_sim::campaign::known::Known;
use hublab_sim::campaign::manifest::{Manifest, Parameters};
use hublab_sim::campaign::shrinking::{ShrunkFailure, files};
use hublab_sim::campaign::summary::{Suite as Runs, Summary};
use serde::Serialize;

use super::data::{KnownAnomaly, Run};
use super::held::Held;
use super::seeds::{SeedMap, map};
use crate::cli::args::Size;
use crate::cli::campaign::account::{Account, Asked, Source};
use crate::cli::campaign::folder::FAILURES;
use crate::cli::campaign::joined::Joined;
use crate::cli::campaign::words::{in_words, result, title};
use crate::cli::exit::ExitStatus;
use crate::cli::fuzz::reach::{counters, per_second};
use crate::cli::merge::{coverage, holes};
use crate::cli::output::quoted_path;
use crate::cli::render::number::{counted, grouped};
use crate::cli::{Context, Stop};

/// The runs in a page may take this much of it.
const RUNS_BYTES: usize = 8_500_000;
/// More groups than that are counted only.
pub(super) const GROUPS_MAX: usize = 500;
/// Of a group, so many shrunk forms are told.
const FORMS_MAX: usize = 20;

/// A campaign.
#[derive(Debug, Serialize)]
pub(super) struct Campaign {
    /// `pass`, `fail`, `inconclusive` or `mismatch`.
    verdict: &'static str,
    /// What it came to, in a line.
    result: String,
    heading: String,
    /// Names and values.
    facts: Vec<(&'static str, String)>,
    /// What is missing, in words.
    holes: Vec<String>,
    /// New ones first.
    groups: Vec<GroupData>,
    /// How many more there are.
    more_groups: u64,
    /// Failures that are known and were met, and those that were not.
    known: [Vec<String>; 2],
    anomalies: Vec<KnownAnomaly>,
    suites: Vec<Suite>,
    claims: Vec<Claims>,
    /// Runs of saved failures, which have no seeds in the map.
    saved: u64,
    map: SeedMap,
    /// Counters by what they count.
    reach: Vec<(&'static str, Vec<(String, u64)>)>,
    /// Families of faults: in how many runs they were on, and in how many they did something.
    families: Vec<(String, u64, u64)>,
    /// What was to happen in some run and did in none.
    never: Vec<String>,
    runs: Vec<Run>,
}

/// Failures that are the same one.
#[derive(Debug, Serialize)]
struct GroupData {
    is_known: bool,
    /// The anomaly's name, with a question mark where it only looks like it.
    name: Option<String>,
    /// What fails.
    title: String,
    strategy: String,
    scenario: String,
    runs: u64,
    /// The lowest seed; a text, as a script counts to 2^53.
    seed: String,
    at_us: Option<u64>,
    node: String,
    detail: String,
    /// The command that makes the first one again.
    repeat: String,
    forms: Vec<Form>,
    /// How many shrunk forms are not told.
    more_forms: u64,
    unshrunk: u64,
}

/// A failure that was shrunk.
#[derive(Debug, Serialize)]
struct Form {
    fingerprint: String,
    /// Steps and nodes, before and after.
    before: Option<[usize; 2]>,
    after: Option<[usize; 2]>,
    scenario: Option<String>,
    /// The place of its run, or why there is none.
    run: Option<usize>,
    no_run: Option<String>,
    /// The command that makes its report.
    report: String,
}

/// The runs of a strategy in a scenario, or in generated ones.
#[derive(Debug, Serialize)]
struct Suite {
    strategy: String,
    scenario: String,
    runs: u64,
    /// How many ended how.
    endings: Vec<(&'static str, u64)>,
    events: u64,
    /// Per second and core.
    runs_per_s: u64,
    events_per_s: u64,
    wall_us: u64,
    /// By the first seed of a stretch: how many runs, and how many per second and core.
    speed: Vec<(String, u64, u64)>,
}

/// The claims of a strategy.
#[derive(Debug, Serialize)]
struct Claims {
    strategy: String,
    runs: u64,
    /// With the runs in which their condition was met.
    claims: Vec<(String, u64)>,
}

/// Reads a campaign's directory.
///
/// # Errors
/// It cannot be read.
pub(super) fn campaign(
    directory: &Path,
    known: Known,
    size: Size,
    context: &Context,
) -> Result<(String, Campaign), Stop> {
    let path = directory.to_owned();
    let joined = Joined::read(std::slice::from_ref(&path));
    let mut joined = joined.map_err(|error| Stop::Usage(error.to_string()))?;
    joined.summary.known.extend(known);
    let manifest = joined.manifest();
    let planned = manifest.planned + joined.saved();
    let coverage = coverage(&joined, planned).to_string();
    let account = Account {
        title: "hublab fuzz",
        source: Source::Campaign(Asked {
            coverage: Some(&coverage),
            parameters: &manifest.campaign,
            planned,
            end: None,
            has_holes: joined.has_holes(),
        }),
        shard: joined.shard(),
        summary: &joined.summary,
        folder: Some(directory),
    };
    let (exit, came_to) = result(account);
    let groups = joined.summary.groups();
    let mut held = Held::new(RUNS_BYTES, size, context);
    let shrunk = files(joined.all_shrunk());
    let told = group_data(account, &groups, &shrunk, &mut held);
    let (met, vanished) = joined.summary.known.split(&joined.summary);
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let page = Campaign {
        verdict: word(exit),
        result: came_to,
        heading: account.heading(),
        facts: facts(&manifest, &joined.summary),
        holes: holes(&joined)
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect(),
        more_groups: groups.all().count().saturating_sub(GROUPS_MAX) as u64,
        known: [owned(met), owned(vanished)],
        anomalies: anomalies(&groups, context),
        suites: suites(&joined.summary),
        claims: claims(&joined.summary),
        saved: joined.saved(),
        map: map(&joined, &groups, account, &manifest.campaign)?,
        reach: counters(&joined.summary),
        families: families(&joined.summary),
        never: joined
            .summary
            .never()
            .map(|(strategy, scenario, name)| {
                format!("{name} in no run of {}", Account::suite(strategy, scenario))
            })
            .collect(),
        groups: told,
        runs: held.into_runs(),
    };
    let name = directory.file_name().unwrap_or(directory.as_os_str());
    let title = format!("campaign {}: {}", name.to_string_lossy(), page.result);
    Ok((title, page))
}

/// An outcome as the verdict of a page.
fn word(exit: ExitStatus) -> &'static str {
    match exit {
        ExitStatus::Held => "pass",
        ExitStatus::Inconclusive | ExitStatus::Interrupted => "inconclusive",
        ExitStatus::Mismatch => "mismatch",
        ExitStatus::Failed | ExitStatus::Usage | ExitStatus::Bug => "fail",
    }
}

fn facts(manifest: &Manifest, summary: &Summary) -> Vec<(&'static str, String)> {
    let Parameters {
        build,
        strategies,
        without,
        set,
        twice_percent,
        baseline,
        ..
    } = &manifest.campaign;
    let virtual_us = summary.strategies.values().map(|work| work.virtual_us);
    let virtual_s = virtual_us.fold(0, u64::saturating_add) / 1_000_000;
    let wall_us = summary.strategies.values().map(|work| work.wall_us);
    let wall_s = wall_us.fold(0, u64::saturating_add) / 1_000_000;
    let mut facts = vec![
        ("strategies", strategies.join(", ")),
        ("runs", grouped(summary.runs())),
        ("events", grouped(summary.events())),
        ("virtual time", counted(virtual_s, "second")),
        (
            "real time of all runs, one after another",
            counted(wall_s, "second"),
        ),
        ("made twice", format!("{twice_percent} % of the runs")),
        ("build", build.to_string()),
    ];
    for (name, values) in [("without", without), ("set", set)] {
        if !values.is_empty() {
            facts.push((name, values.join(", ")));
        }
    }
    if let Some(baseline) = baseline {
        facts.push(("baseline", baseline.clone()));
    }
    facts
}

fn group_data(
    account: Account<'_>,
    groups: &Groups<'_>,
    shrunk: &BTreeMap<String, &ShrunkFailure>,
    held: &mut Held<'_>,
) -> Vec<GroupData> {
    let news = groups.news.iter().map(|group| (group, false));
    let all = news.chain(groups.known.iter().map(|group| (group, true)));
    let mut told: Vec<GroupData> = all
        .take(GROUPS_MAX)
        .map(|(group, is_known)| GroupData {
            is_known,
            name: group.name(),
            title: title(&group.key.what),
            strategy: group.key.strategy.clone(),
            scenario: group.key.scenario.clone(),
            runs: group.runs,
            seed: group.seed.to_string(),
            at_us: group.finding.map(|finding| finding.at_us),
            node: group
                .finding
                .map_or_else(String::new, |finding| finding.node.clone()),
            detail: group
                .finding
                .map_or_else(String::new, |finding| finding.detail.clone()),
            repeat: account.repeat(group),
            forms: forms(account, group, shrunk),
            more_forms: group.fingerprints.len().saturating_sub(FORMS_MAX) as u64,
            unshrunk: group.unshrunk,
        })
        .collect();
    hold_runs(account, &mut told, held);
    told
}

fn forms(
    account: Account<'_>,
    group: &Group<'_>,
    shrunk: &BTreeMap<String, &ShrunkFailure>,
) -> Vec<Form> {
    let form = |fingerprint: &&str| {
        let known = shrunk.get(*fingerprint);
        let size = |size: hublab_sim::shrink::Size| [size.steps, size.nodes];
        let capsule = capsule(account, fingerprint);
        Form {
            fingerprint: (*fingerprint).to_owned(),
            before: known.map(|failure| size(failure.before)),
            after: known.map(|failure| size(failure.after)),
            scenario: known.map(|failure| failure.file.clone()),
            run: None,
            no_run: None,
            report: format!("hublab report {}", quoted_path(&capsule)),
        }
    };
    group
        .fingerprints
        .iter()
        .take(FORMS_MAX)
        .map(form)
        .collect()
}

fn capsule(account: Account<'_>, fingerprint: &str) -> PathBuf {
    let folder = account.folder.unwrap_or(Path::new(""));
    folder.join(FAILURES).join(format!("{fingerprint}.capsule"))
}

/// The runs of shrunk failures: first one of each group, then the others, as long as there is room.
fn hold_runs(account: Account<'_>, groups: &mut [GroupData], held: &mut Held<'_>) {
    let longest = groups.iter().map(|group| group.forms.len()).max();
    for rank in 0..longest.unwrap_or(0) {
        let with_form = |group: &&mut GroupData| group.forms.len() > rank;
        let mut left = groups.iter_mut().filter(|group| group.forms.len() > rank);
        let mut others = left.by_ref().count();
        for group in groups.iter_mut().filter(with_form) {
            others -= 1;
            let form = &mut group.forms[rank];
            let path = capsule(account, &form.fingerprint);
            match held.open(&path, others) {
                Ok(place) => form.run = Some(place),
                Err(reason) => form.no_run = Some(reason),
            }
        }
    }
}

fn anomalies(groups: &Groups<'_>, context: &Context) -> Vec<KnownAnomaly> {
    let mut told: Vec<KnownAnomaly> = Vec::new();
    for group in groups.all() {
        let Some(id) = group.key.what.anomaly() else {
            continue;
        };
        if let Some(anomaly) = context.catalog.anomaly(&group.key.strategy, id)
            && !told.iter().any(|known| known.id == anomaly.id)
        {
            told.push(KnownAnomaly {
                id: anomaly.id,
                title: anomaly.title,
                summary: anomaly.summary,
            });
        }
    }
    told
}

fn suites(summary: &Summary) -> Vec<Suite> {
    let suite = |((strategy, scenario), runs): (&(String, String), &Runs)| Suite {
        strategy: strategy.clone(),
        scenario: scenario.clone(),
        runs: runs.runs(),
        endings: runs
            .endings
            .iter()
            .map(|(ending, count)| (in_words(*ending), *count))
            .collect(),
        events: runs.events,
        runs_per_s: per_second(runs.runs(), runs.wall_us),
        events_per_s: per_second(runs.events, runs.wall_us),
        wall_us: runs.wall_us,
        speed: runs
            .chunks
            .iter()
            .map(|(first, chunk)| {
                (
                    first.to_string(),
                    chunk.runs,
                    per_second(chunk.runs, chunk.wall_us),
                )
            })
            .collect(),
    };
    summary.suites.iter().map(suite).collect()
}

fn claims(summary: &Summary) -> Vec<Claims> {
    let of = |strategy: &String| {
        let claims = summary.claims.iter().filter(|((of, _), _)| of == strategy);
        claims
            .map(|((_, oracle), runs)| (oracle.clone(), *runs))
            .collect()
    };
    let strategies = summary.strategies.iter();
    strategies
        .map(|(strategy, work)| Claims {
            strategy: strategy.clone(),
            runs: work.runs,
            claims: of(strategy),
        })
        .collect()
}

fn families(summary: &Summary) -> Vec<(String, u64, u64)> {
    let families = summary.families.iter();
    families
        .map(|(name, reach)| (name.clone(), reach.on, reach.worked))
        .collect()
}

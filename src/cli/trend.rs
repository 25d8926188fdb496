//! `hublab trend`: what fails over several campaigns, such as those of many nights.
//!
//! It runs nothing. Failures are the same ones if they have the same strategy, scenario and anomaly, or,
//! without a name, the same signature: which failures of a signature are shrunk differs from night to night.

use std::collections::BTreeMap;

use hublab_sim::campaign::group::{Group, GroupKey, What};
use hublab_sim::run::failure::Signature;
use hublab_sim::watch::judge::Verdict;
use serde::Serialize;

use super::args::trend::{Trend, TrendFormat};
use super::campaign::account::Account;
use super::campaign::joined::Joined;
use super::campaign::words::title;
use super::exit::ExitStatus;
use super::render::number::{counted, grouped};
use super::render::{line, style};
use super::report::cell;
use super::{Context, Stop};

/// The version of what `--format json` prints.
const SCHEMA: u32 = 1;

/// Several campaigns, the earliest first, and what failed in them.
#[derive(Debug, Serialize)]
struct Trends {
    schema: u32,
    campaigns: Vec<Campaign>,
    groups: Vec<Course>,
}

/// One campaign.
#[derive(Debug, Serialize)]
struct Campaign {
    path: String,
    build: String,
    runs: u64,
    planned: u64,
}

/// When a failure was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// In the last campaign, and never before.
    New,
    /// In the last one, and before.
    Standing,
    /// Not in the last one.
    Gone,
}

/// A failure over the campaigns.
#[derive(Debug, Serialize)]
struct Course {
    state: State,
    strategy: String,
    scenario: String,
    /// The anomaly that it is, or looks like.
    #[serde(skip_serializing_if = "Option::is_none")]
    anomaly: Option<String>,
    /// What those that were shrunk are known by.
    fingerprints: Vec<String>,
    what: String,
    /// The first and the last campaign with it, by path.
    first: String,
    last: String,
    /// In how many campaigns it was seen.
    campaigns: usize,
    /// In how many runs of each.
    runs: Vec<u64>,
    /// The builds that show it.
    builds: Vec<String>,
    /// The first seed of the last campaign with it.
    seed: u64,
}

/// What makes failures of different campaigns the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    strategy: String,
    scenario: String,
    anomaly: Option<String>,
    /// Empty for an anomaly: its name is enough.
    signature: Option<Signature>,
    /// How it ended, if no oracle says what fails.
    ending: Option<Verdict>,
}

impl Identity {
    fn of(key: &GroupKey) -> Self {
        let anomaly = key.what.anomaly().map(str::to_owned);
        let signature = key.what.signature().filter(|_| anomaly.is_none());
        let ending = match key.what {
            What::Ended(ending) => Some(ending),
            What::Failure { .. } => None,
        };
        Self {
            strategy: key.strategy.clone(),
            scenario: key.scenario.clone(),
            signature: signature.cloned(),
            ending,
            anomaly,
        }
    }
}

pub(super) fn trend(args: &Trend, context: &Context) -> Result<ExitStatus, Stop> {
    let mut campaigns = Vec::new();
    let mut courses: BTreeMap<Identity, Course> = BTreeMap::new();
    let of_all = args.directories.len();
    for (number, path) in args.directories.iter().enumerate() {
        let joined = Joined::read(std::slice::from_ref(path));
        let joined = joined.map_err(|error| Stop::Usage(error.to_string()))?;
        let manifest = joined.manifest();
        let campaign = Campaign {
            path: path.display().to_string(),
            build: manifest.campaign.build.to_string(),
            runs: joined.summary.runs(),
            planned: manifest.planned + joined.saved(),
        };
        for group in joined.summary.groups().all() {
            let course = courses
                .entry(Identity::of(group.key))
                .or_insert_with(|| begun(group, &campaign, of_all));
            course.seen(number, group, &campaign);
        }
        campaigns.push(campaign);
    }
    let mut groups: Vec<Course> = courses.into_values().collect();
    let last = of_all - 1;
    for course in &mut groups {
        course.state = match (course.runs[last], course.campaigns) {
            (0, _) => State::Gone,
            (_, 1) => State::New,
            (_, _) => State::Standing,
        };
    }
    // Of each state, what is seen most comes first.
    groups.sort_by_key(|course| {
        let runs: u64 = course.runs.iter().sum();
        (course.state.clone(), std::cmp::Reverse(runs))
    });
    let trends = Trends {
        schema: SCHEMA,
        campaigns,
        groups,
    };
    let text = match args.format {
        TrendFormat::Human => human(&trends),
        TrendFormat::Markdown => markdown(&trends),
        TrendFormat::Json => {
            let mut text = serde_json::to_string(&trends).expect("its keys are strings");
            text.push('\n');
            text
        }
    };
    context.output.write(|out| out.write_all(text.as_bytes()))?;
    // Nothing was run, so that nothing can have a trend.
    let mut campaigns = trends.campaigns.iter();
    if let Some(empty) = campaigns.find(|campaign| campaign.runs == 0) {
        let word = style::warn("incomplete:");
        let note = format_args!("{word} {} has no run", empty.path);
        context.output.note(note);
        return Ok(ExitStatus::Inconclusive);
    }
    Ok(ExitStatus::Held)
}

fn begun(group: &Group<'_>, campaign: &Campaign, of_all: usize) -> Course {
    let key = group.key;
    Course {
        state: State::New,
        strategy: key.strategy.clone(),
        scenario: key.scenario.clone(),
        anomaly: key.what.anomaly().map(str::to_owned),
        fingerprints: Vec::new(),
        what: title(&key.what),
        first: campaign.path.clone(),
        last: campaign.path.clone(),
        campaigns: 0,
        runs: vec![0; of_all],
        builds: Vec::new(),
        seed: group.seed,
    }
}

impl Course {
    /// Counts a group of a campaign's failures.
    fn seen(&mut self, number: usize, group: &Group<'_>, campaign: &Campaign) {
        if self.runs[number] == 0 {
            self.campaigns += 1;
            self.seed = group.seed;
        }
        self.seed = self.seed.min(group.seed);
        self.runs[number] += group.runs;
        self.last.clone_from(&campaign.path);
        if !self.builds.contains(&campaign.build) {
            self.builds.push(campaign.build.clone());
        }
        for one in &group.fingerprints {
            if !self.fingerprints.iter().any(|seen| seen == one) {
                self.fingerprints.push((*one).to_owned());
            }
        }
    }

    /// `A5: pubsub: convergence ghost (timer sync)`; the name alone stands for all that has it.
    fn title(&self) -> String {
        let suite = Account::suite(&self.strategy, &self.scenario);
        match &self.anomaly {
            Some(name) => format!("{name}: {suite}"),
            None => format!("{suite}: {}", self.what),
        }
    }

    /// `in 3 of 5 campaigns, 12 runs, from nights/2 to nights/4`.
    fn words(&self) -> String {
        let runs: u64 = self.runs.iter().sum();
        let (seen, of) = (self.campaigns, counted(self.runs.len() as u64, "campaign"));
        let span = if self.first == self.last {
            self.first.clone()
        } else {
            format!("{} to {}", self.first, self.last)
        };
        format!("in {seen} of {of}, {}: {span}", counted(runs, "run"))
    }
}

fn heading(state: &State) -> &'static str {
    match state {
        State::New => "new",
        State::Standing => "standing",
        State::Gone => "gone",
    }
}

fn human(trends: &Trends) -> String {
    let mut text = String::new();
    for campaign in &trends.campaigns {
        let runs = format!(
            "{} of {}",
            grouped(campaign.runs),
            counted(campaign.planned, "run")
        );
        let name = style::bold(&campaign.path);
        line(
            &mut text,
            format_args!("{name}  {runs}, {}", campaign.build),
        );
    }
    for state in [State::New, State::Standing, State::Gone] {
        let of_state = trends.groups.iter().filter(|course| course.state == state);
        let of_state: Vec<&Course> = of_state.collect();
        let groups = counted(of_state.len() as u64, "group");
        line(&mut text, format_args!("\n{}: {groups}", heading(&state)));
        for course in of_state {
            let builds = match course.builds.as_slice() {
                [_] => String::new(),
                builds => format!(", {}", counted(builds.len() as u64, "build")),
            };
            let (title, words) = (course.title(), course.words());
            line(&mut text, format_args!("  {title}\n    {words}{builds}"));
        }
    }
    text
}

fn markdown(trends: &Trends) -> String {
    let mut text =
        String::from("| campaign | runs | planned | build |\n| --- | ---: | ---: | --- |\n");
    for Campaign {
        path,
        build,
        runs,
        planned,
    } in &trends.campaigns
    {
        let (path, build) = (cell(path), cell(build));
        let (runs, planned) = (grouped(*runs), grouped(*planned));
        line(
            &mut text,
            format_args!("| {path} | {runs} | {planned} | {build} |"),
        );
    }
    text.push_str("\n| failure | state | campaigns | runs of each | first | last | builds |\n");
    text.push_str("| --- | --- | ---: | --- | --- | --- | --- |\n");
    for course in &trends.groups {
        let runs: Vec<String> = course.runs.iter().map(|runs| grouped(*runs)).collect();
        let builds: Vec<String> = course.builds.iter().map(|build| cell(build)).collect();
        let cells = [
            cell(&course.title()),
            heading(&course.state).to_owned(),
            course.campaigns.to_string(),
            runs.join(", "),
            cell(&course.first),
            cell(&course.last),
            builds.join("<br>"),
        ];
        line(&mut text, format_args!("| {} |", cells.join(" | ")));
    }
    text
}

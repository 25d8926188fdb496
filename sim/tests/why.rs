//! `why` of rows that are not as they should be: there is a reason for each, and the trace bears it out.

#[path = "seeds/mod.rs"]
mod seeds;

use std::collections::{BTreeMap, BTreeSet};

use hublab_sim::capsule::twice::record;
use hublab_sim::capsule::why::{Mismatch, Reason};
use hublab_sim::capsule::{WhyError, why, why_it_failed};
use hublab_sim::catalog::Catalog;
use hublab_sim::generate::{Options, generate};
use hublab_sim::scenario::{Scenario, resolve};
use hublab_sim::trace::{Event, Payload};
use hublab_strategies::ChildId;

/// Who runs what at the end of a trace, and who shows what.
#[derive(Default)]
struct End {
    running: BTreeSet<u32>,
    truth: BTreeSet<(u32, ChildId)>,
    rows: BTreeMap<(u32, ChildId), BTreeSet<u32>>,
}

impl End {
    fn of(events: &[Event], scenario: &Scenario) -> Self {
        let mut end = Self::default();
        let nodes = &scenario.cluster.nodes;
        for event in events {
            let node = event.node;
            if let Payload::Booted { .. } = &event.payload {
                end.running.insert(node);
            } else if let Payload::Stopped(_) = &event.payload {
                end.running.remove(&node);
                end.rows.retain(|(on, _), _| *on != node);
                end.truth.retain(|(on, _)| *on != node);
            } else if let Payload::ChildStarted { child, .. } = &event.payload {
                end.truth.insert((node, child.clone()));
            } else if let Payload::ChildStopped { child, .. } = &event.payload {
                end.truth.remove(&(node, child.clone()));
            } else if let Payload::Row { child, after, .. } = &event.payload {
                let entries = after.iter().flat_map(|row| row.entries.iter());
                let place = |name| (0..).zip(nodes).find(|(_, node)| *node == name);
                let shown = entries.filter_map(|entry| Some(place(&entry.node)?.0));
                end.rows.insert((node, child.clone()), shown.collect());
            }
        }
        end
    }

    /// Observer, child, owner, and true if it is absent, of all that is not as it should be.
    fn mismatches(&self) -> Vec<(u32, ChildId, u32, bool)> {
        let mut found = Vec::new();
        for observer in &self.running {
            let shown = |child: &ChildId, owner: u32| {
                let row = self.rows.get(&(*observer, child.clone()));
                row.is_some_and(|row| row.contains(&owner))
            };
            for (owner, child) in &self.truth {
                if !shown(child, *owner) {
                    found.push((*observer, child.clone(), *owner, true));
                }
            }
            for ((on, child), row) in &self.rows {
                let is_ghost = |owner: &&u32| !self.truth.contains(&(**owner, child.clone()));
                for owner in row.iter().filter(is_ghost).filter(|_| on == observer) {
                    found.push((*observer, child.clone(), *owner, false));
                }
            }
        }
        found
    }
}

/// Whether the events of a reason are those that it names.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of the others no event is told"
)]
fn bears_out(mismatch: &Mismatch, observer: u32) -> bool {
    let has = |is_so: &dyn Fn(&Event) -> bool| mismatch.events.iter().any(is_so);
    let is_sent =
        |event: &Event| matches!(event.payload, Payload::Sent { to, .. } if to == observer);
    match &mismatch.reason {
        Reason::UnderWay => has(&is_sent),
        Reason::Lost(why) => {
            let is_lost = |event: &Event| matches!(&event.payload, Payload::Dropped { reason, .. } if reason == why);
            has(&is_sent) && has(&is_lost)
        }
        Reason::Refused(name) => {
            has(&|event| matches!(&event.payload, Payload::Mark(mark) if mark == name))
        }
        Reason::NoEffect => has(&|event| matches!(event.payload, Payload::Delivered { .. })),
        Reason::Changed => has(&|event| matches!(event.payload, Payload::Row { .. })),
        Reason::Forgotten => has(&|event| matches!(event.payload, Payload::Stopped(_))),
        Reason::Suppressed => has(&|event| matches!(event.payload, Payload::Mark(_))),
        Reason::Noticed => has(&|event| matches!(event.payload, Payload::PeerDown { .. })),
        _ => true,
    }
}

#[test]
fn there_is_a_reason_for_everything_that_is_absent_or_a_ghost() {
    let catalog = Catalog::default();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for strategy in catalog.names() {
        let entry = catalog.get(strategy).expect("a strategy of the catalog");
        for seed in 0..seeds::seeds(200) {
            let generated = generate(seed, entry, &Options::default()).scenario;
            let scenario = resolve(&generated, seed, &catalog);
            let (report, mut capsule) =
                record(&scenario, strategy, seed, &catalog).expect("it runs");
            if report.events > 20_000 {
                continue;
            }
            let events: Vec<Event> = capsule
                .events()
                .map(|event| event.expect("whole"))
                .collect();
            let end = End::of(&events, &scenario);
            // Of each node and child one question, and all answers to it.
            let mut asked: BTreeMap<(u32, ChildId), BTreeSet<(u32, bool)>> = BTreeMap::new();
            for (observer, child, owner, is_absent) in end.mismatches() {
                let answers = asked.entry((observer, child)).or_default();
                answers.insert((owner, is_absent));
            }
            for ((observer, child), wrong) in asked.into_iter().take(6) {
                let name = &scenario.cluster.nodes[observer as usize];
                let why = why(&mut capsule, name.as_str(), child.as_str(), None).expect("known");
                let what = format!("{strategy}, seed {seed}\n{why}");
                let told = why.mismatches.iter().map(|it| (it.owner, it.is_absent));
                assert_eq!(told.collect::<BTreeSet<_>>(), wrong, "{what}");
                assert!(!why.is_untold, "{what}");
                for mismatch in &why.mismatches {
                    *reasons.entry(mismatch.reason.word()).or_default() += 1;
                    assert!(bears_out(mismatch, observer), "{what}");
                }
            }
        }
    }
    println!("{reasons:?}");
    let count: usize = reasons.values().sum();
    assert!(count > 300 && reasons.len() >= 8, "{reasons:?}");
}

fn asked(text: &str, strategy: &str, node: &str, child: &str) -> String {
    let catalog = Catalog::default();
    let scenario = Scenario::read("test.toml", text.as_bytes(), &catalog).expect("a good file");
    let (_, mut capsule) = record(&scenario, strategy, 1, &catalog).expect("it runs");
    why(&mut capsule, node, child, None)
        .expect("known")
        .to_string()
}

const HEAD: &str = "schema = 1\n[run]\nduration = '25s'\n[cluster]\nnodes = 3\n[network]\nlatency = { constant = '2ms' }\n";

#[test]
fn a_message_that_was_lost_is_named_and_what_comes_next() {
    let text = format!(
        "{HEAD}[strategy.pubsub]\nsync_interval = '10s'\n\
         [[step]]\nat = '21s'\nlink = {{ from = ['n1'], to = ['n3'], loss = 1.0 }}\n\
         [[step]]\nat = '22s'\nstart_children = {{ on = 'n1', ids = ['a'] }}\n"
    );
    let told = asked(&text, "pubsub", "n3", "a");
    let first = told.lines().nth(2).expect("a sentence");
    assert_eq!(
        first,
        "n1 runs it, and n3 does not show that: what told n3 last was lost (loss); \
         the next round of n1 is due at 30s",
        "{told}"
    );
}

#[test]
fn a_stop_that_did_not_get_through_is_named() {
    let text = format!(
        "{HEAD}[[step]]\nat = '2s'\nstart_children = {{ on = 'n1', ids = ['a'] }}\n\
         [[step]]\nat = '21s'\npartition = {{ groups = [['n1', 'n2'], ['n3']] }}\n\
         [[step]]\nat = '22s'\nstop_children = {{ on = 'n1', ids = ['a'] }}\n"
    );
    let told = asked(&text, "pubsub", "n3", "a");
    assert!(
        told.contains(
            "n1 does not run it, and n3 shows that it does: what told n3 last was lost (cut)"
        ),
        "{told}"
    );
}

#[test]
fn a_node_that_was_not_told_is_told_apart_from_one_whose_message_was_lost() {
    let text = format!(
        "{HEAD}[[step]]\nat = '2s'\nstart_children = {{ on = 'n1', ids = ['a'], announce = false }}\n"
    );
    let told = asked(&text, "pubsub", "n3", "a");
    assert!(told.contains("nobody has been told"), "{told}");
}

#[test]
fn a_name_that_never_occurs_is_an_error_with_the_nearest_one() {
    let text =
        format!("{HEAD}[[step]]\nat = '2s'\nstart_children = {{ on = 'n1', ids = ['web-1'] }}\n");
    let catalog = Catalog::default();
    let scenario = Scenario::read("test.toml", text.as_bytes(), &catalog).expect("a good file");
    let (_, mut capsule) = record(&scenario, "pubsub", 1, &catalog).expect("it runs");
    let refused = |capsule: &mut _, node, child| -> WhyError {
        why(capsule, node, child, None).expect_err("there is no such name")
    };
    let error = refused(&mut capsule, "n1", "web1").to_string();
    assert_eq!(
        error,
        "no child `web1` in this capsule; did you mean `web-1`?"
    );
    let error = refused(&mut capsule, "m2", "web-1").to_string();
    assert_eq!(error, "no node `m2` in this capsule; did you mean `n2`?");
}

#[test]
fn a_failed_run_is_explained_by_the_row_that_its_first_failure_is_about() {
    let text = format!(
        "{HEAD}[[step]]\nat = '21s'\nlink = {{ from = ['n1'], to = ['n3'], loss = 1.0 }}\n\
         [[step]]\nat = '22s'\nstart_children = {{ on = 'n1', ids = ['a'] }}\n\
         [[expect]]\nat = '23s'\nregistry = {{ on = 'n3', has = ['a'] }}\n"
    );
    let catalog = Catalog::default();
    let scenario = Scenario::read("test.toml", text.as_bytes(), &catalog).expect("a good file");
    let (_, mut capsule) = record(&scenario, "pubsub", 1, &catalog).expect("it runs");
    let told = why_it_failed(&mut capsule)
        .expect("it reads")
        .expect("it failed");
    assert!(
        told.starts_with("row of a at n3 at 23s: nothing\n"),
        "{told}"
    );
    assert!(told.contains("what told n3 last was lost (loss)"), "{told}");
    let (_, mut good) = record(&scenario, "gossip", 1, &catalog).expect("it runs");
    assert_eq!(why_it_failed(&mut good).expect("it reads"), None);
}

#[test]
fn a_node_that_is_back_and_was_not_told_is_not_taken_for_connected() {
    let text = format!(
        "{HEAD}[[step]]\nat = '2s'\nstart_children = {{ on = 'n1', ids = ['a'] }}\n\
         [[step]]\nat = '20s'\ncrash = {{ nodes = ['n3'] }}\n\
         [[step]]\nat = '21s'\npartition = {{ groups = [['n1', 'n2'], ['n3']] }}\n\
         [[step]]\nat = '22s'\nrestart = {{ nodes = ['n3'] }}\n\
         [[step]]\nat = '23s'\nrestart_child = {{ on = 'n1', id = 'a' }}\n"
    );
    let told = asked(&text, "pubsub", "n3", "a");
    assert!(
        told.contains("the two are not connected, and nothing told n3"),
        "{told}"
    );
}

//! Work that must not grow faster than what happens: counted, not timed.

use super::*;
use crate::catalog::Catalog;
use crate::scenario::resolve;

/// The engine of a file under PubSub, run to its end.
fn ran(text: &str) -> Engine {
    let catalog = Catalog::default();
    let scenario = Scenario::read("work.toml", text.as_bytes(), &catalog).expect("a scenario");
    let scenario = resolve(&scenario, 1, &catalog);
    let entry = catalog.get("pubsub").expect("a port");
    let factory = entry
        .configure(&scenario.strategies["pubsub"])
        .expect("its parameters");
    let observers = Observers::new(&scenario, "pubsub", Vec::new());
    let mut engine = Engine::new(
        &scenario,
        factory,
        observers,
        Recorder::new(Vec::new()),
        u64::MAX,
    );
    engine.start();
    assert!(engine.run_through(u64::MAX), "it comes to its end");
    engine
}

fn sent(engine: &Engine) -> u64 {
    engine
        .recorder
        .counts()
        .map(|(_, counts)| counts.sent)
        .sum()
}

#[test]
fn pairs_that_go_down_look_at_their_own_messages_alone() {
    for nodes in [10, 40] {
        let half = nodes / 2;
        let engine = ran(&format!(
            "schema = 1\n[run]\nduration = '8s'\n[cluster]\nnodes = {nodes}\ndiscovery_interval = '1s'\n\
             down_after = '5s'\ndown_spread = 0.0\n[strategy.pubsub]\nsync_interval = '1h'\n\
             [[step]]\nat = '1500ms'\npause = {{ nodes = ['n1..n{half}'] }}\n"
        ));
        let looked_at = engine.flights.looked_at.get();
        assert!(looked_at > 0, "messages wait for the paused nodes");
        // Each once when its pair goes down, and those that remain on its link once more.
        assert!(looked_at <= sent(&engine), "{nodes} nodes: {looked_at}");
    }
}

#[test]
fn cuts_look_at_the_pairs_and_messages_of_their_own_links_alone() {
    for cuts in [10, 40] {
        let mut text = String::from(
            "schema = 1\n[run]\nduration = '50s'\n[cluster]\nnodes = 30\n[network]\nlatency = { constant = '200ms' }\n",
        );
        for number in 0..cuts {
            let at = 10_100 + number * 5;
            let (from, to) = (number % 30 + 1, (number * 7 + 3) % 30 + 1);
            if from != to {
                text += &format!(
                    "[[step]]\nat = '{at}ms'\ncut = {{ from = ['n{from}'], to = ['n{to}'], heal_after = '1s' }}\n"
                );
            }
        }
        let engine = ran(&text);
        // One pair for each cut, and again for each that is mended.
        assert!(engine.refreshed <= 2 * cuts, "{}", engine.refreshed);
        assert!(engine.flights.looked_at.get() <= 4 * cuts);
    }
}

#[test]
fn a_crash_behind_a_cut_keeps_no_later_notice() {
    let mut text = String::from(
        "schema = 1\n[run]\nduration = '200s'\n[cluster]\nnodes = 4\ndown_after = '1h'\n\
         [[step]]\nat = '1s'\npartition = { groups = [['n1'], ['n2']] }\n\
         [[step]]\nat = '2s'\ncrash = { nodes = ['n1'] }\n",
    );
    for round in 0..20 {
        let at = 10 + 2 * round;
        text += &format!("[[step]]\nat = '{at}s'\ncrash = {{ nodes = ['n3'] }}\n");
        text += &format!(
            "[[step]]\nat = '{}s'\nrestart = {{ nodes = ['n3'] }}\n",
            at + 1
        );
    }
    let engine = ran(&text);
    // One waits for the cut, and the slots of those that came are used again.
    assert!(engine.notices.slots() <= 4, "{}", engine.notices.slots());
}

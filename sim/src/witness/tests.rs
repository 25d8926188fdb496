use hublab_strategies::{Channel, Entry, Metadata, Pid, Row};

use super::*;
use crate::catalog::Catalog;
use crate::watch::judge::Verdict;

const KIND: &str = "pubsub.requests";

fn scenario(rest: &str) -> Scenario {
    let text = format!(
        "schema = 1\nname = 'it'\n[run]\nduration = '60s'\nstrategies = ['pubsub']\n\
         [cluster]\nnodes = 3\ndown_after = '4s'\n[network]\nlatency = {{ constant = '2ms' }}\n{rest}"
    );
    Scenario::read("it", text.as_bytes(), &Catalog::default()).expect("a scenario")
}

fn pubsub(catalog: &Catalog) -> &dyn CatalogEntry {
    catalog.get("pubsub").expect("a port")
}

/// Two nodes of three that run and are connected, at 1 s.
fn pair(rest: &str) -> Witness {
    let catalog = Catalog::default();
    let mut witness = Witness::new(&scenario(rest), pubsub(&catalog), &catalog, Vec::new());
    witness.booted(0);
    witness.booted(1);
    witness.connect(&[0, 1]);
    link(&mut witness);
    witness.advance(Time(1_000_000));
    witness
}

fn link(witness: &mut Witness) {
    for (node, peer) in [(0, 1), (1, 0)] {
        let incarnation = witness.nodes[peer as usize].incarnation;
        witness.peer_up(node, peer, incarnation.into());
    }
}

fn script(witness: &mut Witness, step: u32, healing: bool) {
    let at = witness.now;
    witness.step(Planned { at, step, healing });
}

/// Sends one message from the first node to the second; whether it sets off.
fn send(witness: &mut Witness) -> bool {
    witness.sent(0, 1, KIND, 10);
    let channel = Channel::REQUESTS;
    witness.fate(0, 1, channel, KIND, 10) != Fate::Lost
}

fn cut(in_flight: &str) -> String {
    format!(
        "[[step]]\nat = '1s'\n\
         cut = {{ from = ['n1'], to = ['n2'], in_flight = '{in_flight}', heal_after = '2s' }}\n"
    )
}

#[test]
fn a_message_takes_the_time_of_its_link() {
    let mut witness = pair("");
    witness.sent(0, 1, KIND, 10);
    let arrives = Fate::Arrives {
        after: 2_000,
        again: None,
        ordered: true,
    };
    let channel = Channel::REQUESTS;
    assert_eq!(witness.fate(0, 1, channel, KIND, 10), arrives);
    assert_eq!(witness.arrived(0, 1, KIND), Reception::Handled);
}

#[test]
fn a_cut_drops_what_is_under_way_even_if_it_is_mended_before_that_arrives() {
    let mut witness = pair(&cut("drop"));
    assert!(send(&mut witness));
    script(&mut witness, 0, false);
    assert!(!send(&mut witness), "nothing sets off while it lasts");
    witness.advance(Time(3_000_000));
    script(&mut witness, 0, true);
    assert_eq!(witness.arrived(0, 1, KIND), Reception::Lost);
    assert!(send(&mut witness));
    assert_eq!(witness.arrived(0, 1, KIND), Reception::Handled);
}

#[test]
fn a_cut_that_delivers_spares_what_is_under_way() {
    let mut witness = pair(&cut("deliver"));
    assert!(send(&mut witness));
    script(&mut witness, 0, false);
    assert_eq!(witness.arrived(0, 1, KIND), Reception::Handled);
}

#[test]
fn a_cut_that_holds_lets_go_when_it_is_mended() {
    let mut witness = pair(&cut("hold"));
    assert!(send(&mut witness));
    script(&mut witness, 0, false);
    assert_eq!(witness.arrived(0, 1, KIND), Reception::Held);
    witness.advance(Time(3_000_000));
    script(&mut witness, 0, true);
    assert_eq!(witness.arrived(0, 1, KIND), Reception::Handled);
}

#[test]
fn what_waits_for_a_node_that_was_given_up_is_lost() {
    let mut witness = pair("");
    assert!(send(&mut witness));
    witness.peer_down(0, 1, hublab_strategies::DownReason::Silent);
    assert_eq!(witness.arrived(0, 1, KIND), Reception::Lost);
    witness.peer_down(1, 0, hublab_strategies::DownReason::Closed);
    link(&mut witness);
    assert!(send(&mut witness));
    assert_eq!(witness.arrived(0, 1, KIND), Reception::Handled);
}

#[test]
fn greetings_pass_only_between_nodes_that_something_connects() {
    let mut witness = pair("[[step]]\nat = '1s'\npause = { nodes = ['n2'] }\n");
    assert!(!witness.is_barred(0, 1), "heartbeats");
    assert!(!witness.connects(0, 2), "it does not run");
    witness.booted(2);
    assert_eq!(witness.audience(2), [0, 1]);
    assert!(witness.is_barred(2, 0));
    assert!(witness.connects(2, 0));
    assert!(!witness.is_barred(2, 0) && !witness.is_barred(0, 2));
    script(&mut witness, 0, false);
    assert!(!witness.connects(2, 1), "it stands still");
    assert!(witness.is_barred(1, 0) && !witness.is_barred(0, 1));
}

#[test]
fn an_announcement_does_not_address_those_behind_a_cut() {
    let mut witness = pair(&cut("drop"));
    witness.booted(2);
    script(&mut witness, 0, false);
    assert_eq!(witness.audience(0), [2]);
    assert_eq!(witness.audience(1), [0, 2], "a connection still stands");
    witness.peer_down(1, 0, hublab_strategies::DownReason::Silent);
    assert_eq!(witness.audience(1), [2]);
}

#[test]
fn silences_last_as_long_as_those_of_a_simulated_run() {
    let mut witness = pair(&cut("drop"));
    let drawn = |witness: &Witness, number| {
        let network = crate::network::Network::new(&witness.scenario);
        network.silences.us([0, 1], number, [false; 2])
    };
    let first = drawn(&witness, 0);
    assert!((3_000_000..=5_000_000).contains(&first));
    assert_eq!(witness.patience(0, 1), first);
    script(&mut witness, 0, false);
    assert_eq!(witness.patience(1, 0), first, "it has begun");
    witness.advance(Time(3_000_000));
    script(&mut witness, 0, true);
    assert_eq!(witness.patience(0, 1), drawn(&witness, 1));
    assert_ne!(drawn(&witness, 1), first);
}

#[test]
fn a_foreign_message_that_empties_an_own_row_is_seen() {
    let mut witness = pair("[[expect]]\nviolates = 'single_writer'\n");
    let (child, pid) = (ChildId::new("a"), Pid::from("n2.1.1"));
    witness.child_started(1, &child, pid.clone(), Metadata::default());
    let row = |entries| Row {
        spec: hublab_strategies::ChildSpec::new(child.clone(), "child"),
        entries,
        metadata: Metadata::default(),
        entry_metadata: Default::default(),
        expires_at: None,
    };
    let own = Entry {
        node: witness.scenario.cluster.nodes[1].clone(),
        pid: Some(pid),
    };
    witness.row(1, row([own].into_iter().collect()));
    witness.step_done(1);
    assert!(send(&mut witness));
    assert_eq!(witness.arrived(0, 1, KIND), Reception::Handled);
    witness.row(1, row(Default::default()));
    witness.step_done(1);
    let report = witness.finish(true, 0);
    assert_eq!(report.expectations[0].verdict, Verdict::Pass);
    assert_eq!(report.messages.delivered, 1);
    assert_eq!(report.messages.in_flight, 0);
}

/// Two nodes whose views agree from 1 s on; the step of 2 s takes place at 5 s, and `n2` learns of
/// what it starts at this instant.
fn late_step(learns_at: u64) -> Report {
    let text = "[[step]]\nat = '2s'\nstart_children = { on = 'n1', ids = ['a'] }\n\
                [[expect]]\nconverged = { within = '4s', nodes = ['n1', 'n2'] }\n";
    let mut witness = pair(text);
    witness.advance(Time(5_000_000));
    script(&mut witness, 0, false);
    let row = Row {
        spec: hublab_strategies::ChildSpec::new("a", "child"),
        entries: [Entry {
            node: "n1".into(),
            pid: Some(Pid::new("p1")),
        }]
        .into_iter()
        .collect(),
        metadata: Metadata::default(),
        entry_metadata: Default::default(),
        expires_at: None,
    };
    witness.child_started(0, &"a".into(), Pid::new("p1"), Metadata::default());
    witness.row(0, row.clone());
    witness.step_done(0);
    witness.advance(Time(learns_at));
    witness.row(1, row);
    witness.step_done(1);
    witness.advance(Time(60_000_000));
    witness.finish(true, 0)
}

#[test]
fn convergence_after_a_step_counts_from_when_the_step_took_place() {
    let in_time = &late_step(8_000_000).expectations[0];
    assert_eq!(in_time.verdict, Verdict::Pass, "{}", in_time.detail);
    assert_eq!(in_time.detail, "converged at 8s, 3s after 5s");
    let late = &late_step(9_500_000).expectations[0];
    assert_eq!(late.verdict, Verdict::Fail, "{}", late.detail);
    assert_eq!(late.at_us, Some(9_000_000));
}

//! Messages on the way: what cuts do to them, and what order they keep.

use hublab_sim::trace::event::DropReason;

use crate::lab::{Lab, MS, Msg, Past, S};

/// A message of n1 to n2 that is on the way from 5 s to 6 s, and whatever the steps do to it.
fn on_the_way() -> Lab {
    Lab::of(3)
        .set("cluster.down_spread = 0.0")
        .set("cluster.discovery_interval = '100s'")
        .step(
            "4s",
            "link = { from = ['n1'], to = ['n2'], latency = { constant = '1s' } }",
        )
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
}

fn the_message(past: &Past) -> Msg {
    past.msgs_at(5 * S, "n1>n2 pubsub.requests")
        .pop()
        .expect("the message")
}

#[test]
fn by_default_a_cut_drops_what_is_on_the_way_over_its_links() {
    let past = on_the_way()
        .step(
            "5500ms",
            "partition = { groups = [['n1'], ['n2', 'n3']], heal_after = '1ms' }",
        )
        .run();
    assert_eq!(the_message(&past).losses, [(5_500 * MS, DropReason::Cut)]);
    let past = on_the_way()
        .step(
            "5500ms",
            "cut = { from = ['n2'], to = ['n1'], heal_after = '1ms' }",
        )
        .run();
    assert_eq!(
        the_message(&past).arrived(),
        Some(6 * S),
        "the other direction is not cut"
    );
}

#[test]
fn deliver_lets_through_what_is_on_the_way_and_nothing_sent_later() {
    let lab = on_the_way().step(
        "5500ms",
        "cut = { from = ['n1'], to = ['n2'], in_flight = 'deliver' }",
    );
    let past = lab
        .step("5600ms", "start_children = { on = 'n1', ids = ['b'] }")
        .run();
    assert_eq!(the_message(&past).arrived(), Some(6 * S));
    assert_eq!(
        past.msgs_at(5_600 * MS, "n1>n2 *")[0].lost(),
        Some(DropReason::Cut)
    );
}

#[test]
fn hold_delivers_after_healing() {
    let past = on_the_way()
        .step(
            "5500ms",
            "cut = { from = ['n1'], to = ['n2'], in_flight = 'hold', heal_after = '3s' }",
        )
        .run();
    assert_eq!(the_message(&past).arrived(), Some(8_500 * MS));
}

#[test]
fn what_is_held_arrives_when_due_if_that_is_later_than_healing() {
    let past = on_the_way()
        .step(
            "5500ms",
            "cut = { from = ['n1'], to = ['n2'], in_flight = 'hold', heal_after = '1ms' }",
        )
        .run();
    assert_eq!(the_message(&past).arrived(), Some(6 * S));
}

#[test]
fn what_was_let_through_arrives_even_if_the_pair_is_down_and_connects_nobody() {
    let past = on_the_way()
        .set("cluster.down_after = '200ms'")
        .step(
            "5500ms",
            "cut = { from = ['n1'], to = ['n2'], in_flight = 'deliver', heal_after = '400ms' }",
        )
        .run();
    assert_eq!(
        past.lines("n2", &["up", "down"]),
        ["0s up n1/1", "0s up n3/1", "5.7s down n1 Silent"]
    );
    assert_eq!(the_message(&past).arrived(), Some(6 * S));
}

#[test]
fn what_was_held_outlives_the_declaration_and_connects_nobody() {
    let past = on_the_way()
        .set("cluster.down_after = '200ms'")
        .step(
            "5500ms",
            "cut = { from = ['n1'], to = ['n2'], in_flight = 'hold', heal_after = '9s' }",
        )
        .run();
    assert_eq!(
        past.lines("n2", &["up", "down"]),
        ["0s up n1/1", "0s up n3/1", "5.7s down n1 Silent"]
    );
    assert_eq!(the_message(&past).arrived(), Some(14_500 * MS));
}

#[test]
fn when_a_pair_is_declared_down_everything_on_the_way_between_the_two_is_dropped() {
    let past = Lab::of(2)
        .set("cluster.down_after = '2s'")
        .set("cluster.down_spread = 0.0")
        .step("4s", "cut = { from = ['n1'], to = ['n2'] }")
        .step(
            "5s",
            "link = { from = ['n2'], to = ['n1'], latency = { constant = '3s' } }",
        )
        .step("5500ms", "start_children = { on = 'n2', ids = ['a'] }")
        .run();
    assert_eq!(
        past.msgs_at(5_500 * MS, "n2>n1 *")[0].losses,
        [(6 * S, DropReason::Down)]
    );
}

#[test]
fn a_link_is_open_when_no_cut_holds_it() {
    let past = on_the_way()
        .step(
            "5500ms",
            "cut = { from = ['n1'], to = ['n2'], in_flight = 'hold', heal_after = '2s' }",
        )
        .step(
            "7s",
            "partition = { groups = [['n1'], ['n2', 'n3']], heal_after = '2s' }",
        )
        .step("8s", "start_children = { on = 'n1', ids = ['b'] }")
        .run();
    assert_eq!(
        the_message(&past).arrived(),
        Some(9 * S),
        "held until the last of the cuts is healed"
    );
    assert_eq!(
        past.msgs_at(8 * S, "n1>n2 *")[0].lost(),
        Some(DropReason::Cut)
    );
}

#[test]
fn a_second_cut_decides_anew_about_what_the_first_let_through() {
    let past = on_the_way()
        .step(
            "5500ms",
            "cut = { from = ['n1'], to = ['n2'], in_flight = 'deliver' }",
        )
        .step("5700ms", "partition = { groups = [['n1'], ['n2', 'n3']] }")
        .run();
    assert_eq!(the_message(&past).losses, [(5_700 * MS, DropReason::Cut)]);
}

#[test]
fn held_messages_arrive_in_the_order_of_sending_all_channels_together() {
    let lab = |in_flight: &str| {
        let cut = format!(
            "cut = {{ from = ['n1'], to = ['n2'], in_flight = '{in_flight}', heal_after = '1s' }}"
        );
        on_the_way()
            .step(
                "5100ms",
                "link = { from = ['n1'], to = ['n2'], latency = { constant = '500ms' } }",
            )
            .step("5200ms", "broadcast = { on = 'n1', to = ['n2'] }")
            .step("5300ms", &cut)
    };
    let arrivals = |past: &Past| {
        [
            the_message(past).arrivals[0],
            past.msgs("n1>n2 pubsub.join")[0].arrivals[0],
        ]
    };
    let [(requests, first), (join, second)] = arrivals(&lab("hold").run());
    assert_eq!((requests, join), (6_300 * MS, 6_300 * MS));
    assert!(first < second);
    let [(requests, _), (join, _)] = arrivals(&lab("deliver").run());
    assert_eq!(
        (requests, join),
        (6 * S, 5_700 * MS),
        "by themselves, channels do not wait for each other"
    );
}

#[test]
fn what_is_held_waits_for_what_was_sent_before_it_and_held_too() {
    let past = Lab::of(2)
        .step(
            "4s",
            "link = { from = ['n1'], to = ['n2'], latency = { constant = '4s' } }",
        )
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
        .step(
            "5100ms",
            "link = { from = ['n1'], to = ['n2'], latency = { constant = '1s' } }",
        )
        .step("5200ms", "broadcast = { on = 'n1', to = ['n2'] }")
        .step(
            "5300ms",
            "cut = { from = ['n1'], to = ['n2'], in_flight = 'hold', heal_after = '1s' }",
        )
        .step("7s", "broadcast = { on = 'n1', to = ['n2'] }")
        .run();
    assert_eq!(
        past.msgs_at(5 * S, "n1>n2 pubsub.requests")[0].arrived(),
        Some(9 * S)
    );
    let join = |at: u64| past.msgs_at(at, "n1>n2 pubsub.join")[0].arrived();
    assert_eq!(join(5_200 * MS), Some(9 * S));
    assert_eq!(
        join(7 * S),
        Some(9 * S),
        "behind the one before it, as ever"
    );
}

#[test]
fn a_crash_of_either_end_loses_what_is_held_and_what_was_let_through() {
    for in_flight in ["hold", "deliver"] {
        for end in ["n1", "n2"] {
            let cut = format!(
                "cut = {{ from = ['n1'], to = ['n2'], in_flight = '{in_flight}', heal_after = '9s' }}"
            );
            let past = on_the_way()
                .step("5500ms", &cut)
                .step("5800ms", &format!("crash = {{ nodes = ['{end}'] }}"))
                .run();
            assert_eq!(
                the_message(&past).losses,
                [(5_800 * MS, DropReason::Stopped)],
                "{in_flight}, {end}"
            );
        }
    }
}

#[test]
fn what_a_leaver_had_sent_into_a_cut_that_holds_is_delivered_after_healing() {
    let lab = on_the_way().step(
        "5500ms",
        "cut = { from = ['n1'], to = ['n2'], in_flight = 'hold', heal_after = '9s' }",
    );
    assert_eq!(
        the_message(&lab.step("5800ms", "leave = { nodes = ['n1'] }").run()).arrived(),
        Some(14_500 * MS)
    );
}

#[test]
fn heal_after_heals_just_that_cut() {
    let past = on_the_way()
        .step(
            "6500ms",
            "cut = { from = ['n1'], to = ['n2'], heal_after = '1s' }",
        )
        .step("6600ms", "cut = { from = ['n1'], to = ['n3'] }")
        .step("8s", "start_children = { on = 'n1', ids = ['b'] }")
        .run();
    let lost: Vec<_> = past
        .msgs_at(8 * S, "n1>* *")
        .iter()
        .map(Msg::lost)
        .collect();
    assert_eq!(lost, [None, Some(DropReason::Cut)]);
}

#[test]
fn healing_what_is_healed_changes_nothing() {
    let past = on_the_way()
        .step(
            "6500ms",
            "cut = { from = ['n1'], to = ['n2'], heal_after = '2s' }",
        )
        .step("7s", "heal = true")
        .step("7500ms", "cut = { from = ['n1'], to = ['n3'] }")
        .step("9s", "start_children = { on = 'n1', ids = ['b'] }")
        .run();
    let lost: Vec<_> = past
        .msgs_at(9 * S, "n1>* *")
        .iter()
        .map(Msg::lost)
        .collect();
    assert_eq!(lost, [None, Some(DropReason::Cut)], "the second cut stands");
}

#[test]
fn what_has_reached_a_busy_receiver_is_beyond_cuts() {
    let past = on_the_way()
        .set("network.service_time = '300ms'")
        .step("6100ms", "cut = { from = ['n1'], to = ['n2'] }")
        .run();
    assert_eq!(the_message(&past).arrived(), Some(6_300 * MS));
}

/// Two requests of n1 to n2: one at 5 s that takes 10 s, one at 6 s that takes 1 s.
fn overtaking(order: &str) -> Lab {
    Lab::of(2)
        .set(&format!("network.order = '{order}'"))
        .step(
            "4s",
            "link = { from = ['n1'], to = ['n2'], latency = { constant = '10s' } }",
        )
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
        .step(
            "5500ms",
            "link = { from = ['n1'], to = ['n2'], latency = { constant = '1s' } }",
        )
        .step("6s", "start_children = { on = 'n1', ids = ['b'] }")
}

fn second_arrival(past: &Past) -> Option<u64> {
    past.msgs_at(6 * S, "n1>n2 pubsub.requests")[0].arrived()
}

#[test]
fn fifo_holds_under_whatever_latency_the_earlier_was_sent() {
    let past = overtaking("fifo").run();
    assert_eq!(second_arrival(&past), Some(15 * S));
    let ids: Vec<_> = past
        .msgs("n1>n2 pubsub.requests")
        .iter()
        .map(|message| message.arrivals[0].1)
        .collect();
    assert!(ids[0] < ids[1]);
}

#[test]
fn any_order_lets_messages_overtake() {
    assert_eq!(second_arrival(&overtaking("any").run()), Some(7 * S));
}

#[test]
fn fifo_looks_at_what_was_sent_while_the_order_was_any() {
    let lab = overtaking("any").step(
        "5600ms",
        "link = { from = ['n1'], to = ['n2'], order = 'fifo' }",
    );
    assert_eq!(second_arrival(&lab.run()), Some(15 * S));
}

#[test]
fn fifo_that_a_heal_restores_looks_at_what_was_sent_before() {
    let lab = Lab::of(2)
        .step(
            "4s",
            "link = { from = ['n1'], to = ['n2'], latency = { constant = '10s' }, order = 'any' }",
        )
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
        .step("5500ms", "heal = true")
        .step("6s", "start_children = { on = 'n1', ids = ['b'] }");
    assert_eq!(second_arrival(&lab.run()), Some(15 * S));
}

#[test]
fn channels_do_not_wait_for_each_other() {
    let past = overtaking("fifo")
        .step("6s", "broadcast = { on = 'n1', to = ['n2'] }")
        .run();
    assert_eq!(past.msgs("n1>n2 pubsub.join")[0].arrived(), Some(7 * S));
}

#[test]
fn what_a_cut_dropped_holds_nobody_back() {
    let lab = overtaking("fifo").step(
        "5600ms",
        "cut = { from = ['n1'], to = ['n2'], heal_after = '1ms' }",
    );
    assert_eq!(second_arrival(&lab.run()), Some(7 * S));
}

#[test]
fn what_the_network_lost_holds_nobody_back() {
    let lab = overtaking("fifo")
        .step(
            "4500ms",
            "link = { from = ['n1'], to = ['n2'], loss = 1.0 }",
        )
        .step(
            "5600ms",
            "link = { from = ['n1'], to = ['n2'], loss = 0.0 }",
        );
    let past = lab.run();
    assert_eq!(
        past.msgs_at(5 * S, "n1>n2 pubsub.requests")[0].lost(),
        Some(DropReason::Loss)
    );
    assert_eq!(second_arrival(&past), Some(7 * S));
}

#[test]
fn what_a_cut_spared_still_holds_back_what_is_sent_after_it() {
    let lab = overtaking("fifo").step(
        "5600ms",
        "cut = { from = ['n1'], to = ['n2'], in_flight = 'deliver', heal_after = '1ms' }",
    );
    assert_eq!(second_arrival(&lab.run()), Some(15 * S));
}

#[test]
fn constant_latency_keeps_the_order_of_sending_even_without_fifo() {
    let mut lab = Lab::of(2).set("network.order = 'any'");
    for k in 0..50 {
        lab = lab.step(
            "5s",
            &format!("start_children = {{ on = 'n1', ids = ['c{k}'] }}"),
        );
    }
    let past = lab.run();
    let ids: Vec<_> = past
        .msgs_at(5 * S, "n1>n2 *")
        .iter()
        .map(|message| message.arrivals[0].1)
        .collect();
    assert_eq!(ids.len(), 50);
    assert!(ids.is_sorted());
}

#[test]
fn what_was_held_and_is_on_its_way_again_holds_back_what_is_sent_after_it() {
    let lab = overtaking("fifo").step(
        "5600ms",
        "cut = { from = ['n1'], to = ['n2'], in_flight = 'hold', heal_after = '1ms' }",
    );
    assert_eq!(second_arrival(&lab.run()), Some(15 * S));
}

#[test]
fn when_some_on_a_link_are_dropped_the_others_go_on_holding_back() {
    let past = Lab::of(2)
        .set("cluster.down_after = '10s'")
        .set("cluster.down_spread = 0.0")
        .step(
            "4s",
            "link = { from = ['n1'], to = ['n2'], latency = { constant = '20s' } }",
        )
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
        .step(
            "5500ms",
            "cut = { from = ['n1'], to = ['n2'], in_flight = 'deliver', heal_after = '100ms' }",
        )
        .step("6s", "start_children = { on = 'n1', ids = ['b'] }")
        .step(
            "6100ms",
            "link = { from = ['n1'], to = ['n2'], latency = { constant = '1s' } }",
        )
        .step(
            "7s",
            "cut = { from = ['n2'], to = ['n1'], heal_after = '11s' }",
        )
        .step(
            "19s",
            "start_children = { on = 'n2', ids = ['c'], via = 'n1' }",
        )
        .run();
    assert_eq!(
        past.msgs_at(5 * S, "n1>n2 *")[0].arrived(),
        Some(25 * S),
        "spared, it outlives the connection"
    );
    assert_eq!(
        past.msgs_at(6 * S, "n1>n2 *")[0].losses,
        [(17 * S, DropReason::Down)]
    );
    assert_eq!(
        past.msgs_at(19 * S, "n1>n2 *")[0].arrived(),
        Some(25 * S),
        "behind the first, not behind the second"
    );
}

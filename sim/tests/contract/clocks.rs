//! Wall clocks: what strategies see of them, and what they do not touch.

use crate::lab::{Lab, S};

/// n1 hosts a and sends join data at 5 s; its clock changes at 6 s; b is in the join data of 7 s.
fn join_data_twice(clock: &str) -> Lab {
    Lab::of(2)
        .step(
            "4s",
            "start_children = { on = 'n1', ids = ['a'], announce = false }",
        )
        .step("5s", "broadcast = { on = 'n1', to = ['n2'] }")
        .step("6s", &format!("clock = {{ nodes = ['n1'], {clock} }}"))
        .step(
            "6s",
            "start_children = { on = 'n1', ids = ['b'], announce = false }",
        )
        .step("7s", "broadcast = { on = 'n1', to = ['n2'] }")
}

fn b_is_taken(lab: &Lab) -> bool {
    !lab.run().row_of("n2", "b", 8 * S).is_empty()
}

#[test]
fn strategies_see_a_wall_clock_that_jumps() {
    assert!(
        b_is_taken(&join_data_twice("jump = '-1999999us'")),
        "7 s - 2 s + 1 us is later than 5 s"
    );
    assert!(
        !b_is_taken(&join_data_twice("jump = '-2s'")),
        "a timestamp must be strictly greater"
    );
}

#[test]
fn drift_is_added_rounded_down_since_the_last_clock_step() {
    assert!(!b_is_taken(
        &join_data_twice("jump = '-2s'").step("6s", "clock = { nodes = ['n1'], rate_ppm = -1 }")
    ));
    let steady = Lab::of(2)
        .step(
            "4s",
            "start_children = { on = 'n1', ids = ['a'], announce = false }",
        )
        .step("5s", "clock = { nodes = ['n1'], rate_ppm = -1000000 }")
        .step("5s", "broadcast = { on = 'n1', to = ['n2'] }")
        .step(
            "6s",
            "start_children = { on = 'n1', ids = ['b'], announce = false }",
        )
        .step("7s", "broadcast = { on = 'n1', to = ['n2'] }");
    assert!(!b_is_taken(&steady), "a clock that stands still");
}

#[test]
fn wall_clocks_keep_their_offset_over_crash_and_restart() {
    let lab = |jump: &str| {
        Lab::of(2)
            .step(
                "4s",
                "start_children = { on = 'n1', ids = ['a'], announce = false }",
            )
            .step("5s", "broadcast = { on = 'n1', to = ['n2'] }")
            .step(
                "5s",
                &format!("clock = {{ nodes = ['n1'], jump = '{jump}' }}"),
            )
            .step("5100ms", "crash = { nodes = ['n1'] }")
            .step("5200ms", "restart = { nodes = ['n1'] }")
            .step(
                "6s",
                "start_children = { on = 'n1', ids = ['b'], announce = false }",
            )
            .step("7s", "broadcast = { on = 'n1', to = ['n2'] }")
    };
    assert!(!b_is_taken(&lab("-1h")));
    assert!(b_is_taken(&lab("1h")));
}

#[test]
fn timers_do_not_notice_a_jump_of_the_wall_clock() {
    let past = Lab::of(2)
        .step("5s", "clock = { nodes = ['n1'], jump = '1h' }")
        .run();
    assert_eq!(past.msgs("n1>n2 hub.discovery").len(), 7);
}

#[test]
fn drift_counts_from_the_clock_step_and_not_from_the_beginning() {
    assert!(
        b_is_taken(&join_data_twice("rate_ppm = -1000000")),
        "it stands still at 6 s, later than 5 s"
    );
    let slow = join_data_twice("rate_ppm = -500000")
        .step("6500ms", "clock = { nodes = ['n1'], jump = '-1249999us' }");
    assert!(
        b_is_taken(&slow),
        "6 s + 0.25 s - 1.249999 s + 0.25 s at 7 s, and 5 s before"
    );
}

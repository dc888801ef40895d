//! When the sticky choice changes, and to what.

use super::StickyState;

/// Draws that cover the whole range evenly.
fn draws(n: u64) -> impl Iterator<Item = u64> {
    (0..n).map(move |i| i * (u64::MAX / n) + u64::MAX / n / 2)
}

#[test]
fn prt_05_sticky_switch_rule() {
    const BATCH: usize = 1_024;
    let mut state = StickyState::new(3);
    assert_eq!(state.current(), None);
    assert!(state.maybe_switch(|| false, BATCH, || 0), "the first call chooses");
    assert_eq!(state.current(), Some(0));

    state.note_appended(1_023);
    assert!(!state.maybe_switch(|| true, BATCH, || u64::MAX), "a byte is missing");
    state.note_appended(1);
    assert!(!state.maybe_switch(|| false, BATCH, || u64::MAX), "the open batch is not complete");
    assert_eq!(state.current(), Some(0));
    state.note_closed(0);
    assert!(state.maybe_switch(|| true, BATCH, || u64::MAX), "withheld until now");
    assert_eq!(state.current(), Some(2));

    assert!(!state.maybe_switch(|| true, BATCH, || 0), "the count starts again");
    state.note_appended(2_047);
    assert!(!state.maybe_switch(|| false, BATCH, || 0));
    state.note_appended(1);
    assert!(state.maybe_switch(|| false, BATCH, || 0), "two batches' worth is enough in any case");
    assert_eq!(state.current(), Some(0));
}

#[test]
fn prt_07_leaderless_partitions_are_not_chosen() {
    let mut state = StickyState::new(3);
    state.set_available(1, false);
    let mut chosen = [0; 3];
    for draw in draws(100) {
        chosen[state.choose(draw) as usize] += 1;
    }
    assert_eq!(chosen, [50, 0, 50]);

    for partition in 0..3 {
        state.set_available(partition, false);
    }
    let mut chosen = [0; 3];
    for draw in draws(99) {
        chosen[state.choose(draw) as usize] += 1;
    }
    assert_eq!(chosen, [33, 33, 33], "if all are leaderless, any is chosen");
}

#[test]
fn prt_09_a_slow_leader_is_avoided_and_left_at_once() {
    let mut state = StickyState::new(2);
    state.switch_to(0);
    state.set_slow(0, true);
    assert!(
        state.maybe_switch(|| false, 1_024, || 0),
        "no record waits for a broker that does not take"
    );
    assert!(draws(10).all(|draw| state.choose(draw) == 1));

    state.set_slow(1, true);
    assert!(!state.maybe_switch(|| false, 1_024, || 0), "there is no better one");
    let chosen: Vec<i32> = draws(2).map(|draw| state.choose(draw)).collect();
    assert_eq!(chosen, [0, 1], "all slow: evenly among those with a leader");

    state.set_slow(0, false);
    assert!(draws(10).all(|draw| state.choose(draw) == 0));
}

#[test]
fn prt_10_stale_weights_after_shrink() {
    let mut state = StickyState::new(8);
    for partition in 0..8 {
        state.set_queue(partition, 8 - partition as u32);
    }
    state.switch_to(7);
    state.resize(3);
    assert_eq!(state.current(), None);
    state.set_queue(7, 1);
    state.set_available(7, true);
    state.set_slow(-1, true);
    assert!(draws(1_000).all(|draw| (0..3).contains(&state.choose(draw))));
}

#[test]
fn another_partition_is_offered_when_one_has_no_room() {
    let mut state = StickyState::new(100);
    state.switch_to(5);
    let only = |wanted: i32| move |partition: i32| partition % 10 == wanted;
    for draw in draws(100) {
        let picked = state.pick_where(draw, only(3), 10).expect("ten neighbours have it");
        assert_eq!(picked % 10, 3);
    }
    assert_eq!(state.current(), Some(5), "only offered");
    assert_eq!(state.pick_where(1, |_| false, 10), None);

    for partition in 0..100 {
        state.set_available(partition, partition == 42);
    }
    assert_eq!(state.pick_where(7, |_| true, 1), Some(42));
    state.set_available(42, false);
    assert_eq!(state.pick_where(7, |_| true, 1), None, "leaderless ones are not offered");
}

#[test]
fn a_batch_size_of_one_switches_every_time_and_ends() {
    let mut state = StickyState::new(3);
    for draw in draws(30) {
        assert!(state.maybe_switch(|| true, 1, || draw));
        state.note_appended(70);
    }
    state.note_appended(usize::MAX);
    assert!(state.maybe_switch(|| false, usize::MAX, || 0), "byte counts saturate");
}

//! A close with a deadline needs nothing but time: no answer, no end of a connection, no job.

use super::engine::Engine;
use super::entropy::{Seed, mix};
use super::expand::Size;
use super::script::{Profile, Script};
use crate::Instant;
use producer_proto::{Event, Input, Producer};
use std::time::Duration;

const STATES: u64 = 1_000;

/// Takes out all that is there, and drops it; true when the producer has said that it is closed.
fn is_closed_after_drain(producer: &mut Producer, now: Instant) -> bool {
    let mut is_closed = false;
    loop {
        let mut is_quiet = true;
        while let Some(event) = producer.poll_event() {
            assert!(!is_closed, "{event:?} after the close");
            is_closed = matches!(event, Event::Closed);
            is_quiet = false;
        }
        while producer.poll_action().is_some() || producer.poll_transmit(now).is_some() {
            is_quiet = false;
        }
        if is_quiet {
            return is_closed;
        }
    }
}

#[test]
fn from_a_thousand_states_a_close_is_over_by_its_deadline_though_only_time_passes() {
    let mut with_records = 0;
    for seed in 0..STATES {
        let profile = Profile::ALL[(seed % 5) as usize];
        let mut script = Script::draw(&mut Seed(seed), profile, Size::Short);
        let steps = 1 + mix(seed) as usize % script.steps.len();
        script.steps.truncate(steps);
        let mut engine = Engine::new(&script).unwrap();
        let reached = engine.carry_out_steps();
        assert_eq!(reached, Ok(()), "seed {seed}, {profile}, {steps} steps");
        if engine.rest.is_closed() {
            continue;
        }
        let mut now = engine.world.clock();
        let producer = &mut engine.world.producer;
        with_records += u64::from(producer.stats().records_outstanding > 0);
        let deadline = now + Duration::from_millis(1 + mix(seed ^ 1) % 10_000);
        producer.close(now, Some(deadline));
        while !is_closed_after_drain(producer, now) {
            let due = producer.poll_timeout();
            let due = due.unwrap_or_else(|| panic!("seed {seed}, {profile}: waits for ever"));
            now = now.max(due);
            assert!(now <= deadline, "seed {seed}, {profile}: {now:?} is after {deadline:?}");
            producer.handle_input(now, Input::Timeout);
        }
        let stats = producer.stats();
        let open = (stats.records_outstanding, stats.batches_outstanding);
        assert_eq!(open, (0, 0), "seed {seed}, {profile}");
        assert_eq!(producer.poll_timeout(), None, "seed {seed}, {profile}");
    }
    assert!(with_records > STATES / 4, "{with_records} states have records outstanding");
}

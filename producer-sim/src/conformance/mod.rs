//! What every adapter of the core must do, as scenarios over loopback sockets. Feature
//! `conformance`.
//!
//! An adapter is a thing of sockets, timers, threads and wakers round
//! [`producer_proto`]: the core's rules need no test there, but bytes can be cut, deadlines
//! missed, wake-ups forgotten or repeated for ever, threads left behind. The scenarios find that:
//! peers that refuse, vanish, fall silent in the middle of a frame, reset at each byte or do not
//! read; a hundred brokers; ten thousand callers; the end of the producer from every state.
//! Processor time, wake-ups and threads are measured where the system tells them (Linux).
//!
//! Implement [`Adapter`], [`Producer`] and [`Delivery`] for yours, and give it to [`main`] in a
//! test without harness, so that nothing else runs in the process:
//!
//! ```toml
//! [[test]]
//! name = "conformance"
//! harness = false
//! ```
//!
//! ```ignore
//! fn main() -> std::process::ExitCode {
//!     producer_sim::conformance::main(&MyAdapter)
//! }
//! ```
//!
//! Bytes on the wire are compared by [`lockstep`]: its [`Trace`](lockstep::Trace) of two adapters
//! is equal to the byte.

mod adapter;
mod closing;
mod delivery;
mod idle;
pub mod lockstep;
mod network;
mod rig;
mod stress;
mod threads;
mod wait;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

pub use adapter::{Adapter, Delivery, Failure, Message, Outcome, Place, Producer, Task};
use watch::Watch;

/// One thing that an adapter must do.
#[derive(Clone, Copy, Debug)]
pub struct Scenario<A> {
    /// What it does, as the name of a test.
    pub name: &'static str,
    /// Panics when the adapter does not.
    pub run: fn(&A),
}

/// All scenarios. They count threads and measure processor time: run one at a time, and nothing
/// else in the process.
pub fn scenarios<A: Adapter>() -> Vec<Scenario<A>> {
    macro_rules! list {
        ($($module:ident: $($name:ident),+;)+) => {
            vec![$($(Scenario { name: stringify!($name), run: $module::$name::<A> }),+),+]
        };
    }
    list! {
        delivery:
            records_reach_all_brokers,
            compressed_records_reach_all_brokers,
            what_was_accepted_is_sent_after_a_drop,
            a_broker_that_goes_away_is_found_again,
            a_topic_that_cannot_be_had_is_named,
            a_future_dropped_at_any_poll_loses_nothing_that_was_promised;
        network:
            refused_connects_end_by_max_block_and_a_late_broker_is_found,
            every_address_of_a_name_is_tried,
            frames_that_come_byte_by_byte_are_read,
            a_reset_at_each_byte_of_the_answers_loses_and_doubles_nothing,
            a_reset_at_each_byte_of_the_requests_loses_and_doubles_nothing,
            a_broker_that_does_not_read_holds_up_nothing_else,
            a_busy_connection_hides_no_deadline;
        idle:
            a_hundred_brokers_take_no_thread_and_none_is_left,
            an_idle_producer_sleeps,
            half_a_frame_wakes_nobody,
            a_broker_that_refuses_is_tried_with_pauses;
        closing:
            close_keeps_its_deadline_in_every_state,
            a_drop_blocks_in_no_state_and_all_is_answered,
            the_end_of_the_runtime_answers_all_in_every_state;
        lockstep:
            the_same_steps_give_the_same_bytes;
        stress:
            ten_thousand_blocking_sends_from_eight_threads,
            ten_thousand_futures_keep_their_order_when_memory_is_short,
            a_thousand_cancellations_lose_and_leak_nothing;
    }
}

/// Runs the scenarios one after the other, all or those whose name contains the first argument of
/// the program, and says how each went. One that takes minutes hangs: then it is named, and the
/// process ends.
pub fn main<A: Adapter>(adapter: &A) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter = arguments.iter().find(|it| !it.starts_with('-')).map_or("", String::as_str);
    let (mut passed, mut failed) = (0, 0);
    for scenario in scenarios::<A>().iter().filter(|it| it.name.contains(filter)) {
        let begin = Instant::now();
        let watch = Watch::begin(format!("{}: {}", adapter.name(), scenario.name));
        let result = catch_unwind(AssertUnwindSafe(|| (scenario.run)(adapter)));
        watch.end();
        let took = begin.elapsed().as_secs_f64();
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        println!("{}: {} ... {verdict} ({took:.2} s)", adapter.name(), scenario.name);
        *(if result.is_ok() { &mut passed } else { &mut failed }) += 1;
    }
    println!("{}: {passed} passed, {failed} failed", adapter.name());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

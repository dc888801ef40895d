//! Results by callback and as a stream.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use producer_driver::proto::Persistence;
use producer_driver::{Record, RecordError, RecordResult, SendErrorKind};
use producer_sim::{ApiKey, ResponseError, Rule};

use crate::rig::{Rig, is_ready};

type Results = Arc<Mutex<Vec<RecordResult>>>;

/// A callback, and what it has been told.
pub(crate) fn results() -> (impl FnOnce(RecordResult) + Send + Clone, Results) {
    let results = Results::default();
    let seen = results.clone();
    (move |result| results.lock().unwrap().push(result), seen)
}

fn record(value: &str) -> Record<'_> {
    Record::to("orders").partition(0).value(value)
}

#[test]
fn callbacks_come_in_the_order_of_the_records_whether_they_had_to_wait_or_not() {
    let mut rig = Rig::new(|_| ());
    let (callback, seen) = results();
    // The first half waits for metadata.
    let mut first = rig.handle.send_with(record("0"), callback.clone());
    assert!(!is_ready(&mut first));
    for _ in 1..50 {
        drop(rig.handle.send_with(record("x"), callback.clone()));
    }
    rig.run(first);
    for _ in 50..100 {
        assert!(is_ready(&mut rig.handle.send_with(record("x"), callback.clone())));
    }
    let flush = rig.handle.flush();
    rig.run(flush);
    let seen = seen.lock().unwrap();
    let offsets: Vec<_> = seen.iter().map(|result| result.as_ref().unwrap().offset).collect();
    assert_eq!(offsets, (0..100).map(Some).collect::<Vec<_>>());
}

#[test]
fn a_callback_is_told_of_refusals_and_failures_exactly_once() {
    let mut rig = Rig::new(|config| config.retries = 0);
    let (callback, seen) = results();
    let mut refused = rig.handle.send_with(Record::to("or ders"), callback.clone());
    assert!(is_ready(&mut refused) && seen.lock().unwrap().len() == 1);
    drop(rig.handle.send_with(record("aborted"), callback.clone()));
    rig.handle.abort_queued();
    rig.net.with(|cluster| {
        cluster.inject(Rule::on(ApiKey::Produce).error(ResponseError::TopicAuthorizationFailed));
    });
    let failed = rig.handle.send_with(record("failed"), callback);
    rig.run(failed);
    let flush = rig.handle.flush();
    rig.run(flush);
    let seen = seen.lock().unwrap();
    let [Err(invalid), Err(RecordError::Send(aborted)), Err(failed)] = &**seen else {
        panic!("{seen:?}");
    };
    assert!(invalid.to_string().contains("or ders"), "{invalid}");
    assert_eq!(*aborted.kind(), SendErrorKind::Aborted);
    assert!(matches!(failed, RecordError::Delivery(_)));
    assert_eq!(failed.persistence(), Persistence::NotPersisted);
}

#[test]
fn acc_13_a_callback_may_send_more_and_may_panic() {
    let mut rig = Rig::new(|_| ());
    let (callback, seen) = results();
    let handle = rig.handle.clone();
    drop(rig.handle.send_with(record("first"), move |result| {
        result.unwrap();
        drop(handle.send_with(record("second"), callback));
        panic!("a callback may fail");
    }));
    let give_up = Instant::now() + Duration::from_secs(5);
    while seen.lock().unwrap().is_empty() {
        assert!(Instant::now() < give_up, "the second record was not delivered");
        rig.turn();
    }
    assert_eq!(rig.net.values("orders", 0), ["first", "second"]);
    assert_eq!(rig.handle.faults().callback_panics, 1);
}

#[test]
fn the_stream_yields_every_result_with_its_context_and_ends() {
    let mut rig = Rig::new(|_| ());
    let (sender, mut deliveries) = rig.handle.deliveries();
    for context in 0..50_u64 {
        let value = context.to_string();
        drop(sender.clone().send(record(&value), context));
    }
    drop(sender.send(Record::to("or ders"), 99));
    drop(sender);
    assert_eq!(deliveries.try_next().unwrap().context, 99, "a refusal is known at once");
    for context in 0..50 {
        let delivered = rig.run(deliveries.next()).unwrap();
        assert_eq!(delivered.context, context);
        assert_eq!(delivered.result.unwrap().offset, Some(context as i64));
    }
    assert_eq!(rig.run(deliveries.next()), None);
    assert_eq!(deliveries.wait_next(), None);
}

#[test]
fn a_stream_that_is_dropped_changes_nothing_for_the_records() {
    let mut rig = Rig::new(|_| ());
    let (sender, deliveries) = rig.handle.deliveries();
    drop(deliveries);
    drop(sender.send(record("x"), ()));
    let flush = rig.handle.flush();
    rig.run(flush);
    assert_eq!(rig.net.values("orders", 0), ["x"]);
}

#[test]
fn a_driver_that_is_dropped_tells_the_callbacks() {
    let mut rig = Rig::new(|_| ());
    let (callback, seen) = results();
    let accepted = rig.handle.send_with(record("accepted"), callback.clone());
    rig.run(accepted);
    drop(rig.handle.send_with(Record::to("unknown"), callback));
    drop(rig.driver);
    assert_eq!(seen.lock().unwrap().len(), 2);
}

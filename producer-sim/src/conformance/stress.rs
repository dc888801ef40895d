//! Many callers at once.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;
use std::thread;

use producer_proto::Persistence;

use super::adapter::{Adapter, Delivery, Message, Outcome, Producer};
use super::rig::{PARTITIONS, SEED, TOPIC, cluster, config, numbered, values, with_producer};
use super::wait::{LONG, now, until, wait};
use crate::{ApiKey, NetCluster, Rule};

const COUNT: usize = 10_000;

pub(super) fn ten_thousand_blocking_sends_from_eight_threads<A: Adapter>(adapter: &A) {
    const THREADS: usize = 8;
    let net = cluster(2);
    with_producer(adapter, &config(&net), |producer| {
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let producer = producer.clone();
                scope.spawn(move || {
                    let partition = thread as i32 % PARTITIONS;
                    for i in 0..COUNT / THREADS {
                        let value = format!("{thread}-{i}");
                        let message = Message::order(partition, value.as_bytes());
                        let place = producer.send_sync(&message).expect("it is delivered");
                        assert_eq!(place.partition, partition);
                    }
                });
            }
        });
        assert_nothing_is_held(producer);
    });
    // Each thread's records are there in their order, once each.
    for thread in 0..THREADS {
        let prefix = format!("{thread}-");
        let log = values(&net, thread as i32 % PARTITIONS);
        let own: Vec<_> = log.iter().filter_map(|value| value.strip_prefix(&prefix)).collect();
        let expected: Vec<_> = (0..COUNT / THREADS).map(|i| i.to_string()).collect();
        assert_eq!(own, expected, "thread {thread}");
    }
    assert_count(&net, COUNT);
}

pub(super) fn ten_thousand_futures_keep_their_order_when_memory_is_short<A: Adapter>(adapter: &A) {
    /// About two thirds of the records find room, the others wait for it.
    const MEMORY: usize = 2 << 20;
    const SIZE: usize = 300;
    let net = cluster(1);
    let hold = net.with(|cluster| cluster.inject(Rule::on(ApiKey::Produce).nth(2).always().hold()));
    let mut config = config(&net);
    config.buffer_memory = MEMORY;
    let host = adapter.host();
    let producer = adapter.start(&host, &config, SEED);
    producer.send_sync(&Message::order(0, b"first")).expect("it is delivered");
    let (tell, told) = channel();
    let mut waiting = 0;
    for i in 0..COUNT {
        let mut sent = producer.send(&Message::order(0, &numbered(i, SIZE)));
        let accepted = now(&mut sent);
        waiting += usize::from(accepted.is_none());
        let tell = tell.clone();
        adapter.spawn(
            &host,
            Box::pin(async move {
                let delivery = match accepted {
                    Some(result) => result,
                    None => sent.await,
                };
                let outcome = match delivery {
                    Ok(delivery) => delivery.await,
                    Err(failure) => Err(failure),
                };
                // The test may have failed and gone.
                let _ = tell.send((i, outcome));
            }),
        );
    }
    assert!((1_000..COUNT - 1_000).contains(&waiting), "{waiting} wait for memory");
    let time = net.now();
    net.with(|cluster| {
        cluster.remove_rule(hold);
        cluster.release(time, hold);
    });
    for _ in 0..COUNT {
        let (i, outcome): (usize, Outcome) = told.recv_timeout(LONG).expect("all have an outcome");
        let place = outcome.expect("it is delivered");
        assert_eq!(place.offset, Some(i as i64 + 1), "in the order of the calls");
    }
    assert_nothing_is_held(&producer);
    wait(producer.close(LONG));
    assert_count(&net, COUNT + 1);
}

pub(super) fn a_thousand_cancellations_lose_and_leak_nothing<A: Adapter>(adapter: &A) {
    const CANCELLATIONS: usize = 1_000;
    /// How far back a record that is taken back may lie: beyond, its batch has gone.
    const RECENT: usize = 40;
    let net = cluster(2);
    let mut config = config(&net);
    config.buffer_memory = 64 << 10;
    config.batch_size = 2 << 10;
    let mut dice = Dice(42);
    let mut records = Vec::new();
    with_producer(adapter, &config, |producer| {
        wait(producer.look_up(TOPIC)).expect("there is this topic");
        let mut done = 0;
        while done < CANCELLATIONS {
            let number = records.len();
            let message = numbered(number, 100);
            let mut sent = producer.send(&Message::order(partition_of(number), &message));
            records.push(match now(&mut sent) {
                Some(delivery) => Fate::Sent(delivery.expect("it is accepted")),
                // Its place is given up before it is its turn, or just after.
                None if dice.below(2) == 0 => {
                    drop(sent);
                    done += 1;
                    Fate::Abandoned
                }
                None => Fate::Sent(wait(sent).expect("it is accepted")),
            });
            if dice.below(3) == 0 {
                let target = number.saturating_sub(dice.below(RECENT));
                records[target].cancel();
                done += 1;
            }
            if dice.below(10) == 0 {
                records[number].forget();
            }
        }
        wait(producer.flush());
        assert_nothing_is_held(producer);
    });
    let mut logs: Vec<_> = (0..PARTITIONS).map(|partition| values(&net, partition)).collect();
    let logged: BTreeSet<String> = logs.iter().flatten().cloned().collect();
    assert_eq!(logged.len(), logs.iter().map(Vec::len).sum::<usize>(), "no record is there twice");
    logs.iter_mut().for_each(|log| assert!(log.is_sorted(), "each partition keeps its order"));
    let mut certain = 0;
    for (number, fate) in records.into_iter().enumerate() {
        let value = String::from_utf8(numbered(number, 100)).expect("it is text");
        let is_logged = logged.contains(&value);
        match fate {
            Fate::Sent(mut delivery) => {
                let outcome = now(&mut delivery).expect("a flush covers it");
                outcome.unwrap_or_else(|failure| panic!("{number}: {failure:?}"));
                assert!(is_logged, "{number} is lost");
            }
            Fate::Forgotten => assert!(is_logged, "{number} is lost"),
            Fate::Cancelled(mut delivery) => {
                certain += 1;
                let outcome = now(&mut delivery).expect("a flush covers it");
                let failure = outcome.expect_err("it was cancelled");
                assert_eq!(failure.persistence, Some(Persistence::NotPersisted));
                assert!(!is_logged, "{number} was taken back");
            }
            Fate::Abandoned => {}
        }
    }
    assert!(certain > 100, "only {certain} cancellations came in time");
    net.with(|cluster| assert_eq!(cluster.violations(), []));
}

/// What is known of a record.
enum Fate<D> {
    Sent(D),
    /// Its result goes unseen.
    Forgotten,
    /// Taken back in time.
    Cancelled(D),
    /// Its caller went away before it was accepted.
    Abandoned,
}

impl<D: Delivery> Fate<D> {
    fn cancel(&mut self) {
        *self = match std::mem::replace(self, Self::Abandoned) {
            Self::Sent(delivery) if delivery.cancel() => Self::Cancelled(delivery),
            other => other,
        };
    }

    fn forget(&mut self) {
        if matches!(self, Self::Sent(_)) {
            *self = Self::Forgotten;
        }
    }
}

fn partition_of(number: usize) -> i32 {
    number as i32 % PARTITIONS
}

/// All memory has come back.
#[track_caller]
fn assert_nothing_is_held<P: Producer>(producer: &P) {
    until("the end of all charges", || {
        let stats = producer.stats();
        (stats.records_outstanding, stats.buffered_bytes, stats.lent_bytes) == (0, 0, 0)
    });
}

#[track_caller]
fn assert_count(net: &NetCluster, count: usize) {
    net.with(|cluster| {
        let logged: usize = (0..PARTITIONS).map(|it| cluster.log(TOPIC, it).len()).sum();
        assert_eq!(logged, count);
        assert_eq!(cluster.violations(), []);
    });
}

/// A small generator of its own, so that a run can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        // Constants of SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

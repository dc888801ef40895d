//! Records that join an open batch without the time being read.

mod support;

use std::time::Duration;

use producer_proto::{Config, Header, Record};
use support::Pair;

#[test]
fn a_record_joins_an_open_batch_and_nothing_else_comes_of_it() {
    let mut config = Config::new("b:9092");
    config.linger = Duration::from_millis(5);
    let mut pair = Pair::ready(&config, 4);
    let record = Record { partition: Some(1), ..Record::new(pair.topic, 1_700_000_000_000, b"v") };
    assert_eq!(pair.producer.join(&record), None, "no batch is open");
    assert_eq!(pair.producer.stats().records_pushed, 0);

    let first = pair.push(Some(1), b"v");
    let due = pair.producer.poll_timeout();
    let mut last = first;
    for _ in 0..10 {
        let receipt = pair.producer.join(&record).expect("an open batch with room");
        assert_eq!((receipt.batch, receipt.index), (first.batch, last.index + 1));
        last = receipt;
    }
    assert_eq!((pair.producer.poll_timeout(), pair.producer.has_output()), (due, false));

    let headers = [Header { name: "h", value: None }];
    assert_eq!(pair.producer.join(&Record { headers: &headers, ..record }), None);
    assert_eq!(pair.producer.join(&Record { partition: Some(9), ..record }), None);
    assert_eq!(pair.producer.join(&Record { value: Some(&[0; 20_000]), ..record }), None);
    assert_eq!(pair.producer.stats().records_pushed, 11);

    pair.pass(config.linger);
    assert_eq!(pair.delivered, 11);
    assert_eq!(pair.producer.join(&record), None, "the batch is gone");
}

#[test]
fn a_batch_that_records_join_is_never_filled_by_them() {
    let mut pair = Pair::ready(&Config::new("b:9092"), 1);
    let record = Record::new(pair.topic, 1_700_000_000_000, &[b'x'; 100]);
    let first = pair.push(None, &[b'x'; 100]);
    let mut joined = 0;
    while let Some(receipt) = pair.producer.join(&record) {
        assert_eq!(receipt.batch, first.batch);
        joined += 1;
    }
    assert!(joined > 0 && !pair.producer.has_output(), "{joined} records have joined");
    pair.push(None, &[b'x'; 100]);
    let again = pair.producer.join(&record);
    assert!(again.is_some_and(|receipt| receipt.batch == first.batch), "the buffer has grown");
}

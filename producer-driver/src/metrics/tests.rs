use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use metrics::{
    CounterFn, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};

use super::*;

/// Keeps the values by name.
#[derive(Clone, Default)]
struct Values(Arc<Mutex<BTreeMap<String, f64>>>);

struct Value {
    values: Values,
    name: String,
}

impl Value {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut values = self.values.0.lock().unwrap();
        let value = values.entry(self.name.clone()).or_default();
        *value = change(*value);
    }
}

impl CounterFn for Value {
    fn increment(&self, by: u64) {
        self.change(|value| value + by as f64);
    }

    fn absolute(&self, to: u64) {
        self.change(|_| to as f64);
    }
}

impl GaugeFn for Value {
    fn increment(&self, by: f64) {
        self.change(|value| value + by);
    }

    fn decrement(&self, by: f64) {
        self.change(|value| value - by);
    }

    fn set(&self, to: f64) {
        self.change(|_| to);
    }
}

impl Values {
    fn value(&self, key: &Key) -> Arc<Value> {
        let labels: Vec<_> = key.labels().map(|label| (label.key(), label.value())).collect();
        assert_eq!(labels, [("client_id", "me")]);
        let name = key.name().strip_prefix("kafka.producer.").unwrap().to_owned();
        Arc::new(Value { values: self.clone(), name })
    }

    fn get(&self, name: &str) -> f64 {
        self.0.lock().unwrap()[name]
    }
}

impl Recorder for Values {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.value(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.value(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn totals_grow_rates_follow_and_a_quiet_producer_sleeps() {
    let mut config = Config::new("localhost:9092");
    config.client_id = "me".into();
    config.buffer_memory = 1_000;
    let values = Values::default();
    with_local_recorder(&values, || {
        let mut meter = Meter::new(&config);
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let asleep = Next::Sleep(None);
        let none = Peaks::default;
        assert_eq!(
            meter.report(at(0), Stats::default(), none, asleep),
            asleep,
            "nothing to report"
        );

        let mut stats = Stats::default();
        stats.records_delivered = 30;
        stats.buffered_bytes = 400;
        stats.batches_sealed = 2;
        stats.bytes_sealed = 1_000;
        let until = Next::Sleep(Some(at(1_500)));
        assert_eq!(meter.report(at(500), stats.clone(), none, asleep), until);
        assert_eq!(meter.report(at(600), stats.clone(), none, Next::Again), Next::Again);
        assert_eq!(values.get("record-send-total"), 30.0);
        assert_eq!(values.get("buffer-available-bytes"), 600.0);
        assert_eq!(values.get("buffer-total-bytes"), 1_000.0);

        stats.records_delivered = 60;
        stats.records_retried = 5;
        let mut peaks = Peaks::default();
        (peaks.request_micros, peaks.batch_bytes) = (7_500, 800);
        let until = Next::Sleep(Some(at(2_500)));
        assert_eq!(meter.report(at(1_500), stats.clone(), || peaks, asleep), until);
        assert_eq!(values.get("record-send-total"), 60.0);
        assert_eq!(values.get("record-send-rate"), 60.0);
        assert_eq!(values.get("batch-size-avg"), 500.0);
        assert_eq!(values.get("request-latency-avg"), 0.0);
        assert_eq!(values.get("request-latency-max"), 7.5);
        assert_eq!(values.get("batch-size-max"), 800.0);
        assert_eq!(values.get("record-retry-rate"), 5.0);

        // One more window, and all is quiet.
        assert_eq!(meter.report(at(2_500), stats.clone(), none, asleep), asleep);
        assert_eq!(values.get("record-send-rate"), 0.0);
        assert_eq!(values.get("request-latency-max"), 0.0);
        stats.records_delivered = 70;
        let until = Next::Sleep(Some(at(9_000)));
        assert_eq!(meter.report(at(8_000), stats, none, asleep), until);
        assert_eq!(values.get("record-send-total"), 70.0);
    });
}

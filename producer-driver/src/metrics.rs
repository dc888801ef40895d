//! The counters, handed to the recorder of the `metrics` crate after each turn of the driver.
//!
//! Nothing is done per record: a turn takes one snapshot of [`Stats`]. Names are those of Kafka's
//! own producer metrics behind the prefix `kafka.producer.`, with the label `client_id`. Totals
//! are counters, levels are gauges; rates, averages and maxima are gauges over windows of at least a
//! second, which fall to zero one window after the last activity. A quiet producer is not woken
//! for them.

use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, counter, gauge};
use producer_proto::{Config, Peaks, Stats};

use crate::driver::Next;

/// What rates and averages are taken over, at least.
const WINDOW: Duration = Duration::from_secs(1);

type Count = fn(&Stats) -> u64;

type Peak = fn(&Peaks) -> u64;

/// Totals, and rates where there is a second name.
const TOTALS: &[(&str, Option<&str>, Count)] = &[
    ("record-send-total", Some("record-send-rate"), |stats| stats.records_delivered),
    ("record-error-total", Some("record-error-rate"), |stats| stats.records_failed),
    ("record-retry-total", Some("record-retry-rate"), |stats| stats.records_retried),
    ("batch-split-total", Some("batch-split-rate"), |stats| stats.batches_split),
    ("request-total", Some("request-rate"), |stats| stats.requests_sent),
    ("response-total", Some("response-rate"), |stats| stats.responses),
    ("outgoing-byte-total", Some("outgoing-byte-rate"), |stats| stats.bytes_out),
    ("incoming-byte-total", Some("incoming-byte-rate"), |stats| stats.bytes_in),
    ("connection-creation-total", None, |stats| stats.connections_opened),
];

/// Averages: what, divided by how many, times a factor.
const AVERAGES: &[(&str, Count, Count, f64)] = &[
    ("batch-size-avg", |stats| stats.bytes_sealed, |stats| stats.batches_sealed, 1.0),
    ("compression-rate-avg", |stats| stats.bytes_sealed, |stats| stats.bytes_uncompressed, 1.0),
    // Milliseconds, as in Kafka.
    ("record-queue-time-avg", |stats| stats.queue_micros, |stats| stats.queue_count, 1e-3),
    ("request-latency-avg", |stats| stats.request_micros, |stats| stats.responses, 1e-3),
    ("produce-throttle-time-avg", |stats| stats.throttle_micros, |stats| stats.responses, 1e-3),
    ("record-size-avg", |stats| stats.bytes_pushed, |stats| stats.records_pushed, 1.0),
    ("request-size-avg", |stats| stats.bytes_out, |stats| stats.requests_sent, 1.0),
    (
        "records-per-request-avg",
        |stats| stats.records_delivered,
        |stats| stats.produce_requests,
        1.0,
    ),
];

/// The largest value of a window, times a factor.
const MAXIMA: &[(&str, Peak, f64)] = &[
    ("batch-size-max", |peaks| peaks.batch_bytes, 1.0),
    ("record-queue-time-max", |peaks| peaks.queue_micros, 1e-3),
    ("request-latency-max", |peaks| peaks.request_micros, 1e-3),
    ("produce-throttle-time-max", |peaks| peaks.throttle_micros, 1e-3),
];

/// Reports what changed. Registers with the recorder that is there at the driver's first turn.
pub(crate) struct Meter {
    client_id: String,
    buffer_memory: usize,
    instruments: Option<Instruments>,
    /// As last reported.
    last: Stats,
    /// When the window began, and with what.
    begin: Instant,
    base: Stats,
    /// The last window saw nothing: its rates are zero and stay so.
    is_quiet: bool,
}

struct Instruments {
    totals: Vec<(Counter, Option<Gauge>, Count)>,
    averages: Vec<(Gauge, Count, Count, f64)>,
    maxima: Vec<(Gauge, Peak, f64)>,
    buffer_available: Gauge,
    requests_in_flight: Gauge,
    connections: Gauge,
}

impl Instruments {
    fn register(client_id: &str, buffer_memory: usize) -> Self {
        let gauge = |name: &str| gauge!(format!("kafka.producer.{name}"), "client_id" => client_id.to_owned());
        let counter = |name: &str| counter!(format!("kafka.producer.{name}"), "client_id" => client_id.to_owned());
        gauge("buffer-total-bytes").set(buffer_memory as f64);
        let totals =
            TOTALS.iter().map(|(name, rate, count)| (counter(name), rate.map(gauge), *count));
        let averages =
            AVERAGES.iter().map(|(name, sum, count, factor)| (gauge(name), *sum, *count, *factor));
        Self {
            totals: totals.collect(),
            averages: averages.collect(),
            maxima: MAXIMA
                .iter()
                .map(|(name, peak, factor)| (gauge(name), *peak, *factor))
                .collect(),
            buffer_available: gauge("buffer-available-bytes"),
            requests_in_flight: gauge("requests-in-flight"),
            connections: gauge("connection-count"),
        }
    }
}

impl Meter {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            client_id: config.client_id.clone(),
            buffer_memory: config.buffer_memory,
            instruments: None,
            last: Stats::default(),
            begin: Instant::now(),
            base: Stats::default(),
            is_quiet: true,
        }
    }

    /// Reports the counters as they are after a turn. A sleep ends when a window has to be closed.
    /// `peaks` takes the largest values since the last window, and is called at the end of one.
    pub(crate) fn report(
        &mut self,
        now: Instant,
        stats: Stats,
        peaks: impl FnOnce() -> Peaks,
        next: Next,
    ) -> Next {
        let instruments = self
            .instruments
            .get_or_insert_with(|| Instruments::register(&self.client_id, self.buffer_memory));
        if stats != self.last {
            if self.is_quiet {
                self.is_quiet = false;
                self.begin = now;
                self.base = self.last.clone();
            }
            for (total, _, count) in &instruments.totals {
                total.increment(count(&stats).saturating_sub(count(&self.last)));
            }
            let available = self.buffer_memory.saturating_sub(stats.buffered_bytes);
            instruments.buffer_available.set(available as f64);
            instruments.requests_in_flight.set(stats.requests_in_flight as f64);
            instruments.connections.set(stats.connections_ready as f64);
            self.last = stats;
        }
        if !self.is_quiet && now >= self.begin + WINDOW {
            self.close_window(now, &peaks());
        }
        match next {
            Next::Sleep(deadline) if !self.is_quiet => {
                let end = self.begin + WINDOW;
                Next::Sleep(Some(deadline.map_or(end, |deadline| deadline.min(end))))
            }
            next => next,
        }
    }

    fn close_window(&mut self, now: Instant, peaks: &Peaks) {
        let Some(instruments) = &self.instruments else { return };
        let seconds = now.duration_since(self.begin).as_secs_f64();
        let (base, last) = (&self.base, &self.last);
        let grown = |count: Count| count(last).saturating_sub(count(base)) as f64;
        for (_, rate, count) in &instruments.totals {
            if let Some(rate) = rate {
                rate.set(grown(*count) / seconds);
            }
        }
        for (average, sum, count, factor) in &instruments.averages {
            let count = grown(*count);
            average.set(if count > 0.0 { grown(*sum) / count * factor } else { 0.0 });
        }
        for (maximum, peak, factor) in &instruments.maxima {
            maximum.set(peak(peaks) as f64 * factor);
        }
        self.is_quiet = last == base;
        self.begin = now;
        self.base = self.last.clone();
    }
}

#[cfg(test)]
mod tests;

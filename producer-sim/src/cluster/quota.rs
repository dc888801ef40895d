//! Byte-rate quotas (`producer_byte_rate`), by the broker's own formula.

use super::Cluster;
use super::observe::ReceivedRequest;
use kafka_protocol::messages::ApiKey;
use producer_proto::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// `quota.window.num`: samples that the rate is taken over.
const SAMPLES: u64 = 11;
/// `quota.window.size.seconds`: how long one of them is filled.
const SAMPLE: Duration = Duration::from_secs(1);

/// The quota of one broker and what each client id has sent to it lately.
#[derive(Debug)]
pub(super) struct Quota {
    bytes_per_second: u64,
    clients: BTreeMap<Option<String>, VecDeque<Sample>>,
}

#[derive(Debug)]
struct Sample {
    begin: Instant,
    bytes: u64,
}

impl Cluster {
    /// Limits how many bytes per second each client id may send to a broker with Produce; `None`
    /// (the default) or 0 for no limit. Who is above it, over the last ten seconds or so, gets his
    /// answer at once, with a throttle time after which he is below it again, and his connection
    /// is not read for so long.
    pub fn set_byte_rate(&mut self, broker: i32, bytes_per_second: Option<u64>) {
        let quota = bytes_per_second.filter(|rate| *rate > 0);
        if let Some(state) = self.brokers.get_mut(&broker) {
            state.quota =
                quota.map(|bytes_per_second| Quota { bytes_per_second, clients: BTreeMap::new() });
        }
    }

    /// Counts a request; how long its connection is muted.
    pub(super) fn quota_throttle(&mut self, now: Instant, request: &ReceivedRequest) -> Duration {
        let broker = self.brokers.get_mut(&request.broker);
        let Some(quota) = broker.and_then(|b| b.quota.as_mut()) else { return Duration::ZERO };
        if request.api != ApiKey::Produce {
            return Duration::ZERO;
        }
        let samples = match quota.clients.get_mut(&request.client_id) {
            Some(samples) => samples,
            None => quota.clients.entry(request.client_id.clone()).or_default(),
        };
        // The broker's count leaves the length prefix out.
        record(samples, now, request.bytes as u64 - 4);
        throttle(samples, now, quota.bytes_per_second)
    }
}

fn record(samples: &mut VecDeque<Sample>, now: Instant, bytes: u64) {
    let span = SAMPLE * SAMPLES as u32;
    while samples.front().is_some_and(|sample| now - sample.begin >= span) {
        samples.pop_front();
    }
    match samples.back_mut().filter(|sample| now - sample.begin < SAMPLE) {
        Some(sample) => sample.bytes += bytes,
        None => samples.push_back(Sample { begin: now, bytes }),
    }
}

/// (rate - limit) / limit x window, where the window is at least ten full samples.
fn throttle(samples: &VecDeque<Sample>, now: Instant, bytes_per_second: u64) -> Duration {
    let total: u64 = samples.iter().map(|sample| sample.bytes).sum();
    let elapsed = samples.front().map_or(Duration::ZERO, |oldest| now - oldest.begin).as_millis();
    let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
    let full = elapsed / SAMPLE.as_millis() as u64;
    let missing = (SAMPLES - 1).saturating_sub(full);
    let window = (elapsed + missing * SAMPLE.as_millis() as u64).max(1);
    // The formula with its divisions cleared, rounded to a millisecond.
    let due = (total * 1000 + bytes_per_second / 2) / bytes_per_second;
    Duration::from_millis(due.saturating_sub(window))
}

//! Topics that fail again and again fail at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use producer_proto::{Instant, TopicId};

use crate::error::SendErrorKind;

/// When sends to a topic without a leader are to fail at once instead of waiting, as in sarama.
///
/// A failure is a record that waited for the topic's metadata or for a leader until its time ran
/// out, or an answer of the cluster that refuses the topic. Any delivery to the topic starts the
/// count anew. After `failures` in a row the circuit is open: sends to the topic fail with
/// [`CircuitOpen`](SendErrorKind::CircuitOpen). After `open_for` one record is let through as a
/// probe, and another one each `open_for` later; the first delivery closes the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// Failures in a row that open the circuit; 0 counts as 1. Default: 3.
    pub failures: u32,
    /// Time from one probe to the next. Default: 10 s.
    pub open_for: Duration,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self { failures: 3, open_for: Duration::from_secs(10) }
    }
}

/// The circuits of all topics that have failed since they last delivered; nothing else is kept.
#[derive(Debug, Default)]
pub(crate) struct Breakers {
    settings: Option<CircuitBreaker>,
    failing: BTreeMap<TopicId, Circuit>,
}

#[derive(Debug)]
struct Circuit {
    failures: u32,
    /// When the next probe is let through; open if there is one.
    probe_at: Option<Instant>,
    cause: Arc<str>,
}

impl Breakers {
    pub(crate) fn configure(&mut self, settings: Option<CircuitBreaker>) {
        *self = Self { settings, failing: BTreeMap::new() };
    }

    /// Whether no topic is failing: then every record may be tried.
    pub(crate) fn are_quiet(&self) -> bool {
        self.failing.is_empty()
    }

    /// Whether a record may be tried. Almost always that is one look at an empty map.
    pub(crate) fn admit(&mut self, now: Instant, topic: TopicId) -> Result<(), SendErrorKind> {
        if self.failing.is_empty() {
            return Ok(());
        }
        let Some(circuit) = self.failing.get_mut(&topic) else { return Ok(()) };
        let Some(probe_at) = circuit.probe_at else { return Ok(()) };
        if now < probe_at {
            let (failures, cause) = (circuit.failures, circuit.cause.clone());
            let probe_in = probe_at.saturating_since(now);
            return Err(SendErrorKind::CircuitOpen { failures, probe_in, cause });
        }
        let open_for = self.settings.unwrap_or_default().open_for;
        circuit.probe_at = Some(now + open_for);
        Ok(())
    }

    /// No leader was found.
    pub(crate) fn failed(&mut self, now: Instant, topic: TopicId, cause: impl Fn() -> Arc<str>) {
        let Some(settings) = self.settings else { return };
        let circuit = self.failing.entry(topic).or_insert_with(|| Circuit {
            failures: 0,
            probe_at: None,
            cause: Arc::default(),
        });
        circuit.failures = circuit.failures.saturating_add(1);
        circuit.cause = cause();
        if circuit.failures >= settings.failures {
            circuit.probe_at = Some(now + settings.open_for);
        }
    }

    /// Records of the topic were delivered.
    pub(crate) fn succeeded(&mut self, topic: TopicId) {
        if !self.failing.is_empty() {
            self.failing.remove(&topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_probes_are_spaced_and_a_delivery_closes_it() {
        let mut breakers = Breakers::default();
        let (bad, good) = (TopicId(1), TopicId(2));
        let at = |seconds: u64| Instant::from_micros(seconds * 1_000_000);
        for _ in 0..5 {
            breakers.failed(at(0), bad, || "off".into());
        }
        assert!(breakers.admit(at(0), bad).is_ok(), "off by default");

        breakers.configure(Some(CircuitBreaker::default()));
        breakers.failed(at(0), bad, || "one".into());
        breakers.failed(at(0), bad, || "two".into());
        breakers.succeeded(bad);
        breakers.failed(at(0), bad, || "one".into());
        breakers.failed(at(0), bad, || "two".into());
        assert!(breakers.admit(at(0), bad).is_ok());
        breakers.failed(at(1), bad, || "three".into());
        let refused = breakers.admit(at(3), bad).unwrap_err();
        let expected = SendErrorKind::CircuitOpen {
            failures: 3,
            probe_in: Duration::from_secs(8),
            cause: "three".into(),
        };
        assert_eq!(refused, expected);
        assert!(breakers.admit(at(3), good).is_ok());

        assert!(breakers.admit(at(11), bad).is_ok(), "the probe");
        assert!(breakers.admit(at(11), bad).is_err(), "one only");
        breakers.failed(at(12), bad, || "four".into());
        assert!(breakers.admit(at(21), bad).is_err());
        assert!(breakers.admit(at(22), bad).is_ok(), "the next probe");
        breakers.succeeded(bad);
        assert!(breakers.admit(at(22), bad).is_ok() && breakers.failing.is_empty());
    }
}

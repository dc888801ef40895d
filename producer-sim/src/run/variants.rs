//! What must make no difference: how the inbound stream is cut into pieces, and calls of the
//! producer that tell it nothing new.

use super::engine::Engine;
use super::report::carry_out;
use super::script::Script;
use super::verdict::{Failure, Oracle};
use crate::world::Seen;
use crate::{Cut, Driver, Instant};
use producer_proto::{ConfigError, ConnectionId};

/// What left the producer: requests of each connection in order, orders and events in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outputs(Vec<(Instant, Option<ConnectionId>, String)>);

impl Outputs {
    pub(super) fn note(&mut self, at: Instant, seen: &Seen) {
        let mut on = None;
        let line = match seen {
            Seen::Connect { conn, host, port, broker } => {
                format!("dials {host}:{port} for {broker:?} as {conn}")
            }
            Seen::Close { conn } => format!("closes {conn}"),
            Seen::Transmit { conn, frame } => {
                on = Some(*conn);
                let digest = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, frame);
                format!("{} bytes on {conn}, digest {digest:016x}", frame.len())
            }
            Seen::Event(event) => format!("{event:?}"),
            Seen::Connected { .. }
            | Seen::ConnectFailed { .. }
            | Seen::Disconnected { .. }
            | Seen::Answer { .. }
            | Seen::Timeout => return,
        };
        self.0.push((at, on, line));
    }

    /// Answers on several connections that arrive at once are in a different order complete when
    /// their bytes come by turns, and so are the requests that follow from them.
    fn in_order(mut self) -> Self {
        self.0.sort_by_key(|(at, on, _)| (*at, *on));
        self
    }

    /// The first line that another list does not have in the same place.
    fn first_difference(&self, other: &Self) -> Option<(Instant, String)> {
        let pairs = self.0.iter().zip(&other.0);
        let same = pairs.take_while(|(ours, theirs)| ours == theirs).count();
        let (ours, theirs) = (self.0.get(same), other.0.get(same));
        let at = ours.or(theirs)?.0;
        let text = |line: Option<&(Instant, Option<ConnectionId>, String)>| {
            line.map_or("nothing".to_owned(), |(at, _, line)| format!("{line} at {at:?}"))
        };
        Some((at, format!("{}, and {}", text(ours), text(theirs))))
    }
}

/// Runs a script with the inbound streams cut at the ends of answers; then with single bytes, and
/// with calls at every turn that there is no reason for; each time with a driver that is never late.
/// Gives the first difference between what left the producers: there may be none.
///
/// # Errors
/// The script's settings are not valid.
pub fn compare_variants(script: &Script) -> Result<Option<Failure>, ConfigError> {
    let mut script = script.clone();
    script.network.cut = Cut::Edge(0);
    script.driver = Driver::default();
    let plain = outputs(&script)?;
    script.network.cut = Cut::Every(1);
    let in_bytes = outputs(&script)?;
    script.network.cut = Cut::Edge(0);
    script.driver.spurious_per_mille = 1_000;
    let disturbed = outputs(&script)?;
    for (variant, what) in [(in_bytes, "in single bytes"), (disturbed, "with calls for nothing")] {
        if let Some((at, difference)) = plain.first_difference(&variant) {
            let failure = Failure::new(Oracle::Determinism, at, format!("{what}: {difference}"));
            return Ok(Some(failure));
        }
    }
    Ok(None)
}

fn outputs(script: &Script) -> Result<Outputs, ConfigError> {
    let mut engine = Engine::new(script)?;
    engine.outputs = Some(Outputs::default());
    carry_out(&mut engine);
    Ok(engine.outputs.take().unwrap_or_default().in_order())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Act, Call, Profile, Seed, Size, Step};

    #[test]
    fn cuts_and_calls_for_nothing_make_no_difference() {
        for profile in Profile::ALL {
            for seed in 0..12 {
                let script = Script::draw(&mut Seed(seed), profile, Size::Short);
                let found = compare_variants(&script).unwrap();
                assert_eq!(found, None, "seed {seed}, {profile}");
            }
        }
    }

    /// What is done on an outcome is done then, however often somebody looks.
    #[test]
    fn an_append_on_an_outcome_waits_for_one() {
        let script = Script::draw(&mut Seed(304_400), Profile::Honest, Size::Short);
        let on_outcome = |step: &Step| matches!(step.1, Act::Do(Call::PushOnOutcome(_)));
        assert!(script.steps.iter().any(on_outcome));
        assert_eq!(compare_variants(&script).unwrap(), None);
    }

    /// A seed in which two brokers answer at once, after the process has stood still.
    #[test]
    fn answers_of_two_brokers_at_once_may_be_taken_in_any_order() {
        let script = Script::draw(&mut Seed(20_042_500), Profile::Honest, Size::Short);
        assert_eq!(compare_variants(&script).unwrap(), None);
    }

    /// Seeds in which a deadline passes while the process stands still, with answers on their way.
    #[test]
    fn a_process_that_stands_still_is_no_difference() {
        for seed in [103_000, 104_400] {
            let script = Script::draw(&mut Seed(seed), Profile::Honest, Size::Short);
            assert_eq!(compare_variants(&script).unwrap(), None, "seed {seed}");
        }
    }

    #[test]
    fn a_difference_is_named_with_its_time() {
        let at = |ms: u64| Instant::from_micros(ms * 1_000);
        let outputs = |lines: &[(u64, &str)]| {
            Outputs(lines.iter().map(|(ms, line)| (at(*ms), None, (*line).to_owned())).collect())
        };
        let one = outputs(&[(1, "a"), (2, "b")]);
        assert_eq!(one.first_difference(&outputs(&[(1, "a"), (2, "b")])), None);
        let shorter = one.first_difference(&outputs(&[(1, "a")]));
        assert_eq!(shorter, Some((at(2), "b at 0.002000s, and nothing".to_owned())));
        let later = outputs(&[(1, "a"), (3, "b")]).first_difference(&one);
        assert_eq!(later, Some((at(3), "b at 0.003000s, and b at 0.002000s".to_owned())));
    }
}

//! From a script to a report.

use super::audit::{Log, Promises};
use super::content::LEAST_VALUE;
use super::ledger::Ledger;
use super::oracle::{
    Backoffs, Errors, Fairness, Leaders, Limits, Links, Pace, Patience, Rest, Stamps,
};
use super::script::{Act, Profile, Script, To, TopicShape};
use super::story::Story;
use super::timeline::Recorder;
use super::variants::Outputs;
use super::verdict::{Failure, Oracle};
use super::wire::Wire;
use crate::world::Seen;
use crate::{Cluster, ClusterConfig, Conditions, Failover, Instant, Micros, TopicConfig, World};
use producer_proto::{Acks, Codec, Config, ConfigError, Event, FlushId, TopicId};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Wall-clock time at [`Instant::ZERO`], milliseconds since the Unix epoch.
pub(super) const WALL_CLOCK: i64 = 1_700_000_000_000;

/// More turns than this, and four for each byte, mean that something goes round and round.
const MAX_TURNS: u64 = 20_000_000;

pub(super) type Verdict<T = ()> = Result<T, Failure>;

/// A record that was refused for the time being.
pub(super) struct Waiting {
    pub(super) topic: usize,
    pub(super) to: To,
    pub(super) size: usize,
    pub(super) headers: usize,
}

/// A flush that is not done.
pub(super) struct Flush {
    /// How many records were appended before it.
    pub(super) records: usize,
    pub(super) asked: Instant,
}

/// A run under way.
pub(super) struct Engine<'a> {
    pub(super) script: &'a Script,
    pub(super) world: World,
    pub(super) config: Config,
    pub(super) names: Vec<String>,
    pub(super) ids: Vec<TopicId>,
    pub(super) ledger: Ledger,
    pub(super) wire: Wire,
    pub(super) stamps: Stamps,
    pub(super) leaders: Leaders,
    pub(super) links: Links,
    pub(super) pace: Pace,
    pub(super) errors: Errors,
    /// Where it can be judged.
    pub(super) fairness: Option<Fairness>,
    pub(super) seen: Vec<(Instant, Seen)>,
    pub(super) backlog: VecDeque<Waiting>,
    /// Appends that wait for the next outcome.
    pub(super) follow_ups: u32,
    pub(super) flushes: BTreeMap<FlushId, Flush>,
    pub(super) closing: Option<Option<Instant>>,
    pub(super) rest: Rest,
    pub(super) fatal: bool,
    /// Logs of topics that were deleted.
    pub(super) old_logs: Vec<Log>,
    pub(super) promises: Promises,
    pub(super) faults: BTreeMap<&'static str, u64>,
    /// Hits of coverage marks, in the producers that are gone.
    pub(super) marks: BTreeMap<&'static str, u64>,
    /// Until when some broker has asked for a pause.
    pub(super) throttled: Instant,
    pub(super) turns: u64,
    /// With more events than this the run ends, without a failure.
    pub(super) max_events: u64,
    pub(super) is_cut_short: bool,
    pub(super) story: Option<Story>,
    pub(super) recorder: Option<Recorder>,
    pub(super) outputs: Option<Outputs>,
    pub(super) value: Vec<u8>,
}

impl<'a> Engine<'a> {
    pub(super) fn new(script: &'a Script) -> Result<Self, ConfigError> {
        let mut config = Config::default();
        for (name, value) in &script.settings {
            config.set(name, value)?;
        }
        let mut shape = ClusterConfig::new(script.brokers);
        shape.request_history = 0;
        shape.wall_clock_millis = WALL_CLOCK;
        shape.failover = script.controller.map(|controller| Failover {
            session_timeout: controller.session.duration(),
            replica_lag_max: controller.lag.duration(),
            unclean: controller.unclean,
        });
        let mut cluster = Cluster::new(shape);
        let names: Vec<_> = (0..script.topics.len()).map(Script::topic_name).collect();
        let mut promises = Promises {
            idempotent: config.enable_idempotence != Some(false),
            durable: config.acks != Acks::None,
            honest: script.profile != Profile::Hostile,
            ..Promises::default()
        };
        let mut wire = Wire::default();
        for (index, (topic, name)) in script.topics.iter().zip(&names).enumerate() {
            if topic.append_time {
                promises.append_time.insert(index);
            }
            if topic.exists {
                let config = topic_config(topic, topic.partitions);
                wire.name(cluster.create_topic(name, config), index);
            }
        }
        let reorders = config.allow_reordering_on_retry;
        let mut links = Links::new(limits(&config));
        for broker in cluster.brokers() {
            links.name(&broker.host, broker.port);
        }
        if !promises.honest {
            links.take_any_address();
        }
        let backoffs = backoffs(&config, script);
        let mut world = World::with_seed(cluster, config.clone(), producer_seed(script.noise, 0))?;
        #[cfg(planted_bugs)]
        super::planted::infect(&mut world.producer);
        world.watch();
        let mut engine = Self {
            script,
            world,
            config,
            names,
            ids: Vec::new(),
            ledger: Ledger::new(reorders),
            wire,
            stamps: Stamps::default(),
            leaders: Leaders::default(),
            links,
            pace: Pace::new(backoffs),
            errors: Errors::new(script.profile == Profile::Legacy),
            fairness: None,
            seen: Vec::new(),
            backlog: VecDeque::new(),
            follow_ups: 0,
            flushes: BTreeMap::new(),
            closing: None,
            rest: Rest::default(),
            fatal: false,
            old_logs: Vec::new(),
            promises,
            faults: BTreeMap::new(),
            marks: BTreeMap::new(),
            throttled: Instant::ZERO,
            turns: 0,
            max_events: u64::MAX,
            is_cut_short: false,
            story: None,
            recorder: None,
            outputs: None,
            value: Vec::new(),
        };
        engine.fairness = engine.patience().map(Fairness::new);
        engine.begin_instance();
        Ok(engine)
    }

    pub(super) fn begin_instance(&mut self) {
        self.ledger.new_instance();
        self.ids.clear();
        self.flushes.clear();
        self.closing = None;
        self.rest.new_instance();
        self.fatal = false;
        self.leaders.new_instance();
        self.links.new_instance();
        self.pace.new_instance();
        if let Some(fairness) = &mut self.fairness {
            fairness.new_instance();
        }
        let now = self.world.clock();
        if let Some(recorder) = &mut self.recorder {
            recorder.new_instance(now);
        }
        for name in &self.names {
            // The names are ours and valid.
            self.ids.extend(self.world.producer.topic(now, name));
        }
    }

    /// Adds the coverage marks of the producer, which is about to go.
    pub(super) fn count_marks(&mut self) {
        for (mark, hits) in self.world.producer.marks().iter() {
            *self.marks.entry(mark.name()).or_default() += hits;
        }
    }

    /// The whole run.
    pub(super) fn run(&mut self) -> Verdict {
        self.carry_out_steps()?;
        self.quiesce()?;
        self.recover()?;
        if let Some(recorder) = &mut self.recorder {
            recorder.timeline.end = self.world.now();
        }
        self.rest()?;
        self.finish()
    }

    /// What the script says, up to the last step.
    pub(super) fn carry_out_steps(&mut self) -> Verdict {
        if self.script.first_sequence > 0 {
            self.begin_sequences()?;
        }
        if self.script.warm_up {
            self.warm_up()?;
        }
        self.world.set_conditions(self.conditions());
        self.world.set_driver(self.script.driver.clone());
        let begin = self.world.now();
        for step in &self.script.steps {
            self.run_until(begin + step.0.duration())?;
            if let Act::Do(_) = &step.1
                && let Some(awake) = self.world.asleep_until()
            {
                self.run_until(awake)?;
            }
            self.note(self.world.now(), || (Vec::new(), format!("{:?}", step.1)));
            match &step.1 {
                Act::Do(call) => self.call(call)?,
                Act::Fault(fault) => {
                    if let Some(recorder) = &mut self.recorder {
                        let what = format!("{fault:?}");
                        recorder.timeline.faults.push((self.world.now(), what));
                    }
                    self.fault(fault);
                }
            }
            self.world.drain();
            self.look()?;
        }
        Ok(())
    }

    pub(super) fn conditions(&self) -> Conditions {
        Conditions { noise: self.script.noise, ..self.script.network.clone() }
    }

    /// Lets the sequences of all partitions that are there begin near their end.
    fn begin_sequences(&mut self) -> Verdict {
        // Everything works: there are metadata and a producer id long before.
        self.run_until(self.world.now() + Duration::from_secs(1))?;
        let first = self.script.first_sequence;
        for (topic, &id) in self.ids.iter().enumerate() {
            for partition in 0..self.world.producer.partition_count(id).unwrap_or(0) {
                self.world.producer.begin_sequence_at(id, partition, first);
                self.stamps.begin_at(topic, partition, first);
            }
        }
        Ok(())
    }

    fn warm_up(&mut self) -> Verdict {
        for topic in 0..self.names.len() {
            self.push(topic, To::Any, LEAST_VALUE, 0)?;
        }
        let limit = self.world.now() + Duration::from_secs(60);
        while (self.ledger.open() > 0 || !self.backlog.is_empty()) && self.turn(limit)? {}
        Ok(())
    }

    /// Lets time pass until `end`.
    pub(super) fn run_until(&mut self, end: Instant) -> Verdict {
        while self.turn(end)? {}
        self.world.wait_until(end);
        Ok(())
    }

    /// Lets a breach pass that a lying broker has led to.
    pub(super) fn weigh(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Err(failure) if !self.promises.honest && !failure.oracle.holds_against_lies() => Ok(()),
            verdict => verdict,
        }
    }

    /// Goes to the next moment at which something happens, but not beyond `limit`.
    pub(super) fn turn(&mut self, limit: Instant) -> Verdict<bool> {
        let moved = self.world.step(limit);
        self.turns += 1;
        // A byte may be written, be reported and arrive in turns of its own.
        if self.turns > MAX_TURNS + 4 * self.world.carried() {
            let turns = format!("{} turns", self.turns);
            return Err(Failure::new(Oracle::Timers, self.world.now(), turns));
        }
        // Of what was seen there may come more, without the world having moved.
        let has_seen = self.look()?;
        if self.world.happenings() > self.max_events {
            // No broken promise: only the way out of wherever the run is.
            self.is_cut_short = true;
            let what = format!("more than {} events", self.max_events);
            return Err(Failure::new(Oracle::Timers, self.world.now(), what));
        }
        Ok(moved || has_seen)
    }

    /// Takes note of what has happened since the last look; false when that was nothing.
    pub(super) fn look(&mut self) -> Verdict<bool> {
        let mut seen = std::mem::take(&mut self.seen);
        let mut has_seen = false;
        loop {
            self.world.take_seen(&mut seen);
            if seen.is_empty() {
                break;
            }
            has_seen = true;
            let mut has_outcome = false;
            for (at, seen) in seen.drain(..) {
                has_outcome |=
                    matches!(seen, Seen::Event(Event::Delivered { .. } | Event::Failed { .. }));
                self.judge(at, seen)?;
            }
            if has_outcome {
                self.follow_up()?;
            }
            self.world.drain();
        }
        self.seen = seen;
        self.judge_state()?;
        Ok(has_seen)
    }

    /// How far an outcome may be off its time: what the driver is late, and what the clock rounds.
    pub(super) fn slack(&self) -> Duration {
        self.lateness() + self.world.slept()
    }

    /// The part of it that the driver is late.
    pub(super) fn lateness(&self) -> Duration {
        let driver = &self.script.driver;
        let late = 8 * driver.late.0 + driver.tick.0 + driver.events_late.0 + driver.jobs_late.0;
        Duration::from_micros(late)
    }

    /// How long a partition may wait by itself; `None` where more is in the way than can be seen:
    /// lies, old brokers that have no epochs and make work of their own, outcomes that are told
    /// late, and compression that is done late or never.
    fn patience(&self) -> Option<Patience> {
        let driver = &self.script.driver;
        let is_plain = self.config.compression_type == Codec::None;
        let is_seen = !matches!(self.script.profile, Profile::Hostile | Profile::Legacy)
            && driver.events_late == Micros(0)
            && (is_plain || (driver.jobs_late == Micros(0) && driver.jobs_lost_per_mille == 0));
        let most = self.config.retry_backoff_max.or(self.config.retry_backoff);
        let in_flight = self.config.max_in_flight_requests_per_connection;
        is_seen.then(|| Patience {
            linger: self.config.linger,
            backoff: most.unwrap_or(Duration::from_secs(1)),
            lateness: self.lateness(),
            without_answers: self.config.acks == Acks::None,
            // One stands before it in line. A batch that is compressed when its turn comes lets
            // others pass meanwhile, as many as may be in flight, and stands in line once more.
            passes: match is_plain {
                true => 1,
                false => 2 + u32::try_from(in_flight).unwrap_or(u32::MAX - 2),
            },
        })
    }

    pub(super) fn delivery_timeout(&self) -> Duration {
        let least = self.config.linger + self.config.request_timeout;
        self.config.delivery_timeout.unwrap_or(Duration::from_secs(120).max(least))
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        in_flight: config.max_in_flight_requests_per_connection,
        acks: match config.acks {
            Acks::All => -1,
            Acks::Leader => 1,
            Acks::None => 0,
        },
        timeout_ms: i32::try_from(config.request_timeout.as_millis()).unwrap_or(i32::MAX),
    }
}

fn backoffs(config: &Config, script: &Script) -> Backoffs {
    let pair = |least: Option<Duration>, most: Option<Duration>, default: u64| {
        let most = most.or(least).unwrap_or(Duration::from_secs(1));
        (least.unwrap_or(Duration::from_millis(default)).min(most), most)
    };
    let (retry, _) = pair(config.retry_backoff, config.retry_backoff_max, 100);
    let (reconnect, reconnect_max) =
        pair(config.reconnect_backoff, config.reconnect_backoff_max, 50);
    let (tick, topics) = (script.driver.tick.duration(), script.topics.len());
    Backoffs { retry, reconnect, reconnect_max, tick, topics }
}

pub(super) fn topic_config(shape: &TopicShape, partitions: i32) -> TopicConfig {
    let mut config = TopicConfig::new(partitions)
        .replicated(shape.replication, shape.min_insync)
        .max_message_bytes(shape.max_message_bytes);
    config.append_time = shape.append_time;
    config
}

pub(super) fn producer_seed(noise: u64, instance: u32) -> [u8; 32] {
    let mut seed = [0; 32];
    for (i, part) in seed.chunks_exact_mut(8).enumerate() {
        let word = super::mix(noise ^ super::mix(u64::from(instance) << 8 | i as u64));
        part.copy_from_slice(&word.to_be_bytes());
    }
    seed
}

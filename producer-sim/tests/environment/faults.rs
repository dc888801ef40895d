//! Pain points 21 and 49: every wait ends by its deadline, and every fault is named in the
//! outcome's error: what was waited for, how often it was tried, what went wrong.

use crate::common::*;
use bytes::Bytes;
use producer_proto::{Config, ConnectErrorKind, Event, Phase, ProduceErrorKind};
use producer_sim::{ApiKey, Fate, Output, Reach, ResponseError, ResponseKind, Rule, World};

struct Fault {
    name: &'static str,
    inject: fn(&mut World),
    /// What was waited for when the delivery timeout came.
    phase: Phase,
    /// Whether the batch was handed to a connection.
    is_tried: bool,
    /// What the error's text has to say.
    text: &'static [&'static str],
}

fn refuse(world: &mut World, kind: ConnectErrorKind) {
    world.set_broker_reach(1, Reach::Fails(kind));
    world.reset(1, Fate::Lost);
}

fn peer(world: &mut World, first_bytes: &'static [u8]) {
    world.cluster.set_raw_peer(1, move |_, bytes| match bytes {
        [] => Vec::new(),
        _ => vec![Output::Bytes(Bytes::from_static(first_bytes)), Output::Close],
    });
    world.reset(1, Fate::Lost);
}

fn produce() -> Rule {
    Rule::on(ApiKey::Produce).partition("t", 0).always()
}

const BROKER: &str = "broker 1 at broker-1:9092";

/// Faults that befall a producer that has worked.
const LATER: &[Fault] = &[
    Fault {
        name: "nobody listens",
        inject: |world| refuse(world, ConnectErrorKind::Refused),
        phase: Phase::Connecting,
        is_tried: false,
        text: &[BROKER, "connection refused"],
    },
    Fault {
        name: "the name does not resolve",
        inject: |world| refuse(world, ConnectErrorKind::Dns),
        phase: Phase::Connecting,
        is_tried: false,
        text: &[BROKER, "does not resolve"],
    },
    Fault {
        name: "no route",
        inject: |world| refuse(world, ConnectErrorKind::Unreachable),
        phase: Phase::Connecting,
        is_tried: false,
        text: &[BROKER, "unreachable"],
    },
    Fault {
        name: "packets vanish",
        inject: |world| {
            world.set_broker_reach(1, Reach::BlackHole);
            world.reset(1, Fate::Lost);
        },
        phase: Phase::Connecting,
        is_tried: false,
        text: &[BROKER, "took too long to set up"],
    },
    Fault {
        name: "an HTTP server",
        inject: |world| peer(world, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        phase: Phase::Connecting,
        is_tried: false,
        text: &[BROKER, "looks like an HTTP server"],
    },
    Fault {
        name: "a TLS alert",
        inject: |world| peer(world, b"\x15\x03\x03\0\x02\x02\x46"),
        phase: Phase::Connecting,
        is_tried: false,
        text: &[BROKER, "looks like a TLS server"],
    },
    Fault {
        name: "ApiVersions is not answered",
        inject: |world| {
            world.cluster.inject(Rule::on(ApiKey::ApiVersions).broker(1).always().drop_answer());
            world.reset(1, Fate::Lost);
        },
        phase: Phase::Connecting,
        is_tried: false,
        text: &[BROKER, "took too long to set up"],
    },
    Fault {
        name: "the broker refuses again and again",
        inject: |world| {
            world.cluster.inject(produce().error(ResponseError::NotEnoughReplicas));
        },
        phase: Phase::Queued,
        is_tried: true,
        text: &["NOT_ENOUGH_REPLICAS"],
    },
    Fault {
        name: "the broker refuses in its own words",
        inject: |world| {
            let refuse = produce().error(ResponseError::KafkaStorageError);
            world.cluster.inject(refuse.message("disk 3 is on fire"));
        },
        phase: Phase::Queued,
        is_tried: true,
        text: &["KAFKA_STORAGE_ERROR", "disk 3 is on fire"],
    },
    Fault {
        name: "the connection breaks at each Produce",
        inject: |world| {
            world.cluster.inject(produce().close_before());
        },
        phase: Phase::Connecting,
        is_tried: true,
        text: &[BROKER, "closed the connection"],
    },
    Fault {
        name: "Produce is not answered",
        inject: |world| {
            world.cluster.inject(produce().drop_answer());
        },
        phase: Phase::InFlight,
        is_tried: true,
        text: &["REQUEST_TIMED_OUT", BROKER, "request.timeout.ms"],
    },
    Fault {
        name: "answers leave the partition out",
        inject: |world| {
            world.cluster.inject(produce().omit());
        },
        phase: Phase::Queued,
        is_tried: true,
        text: &["left this partition out"],
    },
    Fault {
        name: "no leader",
        inject: |world| world.cluster.move_leader("t", 0, None),
        phase: Phase::NoLeader,
        is_tried: true,
        text: &["no leader", "LEADER_NOT_AVAILABLE"],
    },
    Fault {
        name: "the topic has gone",
        inject: |world| world.cluster.set_hidden("t", true),
        phase: Phase::NoLeader,
        is_tried: true,
        text: &["UNKNOWN_TOPIC"],
    },
    Fault {
        name: "throttled",
        inject: |world| {
            world.cluster.inject(Rule::on(ApiKey::Produce).edit_response(|response| {
                let ResponseKind::Produce(response) = response else { return };
                response.throttle_time_ms = 60_000;
            }));
            world.send_to("t", 0, b"first");
            world.run_for(ms(10));
        },
        phase: Phase::Queued,
        is_tried: false,
        text: &[BROKER, "throttles"],
    },
];

/// Faults that befall a producer that never got a producer id.
const FIRST: &[Fault] = &[
    Fault {
        name: "no coordinator",
        inject: |world| {
            let error = ResponseError::CoordinatorLoadInProgress;
            world.cluster.inject(Rule::on(ApiKey::InitProducerId).always().error(error));
        },
        phase: Phase::ProducerId,
        is_tried: false,
        text: &["InitProducerId", "COORDINATOR_LOAD_IN_PROGRESS"],
    },
    Fault {
        name: "InitProducerId is not answered",
        inject: |world| {
            world.cluster.inject(Rule::on(ApiKey::InitProducerId).always().drop_answer());
        },
        phase: Phase::ProducerId,
        is_tried: false,
        text: &["broker-", "request.timeout.ms"],
    },
    Fault {
        name: "an id of -1",
        inject: |world| {
            let edit = Rule::on(ApiKey::InitProducerId).always().edit_response(|response| {
                let ResponseKind::InitProducerId(response) = response else { return };
                response.producer_id = (-1).into();
            });
            world.cluster.inject(edit);
        },
        phase: Phase::ProducerId,
        is_tried: false,
        text: &["InitProducerId", "id -1"],
    },
];

fn patient() -> Config {
    let mut config = config();
    config.delivery_timeout = Some(secs(9));
    config.request_timeout = secs(4);
    config.socket_connection_setup_timeout = secs(1);
    config.socket_connection_setup_timeout_max = secs(2);
    config
}

fn assert_named(mut world: World, fault: &Fault) {
    (fault.inject)(&mut world);
    world.run_for(ms(10));
    let receipt = world.send_to("t", 0, b"v");
    let since = world.now();
    assert!(world.settle());
    let outcome = outcome(&world, receipt);
    let error = outcome.error().unwrap();
    assert_eq!(error.kind(), ProduceErrorKind::DeliveryTimeout(fault.phase), "{error}");
    assert_eq!(error.attempts() > 0, fault.is_tried, "{error}");
    let text = error.to_string();
    for part in fault.text {
        assert!(text.contains(part), "{}: {part:?} is not in {text:?}", fault.name);
    }
    assert_eq!(outcome.at() - since, secs(9), "{}", fault.name);
    assert!(world.cluster.violations().is_empty());
}

#[test]
fn pain_49_each_fault_is_named_in_the_outcome() {
    for fault in LATER {
        assert_named(warm(2, 2, patient()), fault);
    }
    for fault in FIRST {
        assert_named(world(2, 2, patient()), fault);
    }
}

#[test]
fn pain_49_a_close_deadline_names_the_fault_too() {
    let mut world = warm(2, 2, config());
    refuse(&mut world, ConnectErrorKind::Refused);
    let receipt = world.send_to("t", 0, b"v");
    assert!(world.close(Some(secs(2))));
    let text = error_text(&world, receipt);
    assert!(text.contains("close deadline") && text.contains("connection refused"), "{text}");
}

#[test]
fn pain_49_a_final_refusal_has_the_brokers_own_words() {
    let mut world = warm(2, 2, config());
    let refusal = Rule::on(ApiKey::Produce).error(ResponseError::PolicyViolation);
    world.cluster.inject(refusal.message("no cats"));
    let receipt = world.send_to("t", 0, b"v");
    assert!(world.settle());
    let error = outcome(&world, receipt).error().unwrap();
    assert_eq!(
        (error.name(), error.broker_message()),
        ("POLICY_VIOLATION".into(), Some("no cats"))
    );
    assert_eq!(error.to_string(), "POLICY_VIOLATION (44): no cats, after 1 attempt");
}

/// A wait that a silent peer can make endless.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wait {
    Connect,
    Answer(ApiKey),
    /// The peer reads nothing.
    Write,
}

#[test]
fn pain_21_a_silent_peer_is_left_by_the_deadline_of_each_state() {
    let waits = [
        (Wait::Connect, 10),
        (Wait::Answer(ApiKey::ApiVersions), 10),
        (Wait::Answer(ApiKey::Metadata), 30),
        (Wait::Answer(ApiKey::InitProducerId), 30),
        (Wait::Answer(ApiKey::Produce), 30),
        (Wait::Write, 30),
    ];
    for (wait, seconds) in waits {
        let mut world = world(1, 1, config());
        match wait {
            Wait::Connect => world.set_reach("broker-1", 9092, Reach::BlackHole),
            Wait::Answer(api) => _ = world.cluster.inject(Rule::on(api).drop_answer()),
            Wait::Write => {
                world.set_write_window(1);
                world.send("t", b"warm");
                assert!(world.settle());
                world.deafen(1, true, false);
            }
        }
        world.topic("t");
        if seconds == 30 && wait != Wait::Answer(ApiKey::Metadata) {
            world.send("t", b"v");
        }
        let since = world.now();
        let left = |world: &World| connection_failures(world).first().cloned();
        assert!(world.run_until(|world| left(world).is_some()), "{wait:?}");
        let took = left(&world).unwrap().0 - since;
        assert!(took <= secs(seconds) * 12 / 10, "{wait:?}: {took:?}");
        world.set_reach("broker-1", 9092, Reach::Normal);
        let receipt = world.send("t", b"w");
        assert!(world.settle(), "{wait:?}");
        assert_delivered(&world, receipt);
        world.assert_clean();
    }
}

#[test]
fn pain_50_an_idle_hour_makes_no_noise() {
    let mut config = config();
    config.connections_max_idle = secs(60);
    let mut world = warm(3, 3, config);
    world.run_for(secs(3_600));
    assert!(connection_failures(&world).is_empty());
    assert_eq!(world.producer.connection_trouble(), None);
    // Counters are handed out as a reference: reading them allocates nothing.
    let stats: &producer_proto::Stats = world.producer.stats();
    assert_eq!((stats.records_delivered, stats.connections_failed), (3, 0));
}

#[test]
fn pain_49_each_further_attempt_is_told_with_its_cause() {
    let mut world = warm(1, 2, config());
    let leaderless = ResponseError::NotEnoughReplicas;
    let rule = Rule::on(ApiKey::Produce).partition("t", 1).error(leaderless).times(2);
    world.cluster.inject(rule);
    world.cluster.inject(Rule::on(ApiKey::Produce).partition("t", 0).drop_answer());
    let (since, retried) = (world.now(), world.producer.stats().records_retried);
    let refused = world.send_to("t", 1, b"v");
    assert!(world.settle());
    let lost = world.send_to("t", 0, b"v");
    world.run_for(ms(100));
    world.reset(1, Fate::Lost);
    assert!(world.settle());
    let told: Vec<_> = world
        .events()
        .filter(|(at, _)| *at >= since)
        .filter_map(|(_, event)| match event {
            Event::Retrying { batch, partition, attempts, cause, .. } => {
                Some((*batch, *partition, *attempts, &**cause))
            }
            _ => None,
        })
        .collect();
    let places: Vec<_> = told.iter().map(|&(batch, at, nth, _)| (batch, at, nth)).collect();
    assert_eq!(places, [(refused.batch, 1, 1), (refused.batch, 1, 2), (lost.batch, 0, 1)]);
    for (cause, parts) in [
        (told[0].3, ["t-1", "NOT_ENOUGH_REPLICAS"]),
        (told[2].3, ["t-0", "broker 1 at broker-1:9092: the connection was"]),
    ] {
        assert!(parts.iter().all(|part| cause.contains(part)), "{cause}");
    }
    assert_eq!(world.producer.stats().records_retried, retried + 3);
    assert_delivered(&world, refused);
    assert_delivered(&world, lost);
    world.assert_clean();
}

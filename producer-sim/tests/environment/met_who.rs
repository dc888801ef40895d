//! MET: who is asked.

use crate::common::*;
use producer_proto::ConnectErrorKind;
use producer_sim::{ApiKey, BrokerSpec, Fate, Reach, Rule, World};
use std::time::Duration;

fn dials_to(world: &World, host: &str) -> usize {
    world.dials().iter().filter(|dial| dial.host == host).count()
}

#[test]
fn met_01_bootstrap_list() {
    for seed in 0..6 {
        let mut config = config();
        config.bootstrap_servers = ["a:1", "b:1", "c:1"].map(str::to_owned).to_vec();
        let mut world = World::with_seed(cluster(3, 3), config, [seed; 32]).unwrap();
        world.set_reach("a", 1, Reach::Fails(ConnectErrorKind::Refused));
        world.set_reach("b", 1, Reach::BlackHole);
        world.set_reach("c", 1, Reach::Broker(2));
        let receipt = world.send("t", b"v");
        assert!(world.settle());
        assert_delivered(&world, receipt);
        let took = outcome(&world, receipt).at() - producer_sim::Instant::ZERO;
        assert!(took <= secs(12) + ms(1_500), "{took:?}");
        // While b makes them wait, a is not tried again and again.
        assert!(dials_to(&world, "a") <= 2 && dials_to(&world, "b") <= 1, "{:?}", world.dials());
        world.assert_clean();
    }
}

#[test]
fn met_17_least_loaded_broker() {
    for seed in 0..8 {
        let cluster = cluster(4, 8);
        let mut world = World::with_seed(cluster, config(), [seed; 32]).unwrap();
        for partition in 0..4 {
            world.send_to("t", partition, b"warm");
        }
        assert!(world.settle());
        world.run_for(secs(10));
        // Three requests in flight to broker 1; 2 is idle; 3 is in backoff; 4 is throttled.
        world.cluster.inject(Rule::on(ApiKey::Produce).broker(1).always().hold());
        for value in [b"1", b"2", b"3"] {
            world.send_to("t", 0, value);
            world.run_for(ms(1));
        }
        world.cluster.inject(Rule::on(ApiKey::Produce).broker(4).throttle(secs(10)));
        world.send_to("t", 3, b"v");
        world.run_for(ms(10));
        world.cluster.inject(Rule::on(ApiKey::ApiVersions).broker(3).always().close_before());
        world.reset(3, Fate::Lost);
        world.run_for(secs(5));
        let since = world.now();
        world.topic("new");
        world.run_for(ms(3));
        let asked = world.cluster.requests_of(ApiKey::Metadata);
        let asked: Vec<i32> = asked.iter().filter(|r| r.at > since).map(|r| r.broker).collect();
        assert_eq!(asked, [2]);
    }
}

#[test]
fn met_17_of_disconnected_brokers_the_one_not_tried_for_longest() {
    for seed in 0..8 {
        let mut config = config();
        config.connections_max_idle = secs(20);
        let mut world = World::with_seed(cluster(4, 4), config, [seed; 32]).unwrap();
        for partition in [2, 0, 3, 1] {
            world.send_to("t", partition, b"v");
            world.run_for(secs(1));
        }
        world.run_for(secs(60));
        assert!((1..=4).all(|broker| world.links(broker).is_empty()), "all are closed as idle");
        let last_dial = |broker: i32| {
            let host = format!("broker-{broker}");
            // Broker and bootstrap address are two nodes: the dial that led to a Produce counts.
            world.dials().iter().filter(|dial| dial.host == host).map(|dial| dial.at).max()
        };
        let oldest = (1..=4).min_by_key(|broker| last_dial(*broker)).unwrap();
        world.topic("new");
        world.drain();
        assert_eq!(world.dials().last().unwrap().host, format!("broker-{oldest}"));
    }
}

/// A cluster of brokers 1 to 3 behind a bootstrap name that leads to 1, then to 4.
fn behind_a_name() -> World {
    let mut config = config();
    config.bootstrap_servers = vec!["seed:9092".to_owned()];
    let mut world = World::new(cluster(3, 3), config).unwrap();
    world.set_reach("seed", 9092, Reach::Broker(1));
    world.send("t", b"first");
    assert!(world.settle());
    world
}

fn move_to_new_brokers(world: &mut World) {
    for id in 4..=6 {
        let host = format!("new-{id}");
        world.cluster.add_broker(BrokerSpec { id, host, port: 9092, rack: None });
    }
    for partition in 0..3 {
        world.cluster.move_leader("t", partition, Some(partition + 4));
    }
    world.set_reach("seed", 9092, Reach::Broker(4));
}

#[test]
fn met_20_rebootstrap() {
    for reach in [Reach::Fails(ConnectErrorKind::Refused), Reach::BlackHole] {
        let mut world = behind_a_name();
        for broker in 1..=3 {
            world.set_broker_reach(broker, reach);
        }
        for broker in 1..=3 {
            world.reset(broker, Fate::Lost);
            world.cluster.set_up(broker, false);
        }
        move_to_new_brokers(&mut world);
        let before = dials_to(&world, "seed");
        let receipt = world.send_to("t", 1, b"v");
        let since = world.now();
        assert!(world.settle());
        assert_delivered(&world, receipt);
        let took = outcome(&world, receipt).at() - since;
        assert!(took < secs(40), "{reach:?}: {took:?}");
        assert_eq!(dials_to(&world, "seed"), before + 1, "one rebootstrap for one outage");
        world.assert_clean();
    }
}

#[test]
fn pain_22_all_addresses_change_at_each_step() {
    // The step: how much later than the first record the cluster moves.
    for step in 0..12 {
        let mut world = behind_a_name();
        world.set_latency(ms(3));
        let mut receipts: Vec<_> =
            (0..3).map(|partition| world.send_to("t", partition, b"v")).collect();
        world.run_for(ms(step));
        for broker in 1..=3 {
            world.reset(broker, Fate::Arrive);
            world.cluster.set_up(broker, false);
        }
        move_to_new_brokers(&mut world);
        let since = world.now();
        receipts.extend((0..3).map(|partition| world.send_to("t", partition, b"w")));
        assert!(world.settle());
        for receipt in receipts {
            assert_delivered(&world, receipt);
        }
        assert!(world.now() - since < secs(5), "step {step}: {:?}", world.now() - since);
        assert!(dials_to(&world, "seed") <= 3, "step {step}");
        world.assert_clean();
        world.assert_exactly_once();
    }
}

#[test]
fn pain_22_the_broker_chosen_for_a_refresh_dies() {
    for fate in 0..3 {
        let mut world = warm(3, 3, config());
        world.run_for(secs(10));
        let rule = Rule::on(ApiKey::Metadata);
        world.cluster.inject(match fate {
            0 => rule.close_before(),
            1 => rule.close_after(),
            _ => rule.drop_answer(),
        });
        world.cluster.move_leader("t", 0, Some(3));
        let since = world.now();
        let receipt = world.send_to("t", 0, b"v");
        assert!(world.settle());
        assert_delivered(&world, receipt);
        let bound = if fate == 2 { secs(31) } else { secs(1) };
        let took: Duration = outcome(&world, receipt).at() - since;
        assert!(took < bound, "{took:?}");
        world.assert_clean();
    }
}

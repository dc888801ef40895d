//! Whole runs.

use producer_proto::Config;
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, Cut, NewRecord, ResponseError, Rule, TopicConfig, World,
};
use std::time::Duration;

pub(crate) fn world(config: Config) -> World {
    let mut cluster = Cluster::new(ClusterConfig::new(3));
    cluster.create_topic("t", TopicConfig::new(6));
    World::new(cluster, config).unwrap()
}

fn numbered(world: &mut World, count: usize) {
    for i in 0..count {
        let key = (i % 7).to_string();
        let value = i.to_string();
        let record = NewRecord {
            topic: "t",
            key: Some(key.as_bytes()),
            value: Some(value.as_bytes()),
            ..NewRecord::default()
        };
        world.push(&record).unwrap();
        if i % 10 == 9 {
            world.run_for(Duration::from_millis(3));
        }
    }
}

#[test]
fn a_record_is_in_the_log_where_the_producer_says_it_is() {
    let mut world = world(Config::default());
    let first = world.send_to("t", 2, b"one");
    let second = world.send_to("t", 2, b"two");
    assert!(world.settle());
    assert_eq!(world.outcome(first).and_then(|o| o.offset()), Some(0));
    assert_eq!(world.outcome(second).and_then(|o| o.offset()), Some(1));
    assert_eq!(world.values("t", 2), ["one", "two"]);
    assert!(world.close(None));
    world.assert_clean();
}

#[test]
fn the_same_calls_give_the_same_run() {
    let run = |count| {
        let mut world = world(Config::default());
        numbered(&mut world, count);
        assert!(world.settle());
        world.assert_clean();
        world.trace_hash()
    };
    assert_eq!(run(200), run(200));
    assert_ne!(run(200), run(201), "the hash sees nothing");
}

#[test]
fn cuts_and_windows_change_no_outcome() {
    let run = |cut: Cut, window: usize| {
        let mut world = world(Config::default());
        world.set_cut(cut);
        world.set_write_window(window);
        let leader = |rule: Rule| rule.partition("t", 0).error(ResponseError::NotLeaderOrFollower);
        world.cluster.inject(leader(Rule::on(ApiKey::Produce)));
        numbered(&mut world, 60);
        assert!(world.settle(), "{cut:?}, window {window}");
        world.assert_clean();
        let logs: Vec<_> = (0..6).map(|p| world.values("t", p)).collect();
        assert_eq!(logs.iter().map(Vec::len).sum::<usize>(), 60);
        logs
    };
    let whole = run(Cut::Whole, usize::MAX);
    for cut in [Cut::Every(1), Cut::Every(7), Cut::Edge(-1), Cut::Edge(0), Cut::Edge(1)] {
        assert_eq!(run(cut, usize::MAX), whole, "{cut:?}");
    }
    // A window of few bytes takes many round trips, but the same records arrive in order.
    assert_eq!(run(Cut::Whole, 100), whole);
}

#[test]
fn a_topic_that_is_created_on_demand_takes_its_records() {
    let mut world = world(Config::default());
    let receipt = world.send("new", b"v");
    assert!(world.settle());
    assert!(world.outcome(receipt).unwrap().is_delivered());
    assert_eq!(world.values("new", 0), ["v"]);
    world.assert_clean();
}

#[test]
fn an_idle_hour_costs_few_steps() {
    let mut world = world(Config::default());
    world.send("t", b"v");
    assert!(world.settle());
    let end = world.now() + Duration::from_secs(3600);
    let mut steps = 0;
    while world.step(end) {
        steps += 1;
    }
    assert!(steps < 500, "{steps} steps in an idle hour");
    world.assert_clean();
}

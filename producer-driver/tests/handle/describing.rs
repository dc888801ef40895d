//! Questions about the cluster.

use std::time::Duration;

use producer_driver::api::{DescribeError, ErrorCode};
use producer_sim::TopicConfig;

use crate::rig::{Rig, is_ready};

#[test]
fn the_cluster_is_described_as_it_is_now() {
    let mut rig = Rig::new(|_| ());
    rig.net.with(|cluster| cluster.create_topic("more", TopicConfig::new(3)));
    let all = rig.handle.describe(None);
    let all = rig.run(all).unwrap();
    let topics: Vec<_> = all.topics.iter().map(|it| (&*it.name, it.partitions.len())).collect();
    assert_eq!(topics, [("more", 3), ("orders", 2)]);
    rig.net.with(|cluster| cluster.move_leader("more", 1, None));
    let some = rig.handle.describe(Some(&["absent", "more"]));
    let some = rig.run(some).unwrap();
    assert_eq!(some.topics[0].error, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let leaders = some.topics[1].partitions.iter().map(|it| it.leader.is_some());
    assert!(leaders.eq([true, false, true]));
}

#[test]
fn a_description_that_cannot_be_says_why() {
    let mut rig = Rig::new(|config| {
        config.bootstrap_servers = vec!["nobody:1".into()];
        config.max_block = Duration::from_millis(40);
    });
    let invalid = rig.handle.describe(Some(&["or ders"]));
    assert!(matches!(rig.run(invalid), Err(DescribeError::InvalidTopic(_))));
    let unanswered = rig.handle.describe(None);
    let error = rig.run(unanswered).unwrap_err();
    assert!(matches!(error, DescribeError::TimedOut { .. }), "{error}");
    for part in ["40 ms", "nobody:1"] {
        assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
    }

    let waiting = rig.handle.describe(None);
    let close = rig.handle.close(None);
    assert_eq!(rig.run(waiting), Err(DescribeError::Closed));
    rig.run(close);
    let mut late = rig.handle.describe(None);
    assert!(is_ready(&mut late));
}

//! What real brokers say about themselves.

use producer_driver::api::{Config, ErrorCode, Record};

use crate::kafka::{Topic, bootstrap};
use crate::runtime::{Runtime, Start};

on_each_runtime!(topics_have_partitions_and_leaders);

fn topics_have_partitions_and_leaders(runtime: Runtime) {
    let Some(bootstrap) = bootstrap("KAFKA_BOOTSTRAP") else { return };
    runtime.run_on_one_thread(async |start| {
        let topic = Topic::create(&bootstrap, "describe", 1);
        describe(start, Config::new(&bootstrap), &topic.name).await;
    });
}

/// Sends a record to a topic, which makes it where it is not there, and asks about it and one that
/// is not there: twice, as the question must not create that one.
pub(crate) async fn describe(start: Start<'_>, config: Config, topic: &str) {
    let producer = start(config);
    let delivery = producer.send(Record::to(topic).value("v")).await.expect("accepted");
    let partition = delivery.await.expect("delivered").partition;
    let absent = Topic::name("absent");
    for _ in 0..2 {
        let answer = producer.describe(Some(&[&absent, topic])).await.expect("an answer");
        let [missing, known] = &answer.topics[..] else { panic!("{:?}", answer.topics) };
        assert_eq!((&*missing.name, &*known.name), (absent.as_str(), topic));
        assert_eq!(missing.error, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        assert!(known.error.is_none());
        assert!(known.partitions.iter().any(|it| it.index == partition));
        let brokers: Vec<_> = answer.brokers.iter().map(|broker| Some(broker.id)).collect();
        assert!(known.partitions.iter().all(|it| brokers.contains(&it.leader)), "{known:?}");
    }
    let all = producer.describe(None).await.expect("an answer");
    let names: Vec<&str> = all.topics.iter().map(|it| &*it.name).collect();
    assert!(names.contains(&topic) && !names.contains(&absent.as_str()), "{names:?}");
    producer.close(None).await;
}

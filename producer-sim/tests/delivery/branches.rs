//! Branches that no scenario goes through, and the table of marks that says which test explains
//! which branch.

use crate::rig::{
    assert_empty, batch, config, failure, is_delivered, leader, ms, one_second, refuse, release,
    settle, stamps, to, warm, world,
};
use producer_proto::Persistence::NotPersisted;
use producer_proto::{Action, Codec, Config, ErrorCode, Input, Mark, ProduceErrorKind, Receipt};
use producer_sim::{ApiKey, Fate, Jobs, ResponseError, ResponseKind, Rule, RuleId, World};
use std::collections::BTreeSet;
use std::path::Path;

#[track_caller]
fn assert_hit(world: &World, marks: &[Mark]) {
    for &mark in marks {
        assert!(world.producer.marks().get(mark) > 0, "{} was not hit", mark.name());
    }
}

fn produce() -> Rule {
    Rule::on(ApiKey::Produce).partition("t", 0)
}

fn compressed(base: Config) -> Config {
    let mut config = base;
    config.compression_type = Codec::Lz4;
    config
}

/// Partition 0 has a batch whose answer was an error that proves nothing, in flight again with its
/// answer held, and one behind it that is in the log and waits to be told.
fn a_success_that_waits() -> (World, [Receipt; 2], RuleId) {
    let mut world = warm(2, 2, config());
    let in_doubt = produce().error_after(ResponseError::NotEnoughReplicasAfterAppend);
    world.cluster.inject(in_doubt);
    let held = world.cluster.inject(produce().nth(3).hold());
    let older = batch(&mut world, 0, &["older"])[0];
    let younger = batch(&mut world, 0, &["younger"])[0];
    assert!(world.run_until(|world| world.cluster.rule_hits(held) == 1));
    assert_eq!(world.open_records(), 2);
    (world, [older, younger], held)
}

#[test]
fn a_success_that_waits_is_no_failure_when_the_producer_becomes_useless() {
    let (mut world, receipts, held) = a_success_that_waits();
    let rule = Rule::on(ApiKey::Produce).partition("t", 1);
    world.cluster.inject(rule.error(ResponseError::ClusterAuthorizationFailed));
    batch(&mut world, 1, &["denied"]);
    assert!(world.run_until(|world| world.producer.fatal().is_some()));
    release(&mut world, held);
    assert!(receipts.iter().all(|&receipt| is_delivered(&world, receipt)));
    world.assert_exactly_once();
    assert_empty(&world);
}

#[test]
fn a_success_that_waits_is_no_failure_when_its_topic_is_refused() {
    let (mut world, receipts, held) = a_success_that_waits();
    let rule = Rule::on(ApiKey::Metadata).topic("t");
    let refused = world.cluster.inject(rule.error(ResponseError::TopicAuthorizationFailed));
    // A partition that is not known yet is asked for.
    assert!(world.try_push(&to(2, b"no such partition")).is_err());
    assert!(world.run_until(|world| world.cluster.rule_hits(refused) == 1));
    world.run_for(ms(5));
    release(&mut world, held);
    assert!(receipts.iter().all(|&receipt| is_delivered(&world, receipt)));
    world.assert_exactly_once();
    assert_empty(&world);
}

#[test]
fn a_batch_expires_while_a_job_has_it() {
    let mut world = warm(1, 1, compressed(one_second()));
    world.set_jobs(Jobs::After(ms(1_500)));
    let receipt = batch(&mut world, 0, &["late"])[0];
    assert!(world.settle());
    let (kind, persistence) = failure(&world, receipt);
    assert!(matches!(kind, ProduceErrorKind::DeliveryTimeout(_)), "{kind:?}");
    assert_eq!(persistence, NotPersisted);
    assert!(world.producer.stats().lent_bytes > 0, "the job still has the records");
    world.run_for(ms(1_000));
    assert_hit(&world, &[Mark::ExpiredAtJob, Mark::JobLate]);
    assert_eq!(world.values("t", 0), ["warm"]);
    assert_empty(&world);
}

#[test]
fn a_refusal_after_the_expiry_changes_nothing() {
    let mut world = warm(1, 1, one_second());
    world.cluster.inject(produce().error(ResponseError::NotEnoughReplicas));
    let held = world.cluster.inject(produce().error(ResponseError::NotEnoughReplicas).hold());
    let expired = batch(&mut world, 0, &["expired"])[0];
    assert!(world.settle());
    release(&mut world, held);
    assert_hit(&world, &[Mark::LateRefusal, Mark::SequenceFreed]);
    let next = batch(&mut world, 0, &["next"])[0];
    assert!(settle(&mut world));
    assert!(!is_delivered(&world, expired) && is_delivered(&world, next));
    assert_eq!(stamps(&world, 0)[1..], [(0, 1, 1); 3], "its sequence was free again");
    world.assert_exactly_once();
}

#[test]
fn a_retry_keeps_its_stamp_when_the_epoch_has_moved_on() {
    let mut world = warm(2, 2, config());
    let held = world.cluster.inject(Rule::on(ApiKey::Produce).partition("t", 1).hold());
    let kept = batch(&mut world, 1, &["kept"])[0];
    assert!(world.run_until(|world| world.cluster.rule_hits(held) == 1));
    refuse(&mut world, ResponseError::OutOfOrderSequenceNumber);
    let moved = batch(&mut world, 0, &["moved on"])[0];
    assert!(world.run_until(|world| world.producer.stats().epoch_bumps == 1));
    let broker = leader(&world, 1);
    world.reset(broker, Fate::Arrive);
    assert!(settle(&mut world));
    assert!(is_delivered(&world, kept) && is_delivered(&world, moved));
    assert_eq!(stamps(&world, 1)[1..], [(0, 1, 1); 2], "the old epoch, in both attempts");
    assert_hit(&world, &[Mark::OldStampRetried]);
    world.assert_exactly_once();
}

#[test]
fn a_refused_epoch_is_followed_by_the_next() {
    let mut world = warm(1, 1, config());
    refuse(&mut world, ResponseError::InvalidProducerEpoch);
    let refused = batch(&mut world, 0, &["refused"])[0];
    assert!(settle(&mut world));
    let kind = ProduceErrorKind::Kafka(ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(failure(&world, refused), (kind, NotPersisted));
    batch(&mut world, 0, &["next"]);
    assert!(settle(&mut world));
    assert_eq!(stamps(&world, 0).last(), Some(&(1, 0, 1)));
    assert_eq!(world.values("t", 0), ["warm", "next"]);
    assert_hit(&world, &[Mark::EpochRefused, Mark::EpochBumped]);
}

#[test]
fn a_topic_that_an_answer_leaves_out_is_asked_for_again() {
    let mut world = world(1, 1, config());
    world.cluster.inject(Rule::on(ApiKey::Metadata).topic("t").omit());
    let receipt = world.send_to("t", 0, b"value");
    assert!(settle(&mut world));
    assert!(is_delivered(&world, receipt));
    assert_hit(&world, &[Mark::TopicMissing]);
}

#[test]
fn a_partition_that_an_answer_leaves_out_is_in_doubt() {
    let mut world = warm(1, 1, config());
    world.cluster.inject(produce().omit());
    let receipt = batch(&mut world, 0, &["value"])[0];
    assert!(settle(&mut world));
    assert!(is_delivered(&world, receipt));
    assert_eq!(stamps(&world, 0)[1..], [(0, 1, 1); 2], "it was sent again as it was");
    assert_hit(&world, &[Mark::AnswerIncomplete, Mark::AnswerLost]);
    world.assert_exactly_once();
}

#[test]
fn an_answer_about_what_was_not_asked_is_counted_and_dropped() {
    let mut world = warm(1, 2, config());
    world.cluster.inject(produce().edit_response(|response| {
        let ResponseKind::Produce(response) = response else { return };
        let answers = &mut response.responses[0].partition_responses;
        for foreign in [1, 7, -1] {
            let mut answer = answers[0].clone();
            answer.index = foreign;
            answer.error_code = ResponseError::TopicAuthorizationFailed.code();
            answers.insert(0, answer);
        }
    }));
    let before = world.producer.stats().bad_metadata_entries;
    let receipt = batch(&mut world, 0, &["value"])[0];
    assert!(settle(&mut world));
    assert!(is_delivered(&world, receipt));
    assert_eq!(world.producer.stats().bad_metadata_entries - before, 3);
    assert_hit(&world, &[Mark::AnswerForeign]);
    world.assert_exactly_once();
}

#[test]
fn a_split_that_nobody_does_fails_its_batch() {
    let mut world = warm(1, 1, compressed(config()));
    refuse(&mut world, ResponseError::MessageTooLarge);
    let value = "a".repeat(200);
    let receipts = batch(&mut world, 0, &[&value, &value]);
    // It is compressed; taking it apart is a job as well.
    world.set_jobs(Jobs::Abandon);
    assert!(settle(&mut world));
    for receipt in receipts {
        assert_eq!(failure(&world, receipt), (ProduceErrorKind::Job, NotPersisted));
    }
    assert_hit(&world, &[Mark::JobFailed]);
    assert_empty(&world);
}

#[test]
fn the_result_of_another_producers_job_is_dropped() {
    let mut world = warm(1, 1, compressed(config()));
    let topic = world.topic("t");
    let now = world.now();
    let record = producer_proto::Record::new(topic, 0, b"value");
    world.producer.push(now, &record).unwrap();
    world.producer.flush(now);
    assert!(world.producer.poll_transmit(now).is_none(), "it is compressed first");
    let job = std::iter::from_fn(|| world.producer.poll_action()).find_map(|action| match action {
        Action::Run(job) => Some(job),
        _ => None,
    });
    let done = job.expect("a batch to be compressed").run();
    let cluster = producer_sim::Cluster::new(producer_sim::ClusterConfig::new(1));
    let mut other = World::with_seed(cluster, config(), [1; 32]).unwrap();
    other.producer.handle_input(now, Input::Done(done));
    assert_eq!(other.producer.stats().stale_jobs, 1);
    assert_hit(&other, &[Mark::JobForeign]);
}

/// Each mark names one test; here it is seen that there is such a test.
#[test]
fn the_test_that_explains_a_mark_exists() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for mark in Mark::ALL {
        let (file, function) = mark.explained_by().split_once("::").unwrap();
        let text = std::fs::read_to_string(tests.join(file));
        let text = text.unwrap_or_else(|error| panic!("{mark:?}: {file}: {error}"));
        let is_there = text.contains(&format!("#[test]\nfn {function}()"));
        assert!(is_there, "{mark:?}: no test {function} in {file}");
    }
    let names: BTreeSet<_> = Mark::ALL.iter().map(|mark| mark.name()).collect();
    assert_eq!(names.len(), Mark::ALL.len(), "a name stands for one mark");
}

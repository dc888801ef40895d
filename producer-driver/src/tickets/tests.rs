//! Order, lanes, cancelling and expiry of tickets, without a core.

use std::time::Duration;

use producer_proto::{BrokerId, Record};

use super::*;

const A: TopicId = TopicId(1);
const B: TopicId = TopicId(2);

fn lane(broker: i32) -> Lane {
    Lane::Broker(BrokerId(broker))
}

fn blocked(broker: i32) -> Blocked {
    Blocked::Lane(lane(broker))
}

fn ticket(partition: Option<i32>, deadline: u64) -> Ticket {
    let record = Record { partition, ..Record::new(A, 0, b"value") };
    Ticket {
        record: OwnedRecord::new(&record),
        deadline: Instant::from_millis(deadline),
        size: 10,
        caller: Caller { slot: CallerSlot::Delivery(Arc::new(Slot::new())), hook: None },
    }
}

fn add(tickets: &mut Tickets, topic: TopicId, state: Blocked) -> u64 {
    tickets.add((topic, None), ticket(None, 1_000), state)
}

#[test]
fn a_lane_with_room_serves_the_oldest_ticket_of_all_topics_first() {
    let mut tickets = Tickets::default();
    add(&mut tickets, A, blocked(1));
    add(&mut tickets, B, blocked(1));
    add(&mut tickets, A, Blocked::Fresh);
    assert_eq!(tickets.candidate(), None, "the lane has not opened yet");

    tickets.open_lane(lane(1));
    let mut order = Vec::new();
    while let Some(line) = tickets.candidate() {
        order.push((tickets.oldest().unwrap(), line.0));
        tickets.pop(line).unwrap();
    }
    assert_eq!(order, [(0, A), (1, B), (2, A)]);
    assert!(tickets.is_empty() && tickets.bytes() == 0);
}

#[test]
fn a_lane_that_refuses_is_left_alone_and_holds_up_no_other_lane() {
    let mut tickets = Tickets::default();
    add(&mut tickets, A, blocked(1));
    add(&mut tickets, B, blocked(2));
    tickets.open_lane(lane(1));
    tickets.open_lane(lane(2));
    assert_eq!(tickets.candidate(), Some((A, None)));
    tickets.block((A, None), blocked(1));
    assert_eq!(tickets.candidate(), Some((B, None)));
    tickets.pop((B, None));
    assert_eq!(tickets.candidate(), None);
    tickets.open_lane(lane(1));
    assert_eq!(tickets.candidate(), Some((A, None)));
}

#[test]
fn a_missing_partition_holds_up_nobody_but_its_own_records() {
    let mut tickets = Tickets::default();
    tickets.add((A, None), ticket(Some(99), 1_000), Blocked::Topic);
    add(&mut tickets, A, Blocked::Fresh);
    assert_eq!(tickets.line_ahead(A, Some(99)), Some((A, None)));

    tickets.set_aside(A, 99);
    assert_eq!(tickets.candidate(), Some((A, None)));
    tickets.pop((A, None)).unwrap();
    assert_eq!(tickets.line_ahead(A, None), None);
    assert_eq!(tickets.line_ahead(A, Some(3)), None);
    assert_eq!(tickets.line_ahead(A, Some(99)), Some((A, Some(99))));

    tickets.topic_ready(A);
    assert_eq!(tickets.candidate(), Some((A, Some(99))));
}

#[test]
fn cancelling_the_first_gives_the_next_its_turn() {
    let mut tickets = Tickets::default();
    let first = add(&mut tickets, A, blocked(1));
    let second = add(&mut tickets, A, Blocked::Fresh);
    let third = add(&mut tickets, A, Blocked::Fresh);
    assert!(tickets.cancel(A, second).is_some());
    assert_eq!(tickets.candidate(), None, "the first still waits for its lane");
    assert!(tickets.cancel(A, first).is_some() && tickets.cancel(A, first).is_none());
    assert_eq!(tickets.candidate(), Some((A, None)));
    assert_eq!((tickets.oldest(), tickets.bytes()), (Some(third), 10));
    tickets.cancel(A, third);
    assert!(tickets.is_empty() && tickets.heads.is_empty() && tickets.fresh.is_empty());
    assert!(tickets.lanes.is_empty());
}

#[test]
fn tickets_expire_oldest_first_and_deadlines_never_go_back() {
    let mut tickets = Tickets::default();
    tickets.add((B, None), ticket(None, 200), blocked(1));
    // A reading of the clock from just before the other's.
    tickets.add((A, None), ticket(None, 199), Blocked::Topic);
    assert_eq!(tickets.deadline(), Some(Instant::from_millis(200)));
    assert!(tickets.pop_expired(Instant::from_millis(199)).is_none());

    let now = Instant::ZERO + Duration::from_millis(200);
    let (line, state, _) = tickets.pop_expired(now).unwrap();
    assert_eq!((line, state), ((B, None), blocked(1)));
    let (line, state, _) = tickets.pop_expired(now).unwrap();
    assert_eq!((line, state), ((A, None), Blocked::Topic));
    assert!(tickets.pop_expired(now).is_none() && tickets.deadline().is_none());
}

#[test]
fn taking_a_topic_keeps_the_order_across_its_lines() {
    let mut tickets = Tickets::default();
    tickets.add((A, Some(9)), ticket(Some(9), 1_000), Blocked::Topic);
    add(&mut tickets, B, Blocked::Topic);
    tickets.add((A, None), ticket(Some(1), 1_000), Blocked::Topic);
    tickets.add((A, Some(9)), ticket(Some(8), 1_000), Blocked::Topic);
    let order: Vec<_> = tickets.take_topic(A).iter().map(|it| it.record.partition()).collect();
    assert_eq!(order, [Some(9), Some(1), Some(8)]);
    assert_eq!(tickets.take_all().len(), 1);
    assert!(tickets.is_empty() && tickets.bytes() == 0);
}

//! Interceptors: what they see and change, and that they can lose nothing.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use producer_driver::{
    Acknowledgement, BoxError, Draft, DraftHeader, Interceptor, Record, RecordResult,
};

use crate::rig::Rig;

type Log = Arc<Mutex<Vec<(Vec<String>, RecordResult)>>>;

/// Adds its name as a header and to the value, then fails as it is told.
struct Tag(&'static str);

impl Interceptor for Tag {
    fn on_send(&self, record: &mut Draft<'_>) -> Result<(), BoxError> {
        let Self(name) = *self;
        record.headers.push(DraftHeader::new(name, b"1".as_slice()));
        let mut value = record.value.take().unwrap_or_default().into_owned();
        value.extend_from_slice(name.as_bytes());
        record.value = Some(Cow::Owned(value));
        match name {
            "panics" => panic!("as asked"),
            "fails" => Err("as asked".into()),
            _ => Ok(()),
        }
    }

    fn on_acknowledgement(&self, _: &Acknowledgement<'_>) -> Result<(), BoxError> {
        match self.0 {
            "panics" => panic!("as asked"),
            "fails" => Err("as asked".into()),
            _ => Ok(()),
        }
    }
}

/// Notes the headers and the result of every record.
struct Note(Log);

impl Interceptor for Note {
    fn on_acknowledgement(&self, seen: &Acknowledgement<'_>) -> Result<(), BoxError> {
        let names = seen.headers.iter().map(|header| header.name.to_owned()).collect();
        self.0.lock().unwrap().push((names, seen.result.clone()));
        Ok(())
    }
}

pub(crate) fn install(rig: &Rig) -> Log {
    let log = Log::default();
    let mut chain: Vec<Box<dyn Interceptor>> = Vec::new();
    for name in ["+one", "panics", "fails", "+two"] {
        chain.push(Box::new(Tag(name)));
    }
    chain.push(Box::new(Note(log.clone())));
    rig.handle.set_interceptors(chain);
    log
}

#[test]
fn a_chain_rewrites_in_order_and_its_failures_undo_only_themselves() {
    let mut rig = Rig::new(|_| ());
    let log = install(&rig);
    let topic = rig.handle.topic("orders").unwrap();
    let record = || Record::to(&topic).partition(0).value("v").header("own", "h");
    // One that has to wait, one that is tried, one with a callback.
    let admission = rig.handle.send(record());
    let delivery = rig.run(admission).unwrap();
    rig.run(delivery).unwrap();
    let delivery = rig.handle.try_send(record()).unwrap();
    rig.run(delivery).unwrap();
    let (callback, seen) = crate::callbacks::results();
    drop(rig.handle.send_with(record(), callback));
    let flush = rig.handle.flush();
    rig.run(flush);

    assert_eq!(rig.net.values("orders", 0), ["v+one+two"; 3]);
    assert_eq!(seen.lock().unwrap().len(), 1);
    let log = log.lock().unwrap();
    for (place, (names, result)) in log.iter().enumerate() {
        assert_eq!(*names, ["own", "+one", "+two"]);
        assert_eq!(result.as_ref().unwrap().offset, Some(place as i64));
    }
    assert_eq!(log.len(), 3);
    let faults = rig.handle.faults();
    assert_eq!((faults.interceptor_errors, faults.interceptor_panics), (6, 6));
}

#[test]
fn a_refused_record_is_acknowledged_with_its_error() {
    let rig = Rig::new(|_| ());
    let log = install(&rig);
    rig.handle.try_send(Record::to("or ders")).unwrap_err();
    rig.handle.try_send(Record::to("orders")).unwrap_err();
    assert!(log.lock().unwrap().iter().all(|(_, result)| result.is_err()));
    assert_eq!(log.lock().unwrap().len(), 2);
}

/// Sends everything elsewhere.
struct Divert;

impl Interceptor for Divert {
    fn on_send(&self, record: &mut Draft<'_>) -> Result<(), BoxError> {
        record.topic = "elsewhere".into();
        record.partition = None;
        record.timestamp = Some(4_711);
        record.key = None;
        Ok(())
    }
}

#[test]
fn an_interceptor_may_change_everything() {
    let mut rig = Rig::new(|_| ());
    let elsewhere = producer_sim::TopicConfig::new(1);
    rig.net.with(|cluster| cluster.create_topic("elsewhere", elsewhere));
    rig.handle.set_interceptors(vec![Box::new(Divert)]);
    let admission = rig.handle.send(Record::to("orders").partition(7).key("k").value("x"));
    let delivery = rig.run(admission).unwrap();
    assert_eq!(&**delivery.topic(), "elsewhere");
    assert_eq!(rig.run(delivery).unwrap().timestamp, 4_711);
    // Without interceptors records go as they are.
    rig.handle.set_interceptors(Vec::new());
    let admission = rig.handle.send(Record::to("orders").partition(1).value("x"));
    let delivery = rig.run(admission).unwrap();
    assert_eq!(&**delivery.topic(), "orders");
    rig.run(delivery).unwrap();
}

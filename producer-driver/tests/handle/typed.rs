//! Records of the application's types.

use std::borrow::Cow;
use std::fmt::Debug;

use producer_driver::proto::Header;
use producer_driver::{
    BigEndian, BoxError, DraftHeader, Raw, RecordPart, SendErrorKind, Serializer, TypedProducer,
    TypedRecord, Utf8,
};

use crate::rig::Rig;

fn bytes<T: ?Sized + Debug>(serializer: impl Serializer<T>, data: &T) -> Vec<u8> {
    serializer.serialize("t", &mut Vec::new(), data).unwrap().into_owned()
}

#[test]
fn the_ready_serializers_write_what_javas_write() {
    assert_eq!(bytes(Utf8, "aé"), [0x61, 0xc3, 0xa9]);
    assert_eq!(bytes(Utf8, &"a".to_owned()), b"a");
    assert_eq!(bytes(Raw, &vec![1, 2]), [1, 2]);
    assert!(bytes(Raw, &Vec::new()).is_empty());
    assert_eq!(bytes(BigEndian, &-2_i16), [0xff, 0xfe]);
    assert_eq!(bytes(BigEndian, &258_i32), [0, 0, 1, 2]);
    assert_eq!(bytes(BigEndian, &258_i64), [0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(bytes(BigEndian, &1.0_f64), [0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
    assert!(matches!(Utf8.serialize("t", &mut Vec::new(), "x"), Ok(Cow::Borrowed(b"x"))));
}

#[cfg(feature = "serde")]
#[test]
fn json_is_compact_and_its_errors_are_told() {
    use std::collections::BTreeMap;

    use producer_driver::Json;

    assert_eq!(bytes(Json, &BTreeMap::from([("a", [1, 2])])), br#"{"a":[1,2]}"#);
    // JSON has no keys that are lists.
    let wrong = BTreeMap::from([([1, 2], "a")]);
    assert!(Json.serialize("t", &mut Vec::new(), &wrong).is_err());
}

/// Writes the topic's name and the headers it finds; has no bytes for 13.
struct Curious;

impl Serializer<u8> for Curious {
    fn serialize<'a>(
        &self,
        topic: &str,
        headers: &mut Vec<DraftHeader<'_>>,
        data: &'a u8,
    ) -> Result<Cow<'a, [u8]>, BoxError> {
        if *data == 13 {
            return Err("13 brings bad luck".into());
        }
        let names: Vec<_> = headers.iter().map(|header| &*header.name).collect();
        let text = format!("{data} for {topic} with {}", names.join(","));
        headers.push(DraftHeader::new("schema", b"u8".as_slice()));
        Ok(text.into_bytes().into())
    }
}

#[test]
fn serializers_see_topic_and_headers_and_their_errors_are_the_callers() {
    let mut rig = Rig::new(|_| ());
    let producer = TypedProducer::<u8, u8>::new(&rig.handle, Curious, Curious);
    let headers = [Header { name: "own", value: None }];
    let record = || TypedRecord::to("orders").partition(0).headers(&headers);
    let admission = producer.send(record().key(&1).value(&2));
    let delivery = rig.run(admission).unwrap();
    rig.run(delivery).unwrap();
    let log = rig.net.with(|cluster| cluster.log("orders", 0));
    assert_eq!(log[0].key.as_deref(), Some(&b"1 for orders with own"[..]));
    assert_eq!(log[0].value.as_deref(), Some(&b"2 for orders with own,schema"[..]));

    let before = rig.handle.stats();
    let error = producer.try_send(record().key(&1).value(&13)).unwrap_err();
    let kind = error.kind();
    assert!(matches!(kind, SendErrorKind::Serializer { part: RecordPart::Value, .. }), "{kind:?}");
    assert!(error.to_string().contains("the value cannot be serialized: 13 brings bad luck"));
    let refused = producer.send(record().key(&13));
    assert!(rig.run(refused).is_err());
    assert!(producer.send_with(record().key(&13), |_| panic!("not called")).is_err());
    assert_eq!(rig.handle.stats(), before, "no buffer was used");

    // Null stays null.
    let delivery = producer.try_send(record().key(&1)).unwrap();
    rig.run(delivery).unwrap();
    let log = rig.net.with(|cluster| cluster.log("orders", 0));
    assert_eq!((log[1].key.is_some(), log[1].value.is_none()), (true, true));
}

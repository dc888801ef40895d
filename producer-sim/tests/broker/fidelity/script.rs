//! The requests that both brokers get, in order.

use super::target::{Target, by_name, topic_name};
use crate::client::crc32c;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiVersionsRequest, InitProducerIdRequest, MetadataRequest, ProduceRequest, ProducerId,
    TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use producer_sim::{ApiKey, RequestKind};

/// How much older than the broker's clock the batches are, in milliseconds.
const AGE: i64 = 60_000;
const HOUR: i64 = 3_600_000;

/// One request.
pub(super) struct Step {
    pub(super) name: String,
    pub(super) api: ApiKey,
    pub(super) version: i16,
    pub(super) body: RequestKind,
    pub(super) batch_time: i64,
}

/// A batch with one record per entry of `keys`, sound unless told otherwise.
#[derive(Clone)]
struct Batch {
    stamp: (i64, i16, i32),
    keys: Vec<Option<&'static [u8]>>,
    time: i64,
    attributes: i16,
    base_offset: i64,
    magic: i8,
    /// Added to the header's count and to its last offset delta.
    count_off: (i32, i32),
    value: usize,
}

impl Batch {
    fn of(time: i64) -> Self {
        let (stamp, keys, value) = ((-1, -1, -1), vec![None], 1);
        Self {
            stamp,
            keys,
            time,
            attributes: 0,
            base_offset: 0,
            magic: 2,
            count_off: (0, 0),
            value,
        }
    }

    fn stamp(mut self, producer_id: i64, epoch: i16, sequence: i32, count: usize) -> Self {
        self.stamp = (producer_id, epoch, sequence);
        self.keys = vec![None; count];
        self
    }

    fn bytes(&self) -> Bytes {
        let mut records = BytesMut::new();
        for (i, key) in self.keys.iter().enumerate() {
            let mut record = BytesMut::new();
            record.put_u8(0);
            varint(&mut record, 0);
            varint(&mut record, i as i64);
            match key {
                Some(key) => {
                    varint(&mut record, key.len() as i64);
                    record.put_slice(key);
                }
                None => varint(&mut record, -1),
            }
            varint(&mut record, self.value as i64);
            record.put_bytes(b'v', self.value);
            varint(&mut record, 0);
            varint(&mut records, record.len() as i64);
            records.extend(record);
        }
        let count = self.keys.len() as i32;
        let mut tail = BytesMut::new();
        tail.put_i16(self.attributes);
        tail.put_i32(count - 1 + self.count_off.1);
        tail.put_i64(self.time);
        tail.put_i64(self.time);
        tail.put_i64(self.stamp.0);
        tail.put_i16(self.stamp.1);
        tail.put_i32(self.stamp.2);
        tail.put_i32(count + self.count_off.0);
        tail.extend(records);
        let mut batch = BytesMut::new();
        batch.put_i64(self.base_offset);
        batch.put_i32(tail.len() as i32 + 9);
        batch.put_i32(-1);
        batch.put_i8(self.magic);
        batch.put_u32(crc32c(&tail));
        batch.extend(tail);
        batch.freeze()
    }
}

fn varint(out: &mut BytesMut, value: i64) {
    let mut zigzag = (value << 1 ^ value >> 63) as u64;
    while zigzag > 0x7f {
        out.put_u8(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    out.put_u8(zigzag as u8);
}

fn corrupt(bytes: Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    bytes.into()
}

/// A batch that every leader refuses as corrupt, whatever its topic's settings.
pub(super) fn refused_batch() -> Bytes {
    corrupt(Batch::of(0).bytes())
}

/// Collects the steps of a run against one target.
struct Script<'a> {
    target: &'a dyn Target,
    time: i64,
    steps: Vec<Step>,
}

pub(super) fn steps(target: &dyn Target) -> Vec<Step> {
    let mut script = Script { target, time: target.clock() - AGE, steps: Vec::new() };
    for version in 0..=4 {
        script.api_versions(version);
    }
    for version in 0..=5 {
        script.init_producer_id(version);
    }
    for version in 3..=13 {
        script.produce(version);
    }
    for version in 0..=13 {
        script.metadata(version);
    }
    script.steps
}

impl Script<'_> {
    fn step(&mut self, name: &str, api: ApiKey, version: i16, body: RequestKind) {
        let name = format!("{api:?} {version}: {name}");
        self.steps.push(Step { name, api, version, body, batch_time: self.time });
    }

    fn api_versions(&mut self, version: i16) {
        let names: &[(&str, &str, &str)] = match version {
            0..=2 => &[("plain", "", "")],
            _ => &[("plain", "test", "1.0"), ("no name", "", ""), ("odd name", "-a", "1 0")],
        };
        for (what, name, software) in names {
            let text = |text: &str| StrBytes::from_string(text.to_owned());
            let body = ApiVersionsRequest::default()
                .with_client_software_name(text(name))
                .with_client_software_version(text(software));
            self.step(what, ApiKey::ApiVersions, version, RequestKind::ApiVersions(body));
        }
    }

    fn init_producer_id(&mut self, version: i16) {
        let plain = InitProducerIdRequest::default().with_transactional_id(None);
        let mut cases = vec![
            ("plain", plain.clone()),
            ("negative timeout", plain.clone().with_transaction_timeout_ms(-5)),
            (
                "empty transactional id",
                plain.clone().with_transactional_id(Some(TransactionalId::default())),
            ),
        ];
        if version >= 3 {
            let stamp = |id: i64, epoch| {
                plain.clone().with_producer_id(ProducerId(id)).with_producer_epoch(epoch)
            };
            cases.push(("with id and epoch", stamp(5, 1)));
            cases.push(("with id, no epoch", stamp(5, -1)));
            cases.push(("with epoch, no id", stamp(-1, 3)));
        }
        for (what, body) in cases {
            let body = RequestKind::InitProducerId(body);
            self.step(what, ApiKey::InitProducerId, version, body);
        }
    }

    fn metadata(&mut self, version: i16) {
        let full = |name: &str| self.target.names().full(name);
        let body = |topics: Option<Vec<MetadataRequestTopic>>, create| {
            let request = MetadataRequest::default().with_topics(topics);
            match version {
                0..=3 => request,
                _ => request.with_allow_auto_topic_creation(create),
            }
        };
        let name = |name: &str| by_name(&full(name));
        let mut cases = vec![
            ("known", body(Some(vec![name("plain"), name("small")]), false)),
            ("the same twice", body(Some(vec![name("small"), name("small")]), false)),
            ("bad names", body(Some(vec![by_name("a b"), by_name(".."), by_name("")]), true)),
            ("a name too long", body(Some(vec![by_name(&"x".repeat(250))]), true)),
        ];
        if version >= 4 {
            cases.push(("unknown", body(Some(vec![name("none")]), false)));
        }
        if version >= 1 {
            cases.push(("no topics", body(Some(Vec::new()), false)));
        }
        cases.push(("created by asking", body(Some(vec![name(&format!("new-{version}"))]), true)));
        if version >= 12 {
            let id =
                |id: uuid::Uuid| MetadataRequestTopic::default().with_topic_id(id).with_name(None);
            let known = id(uuid::Uuid::from_bytes(self.target.names().id("small").0));
            let unknown = id(uuid::Uuid::from_bytes([0xee; 16]));
            cases.push(("by id", body(Some(vec![known.clone(), unknown]), false)));
            cases.push(("ids and names", body(Some(vec![known, name("plain")]), false)));
            cases.push(("neither name nor id", body(Some(vec![id(uuid::Uuid::nil())]), false)));
        }
        for (what, body) in cases {
            self.step(what, ApiKey::Metadata, version, RequestKind::Metadata(body));
        }
    }

    /// A topic's entry of a Produce request.
    fn entry(&self, version: i16, topic: &str, parts: &[(i32, Option<Bytes>)]) -> TopicProduceData {
        let data = |(index, records): &(i32, Option<Bytes>)| {
            PartitionProduceData::default().with_index(*index).with_records(records.clone())
        };
        let names = self.target.names();
        let entry =
            TopicProduceData::default().with_partition_data(parts.iter().map(data).collect());
        match (version >= 13, topic) {
            (true, "none") => entry.with_topic_id(uuid::Uuid::from_bytes([0xee; 16])),
            (true, "nothing") => entry,
            (true, topic) => entry.with_topic_id(uuid::Uuid::from_bytes(names.id(topic).0)),
            (false, "nothing") => entry.with_name(topic_name("")),
            (false, topic) => entry.with_name(topic_name(&names.full(topic))),
        }
    }

    fn send(&mut self, version: i16, name: &str, acks: i16, topics: Vec<TopicProduceData>) {
        let body =
            ProduceRequest::default().with_acks(acks).with_timeout_ms(5000).with_topic_data(topics);
        self.step(name, ApiKey::Produce, version, RequestKind::Produce(body));
    }

    fn one(&mut self, version: i16, name: &str, topic: &str, partition: i32, records: Bytes) {
        let entry = self.entry(version, topic, &[(partition, Some(records))]);
        self.send(version, name, -1, vec![entry]);
    }

    fn produce(&mut self, version: i16) {
        self.sequences(version);
        self.forms(version);
        self.addresses(version);
        self.topic_settings(version);
    }

    /// Duplicates, gaps and epochs; in a partition of the version's own.
    fn sequences(&mut self, version: i16) {
        let partition = i32::from(version);
        let batch = Batch::of(self.time);
        let mut send = |name: &str, (id, epoch, sequence, count): (i64, i16, i32, usize)| {
            let records = batch.clone().stamp(id, epoch, sequence, count).bytes();
            self.one(version, name, "plain", partition, records);
        };
        let id = 70_000;
        send("a stranger may begin anywhere", (id, 0, 5, 2));
        for sequence in 7..13 {
            send("in sequence", (id, 0, sequence, 1));
        }
        send("duplicate of the newest", (id, 0, 12, 1));
        send("duplicate of the fifth newest", (id, 0, 8, 1));
        send("duplicate of the sixth newest", (id, 0, 7, 1));
        send("duplicate of an older one", (id, 0, 5, 2));
        send("first sequence known, last not", (id, 0, 11, 2));
        send("a gap", (id, 0, 15, 1));
        send("a new epoch that does not begin with 0", (id, 1, 13, 1));
        send("a new epoch", (id, 1, 0, 3));
        send("the new epoch's duplicate", (id, 1, 0, 3));
        send("the old epoch", (id, 0, 13, 1));
        send("the old epoch's duplicate", (id, 0, 12, 1));
        send("an epoch skipped", (id, 5, 0, 1));
        send("up to the last sequence", (id + 1, 0, i32::MAX - 1, 2));
        send("zero follows the last sequence", (id + 1, 0, 0, 1));
        send("across the last sequence", (id + 2, 0, i32::MAX, 3));
        send("behind the wrap", (id + 2, 0, 2, 1));
        send("duplicate across the wrap", (id + 2, 0, i32::MAX, 3));
        send("the greatest epoch", (id + 3, i16::MAX, 0, 1));
        send("an id without a sequence", (id + 4, 0, -1, 1));
        send("a sequence without an id", (-1, -1, 3, 1));
        send("an id without an epoch", (id + 5, -1, 0, 1));
    }

    /// Batches that are not what they should be.
    fn forms(&mut self, version: i16) {
        let partition = i32::from(version);
        let sound = Batch::of(self.time);
        let with = |change: fn(&mut Batch)| {
            let mut batch = sound.clone();
            change(&mut batch);
            batch.bytes()
        };
        let whole = sound.bytes();
        let cases = [
            ("sound", whole.clone()),
            ("a wrong CRC", corrupt(whole.clone())),
            ("magic 1", with(|b| b.magic = 1)),
            ("magic 0", with(|b| b.magic = 0)),
            ("magic 3", with(|b| b.magic = 3)),
            ("zstd that is none", with(|b| b.attributes = 4)),
            ("gzip that is none", with(|b| b.attributes = 1)),
            ("codec 5", with(|b| b.attributes = 5)),
            ("the bit of append time", with(|b| b.attributes = 8)),
            ("a control batch", with(|b| b.attributes = 32)),
            ("transactional", with(|b| b.attributes = 16)),
            ("base offset 5", with(|b| b.base_offset = 5)),
            ("a count too large", with(|b| b.count_off = (1, 0))),
            ("count and delta too large", with(|b| b.count_off = (1, 1))),
            (
                "count and delta too small",
                with(|b| {
                    b.keys = vec![None; 3];
                    b.count_off = (-1, -1);
                }),
            ),
            ("no record", with(|b| b.keys.clear())),
            ("two batches", [&whole[..], &whole[..]].concat().into()),
            ("a byte too few", whole.slice(..whole.len() - 1)),
            ("a byte too many", [&whole[..], &[0]].concat().into()),
            ("a header alone", whole.slice(..61)),
            ("ten bytes", whole.slice(..10)),
            ("no bytes", Bytes::new()),
        ];
        for (name, records) in cases {
            self.one(version, name, "plain", partition, records);
        }
        let entry = self.entry(version, "plain", &[(partition, None)]);
        if version == 13 {
            // Costs seconds: nobody answers. The recorded exchanges have the other versions.
            self.send(version, "null records", -1, vec![entry]);
        }
    }

    /// Acknowledgements, topics and partitions.
    fn addresses(&mut self, version: i16) {
        let partition = i32::from(version);
        let sound = Batch::of(self.time).bytes();
        for acks in [1, 0, 2, -2] {
            let entry = self.entry(version, "plain", &[(partition, Some(sound.clone()))]);
            self.send(version, &format!("acks {acks}"), acks, vec![entry]);
        }
        let bad = self.entry(version, "plain", &[(partition, Some(corrupt(sound.clone())))]);
        self.send(version, "acks 0 and a wrong CRC", 0, vec![bad]);
        let far = self.entry(version, "plain", &[(999, Some(sound.clone()))]);
        self.send(version, "acks 2 and an unknown partition", 2, vec![far]);
        for (name, topic, partition) in [
            ("unknown partition", "plain", 999),
            ("negative partition", "plain", -1),
            ("unknown topic", "none", 0),
            ("no name and no id", "nothing", 0),
        ] {
            self.one(version, name, topic, partition, sound.clone());
        }
        let twice = [(partition, Some(sound.clone())), (partition, Some(sound.clone()))];
        let entry = self.entry(version, "plain", &twice);
        self.send(version, "the same partition twice", -1, vec![entry]);
        self.one(version, "behind it", "plain", partition, sound.clone());
        let mixed = [(partition, Some(corrupt(sound.clone()))), (0, Some(sound.clone()))];
        let entries = vec![
            self.entry(version, "none", &[(0, Some(sound))]),
            self.entry(version, "plain", &mixed),
        ];
        self.send(version, "good and bad together", -1, entries);
        self.send(version, "no topic", -1, Vec::new());
        let empty = self.entry(version, "plain", &[]);
        self.send(version, "a topic without partitions", -1, vec![empty]);
    }

    /// Limits and kinds of topics.
    fn topic_settings(&mut self, version: i16) {
        let sound = Batch::of(self.time);
        let with = |change: &dyn Fn(&mut Batch)| {
            let mut batch = sound.clone();
            change(&mut batch);
            batch.bytes()
        };
        let (now, id) = (self.time + AGE, 80_000 + i64::from(version));
        let cases = [
            ("too large", "small", with(&|b| b.value = 400)),
            ("too large with a wrong CRC", "small", corrupt(with(&|b| b.value = 400))),
            ("no key in a compacted topic", "compact", with(&|_| ())),
            ("one key of two", "compact", with(&|b| b.keys = vec![Some(b"k"), None])),
            ("with a key", "compact", with(&|b| b.keys = vec![Some(b"k")])),
            ("the broker's time", "append-time", with(&|b| b.stamp = (id, 0, 0))),
            ("a duplicate with the broker's time", "append-time", with(&|b| b.stamp = (id, 0, 0))),
            ("too far ahead", "plain", with(&|b| b.time = now + 2 * HOUR)),
            ("ahead, but not too far", "plain", with(&|b| b.time = now + HOUR / 2)),
            ("too old", "recent-only", with(&|b| b.time = now - 2 * HOUR)),
            ("not too old", "recent-only", with(&|_| ())),
            ("no timestamp", "recent-only", with(&|b| b.time = -1)),
            ("a negative timestamp", "plain", with(&|b| b.time = -5)),
        ];
        for (name, topic, records) in cases {
            self.one(version, name, topic, 0, records);
        }
    }
}

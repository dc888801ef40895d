//! Record batches and message sets of every codec, as a strict reader of another make reads them.

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use producer_proto::internals::{Appended, BatchFormat, Written, split_batch, write_batch};
use producer_proto::{Codec, Config, Header};
use producer_sim::records::{Batch, LogRecord, MessageSet};

const MAX_RECORDS: usize = 60;

/// Format, codec, records, which of them are cancelled, and where to split.
pub fn run(input: &[u8]) {
    // Input that ends too soon is no input.
    let _ = check(&mut Unstructured::new(input));
}

#[derive(Clone)]
struct NewRecord<'a> {
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: Vec<Header<'a>>,
    is_cancelled: bool,
}

fn check(from: &mut Unstructured<'_>) -> Result<()> {
    let format = *from.choose(&[BatchFormat::V2, BatchFormat::V1, BatchFormat::V0])?;
    let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    let mut config = Config::new("localhost:9092");
    config.compression_type = *from.choose(&codecs)?;
    let is_old = format != BatchFormat::V2;
    if is_old && config.compression_type == Codec::Zstd {
        // Refused before it comes to that: no broker of that age reads it.
        config.compression_type = Codec::None;
    }
    let stamp = (from.arbitrary::<bool>()?).then_some((
        from.int_in_range(0..=i64::MAX)?,
        from.int_in_range(0..=i16::MAX)?,
        from.int_in_range(0..=i32::MAX)?,
    ));
    let limit = from.int_in_range(0..=4_000)?;
    let records = new_records(from)?;
    let appended: Vec<_> = records.iter().map(appended).collect();
    let kept = records.iter().filter(|r| !r.is_cancelled && (!is_old || r.headers.is_empty()));
    let kept: Vec<_> = kept.cloned().collect();
    let whole = write_batch(&config, &appended, format, limit, stamp);
    assert_written(&whole, &kept, format, stamp.is_some());
    let has_headers = records.iter().any(|r| !r.is_cancelled && !r.headers.is_empty());
    if !(is_old && has_headers) {
        let pieces = split_batch(&config, &appended, format, limit);
        assert!(pieces.len() > 1 || kept.len() < 2, "{} records in one piece", kept.len());
        assert_written(&pieces, &kept, format, false);
    }
    Ok(())
}

fn new_records<'a>(from: &mut Unstructured<'a>) -> Result<Vec<NewRecord<'a>>> {
    let mut records = Vec::new();
    while records.len() < MAX_RECORDS && !from.is_empty() {
        let mut headers = Vec::new();
        for _ in 0..from.int_in_range(0..=2)? {
            headers.push(Header { name: from.arbitrary()?, value: from.arbitrary()? });
        }
        let timestamp = match from.arbitrary::<u8>()? {
            0 => from.arbitrary()?,
            near => 1_700_000_000_000 + i64::from(near),
        };
        records.push(NewRecord {
            timestamp,
            key: from.arbitrary()?,
            value: from.arbitrary()?,
            headers,
            is_cancelled: from.ratio(1, 8)?,
        });
    }
    Ok(records)
}

fn appended<'a>(record: &'a NewRecord<'a>) -> Appended<'a> {
    Appended {
        timestamp: record.timestamp,
        key: record.key,
        value: record.value,
        headers: &record.headers,
        is_cancelled: record.is_cancelled,
    }
}

/// The batches together hold these records, in order.
fn assert_written(
    batches: &[Written],
    expected: &[NewRecord<'_>],
    format: BatchFormat,
    is_stamped: bool,
) {
    let mut read = Vec::new();
    for written in batches {
        assert_eq!(written.first as usize, read.len(), "where the piece begins");
        let bytes = Bytes::copy_from_slice(&written.bytes);
        let records = match format {
            BatchFormat::V2 => {
                let batch = Batch::parse(bytes).expect("a batch");
                batch.check().expect("a good batch");
                assert_eq!(batch.header.has_producer_id(), is_stamped);
                let records = batch.records().expect("good records");
                let times = records.iter().map(|record| record.timestamp);
                assert_eq!(times.max(), Some(batch.header.max_timestamp));
                records
            }
            old => {
                let magic = if old == BatchFormat::V0 { 0 } else { 1 };
                MessageSet::parse(bytes, magic).expect("a good message set").records
            }
        };
        assert_eq!(records.len(), written.count as usize);
        read.extend(records);
    }
    assert_eq!(read.len(), expected.len());
    for (found, record) in read.iter().zip(expected) {
        assert_same(found, record, format);
    }
}

fn assert_same(found: &LogRecord, record: &NewRecord<'_>, format: BatchFormat) {
    assert_eq!((found.key.as_deref(), found.value.as_deref()), (record.key, record.value));
    if format != BatchFormat::V0 {
        assert_eq!(found.timestamp, record.timestamp);
    }
    let headers = found.headers.iter();
    let headers: Vec<_> = headers.map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    let expected: Vec<_> = record.headers.iter().map(|h| (h.name, h.value)).collect();
    assert_eq!(headers, expected);
}

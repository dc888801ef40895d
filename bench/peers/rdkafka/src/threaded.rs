//! Latencies, with the results told by a thread of the producer.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bench_common::{Options, Payload, Rate, Settled, send_paced};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, ProducerContext, ThreadedProducer};

use crate::PEER;

/// How long to leave a producer without room before it is asked again.
const NO_ROOM: Duration = Duration::from_millis(1);

/// Tells whether a lone record was delivered.
struct Tell(Mutex<Sender<bool>>);

impl ClientContext for Tell {}

impl ProducerContext for Tell {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        // Nobody listens any more after the last record.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).send(result.is_ok());
    }
}

/// Measures one record after the other and prints the line of numbers.
pub(crate) fn measure_lone(
    options: &Options,
    payload: &Payload,
    settings: &ClientConfig,
) -> Result<()> {
    let (sender, results) = channel();
    let producer: ThreadedProducer<Tell> =
        settings.create_with_context(Tell(Mutex::new(sender))).context("starting the producer")?;
    bench_common::measure_each(PEER, options, |i| {
        send(&producer, options, payload, i, ())?;
        results.recv().context("the producer has ended")
    })
}

/// Notes how long a paced record took.
struct Note;

/// A paced record's due time, and where its result goes.
struct Due {
    time: Instant,
    settled: Arc<Settled>,
}

impl ClientContext for Note {}

impl ProducerContext for Note {
    type DeliveryOpaque = Box<Due>;

    fn delivery(&self, result: &DeliveryResult<'_>, due: Box<Due>) {
        due.settled.add(result.is_ok(), due.time.elapsed());
    }
}

/// Measures records at their times and prints the line of numbers.
pub(crate) fn measure_paced(
    options: &Options,
    payload: &Payload,
    settings: &ClientConfig,
    rate: Rate,
) -> Result<()> {
    let producer: ThreadedProducer<Note> =
        settings.create_with_context(Note).context("starting the producer")?;
    bench_common::measure_paced(PEER, options, rate, |records| {
        let settled = Arc::new(Settled::new(records));
        let mut refused = Ok(());
        let lateness = send_paced(rate, records, |i, time| {
            let due = Box::new(Due { time, settled: settled.clone() });
            if let Err(error) = send(&producer, options, payload, i, due) {
                settled.add(false, time.elapsed());
                refused = Err(error);
            }
        });
        refused?;
        Ok((settled.wait(), lateness))
    })
}

fn send<C: ProducerContext<NoCustomPartitioner>>(
    producer: &ThreadedProducer<C>,
    options: &Options,
    payload: &Payload,
    i: u64,
    opaque: C::DeliveryOpaque,
) -> Result<()> {
    let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(&options.topic, opaque);
    record.payload = Some(payload.value(i));
    record.key = payload.key(i);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                thread::sleep(NO_ROOM);
                record = again;
            }
            Err((error, _)) => bail!("record {i} is refused: {error}"),
        }
    }
}

//! From a record in the producer's hands to its fate.

use std::sync::Arc;

use producer_tokio::proto::{Persistence, ProduceErrorKind};
use producer_tokio::{
    Admission, Delivery, DeliveryError, RecordMetadata, SendError, SendErrorKind,
};

use super::waiting::Guard;
use crate::report::Fate;

/// A record whose fate is not known yet.
pub(super) enum Pending {
    /// In a batch.
    Accepted(Delivery),
    /// Waiting for room or for metadata.
    Waiting(Admission, Guard),
}

/// A record's number and fate.
pub(super) struct Settled {
    pub(super) record: u64,
    pub(super) fate: Fate,
    /// It was with the producer and failed because that was closed.
    pub(super) closed: bool,
}

/// Waits for the fate of a record.
pub(super) async fn settle(record: u64, pending: Pending) -> Settled {
    let delivery = match pending {
        Pending::Accepted(delivery) => delivery,
        Pending::Waiting(admission, guard) => {
            let admitted = admission.await;
            drop(guard);
            match admitted {
                Ok(delivery) => delivery,
                Err(error) => {
                    let closed = matches!(error.kind(), SendErrorKind::Closed);
                    return Settled { closed, ..refused(record, &error) };
                }
            }
        }
    };
    // Nobody is held up by one record here: the batch may linger as the settings say.
    let topic = delivery.topic().clone();
    match delivery.lingering().await {
        Ok(place) => delivered(record, topic, place),
        Err(error) => failed(record, &error),
    }
}

fn delivered(record: u64, topic: Arc<str>, place: RecordMetadata) -> Settled {
    let RecordMetadata { partition, offset, timestamp } = place;
    let fate = Fate::Delivered { topic, partition, offset, timestamp: Some(timestamp) };
    Settled { record, fate, closed: false }
}

fn failed(record: u64, error: &DeliveryError) -> Settled {
    let fate = Fate::Failed {
        error: error.error.name(),
        message: error.error.to_string(),
        possibly_persisted: error.persistence != Persistence::NotPersisted,
    };
    Settled { record, fate, closed: error.error.kind() == ProduceErrorKind::Closed }
}

/// A record that was not accepted is in no log.
pub(super) fn refused(record: u64, error: &SendError) -> Settled {
    let fate = Fate::Failed {
        error: error.name().to_owned(),
        message: error.to_string(),
        possibly_persisted: false,
    };
    Settled { record, fate, closed: false }
}

//! The adapters as the conformance kit wants to see them. Unpublished: only tests use it.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod mio;
mod mio_loop;
mod smol;
mod tokio;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use producer_driver::{
    Admission, DeliveryError, Handle, Record, RecordError, RecordResult, SendError, proto,
};
use producer_sim::conformance::{self, Failure, Message, Outcome, Place};

pub use crate::mio::Mio;
pub use crate::mio_loop::MioLoop;
pub use crate::smol::Smol;
pub use crate::tokio::Tokio;

/// What an adapter gives to applications: a type round the driver's handle.
pub trait Api: Clone + Send + Sync + 'static {
    /// The driver's handle.
    fn handle(&self) -> &Handle;

    /// Sends a record and blocks until its outcome is known.
    fn send_sync(&self, record: Record<'_>) -> RecordResult {
        Ok(self.handle().send(record).wait()?.wait()?)
    }
}

/// A producer under test.
#[derive(Clone, Debug)]
pub struct Subject<P>(pub P);

/// A record's acceptance.
#[derive(Debug)]
pub struct Sent(Admission);

/// A record's result.
#[derive(Debug)]
pub struct Delivery(producer_driver::Delivery);

impl<P: Api> conformance::Producer for Subject<P> {
    type Delivery = Delivery;
    type Sent = Sent;

    fn send(&self, message: &Message<'_>) -> Sent {
        Sent(self.0.handle().send(record(message)))
    }

    fn send_sync(&self, message: &Message<'_>) -> Outcome {
        match self.0.send_sync(record(message)) {
            Ok(metadata) => Ok(place(&metadata)),
            Err(RecordError::Send(error)) => Err(refused(&error)),
            Err(RecordError::Delivery(error)) => Err(failed(&error)),
        }
    }

    async fn look_up(&self, topic: &str) -> Result<i32, Failure> {
        self.0.handle().partitions_for(topic).await.map_err(|error| refused(&error))
    }

    async fn flush(&self) {
        self.0.handle().flush().await;
    }

    fn close(&self, timeout: Duration) -> impl Future<Output = ()> {
        self.0.handle().close(timeout)
    }

    fn stats(&self) -> proto::Stats {
        self.0.handle().stats()
    }
}

impl Future for Sent {
    type Output = Result<Delivery, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let admitted = Pin::new(&mut self.0).poll(context);
        admitted.map(|result| result.map(Delivery).map_err(|error| refused(&error)))
    }
}

impl Future for Delivery {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let result = Pin::new(&mut self.0).poll(context);
        result.map(|result| result.map(|it| place(&it)).map_err(|error| failed(&error)))
    }
}

impl conformance::Delivery for Delivery {
    fn cancel(&self) -> bool {
        self.0.cancel() == proto::Cancel::Cancelled
    }
}

fn record<'a>(message: &Message<'a>) -> Record<'a> {
    let mut record = Record::to(message.topic).value(message.value);
    (record.partition, record.timestamp) = (message.partition, message.timestamp);
    record.key = message.key;
    record
}

fn place(metadata: &producer_driver::RecordMetadata) -> Place {
    Place { partition: metadata.partition, offset: metadata.offset }
}

fn refused(error: &SendError) -> Failure {
    Failure { persistence: None, text: error.to_string() }
}

fn failed(error: &DeliveryError) -> Failure {
    Failure { persistence: Some(error.persistence), text: error.to_string() }
}

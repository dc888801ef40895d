//! A user's partitioner, kept from doing harm when it panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use producer_proto::{Partitioner, PartitionerError};

/// Turns a panic into an error of the one record that it was asked about. The partitioner is
/// asked again for the next record.
pub(crate) struct Guarded(pub(crate) Box<dyn Partitioner>);

impl Partitioner for Guarded {
    fn partition(
        &mut self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        partitions: i32,
        available: &dyn Fn(i32) -> bool,
    ) -> Result<i32, PartitionerError> {
        let ask = || self.0.partition(topic, key, value, partitions, available);
        catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|panic| {
            let reason = message(&*panic);
            Err(PartitionerError::new(format!("it panicked: {reason}")))
        })
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    let formatted = || panic.downcast_ref::<String>().map(String::as_str);
    literal.or_else(formatted).unwrap_or("no message")
}

//! Our codec against one of another make, in both directions: what the other writes we read as it
//! was meant, and what we write the other reads, each to the last byte.
//!
//! Messages are made from the input, not decoded from it: the other codec reserves as much memory
//! as a length on the wire says.

mod requests;
mod responses;

use arbitrary::{Result, Unstructured};
use kafka_protocol::protocol::StrBytes;

/// Which message, which version, its correlation id and its fields.
pub fn run(input: &[u8]) {
    // Input that ends too soon is no input.
    let _ = check(&mut Unstructured::new(input));
}

fn check(from: &mut Unstructured<'_>) -> Result<()> {
    if from.arbitrary()? { responses::check(from) } else { requests::check(from) }
}

fn text(from: &mut Unstructured<'_>) -> Result<StrBytes> {
    Ok(StrBytes::from_string(from.arbitrary::<String>()?))
}

fn maybe_text(from: &mut Unstructured<'_>) -> Result<Option<StrBytes>> {
    if from.arbitrary()? { text(from).map(Some) } else { Ok(None) }
}

/// Up to four of something.
fn several<T>(
    from: &mut Unstructured<'_>,
    mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    (0..from.int_in_range(0..=4)?).map(|_| one(from)).collect()
}

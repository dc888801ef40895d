//! Variable-length integers: seven bits a byte, least significant group first.
//!
//! Kafka uses the unsigned form for lengths and tags of flexible messages, and the zigzag forms
//! (`varint`, `varlong`) inside record batches. Overlong encodings are accepted, as Kafka's own
//! reader does; bits that do not fit the type are an error, where Kafka drops them.

use bytes::BufMut;

/// Most bytes a 32-bit value takes.
#[cfg(test)]
pub(crate) const MAX_VARINT_LEN: usize = 5;
/// Most bytes a 64-bit value takes.
pub(crate) const MAX_VARLONG_LEN: usize = 10;

/// Why no integer could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VarintError {
    /// The bytes end before the integer does.
    Truncated,
    /// The encoding has more bits than the type.
    Overflow,
}

/// Maps small magnitudes of either sign to small unsigned numbers: 0, -1, 1, -2 become 0, 1, 2, 3.
#[cfg(test)]
pub(crate) const fn zigzag32(value: i32) -> u32 {
    (value.cast_unsigned() << 1) ^ (value >> 31).cast_unsigned()
}

/// [`zigzag32`] for 64 bits.
pub(crate) const fn zigzag64(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

/// Undoes [`zigzag32`].
#[cfg(test)]
pub(crate) const fn unzigzag32(value: u32) -> i32 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Undoes [`zigzag64`].
pub(crate) const fn unzigzag64(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Encoded length of an unsigned varlong, 1 to 10.
pub(crate) const fn uvarlong_len(value: u64) -> usize {
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Encoded length of an unsigned varint, 1 to 5.
#[cfg(test)]
pub(crate) const fn uvarint_len(value: u32) -> usize {
    uvarlong_len(value as u64)
}

/// Encoded length of a zigzag varint, 1 to 5.
#[cfg(test)]
pub(crate) const fn varint_len(value: i32) -> usize {
    uvarint_len(zigzag32(value))
}

/// Encoded length of a zigzag varlong, 1 to 10.
#[cfg(test)]
pub(crate) const fn varlong_len(value: i64) -> usize {
    uvarlong_len(zigzag64(value))
}

/// Writes an unsigned varint.
pub(crate) fn put_uvarint(out: &mut impl BufMut, value: u32) {
    put_uvarlong(out, u64::from(value));
}

/// Writes a zigzag varint.
#[cfg(test)]
pub(crate) fn put_varint(out: &mut impl BufMut, value: i32) {
    put_uvarint(out, zigzag32(value));
}

/// Writes a zigzag varlong.
#[cfg(test)]
pub(crate) fn put_varlong(out: &mut impl BufMut, value: i64) {
    put_uvarlong(out, zigzag64(value));
}

/// Writes an unsigned varlong.
pub(crate) fn put_uvarlong(out: &mut impl BufMut, mut value: u64) {
    let mut bytes = [0; MAX_VARLONG_LEN];
    let mut len = 0;
    while value >= 0x80 {
        bytes[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    bytes[len] = value as u8;
    out.put_slice(&bytes[..=len]);
}

/// Reads an unsigned varint from the start of `bytes`; gives the value and its encoded length.
pub(crate) fn get_uvarint(bytes: &[u8]) -> Result<(u32, usize), VarintError> {
    let (value, len) = get_bits(bytes, u32::BITS)?;
    Ok((value as u32, len))
}

/// Reads an unsigned varlong, as [`get_uvarint`].
pub(crate) fn get_uvarlong(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
    get_bits(bytes, u64::BITS)
}

/// Reads a zigzag varint, as [`get_uvarint`].
#[cfg(test)]
pub(crate) fn get_varint(bytes: &[u8]) -> Result<(i32, usize), VarintError> {
    let (value, len) = get_uvarint(bytes)?;
    Ok((unzigzag32(value), len))
}

/// Reads a zigzag varlong, as [`get_uvarint`].
#[cfg(test)]
pub(crate) fn get_varlong(bytes: &[u8]) -> Result<(i64, usize), VarintError> {
    let (value, len) = get_uvarlong(bytes)?;
    Ok((unzigzag64(value), len))
}

fn get_bits(bytes: &[u8], width: u32) -> Result<(u64, usize), VarintError> {
    let mut value = 0;
    let mut shift = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let group = u64::from(byte & 0x7f);
        let last = byte < 0x80;
        let room = width - shift;
        if room <= 7 && (!last || group >> room != 0) {
            return Err(VarintError::Overflow);
        }
        value |= group << shift;
        if last {
            return Ok((value, i + 1));
        }
        shift += 7;
    }
    Err(VarintError::Truncated)
}

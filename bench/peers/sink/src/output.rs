//! What a reply is made of.

/// A reply while it is written, with room for its length in front.
#[derive(Debug, Default)]
pub(crate) struct Output(Vec<u8>);

impl Output {
    /// Begins anew.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
        self.i32(0);
    }

    /// Fills the length in. All bytes.
    pub(crate) fn finish(&mut self) -> &[u8] {
        let length = (self.0.len() - 4) as i32;
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        &self.0
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn i8(&mut self, number: i8) {
        self.bytes(&number.to_be_bytes());
    }

    pub(crate) fn i16(&mut self, number: i16) {
        self.bytes(&number.to_be_bytes());
    }

    pub(crate) fn i32(&mut self, number: i32) {
        self.bytes(&number.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, number: i64) {
        self.bytes(&number.to_be_bytes());
    }

    /// The length of an array.
    pub(crate) fn length(&mut self, length: usize, is_flexible: bool) {
        if is_flexible { self.varint(length as u32 + 1) } else { self.i32(length as i32) }
    }

    pub(crate) fn string(&mut self, string: &str, is_flexible: bool) {
        if is_flexible {
            self.varint(string.len() as u32 + 1);
        } else {
            self.i16(string.len() as i16);
        }
        self.bytes(string.as_bytes());
    }

    pub(crate) fn null_string(&mut self, is_flexible: bool) {
        if is_flexible { self.varint(0) } else { self.i16(-1) }
    }

    /// No tagged fields, where the version has room for them.
    pub(crate) fn no_tags(&mut self, is_flexible: bool) {
        if is_flexible {
            self.i8(0);
        }
    }

    fn varint(&mut self, mut number: u32) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

//! CRC-32C (Castagnoli), CRC-32 for the old formats, and joining the CRCs of two pieces without hashing either again.
//!
//! A batch's CRC covers 40 bytes of header and the body. The header changes when the batch gets
//! its stamp, the body does not, so the body is hashed once and the two are joined:
//! `crc(a ‖ b) = crc(a) · x^(8·len(b)) + crc(b)` in GF(2)\[x\] modulo the polynomial.
//!
//! Polynomials are bit-reversed, as the CRC is: the highest bit is the coefficient of x^0.

/// The Castagnoli polynomial without its leading term.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The polynomial 1.
const ONE: u32 = 1 << 31;

/// `p · x`.
#[inline]
const fn times_x(p: u32) -> u32 {
    (p >> 1) ^ (POLYNOMIAL & (p & 1).wrapping_neg())
}

/// What the four coefficients that `p · x^4` pushes out come back as.
const CARRY: [u32; 16] = {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 16 {
        table[i] = times_x(times_x(times_x(times_x(i as u32))));
        i += 1;
    }
    table
};

/// `a · b`, four coefficients of `a` at a time (Horner's scheme from the highest power).
const fn multiply(a: u32, b: u32) -> u32 {
    let mut multiples = [0; 16];
    let mut power = b;
    let mut bit = 8;
    while bit > 0 {
        let mut i = bit;
        while i < 16 {
            multiples[i] ^= if i & bit != 0 { power } else { 0 };
            i += 1;
        }
        power = times_x(power);
        bit >>= 1;
    }
    let mut product = 0u32;
    let mut shift = 0;
    while shift < 32 {
        product = (product >> 4)
            ^ CARRY[(product & 15) as usize]
            ^ multiples[((a >> shift) & 15) as usize];
        shift += 4;
    }
    product
}

/// `SHIFTS[k][d]` is x^(8·d·256^k): one factor for each byte of a length.
const SHIFTS: [[u32; 256]; 4] = {
    let mut tables = [[ONE; 256]; 4];
    let mut step = times_x(times_x(times_x(times_x(times_x(times_x(times_x(times_x(ONE))))))));
    let mut k = 0;
    while k < 4 {
        let mut d = 1;
        while d < 256 {
            tables[k][d] = multiply(tables[k][d - 1], step);
            d += 1;
        }
        step = multiply(tables[k][255], step);
        k += 1;
    }
    tables
};

/// The CRC-32C of `bytes`.
#[inline]
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// The CRC-32 of `bytes` with IEEE's polynomial: what messages of magic 0 and 1 have.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iso_hdlc(bytes)
}

/// The CRC-32C of two pieces one after the other, from the CRC of each and the second's length.
pub(super) fn join(first: u32, second: u32, second_len: u32) -> u32 {
    let mut shifted = first;
    for (table, digit) in SHIFTS.iter().zip(second_len.to_le_bytes()) {
        if digit != 0 {
            shifted = multiply(table[usize::from(digit)], shifted);
        }
    }
    shifted ^ second
}

/// The CRC-32C of the first part of some bytes, to go on from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hashed {
    len: usize,
    crc: u32,
}

impl Hashed {
    /// How many bytes it covers.
    pub(super) fn len(self) -> usize {
        self.len
    }

    /// Takes in the bytes behind those that it covers already, of all that there are.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let new = crc32c(&bytes[self.len..]);
        let is_first = self.len == 0;
        self.crc =
            if is_first { new } else { join(self.crc, new, (bytes.len() - self.len) as u32) };
        self.len = bytes.len();
    }

    /// The CRC-32C of all bytes.
    pub(super) fn finish(mut self, bytes: &[u8]) -> u32 {
        if self.len < bytes.len() {
            self.extend(bytes);
        }
        self.crc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashing_in_pieces_equals_hashing_the_whole() {
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(31) >> 3) as u8).collect();
        assert_eq!(Hashed::default().finish(b""), crc32c(b""));
        let mut hashed = Hashed::default();
        for end in [0, 1, 16_384, 16_384, 50_000] {
            hashed.extend(&bytes[..end]);
            assert_eq!((hashed.len(), hashed.crc), (end, crc32c(&bytes[..end])));
            assert_eq!(hashed.finish(&bytes), crc32c(&bytes), "from {end} on");
        }
    }

    #[test]
    fn check_value() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn joining_equals_hashing_the_whole() {
        let bytes: Vec<u8> =
            (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let lengths = (0..600).chain([1 << 10, 16_384, 65_535, 65_536, 65_537, 199_000]);
        for len in lengths {
            for first in [0, 1, 40, 1_000] {
                let whole = &bytes[..first + len];
                let (a, b) = whole.split_at(first);
                assert_eq!(
                    join(crc32c(a), crc32c(b), len as u32),
                    crc32c(whole),
                    "{first} + {len}"
                );
            }
        }
    }

    #[test]
    fn lengths_of_every_size_compose() {
        // Appending n zero bytes and then m is appending n + m, up to the largest length.
        for (n, m) in [(1, 255), (255, 1), (0xffff, 1), (0xff_ffff, 1), (0x7fff_0000, 0xffff)] {
            let crc = 0x1234_5678;
            assert_eq!(join(join(crc, 0, n), 0, m), join(crc, 0, n + m));
        }
    }
}

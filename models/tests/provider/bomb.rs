//! A gzip stream that unpacks to far more than it weighs.

use std::sync::OnceLock;

/// Letters it unpacks to: more than any reply may have.
const SIZE: usize = 80 << 20;

/// A stream (RFC 1952 around RFC 1951) of the same letter over and over: one literal, then matches of the greatest
/// length, 13 bits for every 258 letters. Its check sum is wrong: nobody should get that far.
pub(super) fn gzip() -> &'static [u8] {
    static PACKED: OnceLock<Vec<u8>> = OnceLock::new();
    PACKED.get_or_init(pack)
}

fn pack() -> Vec<u8> {
    let mut bits = Bits::default();
    // The last block, with fixed codes.
    bits.put(0b1, 1);
    bits.put(0b01, 2);
    // Codes are written from their most significant bit: the literal `x`, then length 258 and distance 1.
    bits.put_code(0x30 + u32::from(b'x'), 8);
    for _ in 0..SIZE / 258 {
        bits.put_code(0b1100_0101, 8);
        bits.put_code(0, 5);
    }
    bits.put_code(0, 7);
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    packed.extend(bits.finish());
    packed.extend([0; 8]);
    packed
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    current: u32,
    filled: u32,
}

impl Bits {
    /// Least significant bit first.
    fn put(&mut self, value: u32, bits: u32) {
        for bit in 0..bits {
            self.current |= (value >> bit & 1) << self.filled;
            self.filled += 1;
            if self.filled == 8 {
                self.bytes.push(self.current as u8);
                (self.current, self.filled) = (0, 0);
            }
        }
    }

    /// Most significant bit first.
    fn put_code(&mut self, value: u32, bits: u32) {
        for bit in (0..bits).rev() {
            self.put(value >> bit & 1, 1);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.bytes.push(self.current as u8);
        }
        self.bytes
    }
}

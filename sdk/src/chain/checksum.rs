//! The cyclic redundancy checks of addresses and bags of cells; none of them protects against malice.
//!
//! Specs: CRC-16/XMODEM, CRC-32C (RFC 3720 §12.1).

/// CRC-16/XMODEM: polynomial 0x1021, begun with zero, nothing turned around.
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

/// CRC-32C: Castagnoli's polynomial, turned around, begun and ended with all bits set.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 0 { crc >> 1 } else { (crc >> 1) ^ 0x82f6_3b78 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_give_their_check_values() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}

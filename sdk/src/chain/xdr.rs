//! XDR, as far as a Stellar transaction needs it: numbers, and bytes with their length before them.
//!
//! Every value takes a multiple of four bytes, and what fills up is zero: so there is one spelling of
//! each, and any other is refused.
//!
//! Specs: RFC 4506.

/// Takes values off the front of bytes.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What was not taken yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn long(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Bytes of a length that stands before them, at most `most`.
    pub(super) fn opaque(&mut self, most: usize) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok().filter(|length| *length <= most)?;
        let (padded, rest) = self.0.split_at_checked(length.next_multiple_of(4))?;
        let (value, padding) = padded.split_at_checked(length)?;
        self.0 = rest;
        padding.iter().all(|byte| *byte == 0).then_some(value)
    }
}

/// Puts values one after another.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// Bytes of a length that is known; a multiple of four.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn number(&mut self, number: u32) -> &mut Self {
        self.bytes(&number.to_be_bytes())
    }

    pub(super) fn long(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_be_bytes())
    }

    /// Bytes with their length before them; `None` for more than 4 GiB.
    pub(super) fn opaque(&mut self, bytes: &[u8]) -> Option<&mut Self> {
        self.number(u32::try_from(bytes.len()).ok()?).bytes(bytes);
        let whole = self.0.len().next_multiple_of(4);
        self.0.resize(whole, 0);
        Some(self)
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_one_spelling() {
        for length in 0..9 {
            let value = vec![7; length];
            let mut out = Writer::default();
            out.number(5).opaque(&value).unwrap().long(6);
            let written = out.finish();
            assert_eq!(written.len() % 4, 0);
            let mut reader = Reader::new(&written);
            assert_eq!((reader.number(), reader.opaque(8)), (Some(5), Some(&value[..])));
            assert_eq!((reader.long(), reader.rest().len()), (Some(6), 0));
        }
        assert!(Reader::new(&[0, 0, 0, 1, 7, 0, 0, 1]).opaque(8).is_none(), "padding is zero");
        assert!(Reader::new(&[0, 0, 0, 1, 7]).opaque(8).is_none(), "padding is there");
        assert!(Reader::new(&[0, 0, 0, 9, 7]).opaque(8).is_none(), "the bound");
        assert!(Reader::new(&[255, 255, 255, 255]).opaque(usize::MAX).is_none());
        assert!(Reader::new(&[0, 0, 1]).number().is_none());
    }
}

//! How one input is cut into the several values that a target needs.
//!
//! Texts are set apart by a zero byte, which none of the grammars takes, so that seeds stay
//! readable and a mutation in one value leaves the others where they are.

/// An input that is taken apart from the front.
pub struct Cut<'a>(pub &'a [u8]);

impl<'a> Cut<'a> {
    /// The next byte, 0 when there is none.
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// The next `N` bytes, filled up with zeros.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_at(self.0.len().min(N));
        self.0 = rest;
        let mut array = [0; N];
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    /// Everything up to the next zero byte, which is dropped.
    pub fn part(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0);
        let (part, rest) = match end {
            Some(end) => (&self.0[..end], &self.0[end + 1..]),
            None => (self.0, &[][..]),
        };
        self.0 = rest;
        part
    }

    /// [`part`](Self::part) as text; what is not UTF-8 becomes U+FFFD.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.part()).into_owned()
    }

    /// Flips bits of `bytes` at the places that the rest of the input names: pairs of a place and
    /// a mask. Gives whether anything changed.
    pub fn disturb(&mut self, bytes: &mut [u8]) -> bool {
        let before = bytes.to_vec();
        for pair in self.0.chunks_exact(3).take(8) {
            let place = usize::from(u16::from_le_bytes([pair[0], pair[1]])) % bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= pair[2];
            }
        }
        self.0 = &[];
        bytes != before
    }
}

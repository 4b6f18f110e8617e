//! Whether bytes are a bag of cells, and the hash of each cell in it.
//!
//! TON keeps everything in cells of at most 1023 bits with at most four references; an account's
//! address is the hash of one. A bag comes from a stranger, so it is read strictly: one root, every
//! reference to a later cell (so that there are no circles), ordinary cells alone, no byte left
//! over. What the hash commits to is what is used.
//!
//! Specs: TON "Bag of Cells" (`boc.tlb`), TVM §3.1 (representation hash).

use sha2::{Digest as _, Sha256};

use super::checksum::crc32c;

const MAGIC: [u8; 4] = [0xb5, 0xee, 0x9c, 0x72];

/// The most cells of a bag; a wallet's code has about twenty.
const MAX_CELLS: usize = 128;

/// The longest bag that is read, in bytes.
pub const MAX_BAG: usize = 8192;

/// An ordinary cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its bits, filled up with zeros to whole bytes.
    data: Vec<u8>,
    bits: usize,
    references: Vec<usize>,
    hash: [u8; 32],
    depth: u16,
}

impl Cell {
    /// How many bits it has.
    pub const fn bits(&self) -> usize {
        self.bits
    }

    /// Where in the bag the cells stand that it refers to.
    pub fn references(&self) -> &[usize] {
        &self.references
    }

    /// The representation hash.
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The longest way down.
    pub const fn depth(&self) -> u16 {
        self.depth
    }

    /// The `N` bytes that begin at a bit; `None` where there are fewer.
    pub fn bytes_at<const N: usize>(&self, bit: usize) -> Option<[u8; N]> {
        let end = bit.checked_add(8 * N).filter(|end| *end <= self.bits)?;
        let shift = bit % 8;
        let mut bytes = [0; N];
        for (place, byte) in bytes.iter_mut().enumerate() {
            let at = bit / 8 + place;
            let high = u16::from(*self.data.get(at)?) << 8;
            let low = self.data.get(at + 1).filter(|_| 8 * (at + 1) < end).copied();
            let window = high | u16::from(low.unwrap_or_default());
            *byte = u8::try_from((window << shift) >> 8).ok()?;
        }
        Some(bytes)
    }

    /// Whether the bit at a place is set; `None` past the end.
    pub fn bit(&self, at: usize) -> Option<bool> {
        (at < self.bits).then(|| Some(self.data.get(at / 8)? >> (7 - at % 8) & 1 == 1)).flatten()
    }
}

/// Cells, each of which refers to later ones alone; the first is the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bag(Vec<Cell>);

impl Bag {
    /// Reads a bag with one root.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&MAGIC).filter(|_| bytes.len() <= MAX_BAG)?;
        let &[flags, offset_size] = take(&mut rest)?;
        let (size, offset_size) = (usize::from(flags & 7), usize::from(offset_size));
        // Bits 4 and 3 are reserved, and cache bits go with an index that has them.
        if flags & 0x38 != 0 || !(1..=2).contains(&size) || !(1..=3).contains(&offset_size) {
            return None;
        }
        let [cells, roots, absent] = [(); 3].map(|()| number(&mut rest, size));
        let total = number(&mut rest, offset_size)?;
        let root = number(&mut rest, size)?;
        let count = cells.filter(|count| (1..=MAX_CELLS).contains(count))?;
        if roots != Some(1) || absent != Some(0) || root != 0 {
            return None;
        }
        if flags & 0x80 != 0 {
            // An index says what the cells say themselves.
            rest = rest.get(count.checked_mul(offset_size)?..)?;
        }
        let (mut body, checksum) = rest.split_at_checked(total)?;
        let expected = match flags & 0x40 {
            0 => Vec::new(),
            _ => crc32c(bytes.get(..bytes.len().checked_sub(4)?)?).to_le_bytes().to_vec(),
        };
        if checksum != expected {
            return None;
        }
        let raw: Option<Vec<Raw<'_>>> = (0..count).map(|_| Raw::read(&mut body, size)).collect();
        let raw = raw.filter(|_| body.is_empty())?;
        // From the last to the first, so that what a cell refers to has its hash already.
        let mut built: Vec<Cell> = Vec::with_capacity(count);
        for (place, cell) in raw.into_iter().enumerate().rev() {
            let later = |reference: usize| {
                let steps = count.checked_sub(1)?.checked_sub(reference)?;
                (reference > place).then(|| built.get(steps)).flatten()
            };
            let cell = cell.build(later)?;
            built.push(cell);
        }
        built.reverse();
        Some(Self(built))
    }

    /// The root.
    pub fn root(&self) -> Option<&Cell> {
        self.0.first()
    }

    /// A cell by its place.
    pub fn cell(&self, place: usize) -> Option<&Cell> {
        self.0.get(place)
    }
}

/// A cell as it stands in a bag.
struct Raw<'a> {
    descriptors: [u8; 2],
    data: &'a [u8],
    references: Vec<usize>,
}

impl<'a> Raw<'a> {
    fn read(body: &mut &'a [u8], size: usize) -> Option<Self> {
        let descriptors = *take::<2>(body)?;
        let [first, second] = descriptors;
        // Above the count of references stand the flags of exotic cells, of hashes within the bag
        // and of levels: none of them is to be found in a wallet's first state.
        if first > 4 {
            return None;
        }
        let (data, rest) = body.split_at_checked(usize::from(second).div_ceil(2))?;
        *body = rest;
        let references = (0..first).map(|_| number(body, size)).collect::<Option<_>>()?;
        Some(Self { descriptors, data, references })
    }

    fn build<'b>(self, later: impl Fn(usize) -> Option<&'b Cell>) -> Option<Cell> {
        let [_, second] = self.descriptors;
        let mut data = self.data.to_vec();
        let mut bits = 8 * data.len();
        if second % 2 == 1 {
            // The last set bit marks the end of a byte that is not full.
            let last = data.last_mut()?;
            let marker = usize::try_from(last.trailing_zeros()).ok().filter(|zeros| *zeros < 7)?;
            *last &= *last - 1;
            bits = bits.checked_sub(marker + 1)?;
        }
        let below: Vec<&Cell> =
            self.references.iter().map(|&place| later(place)).collect::<Option<_>>()?;
        let depth = below.iter().map(|cell| cell.depth.saturating_add(1)).max().unwrap_or(0);
        let mut hash = Sha256::new().chain_update(self.descriptors).chain_update(self.data);
        for cell in &below {
            hash.update(cell.depth.to_be_bytes());
        }
        for cell in &below {
            hash.update(cell.hash);
        }
        let hash = hash.finalize().into();
        Some(Cell { data, bits, references: self.references, hash, depth })
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (bytes, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(bytes)
}

/// A big-endian number of so many bytes, at most three.
fn number(rest: &mut &[u8], size: usize) -> Option<usize> {
    let (bytes, behind) = rest.split_at_checked(size)?;
    *rest = behind;
    Some(bytes.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)))
}

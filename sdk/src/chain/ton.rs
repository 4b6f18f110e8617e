//! TON: whose key a wallet contract has, its address, and what TON Connect's proof signs.
//!
//! An address is the hash of a contract's first state, code and data. Where the code is that of a
//! wallet that everybody knows, the data shows the one key that commands it, so that neither the
//! chain nor the contract has to be asked. These codes have no way to change the key.
//!
//! Specs: TON Connect `ton_proof`, wallets v3 to v5 (`wallet-contract`), `block.tlb` (`StateInit`),
//! TEP-2 (addresses).

use sha2::{Digest as _, Sha256};

use super::checksum::crc16;
use super::ton_cell::Bag;

/// The main network's `global_id`, which is its reference in CAIP-2.
pub const MAINNET: &str = "-239";

/// The subwallet that every wallet application begins with, in wallets v3 and v4.
const FIRST_SUBWALLET: u32 = 698_983_191;

/// The same of wallets v5 on the main network and on the test network.
const FIRST_V5: [u32; 2] = [0x7fff_ff11, 0x7fff_fffd];

/// The bits of a first state: no split depth, nothing special, code, data, no library.
const STATE_BITS: [u8; 1] = [0b0011_0000];

/// The code of wallet v3r2, in a cell of its own: the smallest that wallets are made with today.
const V3R2_CODE: [u8; 111] = hex_literal(
    b"ff0020dd2082014c97ba218201339cbab19f71b0ed44d0d31fd31f31d70bffe304e0a4f2608308d71820d31fd31fd31ff82313bbf263ed44d0d31fd31fd3ffd15132baf2a15144baf2a204f901541055f910f2a3f8009320d74a96d307d402fb00e8d101a4c8cb1fcb1fcbffc9ed54",
);

/// The layout of a known wallet's first data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// `seqno:uint32 subwallet:uint32 key:bits256`.
    V3,
    /// The same and a dictionary of plugins, empty at first.
    V4,
    /// `signature_allowed:1 seqno:uint32 wallet:uint32 key:bits256`, and a dictionary of extensions.
    V5,
}

impl Layout {
    const fn bits(self) -> usize {
        match self {
            Self::V3 => 320,
            Self::V4 => 321,
            Self::V5 => 322,
        }
    }

    const fn key_at(self) -> usize {
        match self {
            Self::V3 | Self::V4 => 64,
            Self::V5 => 65,
        }
    }
}

/// A wallet's code that everybody knows.
struct Code {
    hash: [u8; 32],
    depth: u16,
    layout: Layout,
}

/// v3r1, v3r2, v4r2 and v5r1.
static CODES: [Code; 4] = [
    Code {
        hash: hex_literal(b"b61041a58a7980b946e8fb9e198e3c904d24799ffa36574ea4251c41a566f581"),
        depth: 0,
        layout: Layout::V3,
    },
    Code {
        hash: hex_literal(b"84dafa449f98a6987789ba232358072bc0f76dc4524002a5d0918b9a75d2d599"),
        depth: 0,
        layout: Layout::V3,
    },
    Code {
        hash: hex_literal(b"feb5ff6820e2ff0d9483e7e0d62c817d846789fb4ae580c878866d959dabd5c0"),
        depth: 7,
        layout: Layout::V4,
    },
    Code {
        hash: hex_literal(b"20834b7b72b112147e1b2fb457b84e74d1a30f04f737d4f62a668e9552d2b72f"),
        depth: 6,
        layout: Layout::V5,
    },
];

/// Why a first state does not show whose wallet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Not a bag of cells, or no first state of code and data alone.
    #[error("the state init is not a bag of cells with the code and the data of a wallet")]
    Malformed,
    /// The code is none of a known wallet, so its key would have to be asked of the chain.
    #[error("the wallet's code is none of v3r1, v3r2, v4r2 and v5r1; its key cannot be known")]
    UnknownCode,
    /// The data is not as the wallet's code begins with.
    #[error("the wallet's data is not what its code begins with")]
    Data,
}

/// A wallet as its first state shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// What the address holds: the hash of the first state.
    pub hash: [u8; 32],
    /// The Ed25519 key that commands it.
    pub key: [u8; 32],
}

impl Wallet {
    /// Reads a first state from its bag of cells.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn of_state_init(bag: &[u8]) -> Result<Self, StateError> {
        let bag = Bag::parse(bag).ok_or(StateError::Malformed)?;
        let root = bag.root().ok_or(StateError::Malformed)?;
        let [code, data] = root.references() else {
            return Err(StateError::Malformed);
        };
        let bits: Vec<_> = (0..5).map(|at| root.bit(at)).collect();
        let expected = [false, false, true, true, false].map(Some);
        let (Some(code), Some(data)) = (bag.cell(*code), bag.cell(*data)) else {
            return Err(StateError::Malformed);
        };
        if root.bits() != expected.len() || bits != expected {
            return Err(StateError::Malformed);
        }
        let known = CODES.iter().find(|known| known.hash == *code.hash());
        let layout = known.ok_or(StateError::UnknownCode)?.layout;
        let key = data.bytes_at(layout.key_at()).ok_or(StateError::Data)?;
        // An empty dictionary is one bit that is not set; a v5 wallet may have been told to take
        // no signatures, and then its key commands nothing.
        let open = match layout {
            Layout::V3 => true,
            Layout::V4 => data.bit(320) == Some(false),
            Layout::V5 => data.bit(0) == Some(true) && data.bit(321) == Some(false),
        };
        if data.bits() != layout.bits() || !data.references().is_empty() || !open {
            return Err(StateError::Data);
        }
        Ok(Self { hash: *root.hash(), key })
    }

    /// A wallet v3r2 with the first subwallet, and the bag of cells of its first state.
    pub fn v3r2(key: [u8; 32]) -> (Self, Vec<u8>) {
        let data = data_cell(Layout::V3, FIRST_SUBWALLET, &key);
        let root = [&[2, 1][..], &[STATE_BITS[0] | 0b100], &[1, 2]].concat();
        let code = [&[0, 2 * 111][..], &V3R2_CODE].concat();
        let cells = [root, code, data].concat();
        let length = u8::try_from(cells.len()).unwrap_or_default();
        let head = [0xb5, 0xee, 0x9c, 0x72, 1, 1, 3, 1, 0, length, 0];
        let [_, v3r2, ..] = &CODES;
        let hash = state_hash(v3r2, FIRST_SUBWALLET, &key);
        (Self { hash, key }, [&head[..], &cells].concat())
    }
}

/// The hashes of the wallets that applications make of a key: of each known code the first, on the
/// main network, and for v5 on the test network as well.
pub fn usual_wallets(key: &[u8; 32]) -> Vec<[u8; 32]> {
    let ids = |layout| match layout {
        Layout::V3 | Layout::V4 => vec![FIRST_SUBWALLET],
        Layout::V5 => FIRST_V5.to_vec(),
    };
    let of_code = |code: &'static Code| {
        ids(code.layout).into_iter().map(move |id| state_hash(code, id, key)).collect::<Vec<_>>()
    };
    CODES.iter().flat_map(of_code).collect()
}

/// The hash of a first state with that code and key.
fn state_hash(code: &Code, id: u32, key: &[u8; 32]) -> [u8; 32] {
    let data = Sha256::digest(data_cell(code.layout, id, key));
    // Two references, five bits; the depths and then the hashes of code and data.
    Sha256::new()
        .chain_update([2, 1, STATE_BITS[0] | 0b100])
        .chain_update(code.depth.to_be_bytes())
        .chain_update([0, 0])
        .chain_update(code.hash)
        .chain_update(data)
        .finalize()
        .into()
}

/// The first data of a wallet: descriptors and bits, which are also what its hash is of.
fn data_cell(layout: Layout, id: u32, key: &[u8; 32]) -> Vec<u8> {
    let plain = [&[0; 4][..], &id.to_be_bytes(), key].concat();
    let mut cell = vec![0];
    match layout {
        Layout::V3 => {
            cell.push(80);
            cell.extend(plain);
        }
        // A bit that is not set for the empty dictionary, and the mark of the end.
        Layout::V4 => {
            cell.push(81);
            cell.extend(plain);
            cell.push(0b0100_0000);
        }
        // All of it one bit later, behind a bit that is set.
        Layout::V5 => {
            cell.push(81);
            let mut carry = 0x80;
            for byte in plain {
                cell.push(carry | byte >> 1);
                carry = byte << 7;
            }
            cell.push(carry | 0b0010_0000);
        }
    }
    cell
}

/// An address as CAIP-10 has room for it: workchain, a percent-encoded colon, and hex.
pub fn address(hash: &[u8; 32]) -> String {
    format!("0%3A{}", hex::encode(hash))
}

/// The hash in an address of the base workchain: `0%3A` and hex, or the friendly form of TEP-2
/// with its checksum, in which `_` is written `%5F`.
pub fn parse_address(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if let Some(digits) = text.strip_prefix("0%3A").or_else(|| text.strip_prefix("0%3a")) {
        hex::decode_to_slice(digits, &mut hash).ok()?;
        return Some(hash);
    }
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let plain = text.replace("%5F", "_").replace("%5f", "_");
    let bytes: [u8; 36] = Some(plain)
        .filter(|plain| plain.len() == 48 && text.len() < 200)
        .and_then(|plain| URL_SAFE_NO_PAD.decode(plain).ok()?.try_into().ok())?;
    let (body, checksum) = bytes.split_last_chunk::<2>()?;
    // Bounceable or not, for any network, in the base workchain.
    let ([0x11 | 0x51, 0, hash @ ..], true) = (body, u16::from_be_bytes(*checksum) == crc16(body))
    else {
        return None;
    };
    hash.try_into().ok()
}

/// What TON Connect's proof of an address of the base workchain signs.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// The hash in the address.
    pub hash: &'a [u8; 32],
    /// The domain of the application that asks.
    pub domain: &'a str,
    /// When the wallet signed, in seconds since 1970, by its clock.
    pub timestamp: u64,
    /// What the application asks to be signed.
    pub payload: &'a str,
}

impl Proof<'_> {
    /// The 32 bytes that are signed; `None` for a domain of more than 4 GiB.
    pub fn digest(&self) -> Option<[u8; 32]> {
        let length = u32::try_from(self.domain.len()).ok()?;
        // The workchain is big-endian, and the rest little-endian.
        let inner = Sha256::new()
            .chain_update(b"ton-proof-item-v2/")
            .chain_update(0_i32.to_be_bytes())
            .chain_update(self.hash)
            .chain_update(length.to_le_bytes())
            .chain_update(self.domain)
            .chain_update(self.timestamp.to_le_bytes())
            .chain_update(self.payload)
            .finalize();
        let whole = Sha256::new()
            .chain_update([0xff, 0xff])
            .chain_update(b"ton-connect")
            .chain_update(inner);
        Some(whole.finalize().into())
    }
}

/// The payload for a text: wallets sign little more than a hundred bytes, so it is the hex of the
/// text's SHA-256.
pub fn payload_of(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Hex at compile time.
#[expect(
    clippy::indexing_slicing,
    reason = "runs at compile time, over an index of the literal's own length"
)]
const fn hex_literal<const N: usize>(digits: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let mut place = 0;
    while place < 2 * N {
        let digit = digits[place];
        let value = if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 };
        bytes[place / 2] = bytes[place / 2] << 4 | value;
        place += 1;
    }
    bytes
}

#[cfg(test)]
#[path = "ton_tests.rs"]
mod tests;

//! What BIP-322 signs: a transaction that spends a coin which never was, for an address and a text.
//!
//! Two transactions stand behind a signature: `to_spend` commits to the text and pays to the
//! address, `to_sign` spends it. Both have one input and one output, so they are written out here
//! byte for byte; the sighashes are those of BIP-143 and BIP-341 with every amount zero.
//!
//! Specs: BIP-322 (simple), BIP-143, BIP-341.

use super::bip137::compact_size;
use super::bitcoin::Script;
use super::hash::{double_sha256, sha256, tagged};

/// `SIGHASH_ALL`.
pub const SIGHASH_ALL: u8 = 1;

/// `SIGHASH_DEFAULT` of Taproot: all, unsaid.
pub const SIGHASH_DEFAULT: u8 = 0;

/// The one output of `to_sign`: no amount, and a script that says `OP_RETURN`.
const OUTPUT: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 0x6a];

/// The prefix that BIP-322 puts before a simple signature since its version 1.
pub const PREFIX: &str = "smp";

/// The hash of a text.
pub fn message_hash(text: &str) -> [u8; 32] {
    tagged("BIP0322-signed-message", text.as_bytes())
}

/// The id of `to_spend`, in the order of its bytes in a transaction.
pub fn to_spend_id(script: &Script, text: &str) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(160);
    bytes.extend([0; 4]);
    // One input, which spends nothing: OP_0 and the hash of the text as its script.
    bytes.push(1);
    bytes.extend([0; 32]);
    bytes.extend([0xff; 4]);
    bytes.extend([34, 0, 32]);
    bytes.extend(message_hash(text));
    bytes.extend([0; 4]);
    // One output of no amount to the address.
    bytes.push(1);
    bytes.extend([0; 8]);
    let script = script.to_bytes();
    bytes.extend(compact_size(script.len()));
    bytes.extend(script);
    bytes.extend([0; 4]);
    double_sha256(&bytes)
}

/// The id of `to_sign` for an address whose input needs no script of its own.
pub fn to_sign_id(script: &Script, text: &str) -> [u8; 32] {
    let input = [&to_spend_id(script, text)[..], &[0; 4], &[0], &[0; 4]].concat();
    double_sha256(&[&[0; 4][..], &[1], &input, &[1], &OUTPUT, &[0; 4]].concat())
}

/// What a P2WPKH key signs (BIP-143, `SIGHASH_ALL`), also within P2SH: `script` is the address's
/// and `key_hash` the key's.
pub fn sighash_p2wpkh(script: &Script, key_hash: &[u8; 20], text: &str) -> [u8; 32] {
    let outpoint = [&to_spend_id(script, text)[..], &[0; 4]].concat();
    let code = Script::P2pkh(*key_hash).to_bytes();
    double_sha256(
        &[
            &[0; 4][..],
            &double_sha256(&outpoint),
            &double_sha256(&[0; 4]),
            &outpoint,
            &compact_size(code.len()),
            &code,
            // The amount and the sequence.
            &[0; 8],
            &[0; 4],
            &double_sha256(&OUTPUT),
            &[0; 4],
            &[SIGHASH_ALL, 0, 0, 0],
        ]
        .concat(),
    )
}

/// What a Taproot output key signs (BIP-341, key path, no annex) under that sighash type.
pub fn sighash_p2tr(output_key: &[u8; 32], sighash: u8, text: &str) -> [u8; 32] {
    let script = Script::P2tr(*output_key);
    let outpoint = [&to_spend_id(&script, text)[..], &[0; 4]].concat();
    let script = script.to_bytes();
    let scripts = [compact_size(script.len()), script].concat();
    let message = [
        // The epoch, the type, version and lock time.
        &[0, sighash][..],
        &[0; 4],
        &[0; 4],
        &sha256(&outpoint),
        &sha256(&[0; 8]),
        &sha256(&scripts),
        &sha256(&[0; 4]),
        &sha256(&OUTPUT),
        // The spend type and the number of the input.
        &[0],
        &[0; 4],
    ];
    tagged("TapSighash", &message.concat())
}

/// A witness stack as a transaction has it.
pub fn encode_witness(items: &[&[u8]]) -> Vec<u8> {
    let mut bytes = compact_size(items.len());
    for item in items {
        bytes.extend(compact_size(item.len()));
        bytes.extend(*item);
    }
    bytes
}

/// The items of a witness stack, each of less than 64 KiB; `None` for bytes that are no witness
/// stack in its one encoding, and for bytes behind one.
pub fn decode_witness(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let (count, mut rest) = bytes.split_first()?;
    let mut items = Vec::new();
    // A count that does not fit into one byte is far above what any key path needs.
    let count = Some(count).filter(|count| **count <= 252)?;
    for _ in 0..*count {
        let (item, after) = match rest {
            [length @ 0..=252, after @ ..] => after.split_at_checked(usize::from(*length))?,
            [253, low, high, after @ ..] => {
                let length = u16::from_le_bytes([*low, *high]);
                (length >= 253).then_some(())?;
                after.split_at_checked(usize::from(length))?
            }
            _ => return None,
        };
        items.push(item);
        rest = after;
    }
    rest.is_empty().then_some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hashes that the BIP itself lists.
    #[test]
    fn transactions_are_those_of_the_bip() {
        let address: super::super::bitcoin::Address =
            "bc1q9vza2e8x573nczrlzms0wvx3gsqjx7vavgkx0l".parse().unwrap();
        let shown = |mut hash: [u8; 32]| {
            hash.reverse();
            hex::encode(hash)
        };
        for (text, hash, to_spend, to_sign) in [
            (
                "",
                "c90c269c4f8fcbe6880f72a721ddfbf1914268a794cbb21cfafee13770ae19f1",
                "c5680aa69bb8d860bf82d4e9cd3504b55dde018de765a91bb566283c545a99a7",
                "1e9654e951a5ba44c8604c4de6c67fd78a27e81dcadcfe1edf638ba3aaebaed6",
            ),
            (
                "Hello World",
                "f0eb03b1a75ac6d9847f55c624a99169b5dccba2a31f5b23bea77ba270de0a7a",
                "b79d196740ad5217771c1098fc4a4b51e0535c32236c71f1ea4d61a2d603352b",
                "88737ae86f2077145f93cc4b153ae9a1cb8d56afa511988c149c5c8c9d93bddf",
            ),
        ] {
            assert_eq!(hex::encode(message_hash(text)), hash);
            assert_eq!(shown(to_spend_id(address.script(), text)), to_spend);
            assert_eq!(shown(to_sign_id(address.script(), text)), to_sign);
        }
    }

    #[test]
    fn a_witness_has_one_encoding() {
        let long = [7; 300];
        for items in [&[][..], &[&[1, 2][..], &[]], &[&long[..253], &long[..]]] {
            let bytes = encode_witness(items);
            assert_eq!(decode_witness(&bytes).as_deref(), Some(items));
            assert_eq!(decode_witness(&[&bytes[..], &[0]].concat()), None);
            assert_eq!(decode_witness(&bytes[..bytes.len() - 1]), None);
        }
        for wrong in [&[][..], &[1], &[1, 253, 1, 0, 9], &[253, 1, 0], &[1, 254, 0, 0, 0, 0]] {
            assert_eq!(decode_witness(wrong), None, "{wrong:?}");
        }
    }
}

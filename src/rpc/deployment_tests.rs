//! Which wrapped signatures are read, and that there is one encoding of each.

use super::*;

fn word(value: usize) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&(value as u64).to_be_bytes());
    word
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = word(bytes.len()).to_vec();
    out.extend_from_slice(bytes);
    out.resize(32 + bytes.len().next_multiple_of(32), 0);
    out
}

fn wrapped(call: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 12];
    out.extend_from_slice(&[7; 20]);
    out.extend_from_slice(&word(96));
    out.extend_from_slice(&word(96 + string(call).len()));
    out.extend_from_slice(&string(call));
    out.extend_from_slice(&string(signature));
    out.extend_from_slice(&SUFFIX);
    out
}

#[test]
fn the_suffix_is_the_one_of_the_standard() {
    assert_eq!(hex::encode(SUFFIX), "6492".repeat(16));
}

#[test]
fn what_is_wrapped_comes_out_again_and_what_is_not_is_left_alone() {
    for call in [&b""[..], b"a", &[1; 32], &[2; 33], &[3; 700]] {
        for signature in [&b""[..], &[9; 65], &[8; 64]] {
            let bytes = wrapped(call, signature);
            let parts = SignatureParts::read(&bytes).unwrap();
            assert_eq!(parts.signature, signature);
            assert_eq!(parts.deployment, Some(Deployment { factory: [7; 20], call }));
        }
    }
    for bytes in [&b""[..], &[1; 65], &SUFFIX[1..]] {
        let parts = SignatureParts { signature: bytes, deployment: None };
        assert_eq!(SignatureParts::read(bytes), Some(parts));
    }
}

/// Any other byte before what is carried is another encoding, or none.
#[test]
fn every_other_encoding_is_refused() {
    // Odd lengths, so that one less would leave a byte that is not padding.
    let right = wrapped(&[3; 41], &[9; 65]);
    let call = 96 + 32..96 + 32 + 41;
    let signature = 96 + 32 + 64 + 32..96 + 32 + 64 + 32 + 65;
    for at in 0..right.len() - 32 {
        let mut other = right.clone();
        other[at] ^= 1;
        let carried = (12..32).contains(&at) || call.contains(&at) || signature.contains(&at);
        assert_eq!(SignatureParts::read(&other).is_some(), carried, "byte {at}");
    }
    for cut in 1..right.len() - 32 {
        let shorter = [&right[..right.len() - 32 - cut], &SUFFIX].concat();
        assert_eq!(SignatureParts::read(&shorter), None, "{cut} fewer");
    }
    let longer = [&right[..right.len() - 32], &[0; 32], &SUFFIX].concat();
    assert_eq!(SignatureParts::read(&longer), None);
    assert_eq!(SignatureParts::read(&SUFFIX), None);
    assert_eq!(SignatureParts::read(&wrapped(b"x", &wrapped(b"y", b"z"))), None, "twice");
    let mut nobody = right;
    nobody[12..32].fill(0);
    assert_eq!(SignatureParts::read(&nobody), None, "no factory");
}

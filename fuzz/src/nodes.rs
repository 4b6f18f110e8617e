//! What nodes of a chain answer, and the signatures that they are asked about.

use countersign::rpc::{
    AnswerError, Asked, SignatureParts, Verdict, is_wrapped, permission, verdict,
};
use countersign_sdk::time::Timestamp;

use crate::material::independently;

/// The chain that is asked.
const CHAIN: u64 = 31_337;

/// The question.
const ASKED: Asked = Asked { id: 1, chain: CHAIN, input: [0x11; 32], not_before: 1000 };

/// The first byte says which question and whether the rest is a whole body or a result within one. What
/// is taken for an answer is one to a generic JSON parser too, and a yes says so in one place.
pub fn answer(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let body = match kind & 2 {
        0 => bytes.to_vec(),
        _ => [br#"{"jsonrpc":"2.0","id":1,"result":"#, bytes, b"}"].concat(),
    };
    let read = || independently(&body);
    match kind & 1 {
        0 => {
            if let Ok((said, block)) = verdict(&body, &ASKED) {
                let Some(value) = read() else { return };
                let words = value["result"].as_str().expect("a text");
                assert_eq!(words.len(), 2 + 5 * 64);
                let word = |at: usize| u64::from_str_radix(&words[2 + 64 * at..66 + 64 * at], 16);
                assert_eq!((word(1), word(2)), (Ok(CHAIN), Ok(block.number)));
                assert_eq!(said == Verdict::Takes, matches!(word(0), Ok(1 | 4)));
                assert_eq!(said == Verdict::DelegatedTakes, word(0) == Ok(6));
                assert_eq!(word(3).ok(), block.time.map(Timestamp::as_unix));
                assert!(word(3).is_ok_and(|time| time >= ASKED.not_before));
                assert_eq!(&words[2 + 4 * 64..], "11".repeat(32));
                let other = Asked { chain: CHAIN + 1, ..ASKED };
                assert_eq!(verdict(&body, &other), Err(AnswerError::OtherChain));
                let other = Asked { input: [0x12; 32], ..ASKED };
                assert_eq!(verdict(&body, &other), Err(AnswerError::OtherQuestion));
            }
        }
        _ => {
            if let Ok((full, _)) = permission(&body, 1) {
                let Some(value) = read() else { return };
                assert_eq!(full, value["result"]["permission"] == "FullAccess");
                assert!(!full || value["error"].is_null() && value["result"]["error"].is_null());
            }
        }
    }
}

/// A signature as it is sent; or, behind a first byte, two parts that are wrapped here. What is read
/// is written again as the same bytes: there is one encoding.
pub fn contract_signature(data: &[u8]) {
    if let Some(parts) = SignatureParts::read(data) {
        match parts.deployment {
            None => assert_eq!((parts.signature, is_wrapped(data)), (data, false)),
            Some(deployment) => {
                assert_eq!(wrapped(&deployment.factory, deployment.call, parts.signature), data);
            }
        }
    }
    if let Some((at, rest)) = data.split_first() {
        let (call, signature) = rest.split_at(usize::from(*at).min(rest.len()));
        let bytes = wrapped(&[7; 20], call, signature);
        match SignatureParts::read(&bytes) {
            Some(parts) => {
                let deployment = parts.deployment.expect("it is wrapped");
                assert_eq!((deployment.call, parts.signature), (call, signature));
            }
            None => assert!(is_wrapped(signature)),
        }
    }
}

fn wrapped(factory: &[u8; 20], call: &[u8], signature: &[u8]) -> Vec<u8> {
    let word = |number: usize| {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&(number as u64).to_be_bytes());
        word
    };
    let string = |bytes: &[u8]| {
        let mut out = word(bytes.len()).to_vec();
        out.extend_from_slice(bytes);
        out.resize(32 + bytes.len().next_multiple_of(32), 0);
        out
    };
    let (call, signature) = (string(call), string(signature));
    let mut out = vec![0; 12];
    out.extend_from_slice(factory);
    out.extend_from_slice(&word(96));
    out.extend_from_slice(&word(96 + call.len()));
    out.extend_from_slice(&call);
    out.extend_from_slice(&signature);
    out.extend_from_slice(&[0x64, 0x92].repeat(16));
    out
}

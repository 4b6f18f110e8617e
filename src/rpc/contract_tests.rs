//! What is asked about a contract, and which answers are taken.

use serde_json::Value;

use super::*;

fn account() -> Account {
    "eip155:10:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".parse().unwrap()
}

fn body(words: [u64; 3]) -> Vec<u8> {
    let hex: String = words.iter().map(|word| format!("{word:064x}")).collect();
    json!({"jsonrpc": "2.0", "id": 1, "result": format!("0x{hex}")}).to_string().into_bytes()
}

#[test]
fn every_verdict_is_known_and_no_other() {
    for (said, verdict_) in [
        (0, Verdict::NoContract),
        (1, Verdict::Takes),
        (2, Verdict::Refuses),
        (3, Verdict::Refuses),
        (4, Verdict::Takes),
        (5, Verdict::Refuses),
    ] {
        assert_eq!(verdict(&body([said, 10, 77]), 10), Ok((verdict_, 77)));
        assert_eq!(verdict(&body([said, 1, 77]), 10), Err(AnswerError::OtherChain));
    }
    assert_eq!(verdict(&body([6, 10, 77]), 10), Err(AnswerError::Result));
    assert_eq!(verdict(&body([u64::MAX, 10, 77]), 10), Err(AnswerError::Result));
}

#[test]
fn anything_but_three_words_is_no_answer() {
    let answer = |result: Value| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string();
        verdict(body.as_bytes(), 10)
    };
    let right = format!("0x{:064x}{:064x}{:064x}", 1, 10, 5);
    assert_eq!(answer(json!(right)), Ok((Verdict::Takes, 5)));
    // The magic value itself, which a node that passed the account's answer through would give.
    let magic = format!("0x1626ba7e{}", "0".repeat(56));
    let high = right.replacen("0x0", "0x1", 1);
    for other in [
        json!(magic),
        json!(high),
        json!("0x"),
        json!(""),
        json!(right[2..]),
        json!(format!("{right}00")),
        json!(right[..right.len() - 1]),
        json!(right.replace("0x", "0X")),
        json!(1),
        json!([right]),
        json!({"data": right}),
    ] {
        assert_eq!(answer(other.clone()), Err(AnswerError::Result), "{other}");
    }
    let reverted = br#"{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"execution reverted"}}"#;
    assert_eq!(verdict(reverted, 10), Err(AnswerError::Refused));
}

#[test]
fn the_programs_input_is_what_the_signature_holds() {
    let question =
        |signature: Vec<u8>| ContractQuestion::new(account(), [2; 20], [3; 32], signature);
    let plain = question(vec![9; 65]).unwrap();
    let expected = format!(
        "0x{CHECKER}{}{}{}00000000{}",
        "02".repeat(20),
        "03".repeat(32),
        "00".repeat(20),
        "09".repeat(65)
    );
    assert_eq!(plain.program(), expected);
    assert!(!plain.is_wrapped());
    assert!(question(vec![9; MAX_CONTRACT_SIGNATURE]).is_some());
    assert!(question(vec![9; MAX_CONTRACT_SIGNATURE + 1]).is_none());
    assert!(question([0x64, 0x92].repeat(16)).is_none(), "a wrapper around nothing");
    assert_eq!(format!("{plain:?}"), format!("ContractQuestion({})", account()));
}

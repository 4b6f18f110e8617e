//! What is asked about a contract, and which answers are taken.

use std::time::Duration;

use countersign_sdk::account::ChainId;
use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::proof::replay::ReplayKey;
use serde_json::Value;

use super::*;
use crate::rpc::{Asker, ChainNodes};

fn account() -> Account {
    "eip155:10:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".parse().unwrap()
}

const INPUT: [u8; 32] = [0xab; 32];

const ASKED: Asked = Asked { id: 5, chain: 10, input: INPUT, not_before: 1000 };

fn words(said: u64, chain: u64, time: u64, input: [u8; 32]) -> String {
    format!("0x{said:064x}{chain:064x}{:064x}{time:064x}{}", 77, hex::encode(input))
}

fn body(result: impl Into<Value>) -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": 5, "result": result.into()}).to_string().into_bytes()
}

/// What every answer here is of.
const BLOCK: Block = Block { number: 77, time: Some(Timestamp::from_unix(1000)) };

fn said(result: String) -> Result<(Verdict, Block), AnswerError> {
    verdict(&body(result), &ASKED)
}

#[test]
fn every_verdict_is_known_and_no_other() {
    for (number, verdict) in [
        (0, Verdict::NoContract),
        (1, Verdict::Takes),
        (2, Verdict::Refuses),
        (3, Verdict::Refuses),
        (4, Verdict::Takes),
        (5, Verdict::Refuses),
        (6, Verdict::DelegatedTakes),
    ] {
        assert_eq!(said(words(number, 10, 1000, INPUT)), Ok((verdict, BLOCK)));
        assert_eq!(said(words(number, 1, 1000, INPUT)), Err(AnswerError::OtherChain));
        assert_eq!(said(words(number, 10, 999, INPUT)), Err(AnswerError::Behind));
        assert_eq!(said(words(number, 10, 1000, [1; 32])), Err(AnswerError::OtherQuestion));
    }
    assert_eq!(said(words(7, 10, 1000, INPUT)), Err(AnswerError::Result));
    assert_eq!(said(words(u64::MAX, 10, 1000, INPUT)), Err(AnswerError::Result));
    let other = Asked { id: 6, ..ASKED };
    let body = body(words(1, 10, 1000, INPUT));
    assert_eq!(verdict(&body, &other), Err(AnswerError::Malformed), "of another request");
}

#[test]
fn anything_but_five_words_is_no_answer() {
    let answer = |result: Value| verdict(&body(result), &ASKED);
    let right = words(1, 10, 1000, INPUT);
    assert_eq!(answer(json!(right)), Ok((Verdict::Takes, BLOCK)));
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
        json!(right[..2 + 3 * 64]),
        json!(right.replace("0x", "0X")),
        json!(1),
        json!([right]),
        json!({"data": right}),
    ] {
        assert_eq!(answer(other.clone()), Err(AnswerError::Result), "{other}");
    }
    let reverted = br#"{"jsonrpc":"2.0","id":5,"error":{"code":3,"message":"execution reverted"}}"#;
    assert_eq!(verdict(reverted, &ASKED), Err(AnswerError::Refused));
}

#[test]
fn the_programs_input_is_what_the_signature_holds() {
    let question =
        |signature: Vec<u8>| ContractQuestion::new(account(), [2; 20], [3; 32], signature);
    let plain = question(vec![9; 65]).unwrap();
    let expected = format!(
        "{}{}{}00000000{}",
        "02".repeat(20),
        "03".repeat(32),
        "00".repeat(20),
        "09".repeat(65)
    );
    assert_eq!(hex::encode(plain.input(&[])), expected);
    let wrapped = question(wrapped([7; 20], [9; 32])).unwrap();
    let input = |factory: &str| {
        let parts = ["02".repeat(20), "03".repeat(32), factory.repeat(20), "00000000".to_owned()];
        format!("{}{}", parts.concat(), "09".repeat(32))
    };
    assert_eq!(hex::encode(wrapped.input(&[[1; 20], [7; 20]])), input("07"));
    assert_eq!(hex::encode(wrapped.input(&[[1; 20]])), input("00"), "it is not one to be called");
    assert!(!plain.is_wrapped());
    assert!(question(vec![9; MAX_CONTRACT_SIGNATURE]).is_some());
    assert!(question(vec![9; MAX_CONTRACT_SIGNATURE + 1]).is_none());
    assert!(question([0x64, 0x92].repeat(16)).is_none(), "a wrapper around nothing");
    assert_eq!(format!("{plain:?}"), format!("ContractQuestion({})", account()));
}

/// `abi.encode(factory, "", signature)` and the suffix of ERC-6492, for a signature of one word.
fn wrapped(factory: [u8; 20], signature: [u8; 32]) -> Vec<u8> {
    let word = |number: u8| [[0; 31].as_slice(), &[number]].concat();
    let suffix = [0x64, 0x92].repeat(16);
    let head = [vec![0; 12], factory.to_vec(), word(96), word(128)].concat();
    [head, word(0), word(32), signature.to_vec(), suffix].concat()
}

fn settings(factories: Vec<[u8; 20]>) -> ChainNodes {
    ChainNodes {
        chain: ChainId::new("eip155", "10").unwrap(),
        // Nobody listens there.
        urls: vec!["http://127.0.0.1:9".parse().unwrap()],
        quorum: 1,
        timeout: Duration::from_secs(30),
        max_answer: 1024,
        block: BlockTag::Latest,
        max_block_age: 300,
        delegated: false,
        factories,
    }
}

/// Whoever names factories of his own makes nothing be kept, and has nobody asked.
#[tokio::test]
async fn a_factory_that_is_not_called_takes_no_turn() {
    let chain = Chain::new(settings(vec![[7; 20]])).unwrap();
    let nodes = crate::rpc::Nodes { chains: [(chain.settings.chain.clone(), chain)].into() };
    let ask = async |factory: u8, message: &[u8]| {
        let signature = wrapped([factory; 20], [9; 32]);
        let question = ContractQuestion::new(account(), [2; 20], [3; 32], signature).unwrap();
        let message = ReplayKey::of_bytes("test", message);
        let asker = Asker::SignIn { message, until: Timestamp::from_unix(300) };
        let asking = Asking::new(asker, Timestamp::from_unix(1), &OsEntropy).unwrap();
        nodes.contract(question, &asking).await.map(|_| ())
    };
    let counted = || nodes.chains.values().map(|chain| chain.counted.len()).sum::<usize>();
    for message in 0..20 {
        assert_eq!(ask(8, &[message]).await, Err(AskError::Factory));
    }
    assert_eq!(counted(), 0);
    assert_eq!(ask(7, b"listed").await, Err(AskError::Unavailable));
    assert_eq!(counted(), 1, "a silence is counted");
}

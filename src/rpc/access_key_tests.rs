//! What the nodes of NEAR answer, and what it means.

use super::*;

fn result(value: &Value) -> Result<(bool, u64), AnswerError> {
    permission(json!({"jsonrpc": "2.0", "id": 5, "result": value}).to_string().as_bytes(), 5)
}

fn error(value: &Value) -> Result<(bool, u64), AnswerError> {
    permission(json!({"jsonrpc": "2.0", "id": 5, "error": value}).to_string().as_bytes(), 5)
}

#[test]
fn full_access_alone_is_a_yes() {
    let viewed = |permission: Value| {
        result(&json!({
            "nonce": 85, "permission": permission, "block_height": 19_884_918, "block_hash": "x",
        }))
    };
    assert_eq!(viewed(json!("FullAccess")), Ok((true, 19_884_918)));
    let call = json!({"FunctionCall": {
        "allowance": "1", "receiver_id": "app.near", "method_names": ["FullAccess"],
    }});
    assert_eq!(viewed(call), Ok((false, 19_884_918)));
    assert_eq!(viewed(json!({"FullAccess": {}})), Ok((false, 19_884_918)));
    assert_eq!(viewed(json!("fullaccess")), Ok((false, 19_884_918)));
    for other in [json!(null), json!(true), json!(["FullAccess"]), json!(1)] {
        assert_eq!(viewed(other), Err(AnswerError::Result));
    }
    assert_eq!(result(&json!({"permission": "FullAccess"})), Err(AnswerError::Result));
    let both = json!({"permission": "FullAccess", "error": "does not exist", "block_height": 1});
    assert_eq!(result(&both), Err(AnswerError::Result));
}

#[test]
fn unknown_names_and_keys_are_a_no_and_other_errors_no_answer() {
    let cause = |name: &str| {
        error(&json!({
            "name": "HANDLER_ERROR", "code": -32000, "message": "Server error", "data": "x",
            "cause": {"name": name, "info": {"block_height": 7, "block_hash": "x"}},
        }))
    };
    assert_eq!(cause("UNKNOWN_ACCESS_KEY"), Ok((false, 7)));
    assert_eq!(cause("UNKNOWN_ACCOUNT"), Ok((false, 7)));
    for other in
        ["UNAVAILABLE_SHARD", "NO_SYNCED_BLOCKS", "INTERNAL_ERROR", "GARBAGE_COLLECTED_BLOCK"]
    {
        assert_eq!(cause(other), Err(AnswerError::Refused), "{other}");
    }
    assert_eq!(error(&json!({"code": -32000, "message": "busy"})), Err(AnswerError::Refused));
    let older = json!({
        "error": "access key ed25519:x does not exist while viewing", "logs": [],
        "block_height": 17, "block_hash": "x",
    });
    assert_eq!(result(&older), Ok((false, 17)));
    for other in ["the node is behind", "shard 3 does not exist", "the account does not exist"] {
        let other = json!({"error": other, "block_height": 17});
        assert_eq!(result(&other), Err(AnswerError::Result), "{other}");
    }
    let unknown =
        json!({"error": "account a.near does not exist while viewing", "block_height": 17});
    assert_eq!(result(&unknown), Ok((false, 17)));
    assert_eq!(permission(b"{}", 5), Err(AnswerError::Malformed));
}

#[test]
fn a_node_is_of_the_network_that_it_says() {
    let status = |chain: Value| {
        let body =
            json!({"jsonrpc": "2.0", "id": 5, "result": {"chain_id": chain, "validators": []}});
        check_status(body.to_string().as_bytes(), "mainnet", 5)
    };
    assert_eq!(status(json!("mainnet")), Ok(()));
    assert_eq!(status(json!("testnet")), Err(AnswerError::OtherChain));
    assert_eq!(status(json!(null)), Err(AnswerError::Result));
}

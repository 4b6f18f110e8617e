//! What the nodes of NEAR answer, and what it means.

use super::*;

fn result(value: &Value) -> Result<(bool, u64), AnswerError> {
    permission(json!({"jsonrpc": "2.0", "id": 1, "result": value}).to_string().as_bytes())
}

fn error(value: &Value) -> Result<(bool, u64), AnswerError> {
    permission(json!({"jsonrpc": "2.0", "id": 1, "error": value}).to_string().as_bytes())
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
    let other = json!({"error": "the node is behind", "block_height": 17});
    assert_eq!(result(&other), Err(AnswerError::Result));
    assert_eq!(permission(b"{}"), Err(AnswerError::Malformed));
}

//! An answer is one JSON-RPC object with a result or an error, to the request that was made.
//!
//! What a result means is for the question to say. An error is kept as it came: to most questions it
//! is no answer at all, to some of NEAR's it is one.
//!
//! Specs: JSON-RPC 2.0 §5.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Why bytes are no answer to the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not a JSON-RPC object with either a result or an error.
    #[error("it is no JSON-RPC answer to the request")]
    Malformed,
    /// The node says that it could not do what it was asked.
    #[error("the node answered with an error")]
    Refused,
    /// The result is not of the form that the question has.
    #[error("the result is none that the question can have")]
    Result,
    /// The node is of another chain.
    #[error("the node is of another chain")]
    OtherChain,
    /// The answer is one to another question.
    #[error("it is the answer to another question")]
    OtherQuestion,
    /// The block that the answer is of is older than may be.
    #[error("the block that it is of is too old: the node is behind")]
    Behind,
}

/// A result or an error, as it was written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer<'a> {
    Result(&'a RawValue),
    Error(&'a RawValue),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    id: u64,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Reads a body, the answer to the request `id`.
///
/// # Errors
/// [`AnswerError::Malformed`].
pub(super) fn read(body: &[u8], id: u64) -> Result<Answer<'_>, AnswerError> {
    // All of it: the parser does not look into members that it skips.
    let text = std::str::from_utf8(body).map_err(|_| AnswerError::Malformed)?;
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|_| AnswerError::Malformed)?;
    if envelope.jsonrpc != "2.0" || envelope.id != id {
        return Err(AnswerError::Malformed);
    }
    match (envelope.result, envelope.error) {
        (Some(result), None) => Ok(Answer::Result(result)),
        (None, Some(error)) => Ok(Answer::Error(error)),
        (Some(_), Some(_)) | (None, None) => Err(AnswerError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_result_or_an_error_and_is_ours() {
        for (body, expected) in [
            (r#"{"jsonrpc":"2.0","id":1,"result":"0x"}"#, Some("\"0x\"")),
            (r#"{"id":1,"result":{},"jsonrpc":"2.0","error":null,"more":[1]}"#, Some("{}")),
            (r#"{"jsonrpc":"2.0","id":1,"error":{"code":3}}"#, Some("error")),
            (r#"{"jsonrpc":"2.0","id":1}"#, None),
            (r#"{"jsonrpc":"2.0","id":1,"result":"0x","error":{}}"#, None),
            (r#"{"jsonrpc":"2.0","id":1,"result":"0x","result":"0x1"}"#, None),
            (r#"{"jsonrpc":"2.0","id":2,"result":"0x"}"#, None),
            (r#"{"jsonrpc":"2.0","id":"1","result":"0x"}"#, None),
            (r#"{"jsonrpc":"1.0","id":1,"result":"0x"}"#, None),
            (r#"[{"jsonrpc":"2.0","id":1,"result":"0x"}]"#, None),
            (r#"{"jsonrpc":"2.0","id":1,"result":"0x"} x"#, None),
            ("", None),
        ] {
            let found = match read(body.as_bytes(), 1) {
                Ok(Answer::Result(result)) => Some(result.get()),
                Ok(Answer::Error(_)) => Some("error"),
                Err(error) => {
                    assert_eq!(error, AnswerError::Malformed);
                    None
                }
            };
            assert_eq!(found, expected, "{body}");
        }
    }
}

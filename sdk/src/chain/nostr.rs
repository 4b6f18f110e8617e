//! Nostr's events, as far as signing in needs them: the id that a key signs.
//!
//! A key is the x-coordinate of a point (BIP-340). The event that signs in is one of NIP-98, which
//! says where it is sent, with the text as its content.
//!
//! Specs: NIP-01, NIP-98, BIP-340.

use super::hash::sha256;

/// The kind of an event that authorizes an HTTP request (NIP-98).
pub const HTTP_AUTH: u64 = 27235;

/// The tags of the event that signs in: where the text is sent, and how.
pub fn sign_in_tags(uri: &str) -> Vec<Vec<String>> {
    [["u", uri], ["method", "POST"]].map(|tag| tag.map(str::to_owned).to_vec()).to_vec()
}

/// The id of an event: SHA-256 of its parts as JSON in the one spelling of NIP-01. `None` where a
/// part holds a control character for which that spelling has no escape.
pub fn event_id(
    pubkey: &[u8; 32],
    created_at: u64,
    kind: u64,
    tags: &[Vec<String>],
    content: &str,
) -> Option<[u8; 32]> {
    let mut json = format!(r#"[0,"{}",{created_at},{kind},["#, hex::encode(pubkey));
    for (place, tag) in tags.iter().enumerate() {
        json.push_str(if place == 0 { "[" } else { ",[" });
        for (place, item) in tag.iter().enumerate() {
            if place > 0 {
                json.push(',');
            }
            push_text(&mut json, item)?;
        }
        json.push(']');
    }
    json.push_str("],");
    push_text(&mut json, content)?;
    json.push(']');
    Some(sha256(json.as_bytes()))
}

fn push_text(json: &mut String, text: &str) -> Option<()> {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            '\0'..='\u{1f}' => return None,
            _ => json.push(c),
        }
    }
    json.push('"');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_written_as_nip01_has_them() {
        let mut json = String::new();
        assert!(
            push_text(&mut json, "say \"hi\"\nto 世界 \\ \t\u{8}\u{c}\r\u{7f}\u{2028}").is_some()
        );
        assert_eq!(json, "\"say \\\"hi\\\"\\nto 世界 \\\\ \\t\\b\\f\\r\u{7f}\u{2028}\"");
        assert!(push_text(&mut json, "\u{1}").is_none());
        assert!(event_id(&[1; 32], 0, 1, &[], "\0").is_none());
    }
}

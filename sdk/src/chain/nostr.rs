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
    // Sixteen more for what is escaped: a text has about as many lines.
    json.reserve(text.len().saturating_add(16));
    json.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|b| b < 0x20 || b == b'"' || b == b'\\') {
        let (plain, after) = rest.split_at_checked(at)?;
        json.push_str(plain);
        let mut after = after.chars();
        json.push_str(match after.next()? {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            _ => return None,
        });
        rest = after.as_str();
    }
    json.push_str(rest);
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

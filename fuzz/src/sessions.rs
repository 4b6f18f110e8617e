//! What sessions and their ends are named by: refresh tokens, and places in the feed of revocations.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::service::feed::Cursor;
use countersign::store::SessionSecret;
use countersign::token::refresh::{PREFIX, RefreshTokens};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::cut::Cut;

const SECRET: [u8; 32] = [7; 32];

fn tokens() -> &'static RefreshTokens {
    static TOKENS: OnceLock<RefreshTokens> = OnceLock::new();
    TOKENS.get_or_init(|| RefreshTokens::new(&SessionSecret::from_bytes(Zeroizing::new(SECRET))))
}

/// HMAC (RFC 2104) over SHA-256, written out.
fn hmac(message: &[u8]) -> [u8; 32] {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(SECRET).for_each(|(padded, secret)| *padded ^= secret);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

fn checksum(authenticated: &[u8]) -> [u8; 4] {
    let hash = Sha256::new().chain_update(PREFIX).chain_update(authenticated).finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// Refresh tokens: what is accepted has our MAC and checksum in the one spelling, and a right one with
/// anything changed is refused. `0, text`, or `1, session, generation, bits to flip`.
pub fn refresh_token(data: &[u8]) {
    let mut cut = Cut(data);
    if cut.byte() & 1 == 0 {
        let text = String::from_utf8_lossy(cut.0);
        if let Ok(genuine) = tokens().read(&text) {
            assert_eq!(text, written(genuine.session().as_bytes(), genuine.generation()));
        }
        return;
    }
    let (session, generation) = (cut.array::<16>(), u32::from_be_bytes(cut.array()));
    let text = written(&session, generation);
    let genuine = tokens().read(&text).expect("it is right");
    assert_eq!((genuine.session().as_bytes(), genuine.generation()), (&session, generation));
    let mut bytes = text.into_bytes();
    if cut.disturb(&mut bytes) {
        assert!(tokens().read(&String::from_utf8_lossy(&bytes)).is_err());
    }
    // Whoever mends the checksum has still no MAC.
    let mut forged = [&session[..], &generation.to_be_bytes(), &[0; 24]].concat();
    forged.extend(checksum(&forged));
    assert!(tokens().read(&format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(forged))).is_err());
}

fn written(session: &[u8; 16], generation: u32) -> String {
    let named = [&session[..], &generation.to_be_bytes()].concat();
    let mac = hmac(&[b"countersign refresh token 1", &named[..]].concat());
    let mut bytes = [&named[..], &mac[..24]].concat();
    bytes.extend(checksum(&bytes));
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Places in the feed: what is read is 16 bytes, and is written again as it was.
pub fn feed_cursor(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let bytes = URL_SAFE_NO_PAD.decode(&*text);
    match text.parse::<Cursor>() {
        Ok(cursor) => {
            assert_eq!(cursor.to_string(), text);
            assert_eq!(bytes.expect("base64url").len(), 16);
        }
        Err(_) => assert!(bytes.is_err() || bytes.is_ok_and(|bytes| bytes.len() != 16)),
    }
    let raw: [u8; 16] = Cut(data).array();
    assert!(URL_SAFE_NO_PAD.encode(raw).parse::<Cursor>().is_ok());
}

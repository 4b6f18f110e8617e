//! Records of the embedded store and of the audit log, as they could stand in a file that somebody has changed.

use countersign::audit::evidence::SignIn;
use countersign::audit::proof::Proof;
use countersign::audit::record::Record;
use countersign::model::session::SessionId;
use countersign::service::arbiter;
use countersign::store::embedded::record;

/// The first byte says of what; what is read is written again as the same bytes.
pub fn store_record(data: &[u8]) {
    match data.split_first() {
        Some((0, bytes)) => {
            if let Ok(session) = record::session(SessionId::from_bytes([7; 16]), bytes) {
                assert_eq!(record::of_session(&session), bytes);
            }
        }
        Some((_, bytes)) => {
            if let Ok(entry) = record::entry(bytes) {
                assert_eq!(record::of_entry(&entry), bytes);
            }
        }
        None => {}
    }
}

/// What is read as a record is written again as the same bytes; what it tells of a sign-in is judged.
pub fn audit_record(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(record) = Record::read(text) {
        assert_eq!(record.line(), text);
        assert_eq!(record.prev.then(record.leaf()), record.hash);
        let _ = record.event();
    }
    if let Ok(sign_in) = serde_json::from_str::<SignIn>(text) {
        let _ = arbiter::evidence(&sign_in, sign_in.token.exp.minus(1));
    }
}

/// A proof that holds says of its record what the record says.
pub fn audit_proof(data: &[u8]) {
    let Ok(proof) = Proof::read(data) else { return };
    if let Ok(verdict) = arbiter::check(&proof, None) {
        assert_eq!(verdict.seq, proof.record.seq);
        assert!(proof.record.body.get().contains(&verdict.jti));
    }
}

//! Records of the embedded store, as they could stand in a file that somebody has changed.

use countersign::model::session::SessionId;
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

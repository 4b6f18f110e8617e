//! What the issuer adds to a challenge with its own hand, and where its key for that comes from.
//!
//! Wallets that sign transactions want one that a server signed before, and wallets that answer by a
//! call-back are told where to. The key of transactions is the operator's, where domains have to
//! publish it (SEP-1), or is made at the start, as the key of nonces is: challenges end with both.

use std::io;
use std::path::Path;

use countersign_sdk::client::private_file;
use countersign_sdk::entropy::Entropy;
use countersign_sdk::time::Timestamp;

use super::context::Context;
use crate::model::reason::Refusal;
use crate::wallet::format::Issuing;
use crate::wallet::sep10::ServerKey;

/// The longest file of a seed, in bytes: 56 letters and digits, and a line end.
const MAX_FILE: usize = 58;

/// The issuer, for a challenge that ends then.
pub(super) struct IssuedBy<'a> {
    pub(super) context: &'a Context,
    pub(super) until: Timestamp,
}

impl Issuing for IssuedBy<'_> {
    fn stellar(&self) -> &ServerKey {
        &self.context.stellar
    }

    fn call_back_state(
        &self,
        digest: &[u8; 32],
        key: Option<&[u8; 33]>,
    ) -> Result<String, Refusal> {
        self.context.nonces.call_back(self.until, digest, key, &*self.context.entropy)
    }
}

/// The key in a file, or a new one where none is configured.
///
/// # Errors
/// What is wrong with the file: not there, another user's, open to others, or not a seed. Nothing of it is quoted.
pub fn stellar_key(path: Option<&Path>, entropy: &dyn Entropy) -> io::Result<ServerKey> {
    let Some(path) = path else {
        return ServerKey::generate(entropy).map_err(io::Error::other);
    };
    let text = private_file::read(path, MAX_FILE).map_err(io::Error::other)?;
    ServerKey::from_seed(text.trim_end_matches(['\r', '\n'])).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use countersign_sdk::entropy::OsEntropy;

    use super::*;

    #[test]
    fn a_seed_is_taken_from_a_private_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seed");
        let read = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            stellar_key(Some(&path), &OsEntropy).map(|key| key.account())
        };
        // SEP-5, its first account.
        let seed = "SBGWSG6BTNCKCOB3DIFBGCVMUPQFYPA2G4O34RMTB343OYPXU5DJDVMN";
        let account = "GDRXE2BQUC3AZNPVFSCEZ76NJ3WWL25FYFK6RGZGIEKWE4SOOHSUJUJ6";
        assert_eq!(read(seed, 0o600).unwrap(), account);
        assert_eq!(read(&format!("{seed}\n"), 0o400).unwrap(), account);
        for (text, mode) in [(seed, 0o640), (seed, 0o604), (account, 0o600), ("", 0o600)] {
            assert!(read(text, mode).is_err());
        }
        let error = read(&seed.replace('B', "C"), 0o600).unwrap_err().to_string();
        assert!(!error.contains("SCGWSG"), "{error}");
        assert!(read(&format!("{seed}{seed}"), 0o600).is_err());
        assert!(stellar_key(Some(folder.path()), &OsEntropy).is_err());
        assert!(stellar_key(Some(&folder.path().join("none")), &OsEntropy).is_err());
        // Only root can give a file away; as anybody else this shows nothing.
        if read(seed, 0o600).is_ok() && chown(&path, Some(65_534), None).is_ok() {
            let error = stellar_key(Some(&path), &OsEntropy).unwrap_err().to_string();
            assert!(error.contains("another user"), "{error}");
        }
        let made = [(); 2].map(|()| stellar_key(None, &OsEntropy).unwrap().account());
        assert_ne!(made[0], made[1]);
    }
}

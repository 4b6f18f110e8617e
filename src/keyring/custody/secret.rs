//! What private halves are sealed with: a passphrase or a key, from a file that nobody else can read.
//!
//! Never from an argument or the environment: those show in process lists. RFC 5869 is for keys, RFC
//! 9106 for passphrases; both in `sealed.rs`.

use std::fmt;
use std::path::{Path, PathBuf};

use countersign_sdk::client::private_file;
use zeroize::Zeroizing;

use super::CustodyError;

/// The longest file of a secret, in bytes.
const MAX_BYTES: usize = 4096;
/// The shortest passphrase that is taken, in bytes.
const SHORTEST_PASSPHRASE: usize = 16;

/// Where the secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A passphrase, in a file of the server's own user.
    PassphraseFile(PathBuf),
    /// 32 bytes as 64 hexadecimal digits, in such a file.
    KeyFile(PathBuf),
    /// The same as a credential of the service manager, who sees to it who can read it.
    Credential(PathBuf),
}

/// What private halves are sealed with. Prints nothing of it.
pub enum Secret {
    /// A text that somebody thought of or a program made.
    Passphrase(Zeroizing<String>),
    /// 32 random bytes.
    Key(Zeroizing<[u8; 32]>),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase(_) => "Passphrase",
            Self::Key(_) => "Key",
        })
    }
}

impl SecretSource {
    /// Reads the secret.
    ///
    /// # Errors
    /// [`CustodyError::Secret`], which names the file and nothing of what is in it.
    pub fn read(&self) -> Result<Secret, CustodyError> {
        match self {
            Self::PassphraseFile(path) => {
                let text = private_file::read(path, MAX_BYTES);
                let text = text.map_err(|error| failed(path, &error.to_string()))?;
                let passphrase = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
                if passphrase.len() < SHORTEST_PASSPHRASE {
                    let problem =
                        format!("a passphrase has {SHORTEST_PASSPHRASE} characters or more");
                    return Err(failed(path, &problem));
                }
                Ok(Secret::Passphrase(passphrase))
            }
            Self::KeyFile(path) => {
                let text = private_file::read(path, MAX_BYTES);
                key(path, &text.map_err(|error| failed(path, &error.to_string()))?)
            }
            // Its folder is the service manager's, with rights of its own.
            Self::Credential(path) => {
                let text = private_file::read_any(path, MAX_BYTES);
                key(path, &text.map_err(|error| failed(path, &error.to_string()))?)
            }
        }
    }
}

fn key(path: &Path, text: &str) -> Result<Secret, CustodyError> {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim(), &mut *bytes).map_err(|_| {
        failed(path, "64 hexadecimal digits are needed (countersign keys generate-secret)")
    })?;
    if bytes.iter().all(|byte| *byte == 0) {
        return Err(failed(path, "a key of zeros is none"));
    }
    Ok(Secret::Key(bytes))
}

fn failed(path: &Path, problem: &str) -> CustodyError {
    CustodyError::Secret(format!("{}: {problem}", path.display()))
}

//! Whether an armoured SSH signature holds an Ed25519 signature, and over which bytes.
//!
//! `ssh-keygen -Y sign` does not sign a file but a structure with the file's hash and a namespace, so
//! that a signature for one purpose does not serve another. The structure is rebuilt from the
//! bytes that were received; of the blob only the key, the hash's name and the signature are used,
//! and every other field must be what this format writes.
//!
//! Specs: PROTOCOL.sshsig of OpenSSH, RFC 4253 §6.6, RFC 8709 (ssh-ed25519).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha512};

const MAGIC: &[u8] = b"SSHSIG";
const VERSION: [u8; 4] = [0, 0, 0, 1];
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "\n-----END SSH SIGNATURE-----";
const KEY_TYPE: &[u8] = b"ssh-ed25519";

/// The namespace that a sign-in is signed in.
pub const NAMESPACE: &str = "countersign";

/// The longest armoured signature that is read, in bytes: enough to tell an RSA key by its name.
const MAX_ARMOURED: usize = 4096;

/// An Ed25519 signature in the namespace of sign-ins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SshSignature {
    /// The key that claims to have signed.
    pub key: [u8; 32],
    /// Its signature.
    pub signature: [u8; 64],
    /// What the message was hashed with.
    pub hash: Hash,
}

/// A hash that `ssh-keygen` offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-512, which is the usual one.
    Sha512,
}

impl Hash {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Sha256 => b"sha256",
            Self::Sha512 => b"sha512",
        }
    }
}

impl SshSignature {
    /// Reads the armour and the blob within.
    ///
    /// # Errors
    /// One sentence that says what is not right.
    pub fn parse(armoured: &str) -> Result<Self, &'static str> {
        let broken =
            "a signature is what ssh-keygen -Y sign wrote, from BEGIN SSH SIGNATURE to END";
        let text = armoured.strip_suffix('\n').unwrap_or(armoured);
        let body = (text.len() <= MAX_ARMOURED)
            .then(|| text.strip_prefix(BEGIN)?.strip_suffix(END))
            .flatten()
            .ok_or(broken)?;
        let blob = STANDARD.decode(body.replace('\n', "")).map_err(|_| broken)?;
        let mut rest = blob.strip_prefix(MAGIC).ok_or(broken)?;
        if take(&mut rest) != Some(VERSION) {
            return Err("the version of an SSH signature is 1");
        }
        let key = key_of(string(&mut rest).ok_or(broken)?)?;
        if string(&mut rest).ok_or(broken)? != NAMESPACE.as_bytes() {
            return Err(
                "the namespace of the signature must be countersign (ssh-keygen -n countersign)",
            );
        }
        if !string(&mut rest).ok_or(broken)?.is_empty() {
            return Err("the reserved field of an SSH signature is empty");
        }
        let name = string(&mut rest).ok_or(broken)?;
        let hash = [Hash::Sha512, Hash::Sha256].into_iter().find(|hash| hash.name() == name);
        let mut inner = string(&mut rest).ok_or(broken)?;
        let (kind, signature) = (string(&mut inner), string(&mut inner));
        if kind != Some(KEY_TYPE) || !inner.is_empty() || !rest.is_empty() {
            return Err(broken);
        }
        Ok(Self {
            key,
            signature: signature.and_then(|bytes| bytes.try_into().ok()).ok_or(broken)?,
            hash: hash.ok_or("the hash of an SSH signature is sha512 or sha256")?,
        })
    }

    /// Writes the blob and its armour, in lines of 70 characters as OpenSSH does.
    pub fn armoured(&self) -> String {
        let key = joined(&[KEY_TYPE, &self.key]);
        let signature = joined(&[KEY_TYPE, &self.signature]);
        let fields = joined(&[&key, NAMESPACE.as_bytes(), b"", self.hash.name(), &signature]);
        let text = STANDARD.encode([MAGIC, &VERSION, &fields].concat());
        let mut armoured = BEGIN.trim_end().to_owned();
        for (place, letter) in text.chars().enumerate() {
            if place % 70 == 0 {
                armoured.push('\n');
            }
            armoured.push(letter);
        }
        armoured.push_str(END);
        armoured.push('\n');
        armoured
    }
}

/// The bytes that are signed for a message.
pub fn signed_bytes(hash: Hash, message: &[u8]) -> Vec<u8> {
    let digest = match hash {
        Hash::Sha256 => Sha256::digest(message).to_vec(),
        Hash::Sha512 => Sha512::digest(message).to_vec(),
    };
    [MAGIC, &joined(&[NAMESPACE.as_bytes(), b"", hash.name(), &digest])].concat()
}

/// Strings one after the other, each with its length of four bytes in front.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        // Every part is shorter than 256 bytes.
        bytes.extend(u32::try_from(part.len()).unwrap_or_default().to_be_bytes());
        bytes.extend(*part);
    }
    bytes
}

/// The key of an `ssh-ed25519` blob; keys of other kinds are refused by name.
fn key_of(mut blob: &[u8]) -> Result<[u8; 32], &'static str> {
    let broken = "the public key in the signature is not a right one";
    let kind = string(&mut blob).ok_or(broken)?;
    match kind {
        KEY_TYPE => {}
        b"ssh-rsa" => return Err("SSH keys of the kind RSA are not taken; use an Ed25519 key"),
        b"sk-ssh-ed25519@openssh.com" | b"sk-ecdsa-sha2-nistp256@openssh.com" => {
            return Err("SSH keys on a security token (sk-) are not taken; use an Ed25519 key");
        }
        b"ecdsa-sha2-nistp256" | b"ecdsa-sha2-nistp384" | b"ecdsa-sha2-nistp521" => {
            return Err("SSH keys of the kind ECDSA are not taken; use an Ed25519 key");
        }
        _ => return Err("SSH keys of this kind are not taken; use an Ed25519 key"),
    }
    let key = string(&mut blob).and_then(|bytes| bytes.try_into().ok());
    key.filter(|_| blob.is_empty()).ok_or(broken)
}

/// The next string: a length of four bytes, big-endian, and so many bytes.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(u32::from_be_bytes(take(rest)?)).ok()?;
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(bytes)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*bytes)
}

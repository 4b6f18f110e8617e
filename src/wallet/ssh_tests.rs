//! What the format `ssh` takes and refuses, with signatures of the real `ssh-keygen`.

use std::fs;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_sdk::key::{InMemorySigner, Signer as _};

use super::*;
use crate::model::reason::Reason;
use crate::wallet::samples::{self, SMALL_KEY, SMALL_SIGNATURE, disturbed, plus_order};

fn text_for(did: &str) -> String {
    samples::text("SSH key", did, "")
}

fn judge(text: &str, signature: &str) -> Result<String, Reason> {
    samples::judge(&Ssh, text, signature, None)
}

fn signer() -> (InMemorySigner, String) {
    let signer = InMemorySigner::from_bytes(Curve::Ed25519, &[7; 32]).unwrap();
    let did = signer.public_key().to_did_key().unwrap();
    (signer, did)
}

/// The fields of a blob, to be changed one by one.
#[derive(Clone)]
struct Blob {
    magic: Vec<u8>,
    version: u32,
    key_type: Vec<u8>,
    key: Vec<u8>,
    namespace: Vec<u8>,
    reserved: Vec<u8>,
    hash: Vec<u8>,
    kind: Vec<u8>,
    signature: Vec<u8>,
    trailing: Vec<u8>,
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

impl Blob {
    /// A right blob over a text.
    fn of(signer: &InMemorySigner, text: &str) -> Self {
        use sha2::{Digest as _, Sha512};
        let blob = Self {
            magic: b"SSHSIG".to_vec(),
            version: 1,
            key_type: b"ssh-ed25519".to_vec(),
            key: signer.public_key().as_bytes().to_vec(),
            namespace: b"countersign".to_vec(),
            reserved: Vec::new(),
            hash: b"sha512".to_vec(),
            kind: b"ssh-ed25519".to_vec(),
            signature: Vec::new(),
            trailing: Vec::new(),
        };
        blob.signed(signer, &Sha512::digest(text))
    }

    /// Signed anew, so that nothing but the changed field is wrong.
    fn signed(mut self, signer: &InMemorySigner, digest: &[u8]) -> Self {
        let parts = [&self.namespace, &self.reserved, &self.hash, digest].map(string);
        let bytes = [&self.magic[..], &parts.concat()].concat();
        self.signature = signer.sign_now(&bytes).unwrap();
        self
    }

    fn armoured(&self) -> String {
        let key = [string(&self.key_type), string(&self.key)].concat();
        let signature = [string(&self.kind), string(&self.signature)].concat();
        let blob = [
            self.magic.clone(),
            self.version.to_be_bytes().to_vec(),
            string(&key),
            string(&self.namespace),
            string(&self.reserved),
            string(&self.hash),
            string(&signature),
            self.trailing.clone(),
        ];
        armoured(&blob.concat())
    }
}

fn armoured(blob: &[u8]) -> String {
    let text = STANDARD.encode(blob);
    let lines: Vec<_> = text.as_bytes().chunks(70).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
}

#[test]
fn what_ssh_keygen_signs_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new("ssh-keygen");
        command.current_dir(folder.path()).args(arguments).stdin(Stdio::null());
        let output = command.output().expect("ssh-keygen is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", "id"]);
    let public = fs::read_to_string(folder.path().join("id.pub")).unwrap();
    let blob = STANDARD.decode(public.split(' ').nth(1).unwrap()).unwrap();
    let key = PublicKey::from_ed25519_bytes(&blob[blob.len() - 32..]).unwrap();
    let did = key.to_did_key().unwrap();
    let text = text_for(&did);
    fs::write(folder.path().join("text"), &text).unwrap();
    for hash in ["sha512", "sha256"] {
        let option = format!("hashalg={hash}");
        let sign = ["-Y", "sign", "-n", "countersign", "-O", &option, "-f", "id", "text"];
        run(&sign);
        let signature = fs::read_to_string(folder.path().join("text.sig")).unwrap();
        assert_eq!(judge(&text, &signature), Ok(did.clone()), "{hash}");
        assert_eq!(judge(&text, signature.trim_end()), Ok(did.clone()));
        let other = text.replace("app.", "evil.");
        assert_eq!(judge(&other, &signature), Err(Reason::SignatureMismatch));
        fs::remove_file(folder.path().join("text.sig")).unwrap();
    }
    run(&["-Y", "sign", "-n", "git", "-f", "id", "text"]);
    let signature = fs::read_to_string(folder.path().join("text.sig")).unwrap();
    assert_eq!(judge(&text, &signature), Err(Reason::SignatureMalformed));
    for kind in ["rsa", "ecdsa"] {
        run(&["-q", "-t", kind, "-N", "", "-f", kind]);
        fs::remove_file(folder.path().join("text.sig")).unwrap();
        run(&["-Y", "sign", "-n", "countersign", "-f", kind, "text"]);
        let signature = fs::read_to_string(folder.path().join("text.sig")).unwrap();
        let refusal = SshSignature::parse(&signature).unwrap_err();
        assert!(refusal.contains(&kind.to_uppercase()), "{refusal}");
    }
}

#[test]
fn every_field_of_the_blob_is_the_one_expected() {
    let (key, did) = signer();
    let text = text_for(&did);
    let right = Blob::of(&key, &text);
    assert_eq!(judge(&text, &right.armoured()), Ok(did));
    let read = SshSignature::parse(&right.armoured()).unwrap();
    assert_eq!(read.armoured(), right.armoured(), "written as it was read");
    let malformed = Err(Reason::SignatureMalformed);
    let digest = {
        use sha2::{Digest as _, Sha512};
        Sha512::digest(&text)
    };
    let resigned = |change: &dyn Fn(&mut Blob)| {
        let mut blob = right.clone();
        change(&mut blob);
        judge(&text, &blob.signed(&key, &digest).armoured())
    };
    assert_eq!(resigned(&|blob| blob.magic = b"SSHSIH".to_vec()), malformed);
    assert_eq!(resigned(&|blob| blob.version = 2), malformed);
    assert_eq!(resigned(&|blob| blob.key_type = b"ssh-rsa".to_vec()), malformed);
    assert_eq!(resigned(&|blob| blob.key.push(0)), malformed);
    assert_eq!(resigned(&|blob| blob.namespace = b"file".to_vec()), malformed);
    assert_eq!(resigned(&|blob| blob.namespace.push(0)), malformed);
    assert_eq!(resigned(&|blob| blob.reserved.push(0)), malformed);
    assert_eq!(resigned(&|blob| blob.hash = b"sha1".to_vec()), malformed);
    assert_eq!(resigned(&|blob| blob.hash = b"sha256".to_vec()), Err(Reason::SignatureMismatch));
    assert_eq!(resigned(&|blob| blob.kind = b"ssh-rsa".to_vec()), malformed);
    assert_eq!(resigned(&|blob| blob.trailing.push(0)), malformed);
    assert_eq!(resigned(&|_| ()), judge(&text, &right.armoured()));
}

#[test]
fn no_other_signature_is_one() {
    let (key, did) = signer();
    let text = text_for(&did);
    let right = Blob::of(&key, &text);
    for signature in disturbed(&right.signature).chain([plus_order(&right.signature)]) {
        let other = Blob { signature, ..right.clone() };
        assert!(judge(&text, &other.armoured()).is_err());
    }
    let mismatch = Err(Reason::SignatureMismatch);
    let other = InMemorySigner::from_bytes(Curve::Ed25519, &[8; 32]).unwrap();
    assert_eq!(judge(&text, &Blob::of(&other, &text).armoured()), mismatch);
    let swapped = Blob { key: right.key.clone(), ..Blob::of(&other, &text) };
    assert_eq!(judge(&text, &swapped.armoured()), mismatch);
    // Over the text itself, which is what the format `key` signs.
    let bare = Blob { signature: key.sign_now(text.as_bytes()).unwrap(), ..right };
    assert_eq!(judge(&text, &bare.armoured()), mismatch);
}

#[test]
fn the_armour_is_whole() {
    let (key, did) = signer();
    let text = text_for(&did);
    let right = Blob::of(&key, &text).armoured();
    let malformed = Err(Reason::SignatureMalformed);
    for broken in [
        String::new(),
        right.replace("BEGIN", "begin"),
        right.replace('\n', "\r\n"),
        right.replace("-----END SSH SIGNATURE-----\n", ""),
        format!("{right}\n"),
        format!("{right}{right}"),
        format!(" {right}"),
        right.replacen("U1NI", "U1N I", 1),
        "x".repeat(5000),
    ] {
        assert_eq!(judge(&text, &broken), malformed, "{broken}");
    }
    for end in 0..right.len() - 1 {
        assert_eq!(judge(&text, &right[..end]), malformed);
    }
}

#[test]
fn keys_of_other_curves_and_of_small_order_are_no_account() {
    let secp = InMemorySigner::from_bytes(Curve::Secp256k1, &[7; 32]).unwrap();
    let did = secp.public_key().to_did_key().unwrap();
    let (key, _) = signer();
    let text = text_for(&did);
    let signature = Blob::of(&key, &text).armoured();
    assert_eq!(judge(&text, &signature), Err(Reason::AccountInvalid));

    let multicodec = [&[0xed, 1][..], &SMALL_KEY].concat();
    let did = format!("did:key:z{}", bs58::encode(multicodec).into_string());
    let text = text_for(&did);
    let small = Blob {
        key: SMALL_KEY.to_vec(),
        signature: SMALL_SIGNATURE.to_vec(),
        ..Blob::of(&key, &text)
    };
    assert_eq!(judge(&text, &small.armoured()), Err(Reason::AccountInvalid));
}

#[test]
fn the_text_says_which_of_a_keys_formats_it_is() {
    let (key, did) = signer();
    let text = text_for(&did);
    let found = crate::wallet::registry::by_message(&text, "").unwrap();
    assert_eq!(found.name(), "ssh");
    let raw = text.replace("your SSH key", "your key");
    let signature = Blob::of(&key, &raw).armoured();
    assert_eq!(judge(&raw, &signature), Err(Reason::MalformedMessage));
}

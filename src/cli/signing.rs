//! Which key file signs in, by which way, and which key then signs requests.
//!
//! A raw key is an agent: it asserts itself in one round trip and signs its requests itself. A key
//! that controls a chain's account, or one that is told to sign the text of format `key`, answers a
//! challenge. A wallet's requests are signed by a session key, since a person does not approve each.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use countersign_sdk::account::Account;
use countersign_sdk::client::{InMemoryWallet, Session, SignIn};
use countersign_sdk::key::{InMemorySigner, Signer as _};

use super::failure::Failure;
use super::key_file;
use super::output::Output;

/// Arguments of a sign-in, shared by `login` and `call`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct SignInArgs {
    /// The issuer, such as `https://auth.example`.
    #[arg(long, value_name = "URL")]
    pub(super) issuer: Option<String>,
    /// The key file: PKCS#8 PEM, or a private JWK.
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// The API that the token is for.
    #[arg(long, value_name = "URI")]
    pub(super) resource: Option<String>,
    /// The scopes wanted, with spaces between; without, the resource's defaults.
    #[arg(long)]
    pub(super) scope: Option<String>,
    /// Answer a challenge in this format in place of an assertion.
    #[arg(
        long,
        value_name = "NAME",
        value_parser = PossibleValuesParser::new(InMemoryWallet::formats()),
        conflicts_with = "assertion"
    )]
    pub(super) format: Option<String>,
    /// The account that the key is expected to control, of several the one that is meant; its chain
    /// is the one that is signed for.
    #[arg(long, value_name = "CAIP-10")]
    pub(super) account: Option<String>,
    /// Let the key assert itself (RFC 7523); this is what happens without --format.
    #[arg(long)]
    pub(super) assertion: bool,
    /// The domain that the message names, where it is not the issuer's host.
    #[arg(long)]
    pub(super) domain: Option<String>,
    /// The key that signs requests after a wallet signed in; without, a new one is made.
    #[arg(long, value_name = "FILE", requires = "format")]
    pub(super) session_key: Option<PathBuf>,
}

impl SignInArgs {
    /// Whether a session key will be made that nobody else has.
    pub(super) fn makes_a_key(&self) -> bool {
        let wallet = self.format.as_deref().is_some_and(|name| !InMemoryWallet::is_raw_key(name));
        wallet && self.session_key.is_none()
    }

    /// Signs in; `more` adds what only one command asks for.
    pub(super) async fn sign_in(
        &self,
        output: &Output,
        more: impl FnOnce(SignIn) -> SignIn,
    ) -> Result<Session, Failure> {
        let missing = |name| Failure::usage(format!("{name} is needed to sign in"));
        let issuer = self.issuer.as_deref().ok_or_else(|| missing("--issuer"))?;
        let path = self.key.as_deref().ok_or_else(|| missing("--key"))?;
        let mut sign_in = more(SignIn::new(issuer));
        if let Some(resource) = &self.resource {
            sign_in = sign_in.resource(resource);
        }
        if let Some(scope) = &self.scope {
            sign_in = sign_in.scope(scope);
        }
        if let Some(domain) = &self.domain {
            sign_in = sign_in.domain(domain);
        }
        match self.format.as_deref() {
            None => self.agent(sign_in, path, output).await,
            Some(format) => self.wallet(sign_in, format, path, output).await,
        }
    }

    async fn agent(
        &self,
        sign_in: SignIn,
        path: &Path,
        output: &Output,
    ) -> Result<Session, Failure> {
        let key = key_file::read_key(path, output)?;
        let did = key.public_key().to_did_key();
        match (&self.account, did) {
            (Some(account), Some(did)) if *account != did => Err(Failure::usage(format!(
                "the key is {did}, not {account}; --format, such as siwe, signs in a chain's account"
            ))),
            _ => Ok(sign_in.key_reference(reference(path)?).agent(Arc::new(key)).await?),
        }
    }

    async fn wallet(
        &self,
        sign_in: SignIn,
        format: &str,
        path: &Path,
        output: &Output,
    ) -> Result<Session, Failure> {
        let key = key_file::read_key(path, output)?;
        let wallet = Arc::new(self.wallet_of(format, key)?);
        let sign_in = if let Some(file) = &self.session_key {
            let key = Arc::new(key_file::read_key(file, output)?);
            sign_in.session_key(key).key_reference(reference(file)?)
        } else if InMemoryWallet::is_raw_key(format) {
            let key = Arc::new(key_file::read_key(path, output)?);
            sign_in.proven_key(key).key_reference(reference(path)?)
        } else {
            sign_in
        };
        Ok(sign_in.wallet(wallet).await?)
    }

    /// The wallet of the key, which must control the account that was named.
    fn wallet_of(&self, format: &str, key: InMemorySigner) -> Result<InMemoryWallet, Failure> {
        let named = self.account.as_deref().map(str::parse::<Account>).transpose();
        let named = named.map_err(|error| Failure::usage(format!("--account: {error}")))?;
        InMemoryWallet::new(format, key, named.as_ref())
            .map_err(|error| Failure::usage(format!("{format}: {error}")))
    }
}

/// Where a key file is found again, whatever folder the next command runs in.
fn reference(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path);
    let absolute = absolute.map_err(|error| Failure::configuration(error.to_string()))?;
    let text = absolute.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::usage(format!("{}: the path is not UTF-8", path.display())))
}

#[cfg(test)]
mod tests {
    use countersign_sdk::client::Wallet as _;
    use countersign_sdk::key::Curve;

    use super::*;

    const SECRET: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    fn wallet(format: &str, account: Option<&str>) -> Result<InMemoryWallet, Failure> {
        let args = SignInArgs { account: account.map(str::to_owned), ..SignInArgs::default() };
        args.wallet_of(format, InMemorySigner::from_hex(Curve::Secp256k1, SECRET).unwrap())
    }

    #[test]
    fn the_named_account_is_the_keys_own() {
        let ours = "eip155:10:0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
        let signed_for = wallet("siwe", Some(ours)).unwrap().account().to_string();
        assert!(signed_for.starts_with("eip155:10:0xf39F"), "{signed_for}");
        for (format, account) in [
            ("siwe", Some("eip155:1:0x0000000000000000000000000000000000000001")),
            ("siwe", Some("solana:x:abc")),
            ("siwe", Some("nonsense")),
            ("siws", None),
            ("key", Some(ours)),
        ] {
            assert!(wallet(format, account).is_err(), "{format:?} {account:?}");
        }
    }
}

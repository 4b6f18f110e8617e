//! Bitcoin's addresses of one key: which there are, how they are spelled, and whose they are.
//!
//! Four kinds are a key's alone: P2PKH, P2SH-P2WPKH, P2WPKH, and P2TR by its key path. A P2SH
//! address does not show what its script is, so it is taken as P2SH-P2WPKH and proven as such or not
//! at all. P2WSH and later witness versions are scripts and refused by name.
//!
//! Specs: BIP-13, BIP-16, BIP-141, BIP-173, BIP-341, BIP-350, BIP-86, CAIP-2 for bip122.

use std::fmt;
use std::str::FromStr;

use bech32::primitives::hrp::Hrp;
use bech32::{Fe32, segwit};

use super::base58check;
use super::hash::{hash160, key_hash};
use crate::key::PublicKey;
use crate::key::secp256k1::taproot_output_key;

/// The main network's reference in CAIP-2: the first 32 characters of its genesis block's hash.
pub const MAINNET: &str = "000000000019d6689c085ae165831e93";

/// The longest address: 90 characters (BIP-173).
const MAX_ADDRESS: usize = 90;

/// Why a text is not an address of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not an address of Bitcoin at all, or not in its one spelling.
    #[error("not a Bitcoin address in its one spelling (Base58Check, or bech32 in lower case)")]
    Malformed,
    /// An address of a script, for which no single key answers.
    #[error("an address of a script: sign with a P2PKH, P2SH-P2WPKH, P2WPKH or P2TR address")]
    Script,
}

/// Which prefixes an address has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// The main network.
    Main,
    /// Testnet 3, testnet 4 and signet, which share their prefixes.
    Test,
    /// A private network, whose Base58 prefixes are those of the test networks.
    Regtest,
}

impl Network {
    /// The network of a CAIP-2 reference of `bip122`; `None` for other chains of that namespace.
    pub fn of_reference(reference: &str) -> Option<Self> {
        match reference {
            MAINNET => Some(Self::Main),
            // Testnet 3, testnet 4, signet.
            "000000000933ea01ad0ee984209779ba"
            | "00000000da84f2bafbbc53dee25a72ae"
            | "00000008819873e925422c1ff0f99f7c" => Some(Self::Test),
            "0f9188f13cb7b2c71f2a335e3a4fc328" => Some(Self::Regtest),
            _ => None,
        }
    }

    const fn hrp(self) -> Hrp {
        match self {
            Self::Main => bech32::hrp::BC,
            Self::Test => bech32::hrp::TB,
            Self::Regtest => bech32::hrp::BCRT,
        }
    }

    /// The versions of P2PKH and P2SH.
    const fn versions(self) -> (u8, u8) {
        match self {
            Self::Main => (0x00, 0x05),
            Self::Test | Self::Regtest => (0x6f, 0xc4),
        }
    }
}

/// What an address pays to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Script {
    /// The hash of a key, compressed or not.
    P2pkh([u8; 20]),
    /// The hash of a script, taken as that of a P2WPKH script.
    P2sh([u8; 20]),
    /// The hash of a compressed key.
    P2wpkh([u8; 20]),
    /// The x-coordinate of an output key.
    P2tr([u8; 32]),
}

/// The kinds of [`Script`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Pay to the hash of the compressed key.
    P2pkh,
    /// Pay to the hash of the uncompressed key, as wallets did before 2012.
    P2pkhUncompressed,
    /// A witness within a script.
    P2shP2wpkh,
    /// A witness, version 0.
    P2wpkh,
    /// Taproot without scripts (BIP-86).
    P2tr,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::P2wpkh, Self::P2tr, Self::P2shP2wpkh, Self::P2pkh, Self::P2pkhUncompressed];
}

impl Script {
    /// What an address of that kind of a key pays to; `None` for another curve.
    pub fn of_key(key: &PublicKey, kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::P2pkh => Self::P2pkh(key_hash(key)?),
            Kind::P2pkhUncompressed => {
                key.x_only()?;
                Self::P2pkh(hash160(key.as_bytes()))
            }
            Kind::P2shP2wpkh => Self::P2sh(hash160(&Self::P2wpkh(key_hash(key)?).to_bytes())),
            Kind::P2wpkh => Self::P2wpkh(key_hash(key)?),
            Kind::P2tr => Self::P2tr(taproot_output_key(key)?),
        })
    }

    /// Whether it pays to `key`, in whichever way.
    pub fn is_of(&self, key: &PublicKey) -> bool {
        let kinds = match self {
            Self::P2pkh(_) => [Kind::P2pkh, Kind::P2pkhUncompressed].as_slice(),
            Self::P2sh(_) => &[Kind::P2shP2wpkh],
            Self::P2wpkh(_) => &[Kind::P2wpkh],
            Self::P2tr(_) => &[Kind::P2tr],
        };
        kinds.iter().any(|kind| Self::of_key(key, *kind).as_ref() == Some(self))
    }

    /// The script itself (`scriptPubKey`).
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::P2pkh(hash) => [&[0x76, 0xa9, 20], &hash[..], &[0x88, 0xac]].concat(),
            Self::P2sh(hash) => [&[0xa9, 20], &hash[..], &[0x87]].concat(),
            Self::P2wpkh(hash) => [&[0x00, 20], &hash[..]].concat(),
            Self::P2tr(x) => [&[0x51, 32], &x[..]].concat(),
        }
    }
}

/// An address of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    network: Network,
    script: Script,
}

impl Address {
    /// The address of `script` on a network.
    pub const fn new(network: Network, script: Script) -> Self {
        Self { network, script }
    }

    /// What it pays to.
    pub const fn script(&self) -> &Script {
        &self.script
    }

    /// Whether its prefix is of that network. Base58 does not tell private networks from test ones.
    pub fn is_on(&self, network: Network) -> bool {
        let base58 = matches!(self.script, Script::P2pkh(_) | Script::P2sh(_));
        self.network == network || (base58 && self.network.versions() == network.versions())
    }

    fn from_segwit(text: &str) -> Result<Self, AddressError> {
        let (hrp, version, program) = segwit::decode(text).map_err(|_| AddressError::Malformed)?;
        let network = [Network::Main, Network::Test, Network::Regtest]
            .into_iter()
            .find(|network| network.hrp() == hrp)
            .ok_or(AddressError::Malformed)?;
        let script = match version {
            segwit::VERSION_0 => program.try_into().map(Script::P2wpkh),
            segwit::VERSION_1 => program.try_into().map(Script::P2tr),
            _ => Err(program),
        };
        Ok(Self { network, script: script.map_err(|_| AddressError::Script)? })
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_ADDRESS {
            return Err(AddressError::Malformed);
        }
        let address = match base58check::decode(text) {
            Some((0x00, hash)) => Self::new(Network::Main, Script::P2pkh(hash)),
            Some((0x05, hash)) => Self::new(Network::Main, Script::P2sh(hash)),
            Some((0x6f, hash)) => Self::new(Network::Test, Script::P2pkh(hash)),
            Some((0xc4, hash)) => Self::new(Network::Test, Script::P2sh(hash)),
            Some(_) => return Err(AddressError::Malformed),
            None => Self::from_segwit(text)?,
        };
        // Upper case, which bech32 also reads, would be a second spelling.
        if address.to_string() == text { Ok(address) } else { Err(AddressError::Malformed) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let witness = |version: Fe32, program: &[u8]| {
            segwit::encode(self.network.hrp(), version, program).map_err(|_| fmt::Error)
        };
        let (p2pkh, p2sh) = self.network.versions();
        f.write_str(&match &self.script {
            Script::P2pkh(hash) => base58check::encode(p2pkh, hash),
            Script::P2sh(hash) => base58check::encode(p2sh, hash),
            Script::P2wpkh(hash) => witness(segwit::VERSION_0, hash)?,
            Script::P2tr(x) => witness(segwit::VERSION_1, x)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Curve;

    /// BIP-86's first receiving address and BIP-84's, with their keys.
    #[test]
    fn addresses_of_a_key_are_those_of_the_bips() {
        for (key, kind, expected) in [
            (
                "0330d54fd0dd420a6e5f8d3624f5f3482cae350f79d5f0753bf5beef9c2d91af3c",
                Kind::P2wpkh,
                "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
            ),
            (
                "02cc8a4bc64d897bddc5fbc2f670f7a8ba0b386779106cf1223c6fc5d7cd6fc115",
                Kind::P2tr,
                "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
            ),
        ] {
            let key = hex::decode(key).unwrap();
            let key = PublicKey::from_sec1(Curve::Secp256k1, &key).unwrap();
            let script = Script::of_key(&key, kind).unwrap();
            assert_eq!(Address::new(Network::Main, script).to_string(), expected);
            for kind in Kind::ALL {
                let script = Script::of_key(&key, kind).unwrap();
                assert!(script.is_of(&key));
                for network in [Network::Main, Network::Test, Network::Regtest] {
                    let text = Address::new(network, script).to_string();
                    let read: Address = text.parse().unwrap();
                    assert_eq!((read.script(), read.to_string()), (&script, text));
                    assert!(read.is_on(network));
                    assert_eq!(read.is_on(Network::Main), network == Network::Main);
                }
            }
        }
    }

    #[test]
    fn scripts_and_other_spellings_are_refused() {
        let p2wsh = "bc1qp0ahvfh83088w49k405szqgg4f3pptr7p2g06tdxfjcd40z4lh4q95lsz9";
        assert_eq!(p2wsh.parse::<Address>(), Err(AddressError::Script));
        let future = "bc1sw50qgdz25j";
        assert_eq!(future.parse::<Address>(), Err(AddressError::Script));
        for wrong in [
            "",
            "BC1QCR8TE4KR609GCAWUTMRZA0J4XV80JY8Z306FYU",
            "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyv",
            "bc1qCr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
            "ltc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
            "LVuDpNCSSj6pQ7t9Pv6d6sUkLKoqDEVUnJ",
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        ] {
            assert_eq!(wrong.parse::<Address>(), Err(AddressError::Malformed), "{wrong}");
        }
    }
}

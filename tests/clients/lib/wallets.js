// The wallets' side of a sign-in: what viem and the Solana libraries sign, and the account each answers for.

import { Keypair } from '@solana/web3.js'
import nacl from 'tweetnacl'
import { hexToBytes } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { secp256k1Key } from './keys.js'

export const SOLANA_MAINNET = 'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp'

/** An Ethereum wallet; `key` is the same key as a maker of proofs, for wallets that sign requests themselves. */
export async function ethereumWallet() {
  const secret = generatePrivateKey()
  const wallet = privateKeyToAccount(secret)
  return {
    address: wallet.address,
    account: `eip155:1:${wallet.address}`,
    sign: (message) => wallet.signMessage({ message }),
    key: await secp256k1Key(hexToBytes(secret)),
  }
}

export function solanaWallet() {
  const pair = Keypair.generate()
  const address = pair.publicKey.toBase58()
  return {
    address,
    account: `${SOLANA_MAINNET}:${address}`,
    seed: pair.secretKey.slice(0, 32),
    signBytes: (bytes) => nacl.sign.detached(bytes, pair.secretKey),
    publicKeyBytes: pair.publicKey.toBytes(),
  }
}

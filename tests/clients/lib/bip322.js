// BIP-322 put together with @scure/btc-signer: the two transactions of its specification, signed like any other.

import { schnorr, secp256k1 } from '@noble/curves/secp256k1.js'
import { concatBytes } from '@noble/curves/utils.js'
import * as btc from '@scure/btc-signer'
import { pubECDSA, pubSchnorr } from '@scure/btc-signer/utils.js'
import { evenSecret } from './keys.js'

const LAX = { version: 0, allowUnknownInputs: true, allowUnknownOutputs: true, disableScriptCheck: true }

/** A payment of btc-signer for a secret key: `p2wpkh`, `p2sh-p2wpkh` or `p2tr`. */
export function payment(kind, secret) {
  const key = pubECDSA(secret)
  if (kind === 'p2tr') return btc.p2tr(pubSchnorr(secret))
  return kind === 'p2wpkh' ? btc.p2wpkh(key) : btc.p2sh(btc.p2wpkh(key))
}

/** The simple signature of `message` for a payment, without prefix. */
export function signSimple(message, secret, spent) {
  const hash = schnorr.utils.taggedHash('BIP0322-signed-message', Buffer.from(message, 'utf8'))
  const toSpend = new btc.Transaction(LAX)
  toSpend.addOutput({ script: spent.script, amount: 0n })
  toSpend.addInput({
    txid: new Uint8Array(32),
    index: 0xffffffff,
    sequence: 0,
    finalScriptSig: concatBytes(Uint8Array.of(0x00, 0x20), hash),
  })
  const toSign = new btc.Transaction(LAX)
  const { redeemScript, tapInternalKey } = spent
  toSign.addInput({
    txid: toSpend.id,
    index: 0,
    sequence: 0,
    witnessUtxo: { script: spent.script, amount: 0n },
    ...(redeemScript && { redeemScript }),
    ...(tapInternalKey && { tapInternalKey }),
  })
  toSign.addOutput({ script: Uint8Array.of(0x6a), amount: 0n })
  toSign.sign(secret)
  toSign.finalize()
  return Buffer.from(btc.RawWitness.encode(toSign.getInput(0).finalScriptWitness)).toString('base64')
}

/** The secret of the output key that a Taproot address shows (BIP-86), with the even y. */
export function outputSecret(secret) {
  const { Fn } = secp256k1.Point
  const internal = evenSecret(secret)
  const tweak = Fn.fromBytes(schnorr.utils.taggedHash('TapTweak', schnorr.getPublicKey(internal)))
  return evenSecret(Fn.toBytes(Fn.add(Fn.fromBytes(internal), tweak)))
}

// Keys as their owners hold them: a browser's WebCrypto key that cannot be exported, an agent's Ed25519 seed,
// an agent's secp256k1 secret. Each offers the same few things, made by libraries that share no code with
// the server: its public JWK, its RFC 7638 thumbprint, a compact JWS, and a raw signature over a text.

import { secp256k1 } from '@noble/curves/secp256k1.js'
import bs58 from 'bs58'
import { base64url, calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose'
import { randomBytes } from 'node:crypto'
import nacl from 'tweetnacl'

/** What a browser makes for one sign-in: P-256, private half not extractable. `pair` is for libraries. */
export async function sessionKey() {
  const pair = await generateKeyPair('ES256', { extractable: false })
  return { ...(await joseKey('ES256', pair.privateKey, await exportJWK(pair.publicKey))), pair }
}

/** An Ed25519 key from its 32-byte seed; `alg` is `EdDSA` (RFC 8037) or `Ed25519` (RFC 9864). */
export async function ed25519Key(alg = 'EdDSA', seed = randomBytes(32)) {
  const pair = nacl.sign.keyPair.fromSeed(seed)
  const publicJwk = { kty: 'OKP', crv: 'Ed25519', x: base64url.encode(pair.publicKey) }
  const privateJwk = { ...publicJwk, d: base64url.encode(seed) }
  return {
    ...(await joseKey(alg, privateJwk, publicJwk)),
    privateJwk,
    did: didKey([0xed, 0x01], pair.publicKey),
    signText: (text) => base64url.encode(nacl.sign.detached(Buffer.from(text, 'utf8'), pair.secretKey)),
  }
}

/** A secp256k1 key. jose has no ES256K, so its JWS is put together here. */
export async function secp256k1Key(secret = secp256k1.utils.randomSecretKey()) {
  const point = secp256k1.getPublicKey(secret, false)
  const publicJwk = {
    kty: 'EC',
    crv: 'secp256k1',
    x: base64url.encode(point.subarray(1, 33)),
    y: base64url.encode(point.subarray(33, 65)),
  }
  const sign = (text) => base64url.encode(secp256k1.sign(Buffer.from(text, 'utf8'), secret, { lowS: true }))
  return {
    alg: 'ES256K',
    publicJwk,
    thumbprint: await calculateJwkThumbprint(publicJwk),
    did: didKey([0xe7, 0x01], secp256k1.getPublicKey(secret, true)),
    signText: sign,
    jws: async (header, claims) => {
      const input = `${encodeJson(header)}.${encodeJson(claims)}`
      return `${input}.${sign(input)}`
    },
  }
}

/** The secret of the two, this and its negation, whose point has the even y, as BIP-340 takes keys. */
export function evenSecret(secret) {
  const { Fn } = secp256k1.Point
  return secp256k1.getPublicKey(secret, true)[0] === 3 ? Fn.toBytes(Fn.neg(Fn.fromBytes(secret))) : secret
}

async function joseKey(alg, signingKey, publicJwk) {
  return {
    alg,
    publicJwk,
    thumbprint: await calculateJwkThumbprint(publicJwk),
    jws: (header, claims) => new SignJWT(claims).setProtectedHeader(header).sign(signingKey),
  }
}

/** The URI of RFC 9278 by which a signed message names the key of its session. */
export function thumbprintUri(key) {
  return `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${key.thumbprint}`
}

export function encodeJson(value) {
  return base64url.encode(JSON.stringify(value))
}

function didKey(multicodec, bytes) {
  return `did:key:z${bs58.encode(Uint8Array.from([...multicodec, ...bytes]))}`
}

// Wallets of Sui, Aptos, NEAR, Stellar, TON, Lightning and SSH by libraries of their own ecosystems: in Python where the npm
// library is the one that made the published cases, near-kit for NEAR, and the ssh-keygen that is installed; and a second
// library, in Python, for the wallets of Ethereum, Solana, Tron, Bitcoin and Nostr, and for raw keys.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import bs58 from 'bs58'
import { base64url, calculateJwkThumbprint } from 'jose'
import { parseKey } from 'near-kit'
import nacl from 'tweetnacl'
import { discover } from '../lib/client.js'
import { granted, refused } from '../lib/expect.js'
import { outputSecret } from '../lib/bip322.js'
import { ed25519Key, evenSecret, secp256k1Key, sessionKey } from '../lib/keys.js'
import { flipped } from '../lib/mutate.js'
import { startPython } from '../lib/python.js'
import { startDevelopment } from '../lib/server.js'

const RESOURCE = 'http://127.0.0.1:9555'
const ASKED = { resource: RESOURCE, scope: 'escrow:read', domain: 'localhost:5173' }

let server, client, python
before(async () => {
  server = await startDevelopment()
  client = await discover(server.issuer)
  python = startPython()
})
after(async () => {
  python?.stop()
  await server?.stop()
})

const ed25519 = (seed) => ed25519Key('EdDSA', seed)
const taproot = (seed) => secp256k1Key(outputSecret(seed))
const nostr = (seed) => secp256k1Key(evenSecret(seed))

/** A wallet in Python: what it is called here, its format, the key that it proves, and whether it signs what the payload says. */
const KINDS = [
  ['ethereum', 'siwe', secp256k1Key],
  ['solana', 'siws', ed25519],
  ['tron', 'tip191', secp256k1Key],
  ['bitcoin-p2pkh', 'bip137', secp256k1Key],
  ['bitcoin-p2sh-p2wpkh', 'bip137', secp256k1Key],
  ['bitcoin-p2wpkh', 'bip137', secp256k1Key],
  ['bitcoin-transaction-p2wpkh', 'bip322', secp256k1Key],
  ['bitcoin-transaction-p2tr', 'bip322', taproot],
  ['nostr', 'nostr', nostr, 'event'],
  ['coincurve-hex', 'sha256', secp256k1Key],
  ['ecdsa-base64', 'sha256', secp256k1Key],
  ['coincurve-base64url', 'key', secp256k1Key],
  ['coincurve-0x', 'key', secp256k1Key],
  ['ed25519-base64url', 'key', ed25519],
  ['ed25519-0x', 'key', ed25519],
  ['sui-ed25519', 'sui', ed25519],
  ['sui-secp256k1', 'sui', secp256k1Key],
  ['aptos-ed25519', 'aptos', ed25519],
  ['aptos-secp256k1', 'aptos', secp256k1Key],
  ['aptos-ed25519', 'aptos', ed25519, 'signMessage'],
  ['aptos-secp256k1', 'aptos', secp256k1Key, 'signMessage'],
  ['stellar', 'sep53', ed25519],
  ['ton-v3r1', 'ton', ed25519, 'proof'],
  ['ton-v3r2', 'ton', ed25519, 'proof'],
  ['ton-v4r2', 'ton', ed25519, 'proof'],
  ['ton-v5r1', 'ton', ed25519, 'proof'],
]

for (const [kind, format, key, payloadOf] of KINDS) {
  test(`${kind}${payloadOf ? ` by ${payloadOf}` : ''} opens once, and its signature nothing else`, async () => {
    const seed = randomBytes(32)
    const { account } = await python.ask({ kind, seed: seed.toString('hex') })
    const sign = (challenge, by = seed) =>
      python.ask({
        kind,
        seed: by.toString('hex'),
        message: challenge.message,
        payload: payloadOf && challenge.payload,
      })
    await signsIn({ account, format, provenKey: await key(seed), sign, other: randomBytes(32) })
  })
}

test('a Stellar wallet checks the transaction of the issuer, and signs it', async () => {
  const kind = 'stellar-transaction'
  const seed = randomBytes(32)
  const { account } = await python.ask({ kind, seed: seed.toString('hex') })
  const server = client.metadata.stellar_signing_key
  const sign = ({ message, payload }, by = seed) =>
    python.ask({ kind, seed: by.toString('hex'), message, payload: { ...payload, server } })
  const provenKey = await ed25519Key('EdDSA', seed)
  await signsIn({ account, format: 'sep10', provenKey, sign, other: randomBytes(32) })
})

test('a Lightning wallet answers the issuer, and whoever showed the link is signed in', async () => {
  const session = await sessionKey()
  const challenge = await client.challenge({ format: 'lnurl', dpop_jkt: session.thumbprint, ...ASKED })
  assert.match(challenge.payload.lnurl, /^lightning:LNURL1[0-9A-Z]+$/)
  const answer = (by) =>
    python.ask({ kind: 'lightning', seed: by.toString('hex'), message: challenge.message, payload: challenge.payload })
  const ask = (key = session) => client.redeem({ message: challenge.message, format: 'lnurl' }, key)

  refused(await ask(), { error: 'authorization_pending', reason: 'authorization_pending' })
  const seed = randomBytes(64)
  const { ok, key, spoilt } = await answer(seed)
  assert.equal(ok, true)
  assert.deepEqual([spoilt.status, spoilt.ok], [400, false])
  assert.match(spoilt.reason, /not made by the message's account/)
  const late = await answer(randomBytes(64))
  assert.deepEqual([late.status, late.ok], [400, false])
  assert.match(late.reason, /another wallet/)
  refused(await ask(await sessionKey()), { error: 'invalid_dpop_proof', reason: 'proof_key_mismatch' })

  // What a linking key of that domain is called.
  const sub = `did:key:z${bs58.encode(Uint8Array.from([0xe7, 0x01, ...Buffer.from(key, 'hex')]))}`
  const point = secp256k1.Point.fromHex(key).toAffine()
  const coordinate = (number) => base64url.encode(Buffer.from(number.toString(16).padStart(64, '0'), 'hex'))
  const jwk = { kty: 'EC', crv: 'secp256k1', x: coordinate(point.x), y: coordinate(point.y) }
  const provenKey = { thumbprint: await calculateJwkThumbprint(jwk) }
  const expected = { resource: RESOURCE, scope: ASKED.scope, key: session, account: sub, sub, method: 'lnurl', provenKey }
  await granted(client, await ask(), expected)
  refused(await ask(), { error: 'invalid_grant', reason: 'nonce_used' })
})

test('near-kit signs for an implicit account, in the object that wallets return', async () => {
  const wallet = (seed) => {
    const pair = nacl.sign.keyPair.fromSeed(seed)
    const secret = parseKey(`ed25519:${bs58.encode(pair.secretKey)}`)
    return { secret, id: Buffer.from(pair.publicKey).toString('hex') }
  }
  const seed = randomBytes(32)
  const { id } = wallet(seed)
  const sign = ({ payload }, by = seed) => {
    const nonce = Uint8Array.from(Buffer.from(payload.nonce, 'base64'))
    const signed = wallet(by).secret.signNep413Message(id, { ...payload, nonce })
    return { signature: JSON.stringify(signed) }
  }
  const provenKey = await ed25519Key('EdDSA', seed)
  await signsIn({ account: `near:mainnet:${id}`, format: 'nep413', provenKey, sign, other: randomBytes(32) })
})

test('a named NEAR account is refused by name', async () => {
  const answer = await client.askChallenge({ account: 'near:mainnet:alice.near', ...ASKED })
  refused(answer, { error: 'invalid_request', reason: 'account_invalid' })
  assert.match(answer.json.error_description, /named account/)
})

test('ssh-keygen signs with the key that a developer has', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-ssh-'))
  try {
    const run = (...given) => execFileSync('ssh-keygen', given, { cwd: folder, stdio: 'pipe' })
    for (const name of ['id', 'other']) run('-q', '-t', 'ed25519', '-N', '', '-f', name)
    const blob = Buffer.from(readFileSync(join(folder, 'id.pub'), 'utf8').split(' ')[1], 'base64')
    const raw = blob.subarray(-32)
    const did = `did:key:z${bs58.encode(Uint8Array.from([0xed, 0x01, ...raw]))}`
    const thumbprint = await calculateJwkThumbprint({ kty: 'OKP', crv: 'Ed25519', x: base64url.encode(raw) })
    const sign = ({ message }, by = 'id') => {
      writeFileSync(join(folder, 'text'), message)
      rmSync(join(folder, 'text.sig'), { force: true })
      run('-Y', 'sign', '-n', 'countersign', '-f', by, 'text')
      return { signature: readFileSync(join(folder, 'text.sig'), 'utf8') }
    }
    await signsIn({ account: did, format: 'ssh', provenKey: { thumbprint }, sign, other: 'other' })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

/** The whole way with a session key: another's signature, another text's and a changed one open nothing, the right one opens once. */
async function signsIn({ account, format, provenKey, sign, other }) {
  const session = await sessionKey()
  const ask = () => client.challenge({ account, format, dpop_jkt: session.thumbprint, ...ASKED })
  const challenge = await ask()
  assert.equal(challenge.format, format)
  assert.ok(challenge.message.startsWith('localhost:5173 wants you to sign in with your '))
  const redeem = (given) => client.redeem({ message: challenge.message, ...given }, session)

  const reasons = ['signature_mismatch', 'signature_malformed']
  refused(await redeem(await sign(challenge, other)), { error: 'invalid_grant', reason: reasons })
  refused(await redeem(await sign(await ask())), { error: 'invalid_grant', reason: reasons })

  const right = await sign(challenge)
  const altered = { ...right, signature: flipped(format, right.signature) }
  refused(await redeem(altered), { error: 'invalid_grant', reason: 'signature_mismatch' })
  const sub = account.startsWith('did:key:') ? account : `did:pkh:${account}`
  const expected = { resource: RESOURCE, scope: ASKED.scope, key: session, account, sub, method: format, provenKey }
  await granted(client, await redeem(right), expected)
  refused(await redeem(right), { error: 'invalid_grant', reason: 'nonce_used' })
}

// Solana wallets: keys by @solana/web3.js, signatures by tweetnacl over the text as it was given.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import bs58 from 'bs58'
import { discover } from '../lib/client.js'
import { granted } from '../lib/expect.js'
import { ed25519Key, sessionKey } from '../lib/keys.js'
import { startDevelopment } from '../lib/server.js'
import { solanaWallet } from '../lib/wallets.js'

const RESOURCE = 'http://127.0.0.1:9555'
const ASKED = { resource: RESOURCE, scope: 'escrow:read', domain: 'localhost:5173' }
const DEVNET = 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1'

let server, client
before(async () => {
  server = await startDevelopment()
  client = await discover(server.issuer)
})
after(() => server?.stop())

const text = (message) => Buffer.from(message, 'utf8')
const base58 = (bytes) => bs58.encode(bytes)
const base64 = (bytes) => Buffer.from(bytes).toString('base64')

async function expected(wallet, key) {
  return {
    resource: RESOURCE,
    scope: ASKED.scope,
    key,
    account: wallet.account,
    sub: `did:pkh:${wallet.account}`,
    method: 'siws',
    provenKey: await ed25519Key('EdDSA', wallet.seed),
  }
}

for (const [name, encode] of Object.entries({ base58, base64 })) {
  test(`a wallet with a session key, its signature in ${name}`, async () => {
    const [wallet, session] = [solanaWallet(), await sessionKey()]
    const challenge = await client.challenge({ account: wallet.account, dpop_jkt: session.thumbprint, ...ASKED })
    assert.equal(challenge.format, 'siws')
    assert.ok(
      challenge.message.startsWith(
        `localhost:5173 wants you to sign in with your Solana account:\n${wallet.address}\n\n`,
      ),
    )
    const signature = encode(wallet.signBytes(text(challenge.message)))
    const answer = await client.redeem({ message: challenge.message, signature }, session)
    await granted(client, answer, await expected(wallet, session))
  })
}

test('the wallet key itself signs the proof', async () => {
  const wallet = solanaWallet()
  const { message } = await client.challenge({ account: wallet.account, ...ASKED })
  const key = await ed25519Key('EdDSA', wallet.seed)
  const answer = await client.redeem({ message, signature: base58(wallet.signBytes(text(message))) }, key)
  await granted(client, answer, await expected(wallet, key))
})

test('another cluster is another account of the same subject', async () => {
  const [wallet, session] = [solanaWallet(), await sessionKey()]
  const account = `${DEVNET}:${wallet.address}`
  const { message } = await client.challenge({ ...ASKED, account, dpop_jkt: session.thumbprint })
  const answer = await client.redeem({ message, signature: base58(wallet.signBytes(text(message))) }, session)
  await granted(client, answer, { ...(await expected(wallet, session)), account })
})

test('a hardware wallet signs the text inside an off-chain envelope', async () => {
  for (const envelope of [offchainV0, offchainV1]) {
    const [wallet, session] = [solanaWallet(), await sessionKey()]
    const { message } = await client.challenge({ account: wallet.account, dpop_jkt: session.thumbprint, ...ASKED })
    const signature = base58(wallet.signBytes(envelope(wallet, text(message))))
    const answer = await client.redeem({ message, signature }, session)
    await granted(client, answer, await expected(wallet, session))
  }
})

const SIGNING_DOMAIN = Buffer.concat([Buffer.from([0xff]), Buffer.from('solana offchain', 'ascii')])

// Version 0: application domain, format 1 (short UTF-8: the text has line feeds), one signer, length, text.
function offchainV0(wallet, bytes) {
  const length = Buffer.alloc(2)
  length.writeUInt16LE(bytes.length)
  const applicationDomain = Buffer.alloc(32)
  const head = [SIGNING_DOMAIN, Buffer.from([0]), applicationDomain, Buffer.from([1, 1])]
  return Buffer.concat([...head, Buffer.from(wallet.publicKeyBytes), length, bytes])
}

// Version 1: one signer, then the text to the end.
function offchainV1(wallet, bytes) {
  return Buffer.concat([SIGNING_DOMAIN, Buffer.from([1, 1]), Buffer.from(wallet.publicKeyBytes), bytes])
}

// Ethereum wallets: viem writes and signs the messages, jose makes the proofs and checks the tokens.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { base64url } from 'jose'
import { parseSignature, serializeCompactSignature, signatureToCompactSignature } from 'viem'
import { createSiweMessage, parseSiweMessage, validateSiweMessage } from 'viem/siwe'
import { discover } from '../lib/client.js'
import { granted } from '../lib/expect.js'
import { sessionKey, thumbprintUri } from '../lib/keys.js'
import { startDevelopment } from '../lib/server.js'
import { ethereumWallet } from '../lib/wallets.js'

const APP = { domain: 'localhost:5173', uri: 'http://localhost:5173/login' }
const RESOURCE = 'http://127.0.0.1:9555'
const ASKED = { resource: RESOURCE, scope: 'escrow:read escrow:release', domain: APP.domain }

let server, client
before(async () => {
  server = await startDevelopment()
  client = await discover(server.issuer)
})
after(() => server?.stop())

/** A message that viem writes around a nonce of the server, naming the session key. */
async function written(wallet, session, changes = {}) {
  return createSiweMessage({
    address: wallet.address,
    chainId: 1,
    version: '1',
    nonce: await client.nonce(),
    resources: [thumbprintUri(session)],
    ...APP,
    ...changes,
  })
}

function expected(wallet, session, scope) {
  return {
    resource: RESOURCE,
    scope,
    key: session,
    account: wallet.account,
    sub: `did:pkh:eip155:1:${wallet.address}`,
    method: 'siwe',
    provenKey: wallet.key,
  }
}

test('a message that viem wrote around /nonce gets the default scope', async () => {
  const [wallet, session] = [await ethereumWallet(), await sessionKey()]
  const message = await written(wallet, session, { statement: 'Sign in to the escrow.' })
  const answer = await client.redeem({ message, signature: await wallet.sign(message), resource: RESOURCE }, session)
  await granted(client, answer, expected(wallet, session, 'read'))
})

test('a message without a statement has two blank lines and is read all the same', async () => {
  const [wallet, session] = [await ethereumWallet(), await sessionKey()]
  const message = await written(wallet, session)
  assert.match(message, /\n\n\nURI: /)
  const answer = await client.redeem({ message, signature: await wallet.sign(message), resource: RESOURCE }, session)
  await granted(client, answer, expected(wallet, session, 'read'))
})

test('the chain signed for is the account, the subject stays the same', async () => {
  const [wallet, session] = [await ethereumWallet(), await sessionKey()]
  const message = await written(wallet, session, { chainId: 137 })
  const answer = await client.redeem({ message, signature: await wallet.sign(message), resource: RESOURCE }, session)
  const claims = await granted(client, answer, {
    ...expected(wallet, session, 'read'),
    account: `eip155:137:${wallet.address}`,
  })
  assert.equal(claims.client_id, APP.domain)
})

test('the text of /challenge is signed as given', async () => {
  const [wallet, session] = [await ethereumWallet(), await sessionKey()]
  const challenge = await client.challenge({ account: wallet.account, dpop_jkt: session.thumbprint, ...ASKED })
  assert.equal(challenge.format, 'siwe')
  assert.match(challenge.nonce, /^[A-Za-z0-9]{8,64}$/)
  assert.ok(Date.parse(challenge.expires_at) > Date.parse(challenge.issued_at))

  const answer = await client.redeem(
    { message: challenge.message, signature: await wallet.sign(challenge.message) },
    session,
  )
  const claims = await granted(client, answer, expected(wallet, session, ASKED.scope))
  assert.equal(claims.client_id, APP.domain)
})

test('viem reads the text of /challenge, and the scopes stand in it', async () => {
  const [wallet, session] = [await ethereumWallet(), await sessionKey()]
  const { message, nonce } = await client.challenge({
    account: wallet.account,
    dpop_jkt: session.thumbprint,
    ...ASKED,
  })
  const fields = parseSiweMessage(message)
  assert.ok(validateSiweMessage({ message: fields, domain: APP.domain, nonce, address: wallet.address }))
  assert.equal(fields.uri, client.issuer)
  assert.equal(fields.chainId, 1)
  assert.ok(fields.expirationTime > new Date())
  assert.equal(fields.resources.length, 2)
  assert.equal(fields.resources[0], thumbprintUri(session))

  const recap = fields.resources[1].replace(/^urn:recap:/, '')
  assert.deepEqual(JSON.parse(Buffer.from(base64url.decode(recap)).toString()), {
    att: { [RESOURCE]: { 'escrow/read': [{}], 'escrow/release': [{}] } },
    prf: [],
  })
  assert.ok(
    fields.statement.endsWith(
      `I further authorize the stated URI to perform the following actions on my behalf: ` +
        `(1) 'escrow': 'read', 'release' for '${RESOURCE}'.`,
    ),
    fields.statement,
  )
})

test('the token request may narrow what was signed', async () => {
  const [wallet, session] = [await ethereumWallet(), await sessionKey()]
  const { message } = await client.challenge({ account: wallet.account, dpop_jkt: session.thumbprint, ...ASKED })
  const answer = await client.redeem(
    { message, signature: await wallet.sign(message), format: 'siwe', resource: RESOURCE, scope: 'escrow:read' },
    session,
  )
  await granted(client, answer, expected(wallet, session, 'escrow:read'))
})

test('signatures as other wallets write them: recovery byte 0 or 1, and ERC-2098', async () => {
  for (const rewrite of [withPlainRecoveryByte, compact]) {
    const [wallet, session] = [await ethereumWallet(), await sessionKey()]
    const { message } = await client.challenge({ account: wallet.account, dpop_jkt: session.thumbprint, ...ASKED })
    const signature = rewrite(await wallet.sign(message))
    const answer = await client.redeem({ message, signature }, session)
    await granted(client, answer, expected(wallet, session, ASKED.scope))
  }
})

test('an account in lower case is the same account', async () => {
  const [wallet, session] = [await ethereumWallet(), await sessionKey()]
  const { message } = await client.challenge({
    account: wallet.account.toLowerCase(),
    dpop_jkt: session.thumbprint,
    ...ASKED,
  })
  assert.ok(message.includes(`\n${wallet.address}\n`), 'the message carries the EIP-55 form')
  const answer = await client.redeem({ message, signature: await wallet.sign(message) }, session)
  await granted(client, answer, expected(wallet, session, ASKED.scope))
})

test('without a session key the wallet key itself signs the requests', async () => {
  const wallet = await ethereumWallet()
  const { message } = await client.challenge({ account: wallet.account, ...ASKED })
  assert.ok(!message.includes('jwk-thumbprint'))
  const answer = await client.redeem({ message, signature: await wallet.sign(message) }, wallet.key)
  await granted(client, answer, expected(wallet, wallet.key, ASKED.scope))
})

function withPlainRecoveryByte(signature) {
  return signature.slice(0, -2) + { '1b': '00', '1c': '01' }[signature.slice(-2)]
}

function compact(signature) {
  return serializeCompactSignature(signatureToCompactSignature(parseSignature(signature)))
}

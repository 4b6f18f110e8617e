// Messages and signatures that must not get a token: each for its own reason, and none at the expense of the owner.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { randomBytes } from 'node:crypto'
import { parseSignature, serializeSignature, toHex } from 'viem'
import { discover, SIGNED_MESSAGE } from '../lib/client.js'
import { refused } from '../lib/expect.js'
import { APP, RESOURCE, signedIn, stillGood, written } from '../lib/owner.js'
import { startDevelopment } from '../lib/server.js'
import { ethereumWallet } from '../lib/wallets.js'

const CONCURRENT = 64

let server, client
before(async () => {
  server = await startDevelopment()
  client = await discover(server.issuer)
})
after(() => server?.stop())

test('a message is good once', async () => {
  const owner = await signedIn(client)
  await stillGood(client, owner)
  refused(await client.redeem(owner.form, owner.session), { error: 'invalid_grant', reason: 'nonce_used' })
})

test('a message that viem wrote is good once', async () => {
  const owner = await written(client, {})
  await stillGood(client, owner)
  refused(await client.redeem(owner.form, owner.session), { error: 'invalid_grant', reason: 'nonce_used' })
})

test(`of ${CONCURRENT} concurrent posts of one message exactly one wins`, async () => {
  const { form, session } = await signedIn(client)
  const proofs = await Promise.all(Array.from({ length: CONCURRENT }, () => client.proof(session)))
  const answers = await Promise.all(
    proofs.map((dpop) => client.token({ grant_type: SIGNED_MESSAGE, ...form }, { dpop })),
  )
  const won = answers.filter(({ status }) => status === 200)
  assert.equal(won.length, 1)
  for (const answer of answers.filter((one) => one !== won[0])) {
    refused(answer, { error: 'invalid_grant', reason: 'nonce_used' })
  }
})

test('a signature by a foreign key is refused and burns nothing', async () => {
  const owner = await signedIn(client)
  const thief = await ethereumWallet()
  const forged = { ...owner.form, signature: await thief.sign(owner.form.message) }
  refused(await client.redeem(forged, owner.session), { error: 'invalid_grant', reason: 'signature_mismatch' })
  await stillGood(client, owner)
})

test('the other signature that ECDSA allows is refused and burns nothing', async () => {
  const owner = await signedIn(client)
  const { r, s, yParity } = parseSignature(owner.form.signature)
  const order = secp256k1.Point.CURVE().n
  const signature = serializeSignature({ r, s: toHex(order - BigInt(s), { size: 32 }), yParity: 1 - yParity })
  const answer = await client.redeem({ ...owner.form, signature }, owner.session)
  refused(answer, { error: 'invalid_grant', reason: 'malleable_signature' })
  await stillGood(client, owner)
})

test('a signature that is none is refused and burns nothing', async () => {
  const owner = await signedIn(client)
  for (const signature of ['0x', '0xzz', 'AAAA', `0x${'00'.repeat(65)}`, `0x${'ff'.repeat(65)}`, 'f'.repeat(9000)]) {
    const answer = await client.redeem({ ...owner.form, signature }, owner.session)
    refused(answer, { error: 'invalid_grant', reason: 'signature_malformed' })
  }
  const none = await client.redeem({ ...owner.form, signature: '' }, owner.session)
  refused(none, { error: 'invalid_request', reason: 'parameter_missing' })
  await stillGood(client, owner)
})

test('an altered challenge is refused, whoever signed it', async () => {
  const owner = await signedIn(client)
  const { message } = owner.form
  const alterations = {
    'another chain': ['message_mismatch', message.replace('Chain ID: 1', 'Chain ID: 5')],
    'another domain that is allowed': ['message_mismatch', message.replace(APP.domain, 'localhost:9999')],
    'a line feed at the end': ['malformed_message', `${message}\n`],
    'another resource': ['message_mismatch', message.replace(/- urn:recap:\S+/, `- ${RESOURCE}`)],
    'another statement': ['message_mismatch', message.replace("'read'", "'release'")],
    'another end': ['message_mismatch', message.replace(/(Expiration Time: \d{3})./, '$19')],
  }
  for (const [what, [reason, altered]] of Object.entries(alterations)) {
    assert.notEqual(altered, message, what)
    const form = { message: altered, signature: await owner.wallet.sign(altered) }
    const answer = await client.redeem(form, owner.session)
    assert.equal(answer.status, 400, `${what}: ${answer.text}`)
    refused(answer, { error: 'invalid_grant', reason })
  }
  await stillGood(client, owner)
})

test('a nonce the server never gave is unknown', async () => {
  for (const nonce of [randomBytes(32).toString('hex'), 'abcdefgh12345678']) {
    const { form, session } = await written(client, { nonce })
    refused(await client.redeem(form, session), { error: 'invalid_grant', reason: 'nonce_unknown' })
  }
})

test('each field of a message is held to its own rule', async () => {
  const ago = (seconds) => new Date(Date.now() - seconds * 1000)
  const cases = [
    ['message_expired', { issuedAt: ago(60), expirationTime: ago(10) }],
    ['message_not_yet_valid', { notBefore: ago(-120) }],
    ['issued_at_out_of_range', { issuedAt: ago(-600) }],
    ['issued_at_out_of_range', { issuedAt: ago(86_400) }],
    ['domain_not_allowed', { domain: 'evil.example', uri: 'https://evil.example/login' }],
    ['uri_not_allowed', { uri: 'http://localhost:6666/login' }],
  ]
  for (const [reason, changes] of cases) {
    const { form, session } = await written(client, changes)
    refused(await client.redeem(form, session), { error: 'invalid_grant', reason })
  }
})

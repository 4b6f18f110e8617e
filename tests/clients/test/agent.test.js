// Agents: programs that hold one raw key, prove it, and sign their requests with it.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { discover } from '../lib/client.js'
import { granted, refused } from '../lib/expect.js'
import { ed25519Key, encodeJson, secp256k1Key } from '../lib/keys.js'
import { startDevelopment } from '../lib/server.js'

const RESOURCE = 'http://127.0.0.1:9555'
const SCOPE = 'pay:send'

const AGENTS = {
  'Ed25519 agent, alg EdDSA': () => ed25519Key('EdDSA'),
  'Ed25519 agent, alg Ed25519': () => ed25519Key('Ed25519'),
  'secp256k1 agent, alg ES256K': () => secp256k1Key(),
}

let server, client
before(async () => {
  server = await startDevelopment()
  client = await discover(server.issuer)
})
after(() => server?.stop())

function expected(agent, method) {
  return { resource: RESOURCE, scope: SCOPE, key: agent, account: agent.did, sub: agent.did, method, provenKey: agent }
}

for (const [name, make] of Object.entries(AGENTS)) {
  test(`${name}: signs a challenge`, async () => {
    const agent = await make()
    const challenge = await client.challenge({ account: agent.did, resource: RESOURCE, scope: SCOPE })
    assert.equal(challenge.format, 'key')
    assert.ok(challenge.message.includes(` wants you to sign in with your key:\n${agent.did}\n`), challenge.message)
    const form = { message: challenge.message, signature: agent.signText(challenge.message) }
    const answer = await client.redeem(form, agent)
    await granted(client, answer, expected(agent, 'key'))
    assert.equal(answer.json.refresh_token, undefined, 'an agent proves its key again instead')
  })

  test(`${name}: one round trip with an assertion`, async () => {
    const agent = await make()
    const answer = await client.assert(await client.assertion(agent, { resource: RESOURCE, scope: SCOPE }), agent)
    const claims = await granted(client, answer, expected(agent, answer.json?.access_token && methodOf(answer)))
    assert.equal(typeof claims.proven_key.method, 'string')
  })
}

test('the form names resource and scope where the assertion does not', async () => {
  const agent = await ed25519Key()
  const answer = await client.assert(await client.assertion(agent), agent, { resource: RESOURCE, scope: SCOPE })
  await granted(client, answer, expected(agent, methodOf(answer)))
})

test('the form may not widen the assertion', async () => {
  const agent = await ed25519Key()
  const assertion = await client.assertion(agent, { resource: RESOURCE, scope: SCOPE })
  refused(await client.assert(assertion, agent, { scope: `${SCOPE} pay:refund` }), {
    error: 'invalid_scope',
    reason: 'scope_not_granted',
  })
})

test('an assertion is good once', async () => {
  const agent = await ed25519Key()
  const assertion = await client.assertion(agent, { resource: RESOURCE, scope: SCOPE })
  assert.equal((await client.assert(assertion, agent)).status, 200)
  refused(await client.assert(assertion, agent), { error: 'invalid_grant', reason: 'assertion_replayed' })
})

test('an assertion by or for somebody else is refused', async () => {
  const [agent, other] = [await ed25519Key(), await ed25519Key()]
  const now = Math.floor(Date.now() / 1000)
  const wrong = {
    'another audience': ['assertion_invalid', { aud: 'https://elsewhere.example' }],
    'one audience too many': ['assertion_invalid', { aud: [client.issuer, 'https://elsewhere.example'] }],
    'another subject': ['assertion_invalid', { sub: other.did }],
    'another issuer and subject': ['assertion_invalid', { iss: other.did, sub: other.did }],
    'longer than a minute': ['assertion_expired', { exp: now + 600 }],
    'past its time': ['assertion_expired', { iat: now - 120, exp: now - 60 }],
    'not yet valid': ['assertion_expired', { nbf: now + 120 }],
    'no jti': ['assertion_invalid', { jti: undefined }],
    'no exp': ['assertion_invalid', { exp: undefined }],
  }
  for (const [what, [reason, claims]] of Object.entries(wrong)) {
    const assertion = await client.assertion(agent, { resource: RESOURCE, scope: SCOPE, ...claims })
    const answer = await client.assert(assertion, agent)
    assert.equal(answer.status, 400, `${what}: ${answer.text}`)
    refused(answer, { error: 'invalid_grant', reason })
  }
})

test('an assertion whose claims are a list is none', async () => {
  const agent = await ed25519Key()
  const now = Math.floor(Date.now() / 1000)
  const claims = [agent.did, agent.did, client.issuer, randomUUID(), now, now + 30, null, SCOPE, RESOURCE]
  const input = `${encodeJson({ alg: 'EdDSA' })}.${encodeJson(claims)}`
  const answer = await client.assert(`${input}.${agent.signText(input)}`, agent)
  refused(answer, { error: 'invalid_grant', reason: 'assertion_invalid' })
})

test('an assertion with a proof by another key is refused and not spent', async () => {
  const [agent, other] = [await ed25519Key(), await ed25519Key()]
  const assertion = await client.assertion(agent, { jti: randomUUID(), resource: RESOURCE, scope: SCOPE })
  const answer = await client.assert(assertion, other)
  refused(answer, { error: 'invalid_dpop_proof', reason: 'proof_key_mismatch' })
  assert.equal((await client.assert(assertion, agent)).status, 200)
})

// The contract leaves the name of the method of an assertion to the server; it only has to be told.
function methodOf(answer) {
  return JSON.parse(Buffer.from(answer.json.access_token.split('.')[1], 'base64url')).proven_key.method
}

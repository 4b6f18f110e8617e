// What only a configuration file switches on: a resource that takes bearer tokens, server nonces for proofs,
// ES256 tokens, lists of accounts, the operations listener.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { discover, JWT_BEARER, SIGNED_MESSAGE } from '../lib/client.js'
import { granted, refused } from '../lib/expect.js'
import { send } from '../lib/http.js'
import { ed25519Key } from '../lib/keys.js'
import { startConfigured } from '../lib/server.js'
import { ethereumWallet, solanaWallet } from '../lib/wallets.js'

const BOUND = 'https://escrow.example'
const OPEN = 'https://news.example'
const PRIVATE = 'https://vault.example'

let server, client, guest, banned
before(async () => {
  guest = await ed25519Key()
  banned = await ethereumWallet()
  server = await startConfigured(
    () => `chains = ["eip155:1"]
[signing]
algorithm = "ES256"
[dpop]
require_nonce = true
[[resources]]
uri = "${BOUND}"
scopes = ["escrow:read", "escrow:release"]
default_scopes = ["escrow:read"]
token_ttl = 60
deny = ["${banned.account}"]
[[resources]]
uri = "${OPEN}"
scopes = ["read"]
default_scopes = ["read"]
binding = "optional"
[[resources]]
uri = "${PRIVATE}"
scopes = ["read"]
default_scopes = ["read"]
formats = ["key"]
allow = ["${guest.did}"]`,
  )
  client = await discover(server.issuer)
})
after(() => server?.stop())

async function signed(agent, resource) {
  const { message } = await client.challenge({ account: agent.did, resource })
  return { message, signature: agent.signText(message) }
}

/** The two steps of RFC 9449 §8: be told the nonce, use it. */
async function redeemWithNonce(form, agent) {
  const told = await client.redeem(form, agent)
  refused(told, { error: 'use_dpop_nonce', reason: 'proof_nonce_required' })
  const nonce = told.headers.get('dpop-nonce')
  assert.ok(nonce, 'DPoP-Nonce')
  return client.redeem(form, agent, { nonce })
}

test('a proof without the nonce that the server demands is told the nonce, and burns nothing', async () => {
  const agent = await ed25519Key()
  const answer = await redeemWithNonce(await signed(agent, BOUND), agent)
  await granted(client, answer, {
    resource: BOUND,
    scope: 'escrow:read',
    key: agent,
    account: agent.did,
    sub: agent.did,
    method: 'key',
    provenKey: agent,
  })
  assert.equal(answer.json.expires_in, 60, "the resource's own token_ttl")
})

test('a nonce that the server did not give is answered with one', async () => {
  const agent = await ed25519Key()
  const answer = await client.redeem(await signed(agent, BOUND), agent, { nonce: 'made-up' })
  refused(answer, { error: 'use_dpop_nonce', reason: 'proof_nonce_required' })
  assert.ok(answer.headers.get('dpop-nonce'))
})

test('tokens are ES256 where the configuration says so', async () => {
  const agent = await ed25519Key()
  const answer = await redeemWithNonce(await signed(agent, BOUND), agent)
  assert.equal(decodeProtectedHeader(answer.json.access_token).alg, 'ES256')
})

test('a resource that takes bearer tokens gets one when there is no proof, and a bound one otherwise', async () => {
  const agent = await ed25519Key()
  const bearer = await client.token({ grant_type: SIGNED_MESSAGE, ...(await signed(agent, OPEN)) })
  assert.equal(bearer.status, 200, bearer.text)
  assert.equal(bearer.json.token_type, 'Bearer')
  assert.equal(decodeJwt(bearer.json.access_token).cnf, undefined)

  const bound = await redeemWithNonce(await signed(agent, OPEN), agent)
  assert.equal(bound.json.token_type, 'DPoP')
  assert.equal(decodeJwt(bound.json.access_token).cnf.jkt, agent.thumbprint)
})

test('what is not configured is refused', async () => {
  const agent = await ed25519Key()
  const ask = (changes) => client.askChallenge({ account: agent.did, resource: BOUND, ...changes })
  refused(await ask({ resource: 'https://elsewhere.example' }), {
    error: 'invalid_target',
    reason: 'resource_not_allowed',
  })
  refused(await ask({ scope: 'escrow:destroy' }), { error: 'invalid_scope', reason: 'scope_unknown' })
  refused(await ask({ resource: undefined }), { error: 'invalid_target', reason: 'resource_required' })
  refused(await ask({ domain: 'localhost:5173' }), { error: 'invalid_request', reason: 'domain_not_allowed' })
})

test('a resource with a list of accounts is for those alone', async () => {
  const welcome = await redeemWithNonce(await signed(guest, PRIVATE), guest)
  assert.equal(welcome.status, 200, welcome.text)

  const stranger = await ed25519Key()
  const reason = 'account_not_allowed'
  refused(await client.askChallenge({ account: stranger.did, resource: PRIVATE }), { error: 'invalid_request', reason })
  const assertion = await client.assertion(stranger, { resource: PRIVATE })
  const nonce = welcome.headers.get('dpop-nonce')
  const dpop = await client.proof(stranger, { nonce })
  refused(await client.token({ grant_type: JWT_BEARER, assertion }, { dpop }), { error: 'invalid_grant', reason })
})

test('chains, formats and accounts that are not taken are refused before anybody signs', async () => {
  const wallet = await ethereumWallet()
  const cases = [
    ['chain_not_allowed', { account: wallet.account.replace('eip155:1:', 'eip155:137:'), resource: BOUND }],
    ['chain_not_allowed', { account: solanaWallet().account, resource: BOUND }],
    ['format_unsupported', { account: wallet.account, resource: PRIVATE }],
    ['account_not_allowed', { account: banned.account, resource: BOUND }],
  ]
  for (const [reason, body] of cases) refused(await client.askChallenge(body), { error: 'invalid_request', reason })
  assert.equal((await client.askChallenge({ account: banned.account, resource: OPEN })).status, 200)
})

test('health is on the operations listener and not on the public one', async () => {
  for (const path of ['/health/live', '/health/ready']) {
    assert.equal((await send(server.operations + path)).status, 200)
    assert.equal((await send(server.url + path)).status, 404)
  }
})

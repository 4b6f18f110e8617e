// Requests that ask for too much, or are none: each is told which check it failed.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { discover, SIGNED_MESSAGE } from '../lib/client.js'
import { refused } from '../lib/expect.js'
import { send } from '../lib/http.js'
import { ed25519Key } from '../lib/keys.js'
import { RESOURCE, SCOPE, signedIn, stillGood, written } from '../lib/owner.js'
import { startDevelopment } from '../lib/server.js'
import { ethereumWallet } from '../lib/wallets.js'

let server, client
before(async () => {
  server = await startDevelopment()
  client = await discover(server.issuer)
})
after(() => server?.stop())

test('neither scope nor resource can be widened at the token endpoint', async () => {
  const owner = await signedIn(client)
  const more = { ...owner.form, scope: `${SCOPE} escrow:release` }
  refused(await client.redeem(more, owner.session), { error: 'invalid_scope', reason: 'scope_not_granted' })
  const elsewhere = { ...owner.form, resource: 'http://127.0.0.1:9666' }
  refused(await client.redeem(elsewhere, owner.session), {
    error: 'invalid_target',
    reason: 'resource_not_allowed',
  })
  await stillGood(client, owner)

  const stock = await written(client, {})
  const chosen = { ...stock.form, scope: 'escrow:release' }
  refused(await client.redeem(chosen, stock.session), { error: 'invalid_scope', reason: 'scope_not_granted' })
  await stillGood(client, stock)
})

test('a token request that is none', async () => {
  const owner = await signedIn(client)
  const { session } = owner
  const form = new URLSearchParams({ grant_type: SIGNED_MESSAGE, ...owner.form }).toString()
  const post = async (body, type = 'application/x-www-form-urlencoded') =>
    send(client.metadata.token_endpoint, {
      method: 'POST',
      headers: { 'content-type': type, DPoP: await client.proof(session) },
      body,
    })

  const repeated = { error: 'invalid_request', reason: 'parameter_repeated' }
  refused(await post(`${form}&scope=${SCOPE}&scope=${SCOPE}`), repeated)
  refused(await post(`${form}&resource=${RESOURCE}&resource=${RESOURCE}`), repeated)
  refused(await post(`${form}&${form}`), repeated)
  const missing = { error: 'invalid_request', reason: 'parameter_missing' }
  refused(await post(''), missing)
  refused(await post(`grant_type=${encodeURIComponent(SIGNED_MESSAGE)}`), missing)
  refused(await post('grant_type=password&username=a&password=b'), {
    error: 'unsupported_grant_type',
    reason: 'grant_unsupported',
  })
  const format = new URLSearchParams({ grant_type: SIGNED_MESSAGE, ...owner.form, format: 'carrier-pigeon' })
  const unknown = await post(format.toString())
  refused(unknown, { error: 'invalid_grant', reason: 'format_unsupported' })

  const json = await post(JSON.stringify({ grant_type: SIGNED_MESSAGE, ...owner.form }), 'application/json')
  refused(json, { status: 415, error: 'invalid_request', reason: 'content_type' })
  const huge = await post(`${form}&padding=${'a'.repeat(200_000)}`)
  refused(huge, { status: 413, error: 'invalid_request', reason: 'body_too_large' })
  // Its rest is not read, so nothing more is to be sent on that connection.
  assert.equal(huge.headers.get('connection'), 'close')

  await stillGood(client, owner)
})

test('a private key in any parameter is refused, and its owner told', async () => {
  const owner = await signedIn(client)
  const { privateJwk } = await ed25519Key()
  const told = { error: 'invalid_request', reason: 'private_key_received' }
  const text = JSON.stringify(privateJwk)
  refused(await client.redeem({ ...owner.form, public_key: text }, owner.session), told)
  refused(await client.redeem({ ...owner.form, seed: privateJwk.d }, owner.session), told)
  const { account } = owner.wallet
  const extras = [{ dpop_jkt: privateJwk }, { dpop_jkt: text }, { jwk: privateJwk }, { private_key: privateJwk.d }]
  for (const extra of extras) {
    const answer = await client.askChallenge({ account, resource: RESOURCE, ...extra })
    refused(answer, told)
    assert.ok(!answer.text.includes(privateJwk.d))
  }
  assert.ok(!server.output.includes(privateJwk.d))
  await stillGood(client, owner)
})

test('a challenge request that is none', async () => {
  const wallet = await ethereumWallet()
  const good = { account: wallet.account, resource: RESOURCE, scope: SCOPE }
  const upper = wallet.address.replace(/[a-f]/, (digit) => digit.toUpperCase())
  const bad = [
    ['invalid_request', 'parameter_missing', { account: undefined }],
    ['invalid_request', 'malformed_request', { account: 7 }],
    ['invalid_request', 'parameter_unknown', { acount: wallet.account }],
    ['invalid_request', 'account_invalid', { account: 'somebody' }],
    ['invalid_request', 'account_invalid', { account: `eip155:1:${upper}` }],
    ['invalid_request', 'format_unsupported', { format: 'carrier-pigeon' }],
    ['invalid_request', 'format_unsupported', { format: 'siws' }],
    ['invalid_request', 'domain_not_allowed', { domain: 'evil.example' }],
    ['invalid_target', 'resource_not_allowed', { resource: 'https://evil.example' }],
    ['invalid_target', 'resource_required', { resource: undefined }],
    ['invalid_scope', 'scope_unknown', { scope: 'escrow:"read"' }],
    ['invalid_request', 'session_key_invalid', { dpop_jkt: 'abc' }],
  ]
  for (const [error, reason, changes] of bad) {
    const answer = await client.askChallenge({ ...good, ...changes })
    assert.equal(answer.json?.reason, reason, `${JSON.stringify(changes)}: ${answer.text}`)
    refused(answer, { error, reason })
  }
  const page = await client.askChallenge(good, { origin: 'http://localhost:6666' })
  refused(page, { error: 'invalid_request', reason: 'domain_not_allowed' })
})

test('other methods and paths are told so', async () => {
  const wrongMethod = await send(client.metadata.token_endpoint)
  refused(wrongMethod, { status: 405, error: 'invalid_request', reason: 'method_not_allowed' })
  assert.match(wrongMethod.headers.get('allow') ?? '', /POST/)
  const nowhere = await send(`${client.issuer}/nowhere`)
  refused(nowhere, { status: 404, error: 'invalid_request', reason: 'not_found' })
})

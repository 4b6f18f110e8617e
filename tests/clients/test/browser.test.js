// What a browser asks before it lets a wallet app's page speak to the server, and what it lets the page see.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { discover } from '../lib/client.js'
import { refused } from '../lib/expect.js'
import { raw } from '../lib/http.js'
import { startConfigured } from '../lib/server.js'
import { ethereumWallet } from '../lib/wallets.js'

const ALLOWED = 'https://app.example'
const FOREIGN = ['https://evil.example', 'http://app.example', 'https://app.example.evil.example', 'null']
const RESOURCE = 'https://escrow.example'
const FORM = 'application/x-www-form-urlencoded'
const EXPOSED = ['dpop-nonce', 'www-authenticate', 'retry-after']

let server, client
before(async () => {
  server = await startConfigured(
    () => `domains = ["app.example", "other.example"]
[[resources]]
uri = "${RESOURCE}"
scopes = ["escrow:read"]
default_scopes = ["escrow:read"]`,
  )
  client = await discover(server.issuer)
})
after(() => server?.stop())

function names(answer, header) {
  return (answer.headers.get(header) ?? '').toLowerCase().split(/\s*,\s*/)
}

function preflight(url, origin, method = 'POST') {
  return raw(url, {
    method: 'OPTIONS',
    headers: [
      ...['Origin', origin, 'Access-Control-Request-Method', method],
      ...['Access-Control-Request-Headers', 'content-type,dpop'],
    ],
  })
}

function post(url, origin, type, body) {
  return raw(url, { headers: ['Origin', origin, 'Content-Type', type], body })
}

test('the page of an allowed domain may post with a proof', async () => {
  for (const url of [client.metadata.token_endpoint, client.metadata.challenge_endpoint]) {
    const answer = await preflight(url, ALLOWED)
    assert.ok([200, 204].includes(answer.status), `${url}: ${answer.status}`)
    assert.equal(answer.headers.get('access-control-allow-origin'), ALLOWED)
    assert.ok(names(answer, 'access-control-allow-methods').includes('post'))
    for (const name of ['content-type', 'dpop']) {
      assert.ok(names(answer, 'access-control-allow-headers').includes(name), name)
    }
    assert.equal(answer.headers.get('access-control-allow-credentials'), null, 'no cookies here')
  }
})

test('any other page may not', async () => {
  for (const origin of FOREIGN) {
    for (const url of [client.metadata.token_endpoint, client.metadata.challenge_endpoint]) {
      const answer = await preflight(url, origin)
      assert.equal(answer.headers.get('access-control-allow-origin'), null, origin)
    }
  }
})

test('an error can be read by the allowed page, with the headers it needs', async () => {
  const answer = await post(client.metadata.token_endpoint, ALLOWED, FORM, 'grant_type=x')
  refused(answer, { error: 'unsupported_grant_type', reason: 'grant_unsupported' })
  assert.equal(answer.headers.get('access-control-allow-origin'), ALLOWED)
  assert.ok(names(answer, 'vary').includes('origin'))
  for (const name of EXPOSED) assert.ok(names(answer, 'access-control-expose-headers').includes(name), name)
})

test('an error cannot be read by a foreign page', async () => {
  for (const origin of FOREIGN) {
    const answer = await post(client.metadata.token_endpoint, origin, FORM, 'grant_type=x')
    assert.ok(answer.status >= 400)
    assert.equal(answer.headers.get('access-control-allow-origin'), null, origin)
  }
})

test('a page asks challenges for its own domain only', async () => {
  const wallet = await ethereumWallet()
  const ask = (origin, domain) =>
    post(
      client.metadata.challenge_endpoint,
      origin,
      'application/json',
      JSON.stringify({ account: wallet.account, resource: RESOURCE, domain }),
    )
  const own = await ask(ALLOWED, 'app.example')
  assert.equal(own.status, 200, own.text)
  assert.equal(own.headers.get('access-control-allow-origin'), ALLOWED)
  assert.ok(own.json.message.startsWith('app.example wants you to sign in'))

  refused(await ask(ALLOWED, 'other.example'), { error: 'invalid_request', reason: 'domain_not_allowed' })
  refused(await ask(ALLOWED, 'evil.example'), { error: 'invalid_request', reason: 'domain_not_allowed' })
  refused(await ask(FOREIGN[0], 'app.example'), { error: 'invalid_request', reason: 'domain_not_allowed' })
})

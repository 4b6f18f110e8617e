// What happens at a bound: too many requests of one address, more used proofs than the store may hold. Nothing that
// still matters is forgotten to make room.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { discover } from '../lib/client.js'
import { refused } from '../lib/expect.js'
import { send } from '../lib/http.js'
import { ed25519Key } from '../lib/keys.js'
import { startConfigured } from '../lib/server.js'

const RESOURCE = `[[resources]]
uri = "https://escrow.example"
scopes = ["read"]
default_scopes = ["read"]`
const BURST = 5
const STORED = 1000
const MOST_SIGN_INS = STORED + 50
const AT_ONCE = 25

async function withServer(settings, use) {
  const server = await startConfigured(() => `${settings}\n${RESOURCE}`)
  try {
    await use(await discover(server.issuer), server)
  } finally {
    await server.stop()
  }
}

function overLimit(answer) {
  refused(answer, { status: 429, error: 'temporarily_unavailable', reason: 'rate_limited' })
  assert.ok(Number(answer.headers.get('retry-after')) >= 1)
}

test('an address over its rate is told when to come back, and the page can read it', async () => {
  const settings = `domains = ["app.example"]\n[limits]\nrequests_per_minute = 1\nburst = ${BURST}\ntrusted_proxies = []`
  await withServer(settings, async (client, server) => {
    const ask = (headers) => send(client.metadata.nonce_endpoint, { headers })
    for (let asked = 0; asked < BURST; asked += 1) assert.equal((await ask()).status, 200)
    const answer = await ask({ origin: 'https://app.example' })
    overLimit(answer)
    assert.equal(answer.headers.get('access-control-allow-origin'), 'https://app.example')
    overLimit(await ask({ 'x-forwarded-for': '192.0.2.1' }))
    // What tokens are verified with is counted apart, and no less; the metadata was the first of these.
    const keys = () => send(client.metadata.jwks_uri)
    for (let asked = 1; asked < BURST; asked += 1) assert.equal((await keys()).status, 200)
    overLimit(await keys())
    assert.equal((await send(`${server.operations}/health/ready`)).status, 200)
  })
})

test('behind a trusted proxy each client has its own rate', async () => {
  const settings = '[limits]\nrequests_per_minute = 1\nburst = 1\ntrusted_proxies = ["127.0.0.1"]'
  await withServer(settings, async (client) => {
    const ask = (forwarded) => send(client.metadata.nonce_endpoint, { headers: { 'x-forwarded-for': forwarded } })
    assert.equal((await ask('192.0.2.1')).status, 200)
    overLimit(await ask('192.0.2.1'))
    overLimit(await ask('198.51.100.7, 192.0.2.1'))
    assert.equal((await ask('192.0.2.2')).status, 200)
    assert.equal((await ask('2001:db8::1')).status, 200)
    overLimit(await ask('2001:db8::ffff'))
  })
})

test('a full store gives no token and forgets nothing', async () => {
  await withServer(`[limits]\nrequests_per_minute = "off"\nproofs = ${STORED}`, async (client) => {
    const agent = await ed25519Key()
    const first = await client.assertion(agent)
    assert.equal((await client.assert(first, agent)).status, 200)

    let full
    for (let done = 0; done < MOST_SIGN_INS && !full; done += AT_ONCE) {
      const assertions = Array.from({ length: AT_ONCE }, () => client.assertion(agent))
      const answers = await Promise.all(assertions.map(async (one) => client.assert(await one, agent)))
      for (const answer of answers) if (answer.status !== 200) refused(answer, unavailable)
      full = answers.at(-1).status === 200 ? undefined : answers.at(-1)
    }
    assert.ok(full, `the store took more than ${STORED}`)
    assert.ok(Number(full.headers.get('retry-after')) >= 1)
    const replay = await client.assert(first, agent)
    assert.equal(replay.json.access_token, undefined)
    assert.ok([400, 503].includes(replay.status), replay.text)
  })
})

const unavailable = { status: 503, error: 'temporarily_unavailable', reason: 'store_unavailable' }

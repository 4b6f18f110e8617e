// What a client finds out by itself: the metadata document, the key set, the nonce endpoint.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { calculateJwkThumbprint } from 'jose'
import { discover, JWT_BEARER, metadataUrl, SIGNED_MESSAGE } from '../lib/client.js'
import { send } from '../lib/http.js'
import { startConfigured, startDevelopment } from '../lib/server.js'

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

let server, client
before(async () => {
  server = await startDevelopment()
  client = await discover(server.issuer)
})
after(() => server?.stop())

function includes(list, ...members) {
  assert.ok(Array.isArray(list), `a list: ${JSON.stringify(list)}`)
  for (const member of members) assert.ok(list.includes(member), `${member} in ${JSON.stringify(list)}`)
}

test('the metadata document says what RFC 8414 and our clients need', async () => {
  const answer = await send(metadataUrl(server.issuer))
  assert.equal(answer.status, 200)
  assert.match(answer.headers.get('content-type'), /^application\/json/)
  const metadata = answer.json
  assert.equal(metadata.issuer, server.issuer)
  for (const name of ['token_endpoint', 'jwks_uri', 'challenge_endpoint', 'nonce_endpoint']) {
    assert.ok(metadata[name]?.startsWith(`${server.issuer}/`), `${name}: ${metadata[name]}`)
  }
  includes(metadata.grant_types_supported, SIGNED_MESSAGE, JWT_BEARER)
  includes(metadata.dpop_signing_alg_values_supported, 'ES256', 'ES256K', 'EdDSA', 'Ed25519')
  assert.ok(!metadata.dpop_signing_alg_values_supported.some((alg) => alg === 'none' || alg.startsWith('HS')))
  includes(metadata.token_endpoint_auth_methods_supported, 'none')
  assert.ok(Array.isArray(metadata.response_types_supported), 'required by RFC 8414')
})

test('each message format is described', () => {
  const formats = Object.fromEntries(client.metadata.message_formats_supported.map((format) => [format.name, format]))
  includes(formats.siwe?.namespaces, 'eip155')
  includes(formats.siwe?.curves, 'secp256k1')
  includes(formats.siws?.namespaces, 'solana')
  includes(formats.siws?.curves, 'Ed25519')
  includes(formats.key?.curves, 'Ed25519', 'secp256k1')
})

test('an issuer with a path has its metadata where RFC 8414 puts it', async () => {
  const tenant = await startConfigured(
    () => '[[resources]]\nuri = "http://127.0.0.1:9555"\nscopes = ["read"]\ndefault_scopes = ["read"]',
    { path: '/tenant' },
  )
  try {
    const answer = await send(`${new URL(tenant.issuer).origin}/.well-known/oauth-authorization-server/tenant`)
    assert.equal(answer.status, 200, answer.text)
    assert.equal(answer.json.issuer, tenant.issuer)
    const other = await discover(tenant.issuer)
    assert.match(await other.nonce(), /^[A-Za-z0-9]+$/)
    assert.equal((await send(other.metadata.jwks_uri)).status, 200)
  } finally {
    await tenant.stop()
  }
})

test('the key set has public keys only, and says how long it may be kept', async () => {
  const answer = await send(client.metadata.jwks_uri)
  assert.equal(answer.status, 200)
  assert.match(answer.headers.get('cache-control') ?? '', /max-age=\d+/)
  assert.ok(answer.json.keys.length > 0)
  for (const key of answer.json.keys) {
    for (const member of PRIVATE_MEMBERS) assert.ok(!(member in key), `private member ${member}`)
    assert.equal(typeof key.kid, 'string')
    assert.ok(['EdDSA', 'Ed25519', 'ES256'].includes(key.alg), key.alg)
    assert.equal(key.use ?? 'sig', 'sig')
    assert.equal((await calculateJwkThumbprint(key)).length, 43)
  }
})

test('a nonce comes as JSON, or as plain text for libraries that want only that', async () => {
  const json = await send(client.metadata.nonce_endpoint)
  assert.equal(json.status, 200)
  assert.match(json.headers.get('cache-control') ?? '', /no-store/)
  assert.match(json.json.nonce, /^[A-Za-z0-9]{8,64}$/)
  assert.ok(Number.isInteger(json.json.expires_in) && json.json.expires_in > 0)

  const text = await send(client.metadata.nonce_endpoint, { headers: { accept: 'text/plain' } })
  assert.equal(text.status, 200)
  assert.match(text.headers.get('content-type'), /^text\/plain/)
  assert.match(text.headers.get('cache-control') ?? '', /no-store/)
  assert.match(text.text, /^[A-Za-z0-9]{8,64}$/)
  assert.notEqual(text.text, json.json.nonce)
})

test('a challenge is not to be stored', async () => {
  const answer = await client.askChallenge({
    account: 'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv',
    resource: 'http://127.0.0.1:9555',
  })
  assert.equal(answer.status, 200, answer.text)
  assert.match(answer.headers.get('cache-control') ?? '', /no-store/)
})

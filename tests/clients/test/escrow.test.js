// The whole path: two Ethereum wallets sign in, and the escrow API lets the right key do the right thing.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { discover } from '../lib/client.js'
import { proof } from '../lib/dpop.js'
import { call, callWith, CLAIM, CREATE, READ, RELEASE, routes, startEscrow } from '../lib/escrow.js'
import { send } from '../lib/http.js'
import { ed25519Key, sessionKey } from '../lib/keys.js'
import { startDevelopment } from '../lib/server.js'
import { ethereumWallet } from '../lib/wallets.js'

let server, client, api, depositor, beneficiary, escrow
before(async () => {
  server = await startDevelopment()
  client = await discover(server.issuer)
  api = await startEscrow(server.issuer)
  depositor = await signIn([READ, CREATE, RELEASE, CLAIM])
  beneficiary = await signIn([READ, RELEASE, CLAIM])
  await openEscrow()
})
after(async () => {
  await api?.stop()
  await server?.stop()
})

async function openEscrow() {
  const opened = await call(api, routes.open, {
    ...depositor,
    body: { beneficiary: beneficiary.sub, amount: 2500, currency: 'EUR' },
  })
  assert.equal(opened.status, 201, opened.text)
  assert.equal(opened.json.depositor, depositor.sub)
  assert.equal(opened.json.depositor_key, depositor.key.thumbprint)
  escrow = opened.json.id
}

/** A wallet's sign-in with a session key of its own; a new wallet unless one is given. */
async function signIn(scopes, resource = api.resource, wallet = undefined) {
  wallet ??= await ethereumWallet()
  const key = await sessionKey()
  const { message } = await client.challenge({
    account: wallet.account,
    resource,
    scope: scopes.join(' '),
    dpop_jkt: key.thumbprint,
  })
  const answer = await client.redeem({ message, signature: await wallet.sign(message) }, key)
  assert.equal(answer.status, 200, answer.text)
  return { key, token: answer.json.access_token, sub: answer.json.sub }
}

function challenged(answer, { status = 401, error, reason }) {
  assert.equal(answer.status, status, answer.text)
  assert.equal(answer.json?.reason, reason, answer.text)
  const header = answer.headers.get('www-authenticate') ?? ''
  assert.match(header, /^DPoP( |$)/)
  if (error) assert.match(header, new RegExp(`error="${error}"`))
  else assert.doesNotMatch(header, /error=/)
  if (status === 401) assert.match(header, /algs="[^"]*ES256[^"]*"/)
}

function readProof(holder, changes = {}) {
  const { method, path } = routes.read(escrow)
  return proof(holder.key, { method, url: api.url + path, token: holder.token, nonce: api.nonce, ...changes })
}

async function read(headers) {
  return callWith(api, routes.read(escrow), headers)
}

test('both parties read the escrow, a stranger does not', async () => {
  for (const party of [depositor, beneficiary]) {
    const answer = await call(api, routes.read(escrow), party)
    assert.equal(answer.status, 200, answer.text)
  }
  const stranger = await call(api, routes.read(escrow), await signIn([READ]))
  assert.equal(stranger.status, 403, stranger.text)
  assert.equal(stranger.json.reason, 'not_a_party')
})

test('without credentials the API says which scheme it takes, and no error', async () => {
  const answer = await read({})
  challenged(answer, { reason: 'token_required' })
  const [, metadata] = /resource_metadata="([^"]+)"/.exec(answer.headers.get('www-authenticate'))
  const { json } = await send(metadata)
  assert.equal(json.resource, api.resource)
  assert.deepEqual(json.authorization_servers, [server.issuer])
})

test('a token without its proof, or as Bearer, is refused', async () => {
  const { token } = depositor
  challenged(await read({ authorization: `DPoP ${token}` }), { error: 'invalid_dpop_proof', reason: 'proof_required' })
  challenged(await read({ authorization: `Bearer ${token}` }), {
    error: 'invalid_token',
    reason: 'bound_token_as_bearer',
  })
  challenged(await read({ authorization: `Bearer ${token}`, dpop: await readProof(depositor) }), {
    error: 'invalid_token',
    reason: 'bound_token_as_bearer',
  })
})

test('a stolen token is worth nothing with another key', async () => {
  const thief = { key: await sessionKey(), token: depositor.token }
  const answer = await read({ authorization: `DPoP ${depositor.token}`, dpop: await readProof(thief) })
  challenged(answer, { error: 'invalid_token', reason: 'proof_key_mismatch' })
  const other = { key: beneficiary.key, token: depositor.token }
  challenged(await read({ authorization: `DPoP ${depositor.token}`, dpop: await readProof(other) }), {
    error: 'invalid_token',
    reason: 'proof_key_mismatch',
  })
})

test('a proof is good once', async () => {
  const dpop = await readProof(depositor)
  const authorization = `DPoP ${depositor.token}`
  assert.equal((await read({ authorization, dpop })).status, 200)
  challenged(await read({ authorization, dpop }), { error: 'invalid_dpop_proof', reason: 'proof_replayed' })
})

test('an API that has just started takes no proof that could be of the time before', async () => {
  const { port } = new URL(api.url)
  const used = await readProof(depositor)
  const authorization = `DPoP ${depositor.token}`
  assert.equal((await read({ authorization, dpop: used })).status, 200)
  const fresh = await readProof(depositor, { nonce: undefined })
  // The next process starts in a later second than the one that they are dated.
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  await api.stop()
  api = await startEscrow(server.issuer, port)
  for (const dpop of [used, fresh]) {
    const answer = await read({ authorization, dpop })
    challenged(answer, { error: 'use_dpop_nonce', reason: 'proof_nonce_required' })
    assert.ok(answer.headers.get('dpop-nonce'))
  }
  // The escrow is gone with the process; who retries with the nonce gets as far as finding that out.
  assert.equal((await call(api, routes.read(escrow), depositor)).status, 404)
  await openEscrow()
})

test('of concurrent calls with one proof exactly one is served', async () => {
  const dpop = await readProof(depositor)
  const authorization = `DPoP ${depositor.token}`
  const answers = await Promise.all(Array.from({ length: 32 }, () => read({ authorization, dpop })))
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
  assert.equal(answers.filter(({ status }) => status === 401).length, 31)
})

test('a proof for another token, method, URL or time is refused', async () => {
  const authorization = `DPoP ${depositor.token}`
  const now = Math.floor(Date.now() / 1000)
  const wrong = {
    "another token's ath": { token: beneficiary.token },
    'no ath': { token: undefined },
    'another method': { method: 'POST' },
    'another path': { url: `${api.url}/escrows/other` },
    "the issuer's URL": { url: client.metadata.token_endpoint },
  }
  for (const [what, changes] of Object.entries(wrong)) {
    const answer = await read({ authorization, dpop: await readProof(depositor, changes) })
    assert.equal(answer.status, 401, `${what}: ${answer.text}`)
    challenged(answer, { error: 'invalid_dpop_proof', reason: 'proof_invalid' })
  }
  for (const iat of [now - 3600, now + 3600]) {
    const answer = await read({ authorization, dpop: await readProof(depositor, { claims: { iat } }) })
    challenged(answer, { error: 'invalid_dpop_proof', reason: 'proof_expired' })
  }
})

test('a private key in the proof is refused and not repeated', async () => {
  const agent = await ed25519Key()
  const { message } = await client.challenge({ account: agent.did, resource: api.resource, scope: READ })
  const { json } = await client.redeem({ message, signature: agent.signText(message) }, agent)
  const dpop = await readProof({ key: agent, token: json.access_token }, { header: { jwk: agent.privateJwk } })
  const answer = await read({ authorization: `DPoP ${json.access_token}`, dpop })
  challenged(answer, { error: 'invalid_dpop_proof', reason: 'private_key_received' })
  for (const place of [answer.text, answer.headers.get('www-authenticate'), api.output]) {
    assert.ok(!place.includes(agent.privateJwk.d))
  }
})

test('a token for another audience, or one that was tampered with, is refused', async () => {
  const elsewhere = await signIn([READ], 'http://127.0.0.1:9666')
  challenged(await call(api, routes.read(escrow), elsewhere), { error: 'invalid_token', reason: 'token_audience' })

  const [header, claims, signature] = depositor.token.split('.')
  const promoted = { ...JSON.parse(Buffer.from(claims, 'base64url')), sub: 'did:pkh:eip155:1:0x0' }
  const body = Buffer.from(JSON.stringify(promoted)).toString('base64url')
  const unsigned = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')
  const wrong = [
    ['token_signature', `${header}.${body}.${signature}`],
    ['token_malformed', `${unsigned}.${claims}.`],
    ['token_malformed', `${unsigned}.${claims}.${signature}`],
    ['token_malformed', 'garbage'],
    ['token_malformed', `${header}.${claims}`],
  ]
  for (const [reason, token] of wrong) {
    challenged(await call(api, routes.read(escrow), { ...depositor, token }), { error: 'invalid_token', reason })
  }
})

test('a token without the scope is told which one it lacks', async () => {
  const reader = await signIn([READ])
  const answer = await call(api, routes.release(escrow), reader)
  challenged(answer, { status: 403, error: 'insufficient_scope', reason: 'scope_not_granted' })
  assert.match(answer.headers.get('www-authenticate'), /scope="[^"]*escrow:release[^"]*"/)
})

test('the depositor releases, then the beneficiary claims, each once and nobody else', async () => {
  const steps = [
    [409, 'wrong_state', routes.claim, beneficiary],
    [403, 'not_the_depositor', routes.release, beneficiary],
    [200, undefined, routes.release, depositor],
    [409, 'wrong_state', routes.release, depositor],
    [403, 'not_the_beneficiary', routes.claim, depositor],
    [200, undefined, routes.claim, beneficiary],
    [409, 'wrong_state', routes.claim, beneficiary],
  ]
  for (const [status, reason, step, party] of steps) {
    const answer = await call(api, step(escrow), party)
    assert.equal(answer.status, status, answer.text)
    assert.equal(answer.json.reason, reason)
  }
})

test('the account of a wallet keeps its escrow in its next session', async () => {
  const wallet = await ethereumWallet()
  const first = await signIn([READ, CREATE], undefined, wallet)
  const second = await signIn([READ, RELEASE], undefined, wallet)
  assert.notEqual(first.key.thumbprint, second.key.thumbprint)
  const body = { beneficiary: beneficiary.sub, amount: 1, currency: 'EUR' }
  const { json } = await call(api, routes.open, { ...first, body })
  assert.equal((await call(api, routes.release(json.id), second)).status, 200)
})

test('a beneficiary is one that can sign in, however the address is written', async () => {
  const open = (to) => call(api, routes.open, { ...depositor, body: { beneficiary: to, amount: 1, currency: 'EUR' } })
  for (const nobody of ['did:x', 'did:pkh:eip155:1:0xab', 'did:key:z', 'did:web:a.example', beneficiary.sub.slice(8)]) {
    assert.equal((await open(nobody)).status, 400, nobody)
  }
  const { json } = await open(beneficiary.sub.toLowerCase())
  assert.equal((await call(api, routes.release(json.id), depositor)).status, 200)
  assert.equal((await call(api, routes.claim(json.id), beneficiary)).status, 200)
  assert.equal((await call(api, routes.read(`+${json.id}`), depositor)).status, 404)
})

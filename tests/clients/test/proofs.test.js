// Proofs of possession that must not get a token, at the token endpoint; the owner can always try again.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { base64url, UnsecuredJWT } from 'jose'
import { createHmac, randomUUID } from 'node:crypto'
import { discover, SIGNED_MESSAGE } from '../lib/client.js'
import { refused } from '../lib/expect.js'
import { raw } from '../lib/http.js'
import { ed25519Key, encodeJson, sessionKey } from '../lib/keys.js'
import { RESOURCE, SCOPE, signedIn, stillGood, written } from '../lib/owner.js'
import { startDevelopment } from '../lib/server.js'
import { ethereumWallet } from '../lib/wallets.js'

let server, client
before(async () => {
  server = await startDevelopment()
  client = await discover(server.issuer)
})
after(() => server?.stop())

test('a proof by another key than the one that was signed for is refused and burns nothing', async () => {
  const owner = await signedIn(client)
  const answer = await client.redeem(owner.form, await sessionKey())
  refused(answer, { error: 'invalid_dpop_proof', reason: 'proof_key_mismatch' })
  await stillGood(client, owner)
})

test('a message that names no session key is for the key that signed it alone', async () => {
  const { wallet, session, form } = await written(client, { resources: undefined })
  const answer = await client.redeem(form, session)
  refused(answer, { error: 'invalid_dpop_proof', reason: 'proof_key_mismatch' })
  await stillGood(client, { form, session: wallet.key })
})

test('a proof is good once, and its replay burns nothing', async () => {
  const first = await signedIn(client)
  const wallet = await ethereumWallet()
  const dpop = await client.proof(first.session)
  assert.equal((await client.token({ grant_type: SIGNED_MESSAGE, ...first.form }, { dpop })).status, 200)

  const { message } = await client.challenge({
    account: wallet.account,
    resource: RESOURCE,
    scope: SCOPE,
    dpop_jkt: first.session.thumbprint,
  })
  const second = { form: { message, signature: await wallet.sign(message) }, session: first.session }
  const answer = await client.token({ grant_type: SIGNED_MESSAGE, ...second.form }, { dpop })
  refused(answer, { error: 'invalid_dpop_proof', reason: 'proof_replayed' })
  await stillGood(client, second)
})

test('a bound resource needs a proof', async () => {
  const owner = await signedIn(client)
  const answer = await client.token({ grant_type: SIGNED_MESSAGE, ...owner.form })
  refused(answer, { error: 'invalid_dpop_proof', reason: 'proof_required' })
  await stillGood(client, owner)
})

test('a private key in the proof is refused, told, and not repeated', async () => {
  const agent = await ed25519Key()
  const { message } = await client.challenge({ account: agent.did, resource: RESOURCE, scope: SCOPE })
  const form = { message, signature: agent.signText(message) }
  const answer = await client.redeem(form, agent, { header: { jwk: agent.privateJwk } })
  refused(answer, { error: 'invalid_request', reason: 'private_key_received' })
  assert.ok(!answer.text.includes(agent.privateJwk.d))
  assert.ok(!server.output.includes(agent.privateJwk.d), 'the private key must not be logged')
})

test('a proof that is wrong in one way is refused and burns nothing', async () => {
  const owner = await signedIn(client)
  const { session } = owner
  const now = Math.floor(Date.now() / 1000)
  const symmetric = (header, claims) => {
    const input = `${encodeJson(header)}.${encodeJson(claims)}`
    return `${input}.${createHmac('sha256', 'secret').update(input).digest('base64url')}`
  }
  const claims = { jti: randomUUID(), htm: 'POST', htu: client.metadata.token_endpoint, iat: now }
  const proofs = {
    'another method': await client.proof(session, { method: 'GET' }),
    'another URL': await client.proof(session, { url: `${client.issuer}/challenge` }),
    'another host': await client.proof(session, { url: 'https://elsewhere.example/token' }),
    'iat as text': await client.proof(session, { claims: { iat: String(now) } }),
    'no iat': await client.proof(session, { claims: { iat: undefined } }),
    'no jti': await client.proof(session, { claims: { jti: undefined } }),
    'an empty jti': await client.proof(session, { claims: { jti: '' } }),
    'typ JWT': await client.proof(session, { header: { typ: 'JWT' } }),
    'no jwk': await client.proof(session, { header: { jwk: undefined } }),
    "another key's jwk": await client.proof(session, { header: { jwk: (await sessionKey()).publicJwk } }),
    'alg none': new UnsecuredJWT(claims).encode(),
    'alg HS256': symmetric({ typ: 'dpop+jwt', alg: 'HS256', jwk: session.publicJwk }, claims),
    'a broken signature': (await client.proof(session)).replace(/.{8}$/, 'AAAAAAAA'),
    'not a JWS': 'garbage',
    'far too long': 'a'.repeat(20_000),
  }
  for (const [what, dpop] of Object.entries(proofs)) {
    const answer = await client.token({ grant_type: SIGNED_MESSAGE, ...owner.form }, { dpop })
    assert.equal(answer.json?.reason, 'proof_invalid', `${what}: ${answer.text}`)
    refused(answer, { error: 'invalid_dpop_proof' })
  }
  for (const times of [{ iat: now - 3600 }, { iat: now + 3600 }, { exp: now - 60 }, { nbf: now + 3600 }]) {
    const answer = await client.redeem(owner.form, session, { claims: times })
    refused(answer, { error: 'invalid_dpop_proof', reason: 'proof_expired' })
  }
  await stillGood(client, owner)
})

test('a proof whose claims or header are a list is none', async () => {
  const agent = await ed25519Key()
  const now = Math.floor(Date.now() / 1000)
  const header = { typ: 'dpop+jwt', alg: 'EdDSA', jwk: agent.publicJwk }
  const claims = { jti: randomUUID(), htm: 'POST', htu: client.metadata.token_endpoint, iat: now }
  const { message } = await client.challenge({ account: agent.did, resource: RESOURCE, scope: SCOPE })
  const form = { grant_type: SIGNED_MESSAGE, message, signature: agent.signText(message) }
  const send = (first, second) => {
    const input = `${encodeJson(first)}.${encodeJson(second)}`
    return client.token(form, { dpop: `${input}.${agent.signText(input)}` })
  }
  const invalid = { error: 'invalid_dpop_proof', reason: 'proof_invalid' }
  refused(await send(header, Object.values(claims)), invalid)
  refused(await send(Object.values(header), claims), invalid)
  assert.equal((await send(header, claims)).status, 200)
})

test('two proofs are one too many', async () => {
  const owner = await signedIn(client)
  const [one, two] = [await client.proof(owner.session), await client.proof(owner.session)]
  const answer = await raw(client.metadata.token_endpoint, {
    headers: ['Content-Type', 'application/x-www-form-urlencoded', 'DPoP', one, 'DPoP', two],
    body: new URLSearchParams({ grant_type: SIGNED_MESSAGE, ...owner.form }).toString(),
  })
  refused(answer, { error: 'invalid_dpop_proof', reason: 'proof_invalid' })
  await stillGood(client, owner)
})

test('no secret of this run was printed by the server', () => {
  assert.ok(!/eyJ[\w-]+\.[\w-]+\.[\w-]+/.test(server.output), 'a JWS was printed')
  assert.ok(!server.output.includes(base64url.encode('secret')))
})

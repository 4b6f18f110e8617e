// What must not get a token: each for its own reason, and none of them at the expense of the owner.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { base64url, UnsecuredJWT } from 'jose'
import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { parseSignature, serializeSignature, toHex } from 'viem'
import { createSiweMessage } from 'viem/siwe'
import { discover, SIGNED_MESSAGE } from '../lib/client.js'
import { refused } from '../lib/expect.js'
import { raw, send } from '../lib/http.js'
import { ed25519Key, encodeJson, sessionKey, thumbprintUri } from '../lib/keys.js'
import { startDevelopment } from '../lib/server.js'
import { ethereumWallet } from '../lib/wallets.js'

const APP = { domain: 'localhost:5173', uri: 'http://localhost:5173/login' }
const RESOURCE = 'http://127.0.0.1:9555'
const SCOPE = 'escrow:read'
const CONCURRENT = 64

let server, client
before(async () => {
  server = await startDevelopment()
  client = await discover(server.issuer)
})
after(() => server?.stop())

/** A challenge, signed by its owner and not yet used. */
async function signedIn() {
  const [wallet, session] = [await ethereumWallet(), await sessionKey()]
  const { message } = await client.challenge({
    account: wallet.account,
    resource: RESOURCE,
    scope: SCOPE,
    dpop_jkt: session.thumbprint,
    domain: APP.domain,
  })
  return { wallet, session, form: { message, signature: await wallet.sign(message) } }
}

/** A message that viem writes around a nonce of the server, with one thing changed. */
async function written(changes) {
  const [wallet, session] = [await ethereumWallet(), await sessionKey()]
  const message = createSiweMessage({
    address: wallet.address,
    chainId: 1,
    version: '1',
    nonce: await client.nonce(),
    resources: [thumbprintUri(session)],
    ...APP,
    ...changes,
  })
  return { wallet, session, form: { message, signature: await wallet.sign(message), resource: RESOURCE } }
}

async function stillGood({ form, session }) {
  const answer = await client.redeem(form, session)
  assert.equal(answer.status, 200, `the owner's sign-in must still work: ${answer.text}`)
}

test('a message is good once', async () => {
  const owner = await signedIn()
  await stillGood(owner)
  refused(await client.redeem(owner.form, owner.session), { error: 'invalid_grant', reason: 'nonce_used' })
})

test('a message that viem wrote is good once', async () => {
  const owner = await written({})
  await stillGood(owner)
  refused(await client.redeem(owner.form, owner.session), { error: 'invalid_grant', reason: 'nonce_used' })
})

test(`of ${CONCURRENT} concurrent posts of one message exactly one wins`, async () => {
  const { form, session } = await signedIn()
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
  const owner = await signedIn()
  const thief = await ethereumWallet()
  const forged = { ...owner.form, signature: await thief.sign(owner.form.message) }
  refused(await client.redeem(forged, owner.session), { error: 'invalid_grant', reason: 'signature_mismatch' })
  await stillGood(owner)
})

test('the other signature that ECDSA allows is refused and burns nothing', async () => {
  const owner = await signedIn()
  const { r, s, yParity } = parseSignature(owner.form.signature)
  const order = secp256k1.Point.CURVE().n
  const signature = serializeSignature({ r, s: toHex(order - BigInt(s), { size: 32 }), yParity: 1 - yParity })
  const answer = await client.redeem({ ...owner.form, signature }, owner.session)
  refused(answer, { error: 'invalid_grant', reason: 'malleable_signature' })
  await stillGood(owner)
})

test('a signature that is none is refused and burns nothing', async () => {
  const owner = await signedIn()
  for (const signature of ['', '0x', '0xzz', 'AAAA', `0x${'00'.repeat(65)}`, `0x${'ff'.repeat(65)}`, 'f'.repeat(9000)]) {
    const answer = await client.redeem({ ...owner.form, signature }, owner.session)
    assert.ok(answer.status >= 400 && answer.status < 500, `${signature.slice(0, 9)}: ${answer.text}`)
    assert.equal(typeof answer.json?.reason, 'string', answer.text)
  }
  await stillGood(owner)
})

test('an altered challenge is refused, whoever signed it', async () => {
  const owner = await signedIn()
  const { message } = owner.form
  const alterations = {
    'another chain': message.replace('Chain ID: 1', 'Chain ID: 5'),
    'another domain that is allowed': message.replace(APP.domain, 'localhost:9999'),
    'a line feed at the end': `${message}\n`,
    'another resource': message.replace(/- urn:recap:\S+/, `- ${RESOURCE}`),
    'another statement': message.replace("'read'", "'release'"),
  }
  for (const [what, altered] of Object.entries(alterations)) {
    assert.notEqual(altered, message, what)
    const form = { message: altered, signature: await owner.wallet.sign(altered) }
    const answer = await client.redeem(form, owner.session)
    assert.equal(answer.status, 400, `${what}: ${answer.text}`)
    refused(answer, {
      error: 'invalid_grant',
      reason: ['message_mismatch', 'nonce_unknown', 'malformed_message', 'statement_mismatch'],
    })
  }
  await stillGood(owner)
})

test('a nonce the server never gave is unknown', async () => {
  for (const nonce of [randomBytes(32).toString('hex'), 'abcdefgh12345678']) {
    const { form, session } = await written({ nonce })
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
    const { form, session } = await written(changes)
    refused(await client.redeem(form, session), { error: 'invalid_grant', reason })
  }
})

test('a proof by another key than the one that was signed for is refused and burns nothing', async () => {
  const owner = await signedIn()
  const answer = await client.redeem(owner.form, await sessionKey())
  assert.equal(answer.json?.reason, 'proof_key_mismatch', answer.text)
  assert.equal(answer.status, 400)
  await stillGood(owner)
})

test('a message that names no session key is for the key that signed it alone', async () => {
  const { wallet, session, form } = await written({ resources: undefined })
  const answer = await client.redeem(form, session)
  assert.equal(answer.json?.reason, 'proof_key_mismatch', answer.text)
  await stillGood({ form, session: wallet.key })
})

test('a proof is good once, and its replay burns nothing', async () => {
  const first = await signedIn()
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
  await stillGood(second)
})

test('a bound resource needs a proof', async () => {
  const owner = await signedIn()
  const answer = await client.token({ grant_type: SIGNED_MESSAGE, ...owner.form })
  assert.equal(answer.json?.reason, 'proof_required', answer.text)
  assert.equal(answer.status, 400)
  await stillGood(owner)
})

test('a private key in the proof is refused, told, and not repeated', async () => {
  const agent = await ed25519Key()
  const { message } = await client.challenge({ account: agent.did, resource: RESOURCE, scope: SCOPE })
  const form = { message, signature: agent.signText(message) }
  const answer = await client.redeem(form, agent, { header: { jwk: agent.privateJwk } })
  assert.equal(answer.json?.reason, 'private_key_received', answer.text)
  assert.equal(answer.status, 400)
  assert.ok(!answer.text.includes(agent.privateJwk.d))
  assert.ok(!server.output.includes(agent.privateJwk.d), 'the private key must not be logged')
})

test('a proof that is wrong in one way is refused and burns nothing', async () => {
  const owner = await signedIn()
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
    'too old': await client.proof(session, { claims: { iat: now - 3600 } }),
    'from the future': await client.proof(session, { claims: { iat: now + 3600 } }),
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
    const tooLong = what === 'far too long' && answer.status === 431
    if (tooLong) continue
    assert.equal(answer.status, 400, `${what}: ${answer.text}`)
    assert.equal(answer.json?.error, 'invalid_dpop_proof', `${what}: ${answer.text}`)
    refused(answer, { error: 'invalid_dpop_proof' })
  }
  await stillGood(owner)
})

test('two proofs are one too many', async () => {
  const owner = await signedIn()
  const [one, two] = [await client.proof(owner.session), await client.proof(owner.session)]
  const answer = await raw(client.metadata.token_endpoint, {
    headers: ['Content-Type', 'application/x-www-form-urlencoded', 'DPoP', one, 'DPoP', two],
    body: new URLSearchParams({ grant_type: SIGNED_MESSAGE, ...owner.form }).toString(),
  })
  refused(answer, { error: 'invalid_dpop_proof' })
  await stillGood(owner)
})

test('neither scope nor resource can be widened at the token endpoint', async () => {
  const owner = await signedIn()
  const more = { ...owner.form, scope: `${SCOPE} escrow:release` }
  refused(await client.redeem(more, owner.session), { error: 'invalid_scope' })
  const elsewhere = { ...owner.form, resource: 'http://127.0.0.1:9666' }
  refused(await client.redeem(elsewhere, owner.session), { error: 'invalid_target' })
  await stillGood(owner)

  const stock = await written({})
  const chosen = { ...stock.form, scope: 'escrow:release' }
  refused(await client.redeem(chosen, stock.session), { error: 'invalid_scope' })
  await stillGood(stock)
})

test('a token request that is none', async () => {
  const owner = await signedIn()
  const { session } = owner
  const form = new URLSearchParams({ grant_type: SIGNED_MESSAGE, ...owner.form }).toString()
  const post = async (body, type = 'application/x-www-form-urlencoded') =>
    send(client.metadata.token_endpoint, {
      method: 'POST',
      headers: { 'content-type': type, DPoP: await client.proof(session) },
      body,
    })

  refused(await post(`${form}&scope=${SCOPE}&scope=${SCOPE}`), { error: 'invalid_request' })
  refused(await post(`${form}&${form}`), { error: 'invalid_request' })
  refused(await post(''), { error: 'invalid_request' })
  refused(await post(`grant_type=${encodeURIComponent(SIGNED_MESSAGE)}`), { error: 'invalid_request' })
  refused(await post('grant_type=password&username=a&password=b'), { error: 'unsupported_grant_type' })
  const format = new URLSearchParams({ grant_type: SIGNED_MESSAGE, ...owner.form, format: 'carrier-pigeon' })
  const unknown = await post(format.toString())
  assert.equal(unknown.json?.reason, 'format_unsupported', unknown.text)

  const json = await post(JSON.stringify({ grant_type: SIGNED_MESSAGE, ...owner.form }), 'application/json')
  assert.ok([400, 415].includes(json.status), json.text)
  refused(json, { status: json.status, error: 'invalid_request' })
  const huge = await post(`${form}&padding=${'a'.repeat(200_000)}`)
  assert.ok([400, 413].includes(huge.status), huge.text)
  refused(huge, { status: huge.status, error: 'invalid_request' })

  await stillGood(owner)
})

test('a challenge request that is none', async () => {
  const wallet = await ethereumWallet()
  const good = { account: wallet.account, resource: RESOURCE, scope: SCOPE }
  const bad = {
    'no account': { ...good, account: undefined },
    'an account that is none': { ...good, account: 'somebody' },
    'a wrong checksum': { ...good, account: `eip155:1:${wallet.address.replace(/[a-f]/, (c) => c.toUpperCase())}` },
    'a number for the account': { ...good, account: 7 },
    'an unknown format': { ...good, format: 'carrier-pigeon' },
    'a format of another namespace': { ...good, format: 'siws' },
    'a foreign domain': { ...good, domain: 'evil.example' },
    'a foreign resource': { ...good, resource: 'https://evil.example' },
    'a scope out of the grammar': { ...good, scope: 'escrow:"read"' },
    'a thumbprint that is none': { ...good, dpop_jkt: 'abc' },
  }
  for (const [what, body] of Object.entries(bad)) {
    const answer = await client.askChallenge(body)
    assert.equal(answer.status, 400, `${what}: ${answer.text}`)
    refused(answer, { error: answer.json?.error })
  }
  refused(await client.askChallenge(bad['a foreign domain']), {
    error: 'invalid_request',
    reason: 'domain_not_allowed',
  })
  refused(await client.askChallenge(bad['a foreign resource']), { error: 'invalid_target' })
  refused(await client.askChallenge(bad['a scope out of the grammar']), { error: 'invalid_scope' })
  const page = await client.askChallenge(good, { origin: 'http://localhost:6666' })
  refused({ ...page }, { error: 'invalid_request', reason: 'domain_not_allowed' })
})

test('other methods and paths are told so', async () => {
  const wrongMethod = await send(client.metadata.token_endpoint)
  assert.equal(wrongMethod.status, 405)
  assert.match(wrongMethod.headers.get('allow') ?? '', /POST/)
  assert.equal((await send(`${client.issuer}/nowhere`)).status, 404)
})

test('no secret of this run was printed by the server', () => {
  assert.ok(!/eyJ[\w-]+\.[\w-]+\.[\w-]+/.test(server.output), 'a JWS was printed')
  assert.ok(!server.output.includes(base64url.encode('secret')))
})

// The life of a session in the hands of a stock OAuth library: oauth4webapi refreshes, revokes and introspects
// by the metadata document alone, and jose verifies the feed of revocations by the published keys.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import bs58 from 'bs58'
import { createRemoteJWKSet, decodeJwt, generateKeyPair, exportJWK, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import { countersignBinary, run } from '../lib/binary.js'
import { discover } from '../lib/client.js'
import { proof } from '../lib/dpop.js'
import { refused } from '../lib/expect.js'
import { send } from '../lib/http.js'
import { sessionKey } from '../lib/keys.js'
import { startConfigured } from '../lib/server.js'
import { ethereumWallet } from '../lib/wallets.js'

const ESCROW = 'https://escrow.example'
const NEWS = 'https://news.example'
const LOOPBACK = { [oauth.allowInsecureRequests]: true }

let server, client, issuer, secret, caller
before(async () => {
  const made = await run(countersignBinary(), ['--json', 'secret'])
  assert.equal(made.code, 0, made.output)
  secret = JSON.parse(made.output)
  caller = await resourceServer()
  server = await startConfigured(
    (origin) => `domains = ["${new URL(origin).host}"]
[limits]
requests_per_minute = "off"
[[resources]]
uri = "${ESCROW}"
scopes = ["escrow:read", "escrow:release"]
default_scopes = ["escrow:read"]
introspection_keys = ["${caller.did}"]
[[resources]]
uri = "${NEWS}"
scopes = ["read"]
default_scopes = ["read"]
introspection_secret = "${secret.introspection_secret}"`,
    { path: '/tenant' },
  )
  client = await discover(server.issuer)
  const url = new URL(server.issuer)
  const answer = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...LOOPBACK })
  issuer = await oauth.processDiscoveryResponse(url, answer)
})
after(() => server?.stop())

/** A resource server with a key of its own, as WebCrypto holds it. */
async function resourceServer() {
  const pair = await generateKeyPair('Ed25519')
  const { x } = await exportJWK(pair.publicKey)
  const did = `did:key:z${bs58.encode(Uint8Array.from([0xed, 0x01, ...Buffer.from(x, 'base64url')]))}`
  return { did, key: pair.privateKey }
}

/** A person who has signed in on one device; `ask` is the library's protected request by that device. */
async function signIn({ wallet, resource = ESCROW, scope = 'escrow:read escrow:release', label } = {}) {
  const person = wallet ?? (await ethereumWallet())
  const key = await sessionKey()
  const challenge = await client.challenge({
    account: person.account,
    resource,
    scope,
    dpop_jkt: key.thumbprint,
  })
  const form = { message: challenge.message, signature: await person.sign(challenge.message) }
  const answer = await client.redeem({ ...form, ...(label && { session_label: label }) }, key)
  assert.equal(answer.status, 200, answer.text)
  const app = { client_id: 'any' }
  return { wallet: person, key, app, handle: oauth.DPoP(app, key.pair), ...answer.json }
}

async function refresh(device, token = device.refresh_token) {
  const options = { DPoP: device.handle, ...LOOPBACK }
  const answer = await oauth.refreshTokenGrantRequest(issuer, device.app, oauth.None(), token, options)
  return oauth.processRefreshTokenResponse(issuer, device.app, answer)
}

function ask(device, token, method, path) {
  const url = new URL(issuer.sessions_endpoint + path)
  const options = { DPoP: device.handle, ...LOOPBACK }
  return oauth.protectedResourceRequest(token, method, url, undefined, null, options)
}

async function revoke(token) {
  const answer = await oauth.revocationRequest(issuer, { client_id: 'any' }, oauth.None(), token, LOOPBACK)
  return oauth.processRevocationResponse(answer)
}

async function introspect(token, authentication, client_id) {
  const api = { client_id }
  const answer = await oauth.introspectionRequest(issuer, api, authentication, token, LOOPBACK)
  return oauth.processIntrospectionResponse(issuer, api, answer)
}

const asEscrow = (token) => introspect(token, oauth.PrivateKeyJwt(caller.key), caller.did)
const asNews = (token) => introspect(token, oauth.ClientSecretBasic(secret.secret), NEWS)

test('the metadata names what a library needs', () => {
  const at = (path) => `${server.issuer}${path}`
  assert.equal(issuer.revocation_endpoint, at('/revoke'))
  assert.equal(issuer.introspection_endpoint, at('/introspect'))
  assert.equal(issuer.revocation_feed_endpoint, at('/revocations'))
  assert.equal(issuer.sessions_endpoint, at('/sessions'))
  assert.deepEqual(issuer.revocation_endpoint_auth_methods_supported, ['none'])
  assert.deepEqual(issuer.introspection_endpoint_auth_methods_supported, ['private_key_jwt', 'client_secret_basic'])
  assert.deepEqual(issuer.introspection_endpoint_auth_signing_alg_values_supported, ['EdDSA', 'Ed25519', 'ES256K'])
  assert.ok(issuer.grant_types_supported.includes('refresh_token'))
})

test('a session is refreshed, and a lost answer is given again', async () => {
  const device = await signIn()
  const next = await refresh(device)
  assert.equal(next.token_type, 'dpop')
  assert.notEqual(next.refresh_token, device.refresh_token)
  assert.equal(decodeJwt(next.access_token).sid, device.session_id)
  const again = await refresh(device)
  assert.equal(again.refresh_token, next.refresh_token)
  const many = await Promise.all(Array.from({ length: 8 }, () => refresh(device, next.refresh_token)))
  assert.equal(new Set(many.map((one) => one.refresh_token)).size, 1)
})

test('an old refresh token ends its session', async () => {
  const device = await signIn()
  const second = await refresh(device)
  await refresh(device, second.refresh_token)
  await assert.rejects(refresh(device), (error) => {
    assert.equal(error.error, 'invalid_grant')
    assert.equal(error.cause.reason, 'refresh_reused')
    return true
  })
})

test('the person sees the devices and ends one, then all', async () => {
  const laptop = await signIn({ label: 'Laptop' })
  const phone = await signIn({ wallet: laptop.wallet, resource: NEWS, scope: 'read', label: 'Phone' })
  const list = await (await ask(phone, phone.access_token, 'GET', '')).json()
  assert.deepEqual(
    // Both began within one second, of which neither is the older.
    list.sessions.map(({ label, current, resource, bound }) => [label, current, resource, bound]).sort(),
    [
      ['Laptop', false, ESCROW, true],
      ['Phone', true, NEWS, true],
    ],
  )
  assert.equal((await ask(phone, phone.access_token, 'DELETE', `/${laptop.session_id}`)).status, 204)
  await assert.rejects(refresh(laptop), (error) => error.cause.reason === 'session_ended')
  assert.equal((await ask(phone, phone.access_token, 'DELETE', '')).status, 204)
  await assert.rejects(ask(phone, phone.access_token, 'GET', ''), (error) => {
    assert.ok(error instanceof oauth.WWWAuthenticateChallengeError)
    assert.equal(error.cause[0].scheme, 'dpop')
    assert.equal(error.cause[0].parameters.error, 'invalid_token')
    return true
  })
})

test('whoever holds a token may revoke it, with any library', async () => {
  const device = await signIn()
  await revoke('never seen')
  await revoke(device.access_token)
  assert.deepEqual(await asEscrow(device.access_token), { active: false })
  const next = await refresh(device)
  await revoke(next.refresh_token)
  assert.deepEqual(await asEscrow(next.access_token), { active: false })
  await assert.rejects(refresh(device, next.refresh_token), (error) => error.cause.reason === 'session_ended')
})

test('an API asks about its own tokens, by its key or by its secret', async () => {
  const escrow = await signIn()
  const news = await signIn({ resource: NEWS, scope: 'read' })
  const seen = await asEscrow(escrow.access_token)
  assert.equal(seen.active, true)
  assert.equal(seen.token_type, 'DPoP')
  assert.equal(seen.cnf.jkt, escrow.key.thumbprint)
  assert.equal(seen.sid, escrow.session_id)
  const { amr, ...claims } = decodeJwt(escrow.access_token)
  assert.deepEqual(amr, ['pop'])
  assert.deepEqual(seen, { ...claims, active: true, token_type: 'DPoP' })
  assert.equal((await asNews(news.access_token)).aud, NEWS)
  assert.deepEqual(await asNews(escrow.access_token), { active: false })
  assert.deepEqual(await asEscrow(news.access_token), { active: false })
  assert.deepEqual(await asEscrow(escrow.refresh_token), { active: false })
})

test('nobody else may ask', async () => {
  const { access_token: token } = await signIn()
  const stranger = await resourceServer()
  const attempts = [
    [oauth.PrivateKeyJwt(stranger.key), stranger.did],
    [oauth.PrivateKeyJwt(stranger.key), caller.did],
    [oauth.ClientSecretBasic(secret.secret), ESCROW],
    [oauth.ClientSecretBasic(`${secret.secret}x`), NEWS],
    [oauth.ClientSecretPost(secret.secret), NEWS],
    [oauth.None(), NEWS],
  ]
  for (const [authentication, name] of attempts) {
    await assert.rejects(introspect(token, authentication, name), (error) => {
      const { cause } = error
      assert.ok(Array.isArray(cause) ? cause[0].scheme === 'basic' : cause.error === 'invalid_client', String(error))
      return true
    })
  }
})

test('the feed tells what was revoked, signed, and wakes whoever waits', async () => {
  const keys = createRemoteJWKSet(new URL(issuer.jwks_uri))
  async function read(after, wait = 0) {
    const url = new URL(issuer.revocation_feed_endpoint)
    if (after) url.searchParams.set('after', after)
    url.searchParams.set('wait', String(wait))
    const answer = await send(url)
    assert.equal(answer.status, 200, answer.text)
    assert.equal(answer.headers.get('content-type'), 'application/jwt')
    const { payload } = await jwtVerify(answer.text, keys, { issuer: server.issuer, typ: 'revocations+jwt' })
    return payload
  }
  const before = await read()
  const device = await signIn()
  const waiting = read(before.cursor, 30)
  await revoke(device.access_token)
  const told = await waiting
  const jti = decodeJwt(device.access_token).jti
  assert.ok(told.entries.some((entry) => entry.jti === jti && entry.until > told.iat))
  assert.equal(told.more, false)
  const nothing = await read(told.cursor)
  assert.deepEqual([nothing.entries, nothing.cursor], [[], told.cursor])
  const snapshot = await read()
  assert.ok(snapshot.entries.some((entry) => entry.jti === jti))
})

test('everything of a subject takes the key of the token', async () => {
  const device = await signIn()
  const form = { token: device.access_token, everything_of: 'subject' }
  const post = (dpop) =>
    send(issuer.revocation_endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...(dpop && { DPoP: dpop }) },
      body: new URLSearchParams(form).toString(),
    })
  refused(await post(), { status: 401, error: 'invalid_dpop_proof', reason: 'proof_required' })
  const made = await proof(device.key, { url: issuer.revocation_endpoint, token: device.access_token })
  assert.equal((await post(made)).status, 200)
  await assert.rejects(refresh(device), (error) => error.cause.reason === 'session_ended')
})

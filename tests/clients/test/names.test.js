// Named accounts of NEAR: near-kit signs for them, and nodes that answer as those of NEAR do say which keys they have. There
// is no node of NEAR among the packages, so the nodes are written here, after the documented answers.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import bs58 from 'bs58'
import { parseKey } from 'near-kit'
import nacl from 'tweetnacl'
import { startNode } from '../lib/chain.js'
import { discover } from '../lib/client.js'
import { granted, refused } from '../lib/expect.js'
import { ed25519Key, sessionKey } from '../lib/keys.js'
import { startConfigured } from '../lib/server.js'

const ESCROW = 'https://escrow.example'
const KEYS_ONLY = 'https://keys.example'
const VAULT = 'https://vault.example'
const DENIED = 'https://denied.example'

/** The access keys of the chain: name, then key, then permission. */
const keys = new Map()
let server, client, node
before(async () => {
  node = await startNode(near)
  server = await startConfigured(
    (origin) => `domains = ["${new URL(origin).host}"]
[limits]
requests_per_minute = "off"
${[
  [ESCROW, ''],
  [KEYS_ONLY, 'contract_accounts = false'],
  [VAULT, 'allow = ["near:mainnet:carol.near"]'],
  [DENIED, 'deny = ["near:testnet:alice.near"]'],
]
  .map(([uri, more]) => `[[resources]]\nuri = "${uri}"\nscopes = ["read"]\ndefault_scopes = ["read"]\n${more}\n`)
  .join('')}
[[rpc]]
chain = "near:mainnet"
urls = ["${node.url}"]
timeout = 5`,
  )
  client = await discover(server.issuer)
})
after(async () => {
  await server?.stop()
  await node?.stop()
})

/** `status`, which is asked once, and `query` of a node of NEAR, by https://docs.near.org/api/rpc/access-keys. */
function near({ id, method, params }) {
  if (method === 'status') return { jsonrpc: '2.0', id, result: { chain_id: 'mainnet', validators: [] } }
  assert.equal(method, 'query')
  const { request_type: type, finality, account_id: name, public_key: key, ...more } = params
  assert.deepEqual([type, finality, more], ['view_access_key', 'final', {}])
  const place = { block_height: 187310138, block_hash: 'EJxhoDNHcXqQNH6Tw3DDvFXkTzDpD8Jbr3vVSfVgJrFd' }
  const unknown = (cause, info) => ({
    jsonrpc: '2.0',
    id,
    error: { name: 'HANDLER_ERROR', cause: { name: cause, info: { ...info, ...place } }, code: -32000, message: 'Server error' },
  })
  if (!keys.has(name)) return unknown('UNKNOWN_ACCOUNT', { requested_account_id: name })
  const permission = keys.get(name).get(key)
  if (permission === undefined) return unknown('UNKNOWN_ACCESS_KEY', { public_key: key })
  return { jsonrpc: '2.0', id, result: { nonce: 116980971000004, permission, ...place } }
}

const FUNCTION_CALL = { FunctionCall: { allowance: '250000000000000000000000', receiver_id: 'app.near', method_names: [] } }

function person(name, permission = 'FullAccess') {
  const seed = randomBytes(32)
  const pair = nacl.sign.keyPair.fromSeed(seed)
  const publicKey = `ed25519:${bs58.encode(pair.publicKey)}`
  const secret = parseKey(`ed25519:${bs58.encode(pair.secretKey)}`)
  if (!keys.has(name)) keys.set(name, new Map())
  if (permission) keys.get(name).set(publicKey, permission)
  const sign = ({ payload }) => {
    const nonce = Uint8Array.from(Buffer.from(payload.nonce, 'base64'))
    return secret.signNep413Message(name, { ...payload, nonce })
  }
  return { name, seed, publicKey, sign }
}

async function signIn(who, { resource = ESCROW, changes = {}, address = who.name } = {}) {
  const session = await sessionKey()
  const account = `near:mainnet:${address}`
  const challenge = await client.challenge({ account, resource, dpop_jkt: session.thumbprint })
  const signature = JSON.stringify({ ...who.sign(challenge), ...changes })
  const answer = await client.redeem({ message: challenge.message, signature }, session)
  return { answer, session, account }
}

async function grantedTo(who, { answer, session, account }) {
  return granted(client, answer, {
    resource: ESCROW,
    scope: 'read',
    key: session,
    account,
    sub: `did:pkh:${account}`,
    method: 'nep413',
    provenKey: await ed25519Key('EdDSA', who.seed),
  })
}

async function refresh({ answer, session }) {
  const form = { grant_type: 'refresh_token', refresh_token: answer.json.refresh_token }
  return client.token(form, { dpop: await client.proof(session) })
}

test('a full-access key signs in for its name, and the session goes on while it is one', async () => {
  const alice = person('alice.near')
  const signed = await signIn(alice)
  await grantedTo(alice, signed)
  const again = { ...signed, answer: await refresh(signed) }
  await grantedTo(alice, again)
  keys.get('alice.near').delete(alice.publicKey)
  refused(await refresh(again), { error: 'invalid_grant', reason: 'session_ended' })
  keys.get('alice.near').set(alice.publicKey, 'FullAccess')
  refused(await refresh(again), { error: 'invalid_grant', reason: 'session_ended' })
})

test('a name with an underscore is written as CAIP-10 can', async () => {
  const who = person('a_b.near')
  await grantedTo(who, await signIn(who, { address: 'a%5Fb.near' }))
})

test('a key that may do less, or nothing, does not sign in', async () => {
  const mismatch = { error: 'invalid_grant', reason: 'signature_mismatch' }
  refused((await signIn(person('bob.near', FUNCTION_CALL))).answer, mismatch)
  refused((await signIn(person('bob.near', null))).answer, mismatch)
  const mallory = person('mallory.near')
  refused((await signIn({ ...mallory, name: 'bob.near' })).answer, mismatch)
  const nobody = person('nobody.near')
  keys.delete('nobody.near')
  refused((await signIn(nobody)).answer, mismatch)
  // The key of one, the signature of another: the chain is not even asked.
  const [bob, asked] = [person('bob.near'), node.asked]
  refused((await signIn({ ...mallory, name: 'bob.near' }, { changes: { accountId: 'bob.near', publicKey: bob.publicKey } })).answer, mismatch)
  assert.equal(node.asked, asked)
})

test('lists and switches of a resource hold for names', async () => {
  const alice = person('alice.near')
  const asked = node.asked
  refused((await signIn(alice, { resource: KEYS_ONLY })).answer, { error: 'invalid_grant', reason: 'account_not_allowed' })
  assert.equal(node.asked, asked)
  const carol = person('carol.near')
  assert.equal((await signIn(carol, { resource: VAULT })).answer.status, 200)
  const account = 'near:mainnet:alice.near'
  refused(await client.askChallenge({ account, resource: VAULT }), { error: 'invalid_request', reason: 'account_not_allowed' })
  // Of the same name on another chain somebody else may be the owner.
  assert.equal((await signIn(alice, { resource: DENIED })).answer.status, 200)
  const elsewhere = await client.askChallenge({ account: 'near:testnet:alice.near', resource: ESCROW })
  refused(elsewhere, { error: 'invalid_request', reason: 'account_invalid' })
})

test('a node that fails makes names wait, and implicit accounts notice nothing', async () => {
  const alice = person('alice.near')
  const signed = await signIn(alice)
  const busy = ({ jsonrpc, id }) => ({
    text: { jsonrpc, id, error: { name: 'HANDLER_ERROR', cause: { name: 'NO_SYNCED_BLOCKS', info: {} }, code: -32000 } },
  })
  for (const way of ['down', 'silent', busy]) {
    node.way = way
    for (const answer of [(await signIn(alice)).answer, await refresh(signed)]) {
      refused(answer, { status: 503, error: 'temporarily_unavailable', reason: 'chain_unavailable' })
    }
    const [implicit, asked] = [person('unused.near'), node.asked]
    const id = Buffer.from(nacl.sign.keyPair.fromSeed(implicit.seed).publicKey).toString('hex')
    const own = await signIn(implicit, { address: id, changes: { accountId: id } })
    assert.equal(own.answer.status, 200, own.answer.text)
    assert.equal((await refresh(own)).status, 200)
    assert.equal(node.asked, asked)
    node.way = 'right'
  }
  await grantedTo(alice, { ...signed, answer: await refresh(signed) })
})

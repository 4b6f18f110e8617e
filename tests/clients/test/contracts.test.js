// Contract accounts on a chain of their own (anvil): what their owners sign by viem, and what becomes of a session when the
// owner changes, when nodes fail, lie or disagree. An EOA of the same chain notices nothing of all that.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { encodeFunctionData, hashMessage, hexToBytes, pad, serializeErc6492Signature, toHex } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { createSiweMessage } from 'viem/siwe'
import { compile, contracts, startChain, startNode } from '../lib/chain.js'
import { discover } from '../lib/client.js'
import { proof } from '../lib/dpop.js'
import { granted, refused } from '../lib/expect.js'
import { secp256k1Key, sessionKey, thumbprintUri } from '../lib/keys.js'
import { startConfigured } from '../lib/server.js'

const ESCROW = 'https://escrow.example'
const NEWS = 'https://news.example'
const VAULT = 'https://vault.example'
const KEYS_ONLY = 'https://keys.example'
const LIFETIME = 900
const banned = privateKeyToAccount(generatePrivateKey()).address

let chain, other, node, nodes, server, client, several, owned, factory, kinds
before(async () => {
  kinds = contracts()
  ;[chain, other] = [await startChain(), await startChain(10)]
  factory = await chain.deploy(kinds.Factory)
  owned = await freshAccount()
  node = await startNode(chain.url)
  nodes = await Promise.all([1, 2, 3].map(() => startNode(chain.url)))
  const settings = (urls, more = '') => (origin) => `domains = ["${new URL(origin).host}"]
[contract]
session_lifetime = ${LIFETIME}
[limits]
requests_per_minute = "off"
[[resources]]
uri = "${ESCROW}"
scopes = ["escrow:read"]
default_scopes = ["escrow:read"]
deny = ["eip155:1:${banned}"]
[[resources]]
uri = "${NEWS}"
scopes = ["read"]
default_scopes = ["read"]
binding = "optional"
bearer_sessions = true
[[resources]]
uri = "${VAULT}"
scopes = ["read"]
default_scopes = ["read"]
allow = ["${chain.account(owned.address)}"]
[[resources]]
uri = "${KEYS_ONLY}"
scopes = ["read"]
default_scopes = ["read"]
contract_accounts = false
[[rpc]]
chain = "${chain.id}"
urls = [${urls.map((url) => `"${url}"`)}]
timeout = 5
max_answer_bytes = 4096
factories = ["${factory}"]
${more}`
  server = await startConfigured(settings([node.url], `[[rpc]]\nchain = "${other.id}"\nurls = ["${other.url}"]`))
  client = await discover(server.issuer)
  several = await startConfigured(settings(nodes.map(({ url }) => url), 'quorum = 2\ndelegated = true'))
  several.client = await discover(several.issuer)
})
after(async () => {
  await Promise.all([server, several].map((started) => started?.stop()))
  await Promise.all([node, ...(nodes ?? [])].map((started) => started?.stop()))
  await Promise.all([chain, other].map((started) => started?.stop()))
})

function key() {
  const secret = generatePrivateKey()
  return Object.assign(privateKeyToAccount(secret), { secret })
}

/** A contract with an owner, deployed. */
async function freshAccount(on = chain) {
  const owner = key()
  await on.made(await on.rich.sendTransaction({ to: owner.address, value: 10n ** 18n }))
  return { owner, address: await on.deploy(kinds.Owned, [owner.address]) }
}

async function handOn({ owner, address }, next) {
  const { abi } = kinds.Owned
  await chain.made(await chain.wallet(owner).writeContract({ address, abi, functionName: 'handOn', args: [next] }))
}

/** Asks for a challenge and redeems it with what `sign` makes of its message. */
async function signIn(address, sign, { by = client, on = chain, resource = ESCROW, session, form = {}, ...asked } = {}) {
  session ??= await sessionKey()
  const account = on.account(address)
  const { message } = await by.challenge({ account, resource, dpop_jkt: session.thumbprint, ...asked })
  const answer = await by.redeem({ message, signature: await sign(message), ...form }, session)
  return { answer, session, account, message }
}

const signs = (signer) => (message) => signer.signMessage({ message })

async function refresh(answer, session, by = client) {
  const form = { grant_type: 'refresh_token', refresh_token: answer.json.refresh_token }
  return by.token(form, { dpop: await by.proof(session) })
}

/** That a contract got a token: of no key, on its own chain, for no longer than a contract may. */
async function grantedToContract({ answer, session, account }, by = client) {
  const claims = await granted(by, answer, {
    resource: ESCROW,
    scope: 'escrow:read',
    key: session,
    account,
    sub: `did:pkh:${account}`,
    method: 'eip1271',
    provenKey: {},
  })
  assert.deepEqual(claims.proven_key, { method: 'eip1271' })
  return claims
}

function unavailable(answer) {
  refused(answer, { status: 503, error: 'temporarily_unavailable', reason: 'chain_unavailable' })
  assert.match(answer.headers.get('retry-after') ?? '', /^[0-9]+$/)
}

test('the program that nodes are handed is what its source compiles to', () => {
  const at = (path) => readFileSync(new URL(`../../../src/rpc/${path}`, import.meta.url), 'utf8')
  const { Checker } = compile('Yul', 'checker.yul', at('checker.yul'))
  const [, written] = /const CHECKER: &str = "([0-9a-f]+)";/.exec(at('contract.rs'))
  assert.equal(written, Checker.evm.bytecode.object)
})

test('a deployed contract signs in by its owner, and its session goes on', async () => {
  const signed = await signIn(owned.address, signs(owned.owner))
  const claims = await grantedToContract(signed)
  assert.ok(signed.answer.json.refresh_token)
  const { message } = signed
  assert.ok(await chain.reader.verifyMessage({ address: owned.address, message, signature: await signs(owned.owner)(message) }))
  let answer = signed.answer
  for (const _ of [1, 2]) {
    answer = await refresh(answer, signed.session)
    const { sid, auth_time: when } = await grantedToContract({ ...signed, answer })
    assert.deepEqual([sid, when], [claims.sid, claims.auth_time])
  }
})

test('nobody but its owner signs in as a contract, and its owner as nobody but the contract', async () => {
  const stranger = key()
  const { answer, message, session } = await signIn(owned.address, signs(stranger))
  refused(answer, { error: 'invalid_grant', reason: 'signature_mismatch' })
  for (const signature of ['0x', `${await signs(owned.owner)(message)}00`]) {
    refused(await client.redeem({ message, signature }, session), { error: 'invalid_grant', reason: 'signature_mismatch' })
  }
  // A chain is asked three times about a message and no more.
  const late = await client.redeem({ message, signature: await signs(owned.owner)(message) }, session)
  refused(late, { error: 'invalid_grant', reason: 'nonce_used' })
  for (const wrong of [async () => '0xab', (text) => signs(owned.owner)(`${text} `)]) {
    refused((await signIn(owned.address, wrong)).answer, { error: 'invalid_grant', reason: 'signature_mismatch' })
  }
  const elsewhere = (text) => signs(owned.owner)(text.replace('escrow', 'e5crow'))
  refused((await signIn(owned.address, elsewhere)).answer, { error: 'invalid_grant', reason: 'signature_mismatch' })
  // The nonce is whole after a wrong signature.
  const once = await signIn(owned.address, signs(key()))
  refused(once.answer, { error: 'invalid_grant', reason: 'signature_mismatch' })
  const signature = await signs(owned.owner)(once.message)
  await grantedToContract({ ...once, answer: await client.redeem({ message: once.message, signature }, once.session) })
})

test('what is no hex, or longer than a contract may want, is malformed and nobody is asked', async () => {
  const before = node.asked
  for (const signature of ['nothing', '0xabc', '0xzz', `0x${'ab'.repeat(4097)}`, `0x${'6492'.repeat(16)}`]) {
    const { answer } = await signIn(owned.address, () => signature)
    refused(answer, { error: 'invalid_grant', reason: 'signature_malformed' })
  }
  assert.equal(node.asked, before)
})

test('at the same address of another chain there is another account, or none', async () => {
  const { answer } = await signIn(owned.address, signs(owned.owner), { on: other })
  refused(answer, { error: 'invalid_grant', reason: 'signature_mismatch' })
  const there = await freshAccount(other)
  const claims = await grantedToContract(await signIn(there.address, signs(there.owner), { on: other }))
  assert.equal(claims.sub, `did:pkh:eip155:10:${there.address}`)
  const unasked = { account: (address) => `eip155:137:${address}` }
  const refusal = await signIn(there.address, signs(there.owner), { on: unasked })
  refused(refusal.answer, { error: 'invalid_grant', reason: 'signature_mismatch' })
  const wrapped = serializeErc6492Signature({ address: factory, data: '0x', signature: '0xab' })
  const unwrapped = await signIn(there.address, () => wrapped, { on: unasked })
  refused(unwrapped.answer, { error: 'invalid_grant', reason: 'chain_not_allowed' })
})

test('a list of accounts means a contract on the chain that it is written with, a list of banned ones on every chain', async () => {
  const mine = await signIn(owned.address, signs(owned.owner), { resource: VAULT })
  assert.equal(mine.answer.status, 200, mine.answer.text)
  // Somebody gets a contract to the same address of another chain, which has happened to wallets of old factories.
  const says = await chain.reader.getCode({ address: await chain.deploy(kinds.Odd, [0n]) })
  for (const address of [owned.address, banned]) {
    await other.reader.request({ method: 'anvil_setCode', params: [address, says] })
  }
  const twin = await signIn(owned.address, () => '0xab', { on: other, resource: VAULT })
  refused(twin.answer, { error: 'invalid_grant', reason: 'account_not_allowed' })
  const claims = await grantedToContract(await signIn(owned.address, () => '0xab', { on: other }))
  assert.equal(claims.sub, `did:pkh:eip155:10:${owned.address}`)
  const denied = await client.askChallenge({ account: other.account(banned), resource: ESCROW })
  refused(denied, { error: 'invalid_request', reason: 'account_not_allowed' })
  // The challenge is for one resource and the text for another: what was asked first is asked again.
  const session = await sessionKey()
  const nonce = await client.nonce()
  const text = createSiweMessage({
    address: banned,
    chainId: 10,
    domain: new URL(client.issuer).host,
    uri: client.issuer,
    version: '1',
    nonce,
    issuedAt: new Date(),
    resources: [thumbprintUri(session)],
  })
  const answer = await client.redeem({ message: text, signature: '0xab', resource: ESCROW }, session)
  refused(answer, { error: 'invalid_grant', reason: 'account_not_allowed' })
})

test('a resource can leave contracts out', async () => {
  const before = node.asked
  const { answer } = await signIn(owned.address, signs(owned.owner), { resource: KEYS_ONLY })
  refused(answer, { error: 'invalid_grant', reason: 'signature_mismatch' })
  assert.equal(node.asked, before)
})

test('a contract has no key that could sign requests: a session key is signed for, also where bearers are taken', async () => {
  const session = await sessionKey()
  const ownersKey = await secp256k1Key(hexToBytes(owned.owner.secret))
  for (const proofs of [session, ownersKey]) {
    const { message } = await client.challenge({ account: chain.account(owned.address), resource: ESCROW })
    const answer = await client.redeem({ message, signature: await signs(owned.owner)(message) }, proofs)
    refused(answer, { error: 'invalid_dpop_proof', reason: 'proof_key_mismatch' })
    assert.match(answer.json.error_description, /dpop_jkt/)
  }
  const another = await signIn(owned.address, signs(owned.owner))
  const { message } = await client.challenge({
    account: chain.account(owned.address),
    resource: ESCROW,
    dpop_jkt: another.session.thumbprint,
  })
  const stolen = await client.redeem({ message, signature: await signs(owned.owner)(message) }, session)
  refused(stolen, { error: 'invalid_dpop_proof', reason: 'proof_key_mismatch' })

  // Owners of a multisig sign in public: whoever reads message and signature must not be able to use them.
  const asked = node.asked
  const open = await client.challenge({ account: chain.account(owned.address), resource: NEWS })
  const form = { grant_type: 'urn:countersign:params:oauth:grant-type:signed-message', message: open.message }
  const bearer = await client.token({ ...form, signature: await signs(owned.owner)(open.message) })
  refused(bearer, { error: 'invalid_grant', reason: 'session_key_invalid' })
  assert.match(bearer.json.error_description, /dpop_jkt/)
  assert.equal(node.asked, asked, 'nobody is asked about it')
})

test('a session of a contract is shorter than the one that was signed for', async () => {
  const { answer, session, message } = await signIn(owned.address, signs(owned.owner))
  const signedFor = Date.parse(/\nExpiration Time: (.*)\n/.exec(message)[1])
  const url = `${client.issuer}/sessions`
  const dpop = await proof(session, { method: 'GET', url, token: answer.json.access_token })
  const headers = { authorization: `DPoP ${answer.json.access_token}`, DPoP: dpop }
  const listed = await (await fetch(url, { headers })).json()
  const mine = listed.sessions.find(({ id }) => id === answer.json.session_id)
  const lasts = (Date.parse(mine.expires_at) - Date.parse(mine.created_at)) / 1000
  assert.equal(lasts, LIFETIME)
  assert.ok(signedFor - Date.now() > LIFETIME * 1000 * 100)
})

test('a new owner ends the session at its next refresh, and signs in himself', async () => {
  const account = await freshAccount()
  const signed = await signIn(account.address, signs(account.owner))
  const first = await refresh(signed.answer, signed.session)
  assert.equal(first.status, 200, first.text)
  const next = key()
  await handOn(account, next.address)
  for (const _ of [1, 2]) {
    refused(await refresh(first, signed.session), { error: 'invalid_grant', reason: 'session_ended' })
  }
  // It was ended, and does not come back with the owner.
  await chain.made(await chain.rich.sendTransaction({ to: next.address, value: 10n ** 18n }))
  await handOn({ owner: next, address: account.address }, account.owner.address)
  refused(await refresh(first, signed.session), { error: 'invalid_grant', reason: 'session_ended' })
  await grantedToContract(await signIn(account.address, signs(account.owner)))
  refused((await signIn(account.address, signs(next))).answer, { error: 'invalid_grant', reason: 'signature_mismatch' })
})

test('an account that is not deployed yet signs in with how it will be (ERC-6492), before and after', async () => {
  const [owner, salt] = [key(), pad(toHex(7))]
  const { abi } = kinds.Factory
  const args = [owner.address, salt]
  const address = await chain.reader.readContract({ address: factory, abi, functionName: 'addressOf', args })
  const data = encodeFunctionData({ abi, functionName: 'create', args })
  const wraps = (signer, changes = {}) => async (message) => {
    const signature = await signs(signer)(message)
    return serializeErc6492Signature({ address: factory, data, signature, ...changes })
  }
  const signed = await signIn(address, wraps(owner))
  await grantedToContract(signed)
  assert.equal(await chain.reader.getCode({ address }), undefined, 'it was a simulation')
  const again = await refresh(signed.answer, signed.session)
  await grantedToContract({ ...signed, answer: again })

  const rejected = async (sign, reason) =>
    refused((await signIn(address, sign)).answer, { error: 'invalid_grant', reason })
  await rejected(wraps(key()), 'signature_mismatch')
  // Without the wrapper there is no contract: an EOA's signature that is another key's.
  await rejected(signs(owner), 'signature_mismatch')
  const fails = encodeFunctionData({ abi, functionName: 'fail' })
  await rejected(wraps(owner, { data: fails }), 'signature_mismatch')
  const elsewhere = encodeFunctionData({ abi, functionName: 'create', args: [owner.address, pad(toHex(8))] })
  await rejected(wraps(owner, { data: elsewhere }), 'signature_mismatch')

  const asked = node.asked
  const strange = await chain.deploy(kinds.Factory)
  await rejected(wraps(owner, { address: strange }), 'factory_not_allowed')
  const twice = async (message) =>
    serializeErc6492Signature({ address: factory, data, signature: await wraps(owner)(message) })
  await rejected(twice, 'signature_malformed')
  const longer = async (message) => (await wraps(owner)(message)).replace(/(6492){16}$/, `${'00'.repeat(32)}${'6492'.repeat(16)}`)
  await rejected(longer, 'signature_malformed')
  assert.equal(node.asked, asked, 'nobody was asked about these')

  await chain.made(await chain.rich.writeContract({ address: factory, abi, functionName: 'create', args }))
  await grantedToContract({ ...signed, answer: await refresh(again, signed.session) })
  await grantedToContract(await signIn(address, wraps(owner)))
  await grantedToContract(await signIn(address, signs(owner)))
})

test('a key that has delegated (EIP-7702) still signs in as itself, and whoever it delegates to as the contract where that is taken', async () => {
  const [eoa, guardian] = [key(), key()]
  await chain.made(await chain.rich.sendTransaction({ to: eoa.address, value: 10n ** 18n }))
  const { abi } = kinds.Guarded
  const code = await chain.deploy(kinds.Guarded)
  const wallet = chain.wallet(eoa)
  const delegate = async (contractAddress, data) => {
    const authorization = await wallet.signAuthorization({ contractAddress, executor: 'self' })
    await chain.made(await wallet.sendTransaction({ authorizationList: [authorization], to: eoa.address, data, gas: 200_000n }))
  }
  await delegate(code, encodeFunctionData({ abi, functionName: 'guardBy', args: [guardian.address] }))
  const designator = await chain.reader.getCode({ address: eoa.address })
  assert.equal(designator, `0xef0100${code.slice(2).toLowerCase()}`)

  const asked = node.asked
  const own = await signIn(eoa.address, signs(eoa))
  await granted(client, own.answer, {
    resource: ESCROW,
    scope: 'escrow:read',
    key: own.session,
    account: chain.account(eoa.address),
    sub: `did:pkh:eip155:1:${eoa.address}`,
    method: 'siwe',
    provenKey: await secp256k1Key(hexToBytes(eoa.secret)),
  })
  assert.equal((await refresh(own.answer, own.session)).status, 200)
  assert.equal(node.asked, asked, 'a key needs no node')

  // Code that a key delegates to has the key's subject on eip155:1, so it is a contract only where the operator says so.
  refused((await signIn(eoa.address, signs(guardian))).answer, { error: 'invalid_grant', reason: 'signature_mismatch' })
  const by = several.client
  const guarded = await signIn(eoa.address, signs(guardian), { by })
  await grantedToContract(guarded, by)
  refused((await signIn(eoa.address, signs(key()))).answer, { error: 'invalid_grant', reason: 'signature_mismatch' })

  // What the key signs itself is not the code's, wrapped or not, though this code would take it.
  await delegate(code, encodeFunctionData({ abi, functionName: 'guardBy', args: [eoa.address] }))
  const inner = {}
  const wrapped = await signIn(eoa.address, async (message) => {
    inner.args = [hashMessage(message), await signs(eoa)(message)]
    return serializeErc6492Signature({ address: factory, data: '0x', signature: inner.args[1] })
  }, { by })
  assert.equal(await chain.reader.readContract({ address: eoa.address, abi, functionName: 'isValidSignature', ...inner }), '0x1626ba7e')
  refused(wrapped.answer, { error: 'invalid_grant', reason: 'signature_malformed' })
  await delegate('0x0000000000000000000000000000000000000000')
  assert.equal(await chain.reader.getCode({ address: eoa.address }), undefined)
  refused(await refresh(guarded.answer, guarded.session, by), { error: 'invalid_grant', reason: 'session_ended' })
})

test('a contract that answers anything but the magic value in one word says no', async () => {
  const taken = await chain.deploy(kinds.Odd, [0n])
  await grantedToContract(await signIn(taken, () => '0xab'))
  for (let way = 1n; way <= 11n; way += 1n) {
    const address = await chain.deploy(kinds.Odd, [way])
    const { answer } = await signIn(address, () => '0xab')
    refused(answer, { error: 'invalid_grant', reason: 'signature_mismatch' })
  }
  // Precompiles answer everybody, and are no contracts.
  for (const number of [1, 2, 3, 4, 5, 9]) {
    const { answer } = await signIn(pad(toHex(number), { size: 20 }), () => '0xab')
    refused(answer, { error: 'invalid_grant', reason: 'signature_malformed' })
  }
})

const word = (value) => value.toString(16).padStart(64, '0')
const result = (value) => (answer) => ({ text: { ...answer, result: value } })
/** The words of a right answer, some of them changed: verdict, chain, block, time, and what was asked. */
const changed = (words) => (answer) => {
  const right = answer.result.slice(2).match(/.{64}/g)
  return result(`0x${right.map((old, at) => (words[at] === undefined ? old : word(words[at]))).join('')}`)(answer)
}
const WRONG = {
  down: 'down',
  silent: 'silent',
  cut: 'cut',
  endless: 'endless',
  oversized: result(`0x${'00'.repeat(4096)}`),
  'another status': (text) => ({ status: 429, text }),
  redirecting: (text) => ({ status: 307, headers: { location: chain.url }, text }),
  'an error': ({ jsonrpc, id }) => ({ text: { jsonrpc, id, error: { code: -32000, message: 'header not found' } } }),
  'a revert': ({ jsonrpc, id }) => ({ text: { jsonrpc, id, error: { code: 3, message: 'execution reverted', data: '0x' } } }),
  'not JSON': () => ({ text: '<html></html>' }),
  'of another request': (answer) => ({ text: { ...answer, id: answer.id + 1 } }),
  'of another chain': changed({ 1: 1 }),
  'of another question': changed({ 4: 7 }),
  'an unknown verdict': changed({ 0: 9 }),
  'a word short': (answer) => result(answer.result.slice(0, -64))(answer),
  behind: changed({ 3: Math.floor(Date.now() / 1000) - 3600 }),
  'the bare magic value': result(`0x1626ba7e${'00'.repeat(28)}`),
  nothing: result('0x'),
}

for (const [name, way] of Object.entries(WRONG)) {
  test(`a node that fails (${name}): contracts wait, keys notice nothing`, async () => {
    node.way = 'right'
    const signed = await signIn(owned.address, signs(owned.owner))
    await grantedToContract(signed)
    node.way = way
    try {
      unavailable((await signIn(owned.address, signs(owned.owner))).answer)
      unavailable(await refresh(signed.answer, signed.session))
      const [eoa, asked] = [key(), node.asked]
      const own = await signIn(eoa.address, signs(eoa))
      assert.equal(own.answer.status, 200, own.answer.text)
      assert.equal((await refresh(own.answer, own.session)).status, 200)
      assert.equal(node.asked, asked)
    } finally {
      node.way = 'right'
    }
    await grantedToContract({ ...signed, answer: await refresh(signed.answer, signed.session) })
  })
}

test('what is waited for is not used up: the same message opens when the node is back', async () => {
  node.way = 'down'
  const { answer, session, message, account } = await signIn(owned.address, signs(owned.owner))
  node.way = 'right'
  unavailable(answer)
  const again = await client.redeem({ message, signature: await signs(owned.owner)(message) }, session)
  await grantedToContract({ answer: again, session, account })
})

test('of three nodes two decide', async () => {
  const by = several.client
  const says = (verdict) => changed({ 0: verdict })
  const ways = async (first, second, third, sign = signs(owned.owner)) => {
    ;[nodes[0].way, nodes[1].way, nodes[2].way] = [first, second, third]
    const signed = await signIn(owned.address, sign, { by })
    nodes.forEach((one) => (one.way = 'right'))
    return signed
  }
  const yes = await ways('right', 'right', 'right')
  await grantedToContract(yes, by)
  await grantedToContract(await ways('right', 'down', 'right'), by)
  await grantedToContract(await ways(says(2), 'right', 'right'), by)
  const lied = await ways(says(1), 'right', 'right', signs(key()))
  refused(lied.answer, { error: 'invalid_grant', reason: 'signature_mismatch' })
  const two = await ways(says(1), says(4), 'right', signs(key()))
  assert.equal(two.answer.status, 200, 'a quorum is believed')
  unavailable((await ways('right', 'down', 'silent')).answer)
  unavailable((await ways('right', says(2), 'down')).answer)
  unavailable((await ways('right', says(2), says(0))).answer)

  // A refusal needs a quorum as well: one node that lies ends nobody's session.
  nodes[0].way = says(2)
  nodes[1].way = 'down'
  unavailable(await refresh(yes.answer, yes.session, by))
  nodes[1].way = 'right'
  await grantedToContract({ ...yes, answer: await refresh(yes.answer, yes.session, by) }, by)
  nodes.forEach((one) => (one.way = 'right'))
})

test('no URL of a node stands in the log', () => {
  for (const { output } of [server, several]) {
    assert.match(output, /a node gave no answer/)
    assert.doesNotMatch(output, /a-key-of-our-own/)
  }
})

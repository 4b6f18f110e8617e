// What no honest client sends. The server answers each with a 4xx of the one shape, or closes; it does not grow,
// does not stop, and serves the next client. Every loop is bounded, and the mutations are the same in each run.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { discover, JWT_BEARER, SIGNED_MESSAGE } from '../lib/client.js'
import { encodeJson } from '../lib/keys.js'
import { generator, mutated } from '../lib/mutate.js'
import { startConfigured } from '../lib/server.js'
import { exchange, neverReading } from '../lib/wire.js'

const ACCOUNT = 'eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'
const GOOD = JSON.stringify({ account: ACCOUNT, scope: 'read' })
const MOST_GROWTH_KIB = 64 * 1024
const MUTATIONS = 1000
const DEEP = 10_000

const configuration = (limits) => () => `[limits]
requests_per_minute = "off"
header_timeout = 1
body_timeout = 1
${limits}
[[resources]]
uri = "https://escrow.example"
scopes = ["read"]
default_scopes = ["read"]`

let server, client, host, sizeAtStart
before(async () => {
  server = await startConfigured(configuration('max_body_bytes = 262144'))
  client = await discover(server.issuer)
  host = new URL(server.url).host
  for (let round = 0; round < 20; round += 1) await client.nonce()
  sizeAtStart = await residentKib()
})
after(() => server?.stop())

/** Resident memory, where the system tells. */
async function residentKib() {
  const status = await readFile(`/proc/${server.process.pid}/status`, 'utf8').catch(() => '')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0)
}

function head(line, ...fields) {
  return `${[line, `Host: ${host}`, ...fields].join('\r\n')}\r\n\r\n`
}

function post(path, type, body, ...fields) {
  const length = `Content-Length: ${Buffer.byteLength(body)}`
  return Buffer.concat([
    Buffer.from(head(`POST ${path} HTTP/1.1`, `Content-Type: ${type}`, 'Connection: close', length, ...fields)),
    Buffer.from(body),
  ])
}

const json = (body) => post('/challenge', 'application/json', body)
const form = (body, ...fields) => post('/token', 'application/x-www-form-urlencoded', body, ...fields)
const get = (...fields) => head('GET /nonce HTTP/1.1', 'Connection: close', ...fields)
const chunked = (body, ...fields) =>
  head('POST /challenge HTTP/1.1', 'Content-Type: application/json', 'Connection: close', ...fields) +
  `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`

/** The only answer, checked for the shape that errors have where they have a body. */
async function only(bytes, status, options) {
  const { answers } = await exchange(server.url, bytes, options)
  assert.deepEqual(answers.map((answer) => answer.status), [status], String(bytes).slice(0, 200))
  const [answer] = answers
  if (status >= 400 && answer.body !== '') {
    const body = JSON.parse(answer.body)
    assert.match(body.reason, /^[a-z_]+$/)
    assert.ok(body.error_description.length <= 400, 'what was sent is not sent back')
    return body.reason
  }
  return undefined
}

/** For what is refused before it was read: the closing may overtake the answer on its way. */
async function cutShort(bytes, status) {
  const { answers, ended } = await exchange(server.url, bytes)
  assert.equal(ended, 'closed')
  if (answers.length > 0) assert.deepEqual(answers.map((answer) => answer.status), [status])
}

test('JSON that is none, or not what the endpoint takes', async () => {
  const malformed = [
    ...['', 'null', '1', '""', '[]', '{', `${GOOD}x`, `\ufeff${GOOD}`, '{"account":1e400}'],
    ...['[', '{"account":['].map((opening) => opening.repeat(DEEP)),
    `["${ACCOUNT}",null,null,null,null,null,null]`,
    '{"account":"\\ud800"}',
    Buffer.from([...Buffer.from('{"account":"'), 0xff, 0xfe, ...Buffer.from('"}')]),
  ]
  for (const body of malformed) assert.equal(await only(json(body), 400), 'malformed_request')
  assert.equal(await only(json('{"account":null}'), 400), 'parameter_missing')
  assert.equal(await only(json('{"a":'.repeat(DEEP)), 400), 'parameter_unknown')
  assert.equal(await only(json(`{"account":"${ACCOUNT}","${'x'.repeat(9000)}":1}`), 400), 'parameter_unknown')
  assert.equal(await only(json('{"account":"a","acc\\u006funt":"b"}'), 400), 'parameter_repeated')
  assert.equal(await only(json('{"account":{"kty":"OKP","d":"AA"}}'), 400), 'private_key_received')
})

test('forms that are none', async () => {
  assert.equal(await only(form('grant_type=%ff'), 400), 'malformed_request')
  assert.equal(await only(form(Buffer.from([0xff, 0xfe, 0x3d, 0x00])), 400), 'malformed_request')
  assert.equal(await only(form('&'.repeat(60_000)), 400), 'parameter_missing')
  assert.equal(await only(form('='.repeat(60_000)), 400), 'parameter_missing')
  assert.equal(await only(form('%=%&%%%=%zz'), 400), 'malformed_request')
  assert.equal(await only(form(Array.from({ length: 33 }, (_, n) => `p${n}=`).join('&')), 400), 'malformed_request')
  assert.equal(await only(form(`${'a'.repeat(9000)}=1&${'a'.repeat(9000)}=1`), 400), 'parameter_repeated')
})

test('messages, proofs and assertions that are none', async () => {
  const encoded = (parameters) => new URLSearchParams(parameters).toString()
  const message = (text, ...fields) =>
    form(encoded({ grant_type: SIGNED_MESSAGE, format: 'siwe', message: text, signature: '0x' }), ...fields)
  assert.equal(await only(message('\0\u0001'), 400), 'malformed_message')
  assert.equal(await only(message('\n'.repeat(8000)), 400), 'malformed_message')
  assert.equal(await only(message('a'.repeat(60_000)), 400), 'message_too_large')
  await only(message('x', 'DPoP: ...'), 400)
  await only(message('x', `DPoP: ${encodeJson([[[[]]]])}.e30.AA`), 400)

  const asserted = (assertion) => form(encoded({ grant_type: JWT_BEARER, assertion }))
  const deep = Buffer.from(`{"alg":"EdDSA","x":${'['.repeat(5000)}`).toString('base64url')
  const list = `${encodeJson({ alg: 'EdDSA' })}.${encodeJson([])}.AA`
  for (const assertion of ['a.b.c', '...', `${deep}.e30.AA`, list, 'x'.repeat(60_000)]) {
    assert.equal(await only(asserted(assertion), 400), 'assertion_invalid')
  }
})

test('bodies that are too large, unfinished, or framed in two ways', async () => {
  await cutShort(json('a'.repeat(5_000_000)), 413)
  await cutShort(chunked('a'.repeat(5_000_000), 'Transfer-Encoding: chunked'), 413)
  assert.equal(await only(chunked(GOOD, 'Transfer-Encoding: chunked'), 200), undefined)

  const short = (...fields) => head('POST /challenge HTTP/1.1', 'Content-Type: application/json', ...fields)
  assert.equal(await only(`${short('Content-Length: 200')}${GOOD}`, 400, { half: true }), 'malformed_request')
  assert.equal(await only(`${short('Content-Length: 200')}${GOOD}`, 408), 'body_timeout')
  const chunk = short('Transfer-Encoding: chunked')
  for (const size of ['-1', 'ffffffffffffffffff', 'zz', `5;${'x'.repeat(40_000)}`]) {
    assert.equal(await only(`${chunk}${size}\r\n`, 400), 'malformed_request')
  }
  for (const framing of [
    ['Content-Length: -1'],
    ['Content-Length: +5'],
    ['Content-Length: 5', 'Content-Length: 6'],
    ['Transfer-Encoding: identity'],
    ['Transfer-Encoding: chunked, gzip'],
    ['Transfer-Encoding : chunked'],
  ]) {
    await only(short(...framing), 400)
  }
})

test('a request framed both ways is one request, and the last of its connection', async () => {
  for (const fields of [
    ['Transfer-Encoding: chunked', 'Content-Length: 5'],
    ['Content-Length: 5', 'Transfer-Encoding: chunked'],
  ]) {
    const both = chunked(GOOD, ...fields).replace('Connection: close\r\n', '')
    const { answers, ended } = await exchange(server.url, both + get())
    assert.equal(answers.length, 1, 'nothing is smuggled behind it')
    assert.ok([200, 400].includes(answers[0].status))
    assert.equal(ended, 'closed')
  }
})

test('heads that are none, or too large', async () => {
  const bad = [
    'GET /nonce\r\n\r\n',
    head('GET /nonce HTTP/3.0'),
    head('GET /\0 HTTP/1.1'),
    head('G\u0001T /nonce HTTP/1.1'),
    get('X: a\0b'),
    get('X: a\rb'),
    get('X: a\r\n folded'),
    get('X : a'),
    Buffer.from('16030100a5010000a10303', 'hex'),
  ]
  for (const bytes of bad) await only(bytes, 400, { half: true })
  await cutShort(get(`X: ${'a'.repeat(5_000_000)}`), 431)
  await cutShort(get(...Array.from({ length: 2000 }, (_, n) => `X${n}: 1`)), 431)
  await cutShort(head(`GET /${'a'.repeat(100_000)} HTTP/1.1`), 431)
})

test('one Host, and bodies without a coding', async () => {
  const line = 'GET /nonce HTTP/1.1\r\nConnection: close\r\n'
  assert.equal(await only(`${line}\r\n`, 400), 'malformed_request')
  assert.equal(await only(`${line}Host: a b@c/\r\n\r\n`, 400), 'malformed_request')
  assert.equal(await only(`${line}Host: ${host}\r\nHost: ${host}\r\n\r\n`, 400), 'parameter_repeated')
  const gzipped = post('/challenge', 'application/json', GOOD, 'Content-Encoding: gzip')
  assert.equal(await only(gzipped, 415), 'content_type')
  const announced = ['Content-Type: application/json', 'Content-Length: 5000000', 'Expect: 100-continue']
  assert.equal(await only(head('POST /challenge HTTP/1.1', ...announced), 413), 'body_too_large')
})

test('old, odd and foreign targets', async () => {
  await only('GET /nonce HTTP/1.0\r\n\r\n', 200)
  await only(head(`GET http://${host}/nonce HTTP/1.1`, 'Connection: close'), 200)
  for (const target of ['//nonce', '/x/../nonce', '/%6eonce', '/%ff%00', '/nonce/', '*']) {
    assert.equal(await only(head(`GET ${target} HTTP/1.1`, 'Connection: close'), 404), 'not_found')
  }
  assert.equal(await only(head('CONNECT evil.example:443 HTTP/1.1', 'Connection: close'), 404), 'not_found')
  for (const method of ['TRACE', 'PUT', 'BREW']) {
    assert.equal(await only(head(`${method} /nonce HTTP/1.1`, 'Connection: close'), 405), 'method_not_allowed')
  }
  for (const field of ['Content-Type: application/json', 'Origin: https://app.example']) {
    assert.equal(await only(post('/challenge', 'application/json', GOOD, field, field), 400), 'parameter_repeated')
  }
})

test('pipelined requests are answered in their order, refused bodies among them', async () => {
  const one = (bytes) => String(bytes).replace('Connection: close\r\n', '')
  const hidden = post('/challenge', 'text/plain', 'GET / HTTP/1.1')
  const line = [get(), json(GOOD), json('{'), form(''), hidden, get()].map(one)
  const { answers } = await exchange(server.url, line.join('').repeat(10) + get())
  const round = [200, 200, 400, 400, 415, 200]
  assert.deepEqual(answers.map(({ status }) => status), [...Array.from({ length: 10 }, () => round).flat(), 200])
})

test('a good request with a few bytes changed', async () => {
  const seeds = [
    json(GOOD),
    form(`grant_type=${encodeURIComponent(SIGNED_MESSAGE)}&message=a&signature=0x`),
    Buffer.from(chunked(GOOD, 'Transfer-Encoding: chunked')),
  ]
  const random = generator(20_260_101)
  for (let done = 0; done < MUTATIONS; done += 20) {
    const mutants = Array.from({ length: 20 }, (_, n) => mutated(seeds[n % seeds.length], random))
    const outcomes = await Promise.all(mutants.map((bytes) => exchange(server.url, bytes, { half: true })))
    outcomes.forEach(({ ended, answers }, n) => {
      assert.equal(ended, 'closed')
      for (const { status } of answers) assert.ok(status < 500, `${status} for ${JSON.stringify(String(mutants[n]))}`)
    })
  }
})

test('connections that say nothing, or do not finish, are ended', async () => {
  const idle = head('GET /nonce HTTP/1.1')
  const unfinished = ['', 'G', 'GET /nonce HTTP/1.1\r\nHo', String(json(GOOD)).slice(0, -5), idle]
  const all = Array.from({ length: 20 }, () => unfinished).flat()
  const outcomes = await Promise.all(all.map((bytes) => exchange(server.url, bytes, { waitMs: 10_000 })))
  for (const { ended } of outcomes) assert.equal(ended, 'closed')
})

test('clients that never read do not keep the others out', async () => {
  const slots = 2
  const small = await startConfigured(configuration(`max_connections = ${slots}`))
  const fields = `GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: ${new URL(small.url).host}\r\n`
  const deaf = []
  try {
    for (let n = 0; n < slots; n += 1) deaf.push(await neverReading(small.url, `${fields}\r\n`))
    const { answers } = await exchange(small.url, `${fields}Connection: close\r\n\r\n`, { waitMs: 30_000 })
    assert.equal(answers[0]?.status, 200, 'no answer in 30 s while others do not read theirs')
  } finally {
    for (const socket of deaf) socket.destroy()
    await small.stop()
  }
})

test('after all of it the server is the same', async () => {
  assert.match(await client.nonce(), /^[A-Za-z0-9]+$/)
  assert.equal(server.process.exitCode, null)
  assert.doesNotMatch(server.output, /panic/i)
  const growth = (await residentKib()) - sizeAtStart
  assert.ok(growth < MOST_GROWTH_KIB, `grew by ${growth} KiB`)
})

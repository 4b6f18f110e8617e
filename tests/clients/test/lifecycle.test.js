// How the process behaves: it refuses to run unsafely, tells every fault at once, and drains on SIGTERM.

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'node:test'
import { countersignBinary, run } from '../lib/binary.js'
import { discover } from '../lib/client.js'
import { check, startDevelopment } from '../lib/server.js'

test('development mode refuses any address but loopback', async () => {
  for (const address of ['0.0.0.0:0', '[::]:0']) {
    const { code, output } = await run(countersignBinary(), ['serve', '--listen', address])
    assert.notEqual(code, 0)
    assert.notEqual(code, null, 'it ended by itself')
    assert.match(output, /loopback/i)
  }
})

test('every fault of a configuration is told at once', async () => {
  const { code, output } = await check(
    [
      'issuer = "http://auth.example"',
      'lissten = "127.0.0.1:8700"',
      '[challenge]',
      'lifetime = 1',
      '[[resources]]',
      'uri = "https://escrow.example#part"',
      'scopes = "escrow:read"',
    ].join('\n'),
  )
  assert.notEqual(code, 0)
  for (const key of ['issuer', 'lissten', 'challenge.lifetime', 'uri', 'scopes']) {
    assert.ok(output.includes(key), `${key} in:\n${output}`)
  }
})

test('a sound configuration passes the check', async () => {
  const { code, output } = await check(
    [
      'issuer = "https://auth.example"',
      'store.directory = "/var/lib/countersign"',
      'keys.key_file = "/etc/countersign/sealing.key"',
      '[[resources]]',
      'uri = "https://escrow.example"',
      'scopes = ["escrow:read"]',
      'default_scopes = ["escrow:read"]',
    ].join('\n'),
  )
  assert.equal(code, 0, output)
})

test('on SIGTERM it takes no more connections, finishes what it began, and ends with 0', async () => {
  const server = await startDevelopment()
  try {
    const { metadata } = await discover(server.issuer)
    const { hostname, port, pathname } = new URL(metadata.challenge_endpoint)
    const body = JSON.stringify({
      account: 'eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266',
      resource: 'http://127.0.0.1:9555',
    })
    const slow = await half(hostname, port, pathname, body)
    await wait(200)
    const ended = server.stop('SIGTERM')
    await refusesConnections(hostname, port)
    const answer = await slow.finish()
    assert.match(answer, /^HTTP\/1\.1 200 /)
    assert.deepEqual(await ended, { code: 0, signal: null })
  } finally {
    await server.stop('SIGKILL')
  }
})

/** Sends a request up to the middle of its body; `finish` sends the rest and gives the whole answer. */
async function half(host, port, path, body) {
  const middle = Math.floor(body.length / 2)
  const socket = connect({ host, port: Number(port) })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  socket.setEncoding('utf8')
  let answer = ''
  socket.on('data', (text) => (answer += text))
  const closed = new Promise((resolve, reject) => socket.once('close', resolve).once('error', reject))
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body.slice(0, middle)}`,
  )
  return {
    finish: async () => {
      socket.write(body.slice(middle))
      await closed
      return answer
    },
  }
}

async function refusesConnections(host, port) {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const outcome = await new Promise((resolve) => {
      const socket = connect({ host, port: Number(port) })
      socket.once('connect', () => socket.destroy(resolve('accepted')))
      socket.once('error', () => resolve('refused'))
    })
    if (outcome === 'refused') return
    await wait(20)
  }
  assert.fail('it still takes connections a second after SIGTERM')
}

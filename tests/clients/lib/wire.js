// Bytes on a connection, exactly as given: for requests that no HTTP client would send. Gives every answer that
// came back, and how the connection ended.

import { connect } from 'node:net'

const MOST_BYTES = 4_000_000

/**
 * Sends `bytes` and reads until the server closes, or `waitMs` have passed. `half` closes our side after the
 * last byte, as a client does that has nothing more to say.
 */
export function exchange(url, bytes, { half = false, waitMs = 5_000 } = {}) {
  return new Promise((resolve) => {
    const { socket, received } = open(url, { half })
    const finish = (ended) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ ended, answers: answersIn(received()) })
    }
    const timer = setTimeout(() => finish('open'), waitMs)
    socket.once('close', () => finish('closed'))
    if (half) socket.end(bytes)
    else socket.write(bytes)
  })
}

/** A connection that asks and does not read, once its requests no longer leave. The caller destroys it. */
export async function neverReading(url, request, { mostRequests = 50_000, batch = 500 } = {}) {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('connect', resolve).once('error', resolve))
  const many = request.repeat(batch)
  for (let sent = 0; sent < mostRequests && !socket.destroyed; sent += batch) {
    if (socket.write(many)) continue
    const drained = await Promise.race([
      new Promise((resolve) => socket.once('drain', () => resolve(true))),
      new Promise((resolve) => setTimeout(resolve, 500, false)),
    ])
    if (!drained) break
  }
  return socket
}

function open(url, { half }) {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: half })
  const parts = []
  let length = 0
  socket.on('data', (part) => {
    length += part.length
    if (length <= MOST_BYTES) parts.push(part)
  })
  socket.on('end', () => socket.end())
  // A server may close before it has read all that it refuses; what it answered until then counts.
  socket.on('error', () => {})
  return { socket, received: () => Buffer.concat(parts).toString('latin1') }
}

/** The answers in a stream; each states its length, as this server's do, or has no body. */
function answersIn(text) {
  const answers = []
  let rest = text
  for (let end = rest.indexOf('\r\n\r\n'); end >= 0; end = rest.indexOf('\r\n\r\n')) {
    const head = rest.slice(0, end)
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)
    if (!status) break
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
    const body = rest.slice(end + 4, end + 4 + length)
    answers.push({ status: Number(status[1]), head, body })
    rest = rest.slice(end + 4 + length)
  }
  return answers
}

// One HTTP exchange as plain data, over node's own fetch; and `raw`, which writes header lines as given
// (fetch would merge two DPoP headers into one).

import { request } from 'node:http'

export async function send(url, { method = 'GET', headers = {}, body } = {}) {
  const response = await fetch(url, { method, headers, body, redirect: 'manual' })
  return answer(response.status, response.headers, await response.text())
}

/** `headers` is a flat list: name, value, name, value. */
export function raw(url, { method = 'POST', headers = [], body = '' }) {
  const { host, hostname, port, pathname, search } = new URL(url)
  const lines = ['Host', host, 'Content-Length', String(Buffer.byteLength(body)), 'Connection', 'close', ...headers]
  return new Promise((resolve, reject) => {
    const outgoing = request({ hostname, port, path: pathname + search, method, headers: lines }, (incoming) => {
      let text = ''
      incoming.setEncoding('utf8')
      incoming.on('data', (part) => (text += part))
      incoming.on('end', () => resolve(answer(incoming.statusCode, new Headers(plain(incoming.headers)), text)))
      incoming.on('error', reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

function plain(headers) {
  return Object.entries(headers).flatMap(([name, value]) => [value].flat().map((one) => [name, one]))
}

function answer(status, headers, text) {
  let json
  try {
    json = JSON.parse(text)
  } catch {
    json = undefined
  }
  return { status, headers, text, json }
}

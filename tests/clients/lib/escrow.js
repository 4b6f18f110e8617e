// The one place that knows how the escrow example is started and what its routes are; the tests speak of
// opening, reading, releasing and claiming. The example's own address is the resource that its tokens are for.

import { escrowBinary, start } from './binary.js'
import { proof } from './dpop.js'
import { send } from './http.js'

export const READ = 'escrow:read'
export const RELEASE = 'escrow:release'
export const CREATE = 'escrow:create'
export const CLAIM = 'escrow:claim'

export const routes = {
  open: { method: 'POST', path: '/escrows' },
  read: (id) => ({ method: 'GET', path: `/escrows/${id}` }),
  release: (id) => ({ method: 'POST', path: `/escrows/${id}/release` }),
  claim: (id) => ({ method: 'POST', path: `/escrows/${id}/claim` }),
}

export async function startEscrow(issuer) {
  const api = await start(escrowBinary(), ['--issuer', issuer, '--listen', '127.0.0.1:0'])
  api.resource = api.url
  return api
}

/** A call as a good client makes it: the token, and a fresh proof for exactly this request. */
export async function call(api, { method, path }, { key, token, body }) {
  const dpop = await proof(key, { method, url: api.url + path, token })
  return callWith(api, { method, path }, { authorization: `DPoP ${token}`, dpop, body })
}

/** A call with the headers as given. */
export function callWith(api, { method, path }, { authorization, dpop, body }) {
  return send(api.url + path, {
    method,
    headers: {
      ...(authorization && { Authorization: authorization }),
      ...(dpop && { DPoP: dpop }),
      ...(body && { 'content-type': 'application/json' }),
    },
    body: body && JSON.stringify(body),
  })
}

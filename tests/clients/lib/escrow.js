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

/** At a free port unless one is given. */
export async function startEscrow(issuer, port = 0) {
  const api = await start(escrowBinary(), ['--issuer', issuer, '--listen', `127.0.0.1:${port}`])
  api.resource = api.url
  return api
}

/**
 * A call as a good client makes it: the token, a fresh proof for exactly this request, and the API's latest nonce;
 * once more where the API demands another (RFC 9449 §9), as it does for proofs from before it started.
 */
export async function call(api, route, { key, token, body }) {
  const once = async () => {
    const dpop = await proof(key, { method: route.method, url: api.url + route.path, token, nonce: api.nonce })
    return callWith(api, route, { authorization: `DPoP ${token}`, dpop, body })
  }
  const answer = await once()
  return answer.json?.error === 'use_dpop_nonce' ? once() : answer
}

/** A call with the headers as given. A nonce in the answer is remembered as `api.nonce`. */
export async function callWith(api, { method, path }, { authorization, dpop, body }) {
  const answer = await send(api.url + path, {
    method,
    headers: {
      ...(authorization && { Authorization: authorization }),
      ...(dpop && { DPoP: dpop }),
      ...(body && { 'content-type': 'application/json' }),
    },
    body: body && JSON.stringify(body),
  })
  api.nonce = answer.headers.get('dpop-nonce') ?? api.nonce
  return answer
}

// A client that knows the issuer's URL and nothing else: every endpoint comes from the metadata document.

import { randomUUID } from 'node:crypto'
import { proof } from './dpop.js'
import { send } from './http.js'

export const SIGNED_MESSAGE = 'urn:countersign:params:oauth:grant-type:signed-message'
export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** RFC 8414: the well-known part goes between the host and the issuer's path. */
export function metadataUrl(issuer) {
  const { origin, pathname } = new URL(issuer)
  return `${origin}/.well-known/oauth-authorization-server${pathname === '/' ? '' : pathname}`
}

export async function discover(issuer) {
  const { status, json } = await send(metadataUrl(issuer))
  if (status !== 200) throw new Error(`metadata of ${issuer} answered ${status}`)
  return new Client(json)
}

export class Client {
  constructor(metadata) {
    this.metadata = metadata
    this.issuer = metadata.issuer
  }

  /** A nonce for a message that the client writes itself. */
  async nonce() {
    const answer = await send(this.metadata.nonce_endpoint)
    if (answer.status !== 200) throw new Error(`/nonce answered ${answer.status}: ${answer.text}`)
    return answer.json.nonce
  }

  askChallenge(body, headers = {}) {
    return send(this.metadata.challenge_endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
  }

  async challenge(body) {
    const answer = await this.askChallenge(body)
    if (answer.status !== 200) throw new Error(`/challenge answered ${answer.status}: ${answer.text}`)
    return answer.json
  }

  /** `form` is sent as it is; `dpop` is a ready proof or nothing. */
  token(form, { dpop, headers = {} } = {}) {
    return send(this.metadata.token_endpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        ...(dpop && { DPoP: dpop }),
        ...headers,
      },
      body: new URLSearchParams(form).toString(),
    })
  }

  /** A proof for the token endpoint. */
  proof(key, changes = {}) {
    return proof(key, { url: this.metadata.token_endpoint, ...changes })
  }

  /** The signed-message grant with a fresh proof by `key`. */
  async redeem(form, key, changes = {}) {
    return this.token({ grant_type: SIGNED_MESSAGE, ...form }, { dpop: await this.proof(key, changes) })
  }

  /** RFC 7523: an assertion that a raw key signs about itself. */
  assertion(key, changes = {}) {
    const now = Math.floor(Date.now() / 1000)
    const claims = { iss: key.did, sub: key.did, aud: this.issuer, iat: now, exp: now + 30, jti: randomUUID() }
    return key.jws({ alg: key.alg, typ: 'JWT' }, { ...claims, ...changes })
  }

  async assert(assertion, key, form = {}) {
    return this.token({ grant_type: JWT_BEARER, assertion, ...form }, { dpop: await this.proof(key) })
  }
}

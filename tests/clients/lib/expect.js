// What every answer must look like, whatever the test is about: a grant (checked as a resource server would,
// with jose against the published JWKS), and a refusal.

import assert from 'node:assert/strict'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'

const LONGEST_DEFAULT_TOKEN = 300

/** A 200 with a token; gives the verified claims. */
export async function granted(client, answer, { resource, scope, key, account, sub, method, provenKey }) {
  assert.equal(answer.status, 200, answer.text)
  assert.match(answer.headers.get('cache-control') ?? '', /no-store/)
  assert.match(answer.headers.get('content-type') ?? '', /^application\/json/)
  const { access_token: token, token_type: type, expires_in: lifetime } = answer.json
  assert.equal(type, key ? 'DPoP' : 'Bearer')
  assert.ok(Number.isInteger(lifetime) && lifetime > 0 && lifetime <= LONGEST_DEFAULT_TOKEN, `expires_in ${lifetime}`)
  assert.equal(answer.json.scope, scope)
  assert.equal(answer.json.sub, sub)

  const claims = await verified(client, token, resource)
  assert.equal(claims.sub, sub)
  assert.equal(claims.account, account)
  assert.equal(claims.scope, scope)
  assert.equal(claims.cnf?.jkt, key?.thumbprint)
  assert.equal(claims.exp - claims.iat, lifetime)
  assert.equal(claims.proven_key.method, method)
  assert.equal(claims.proven_key.jkt, provenKey.thumbprint)
  return claims
}

/** The token as a stranger's resource server sees it. */
export async function verified(client, token, resource) {
  const header = decodeProtectedHeader(token)
  assert.equal(header.typ, 'at+jwt')
  assert.equal(typeof header.kid, 'string')
  const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(client.metadata.jwks_uri)), {
    issuer: client.issuer,
    audience: resource,
    typ: 'at+jwt',
    algorithms: ['EdDSA', 'ES256'],
    requiredClaims: ['sub', 'client_id', 'iat', 'nbf', 'exp', 'jti', 'scope', 'auth_time', 'proven_key', 'amr'],
  })
  assert.deepEqual([payload.aud].flat(), [resource], 'exactly one audience')
  assert.equal(typeof payload.client_id, 'string')
  assert.ok(Array.isArray(payload.amr), 'amr is a list')
  return payload
}

/** A refusal of the one shape all errors have. */
export function refused(answer, { status = 400, error, reason }) {
  assert.equal(answer.status, status, answer.text)
  assert.ok(answer.json, `not JSON: ${answer.text}`)
  assert.equal(answer.json.error, error, answer.text)
  if (reason) assert.ok([reason].flat().includes(answer.json.reason), answer.text)
  assert.match(answer.json.reason, /^[a-z0-9_]+$/)
  assert.equal(typeof answer.json.error_description, 'string')
  assert.ok(answer.json.error_description.length > 0)
  assert.equal(answer.json.access_token, undefined)
}

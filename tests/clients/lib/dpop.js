// RFC 9449 proofs, made with jose (or by hand for ES256K). Every part can be overridden, because half of the
// tests send a proof that is wrong in exactly one way.

import { createHash, randomUUID } from 'node:crypto'

/** A proof by `key` for one request; `token` adds `ath`, `nonce` the server's nonce. */
export function proof(key, { method = 'POST', url, token, nonce, header = {}, claims = {} }) {
  return key.jws(
    { typ: 'dpop+jwt', alg: key.alg, jwk: key.publicJwk, ...header },
    {
      jti: randomUUID(),
      htm: method,
      htu: url,
      iat: Math.floor(Date.now() / 1000),
      ...(token && { ath: createHash('sha256').update(token, 'ascii').digest('base64url') }),
      ...(nonce && { nonce }),
      ...claims,
    },
  )
}

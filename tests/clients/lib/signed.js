// A sign-in by any wallet: the challenge is asked for, the wallet signs, the answer must be a token for that account; and
// what another wallet signed, and the answer with one byte changed, must get none.

import { granted, refused } from './expect.js'
import { sessionKey } from './keys.js'
import { flipped } from './mutate.js'

export const RESOURCE = 'http://127.0.0.1:9555'
const ASKED = { resource: RESOURCE, scope: 'escrow:read', domain: 'localhost:5173' }

/**
 * `wallet` has `account`, `method`, `sub`, `provenKey` and `sign(challenge)`, which gives what `/token` takes beside the
 * message; `stranger` is another wallet of the same kind. `asked` may name the format.
 */
export async function signsIn(client, wallet, stranger, asked = {}) {
  const session = await sessionKey()
  const challenge = await client.challenge({ account: wallet.account, dpop_jkt: session.thumbprint, ...ASKED, ...asked })
  const redeem = async (signer, changes = {}) =>
    client.redeem({ message: challenge.message, ...(await signer.sign(challenge)), ...changes }, session)

  const forged = await redeem(stranger)
  refused(forged, { error: 'invalid_grant', reason: ['signature_mismatch', 'signature_malformed'] })
  const right = await wallet.sign(challenge)
  const altered = await redeem(wallet, { signature: flipped(wallet.method, right.signature) })
  refused(altered, { error: 'invalid_grant', reason: 'signature_mismatch' })
  const elsewhere = challenge.message.replace('localhost:5173', 'localhost:5174')
  refused(await redeem(wallet, { message: elsewhere }), { error: 'invalid_grant', reason: 'message_mismatch' })

  const claims = await granted(client, await redeem(wallet), {
    resource: RESOURCE,
    scope: ASKED.scope,
    key: session,
    account: wallet.account,
    sub: wallet.sub ?? `did:pkh:${wallet.account}`,
    method: wallet.method,
    provenKey: wallet.provenKey,
  })
  refused(await redeem(wallet), { error: 'invalid_grant', reason: 'nonce_used' })
  return { challenge, claims }
}

// Sign-ins that are ready to be redeemed, for tests that then do something wrong with them: the owner's wallet,
// the session key, and the form. `stillGood` shows that what was refused did not use the owner's message up.

import assert from 'node:assert/strict'
import { createSiweMessage } from 'viem/siwe'
import { sessionKey, thumbprintUri } from './keys.js'
import { ethereumWallet } from './wallets.js'

export const APP = { domain: 'localhost:5173', uri: 'http://localhost:5173/login' }
export const RESOURCE = 'http://127.0.0.1:9555'
export const SCOPE = 'escrow:read'

/** A challenge, signed by its owner and not yet used. */
export async function signedIn(client) {
  const [wallet, session] = [await ethereumWallet(), await sessionKey()]
  const { message } = await client.challenge({
    account: wallet.account,
    resource: RESOURCE,
    scope: SCOPE,
    dpop_jkt: session.thumbprint,
    domain: APP.domain,
  })
  return { wallet, session, form: { message, signature: await wallet.sign(message) } }
}

/** A message that viem writes around a nonce of the server, with one thing changed. */
export async function written(client, changes) {
  const [wallet, session] = [await ethereumWallet(), await sessionKey()]
  const message = createSiweMessage({
    address: wallet.address,
    chainId: 1,
    version: '1',
    nonce: await client.nonce(),
    resources: [thumbprintUri(session)],
    ...APP,
    ...changes,
  })
  return { wallet, session, form: { message, signature: await wallet.sign(message), resource: RESOURCE } }
}

export async function stillGood(client, { form, session }) {
  const answer = await client.redeem(form, session)
  assert.equal(answer.status, 200, `the owner's sign-in must still work: ${answer.text}`)
}
